//! The reference work as models of any size and batch.

use std::path::Path;
use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::Model;
use nbuffer_runtime::model::{Argument, Kernel};

use crate::{Forms, Problem, compiled};

/// The power of `power`.
pub(crate) const POWER: u32 = 7;

/// The factor of `saxpy`: with it products and sums of the payload are exact, so rounding makes no difference.
pub(crate) const FACTOR: f32 = 2.5;

/// How long a simulated kernel takes, in seconds: little, since values are what counts here.
pub(crate) const KERNEL_S: f64 = 20e-6;

/// A kernel whose results are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// `x` to the power [`POWER`].
    Power,
    /// [`FACTOR`] times `x` plus `y`.
    Saxpy,
    /// `x`.
    Copy,
}

impl Work {
    pub(crate) const ALL: [Work; 3] = [Work::Power, Work::Saxpy, Work::Copy];

    /// The directory of the program, and the file of its graph.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Work::Power => ("power", "power.onnx"),
            Work::Saxpy => ("saxpy", "saxpy.onnx"),
            Work::Copy => ("copy-large", "copy.onnx"),
        }
    }
}

/// `work` over `elements` elements for each of `batch` items.
pub(crate) fn model(forms: &Forms, work: Work, batch: usize, elements: usize) -> Result<Arc<Model>, Problem> {
    let (directory, graph) = work.names();
    let mut model = match forms {
        Forms::Programs => {
            let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
            // A program that was carried to the machine of a device finds them elsewhere.
            let models = std::env::var_os("NBUFFER_MODELS").map_or_else(here, std::path::PathBuf::from);
            resized(Model::open(models.join(directory))?, batch, elements)?
        }
        Forms::Graphs(graphs) => Model::open(graphs.join(graph))?,
        Forms::Compiled(folder) => compiled::write(folder.path(), work, batch, elements)?,
    };
    model.batch = batch;
    model.kernel_s = Some(KERNEL_S);
    Ok(Arc::new(model))
}

/// A program over other sizes: its tensors, its work items, and `n`, its last argument.
fn resized(mut model: Model, batch: usize, elements: usize) -> Result<Model, Problem> {
    for tensor in model.inputs.iter_mut().chain(&mut model.outputs) {
        *tensor = TensorInfo::new(tensor.name(), [batch, elements], [], 1.0, 0, tensor.dtype())?;
    }
    let Kernel::Program(program) = &mut model.kernel else {
        return Err(format!("model `{}` is no program", model.name).into());
    };
    let program = Arc::make_mut(program);
    let n = batch * elements;
    program.global = vec![n];
    match program.args.last_mut() {
        Some(Argument::U32(last)) => *last = u32::try_from(n)?,
        other => return Err(format!("the last argument should be n: {other:?}").into()),
    }
    Ok(model)
}
