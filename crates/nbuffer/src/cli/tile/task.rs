//! What a kernel is to do and on what, as flags.

use std::sync::Arc;

use anyhow::{Context, bail};
use clap::ValueEnum;
use nbuffer_tile::catalog::{Kernel, Setting, Task, kernel, kernels};
use nbuffer_tile::{DType, Profile};

use super::amount::{Amount, tile};

#[derive(Debug, clap::Args)]
pub(super) struct TaskArgs {
    /// The kernel: add, two_source, leaky_relu, softmax, reduce_sum, matmul or move
    #[arg(value_name = "KERNEL")]
    kernel: String,
    /// The AI Core: see `nbuffer tile devices`; or a profile of your own that ends in .toml
    #[arg(long, value_name = "NAME", default_value = "910B4")]
    device: String,
    /// Cores that run it [default: all]
    #[arg(long, value_name = "N", value_parser = super::super::values::count)]
    cores: Option<usize>,
    /// Type of the elements
    #[arg(long, value_enum, default_value = "f16")]
    dtype: Type,
    /// Elements of each tensor; K, M and G count in 1024, as in the vendor's samples
    #[arg(long, value_name = "N", default_value = "1M")]
    elements: Amount,
    /// Elements of a tile; of matmul, columns of a in a block of L1 [default: 4096, of matmul 256]
    #[arg(long, value_name = "N", value_parser = tile)]
    tile: Option<u32>,
    /// Blocks of each queue: 1 is no double buffering, 2 is
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    num: u32,
    /// How often the operation of add and two_source is repeated on each tile [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    repeat_op: Option<u32>,
    /// Elements of a row, for softmax and the result of matmul [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    columns: Option<u32>,
    /// What matmul adds up over: columns of a, rows of b [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    inner: Option<u32>,
    /// Whether tensors are read and written through the L2 cache, which holds what fits, or past it
    #[arg(long, value_enum, default_value = "on")]
    l2: L2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Type {
    F16,
    F32,
    I32,
    I8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum L2 {
    On,
    Bypass,
}

/// A kernel, its task, and where it runs.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) kernel: &'static dyn Kernel,
    pub(super) task: Task,
    pub(super) profile: Arc<Profile>,
    pub(super) cores: usize,
}

impl TaskArgs {
    pub(super) fn chosen(&self) -> anyhow::Result<Chosen> {
        let known = || kernels().iter().map(|kernel| kernel.name()).collect::<Vec<_>>().join(", ");
        let kernel = kernel(&self.kernel)
            .with_context(|| format!("no kernel is called `{}`: choose {}", self.kernel, known()))?;
        let dtype = match self.dtype {
            Type::F16 => DType::F16,
            Type::F32 => DType::F32,
            Type::I32 => DType::I32,
            Type::I8 => DType::I8,
        };
        if !kernel.dtypes().contains(&dtype) {
            let dtypes: Vec<_> = kernel.dtypes().iter().map(|dtype| dtype.name()).collect();
            bail!("--dtype {dtype}: {} takes {}", kernel.name(), dtypes.join(", "));
        }
        let profile = Profile::named(&self.device).context("--device")?;
        let cores = self.cores.unwrap_or(profile.cores);
        if cores > profile.cores {
            bail!("--cores {cores}: device {} has {}", profile.name, profile.cores);
        }
        let given = [
            (self.repeat_op, Setting::RepeatOp, "--repeat-op"),
            (self.columns, Setting::Columns, "--columns"),
            (self.inner, Setting::Inner, "--inner"),
        ];
        let has = |setting| kernel.settings().contains(&setting);
        if let Some((.., flag)) = given.iter().find(|(value, setting, _)| value.is_some() && !has(*setting)) {
            bail!("{flag}: {} has no such setting; it computes {}", kernel.name(), kernel.about());
        }
        let usual = Task::default();
        let task = Task {
            dtype,
            elements: self.elements.0,
            tile: self.tile.unwrap_or(kernel.usual_tile()),
            num: self.num,
            repeat_op: self.repeat_op.unwrap_or(usual.repeat_op),
            columns: self.columns.unwrap_or(usual.columns),
            inner: self.inner.unwrap_or(usual.inner),
            bypass_l2: self.l2 == L2::Bypass,
        };
        if let Err(why) = kernel.check(&task) {
            bail!("{}: {why}", kernel.name());
        }
        Ok(Chosen { kernel, task, profile: Arc::new(profile), cores })
    }
}
