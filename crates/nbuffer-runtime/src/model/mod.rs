//! Models as files: a directory with `model.json` and `manifest.json`, or a plain `.onnx` file.
//!
//! `manifest.json` has the fields of the Metis compiler: padded NHWC shapes, quantisation and padding per
//! tensor. `model.json` may carry anything its maker needs; nbuffer reads `memory_pools` and a section of its
//! own:
//!
//! ```json
//! {
//!   "memory_pools": [{ "memory": "l2", "size": 16384 }, { "memory": "ddr", "size": 4096 }],
//!   "nbuffer": {
//!     "format": 1,
//!     "graph": "digits.onnx",
//!     "kernel_time_s": 0.002,
//!     "preprocess": { "height": 8, "width": 8, "mean": [0, 0, 0], "std": [1, 1, 1] },
//!     "labels": "labels.txt"
//!   }
//! }
//! ```
//!
//! `"kernel": "identity"` or `"kernel": "checksum"` takes the place of `graph` for a model without weights, and a
//! `program` that of a graph for a kernel the model brings itself, with code per device:
//!
//! ```json
//! "program": {
//!   "cpu": "power",
//!   "opencl": { "source": "power.cl", "entry": "power", "options": "" },
//!   "cuda": { "ptx": "power.ptx", "entry": "power" },
//!   "global": [1048576], "local": [256],
//!   "args": [{ "input": 0 }, { "output": 0 }, { "u32": 7 }, { "u32": 1048576 }]
//! }
//! ```
//!
//! [`KernelProgram`] says what each key means. `binary` may stand for `source`, and `source` for `ptx`; one of
//! `cpu`, `opencl` and `cuda` is enough. Its tensors may be of other types than int8: `"input_dtypes": ["float32"]` and
//! `"output_dtypes"` in `manifest.json`, with `int8`, `int32`, `uint32` or `float32` per tensor. Only int8 has quantisation and
//! padding, so without int8 tensors `quantize_params` and `dequantize_params` may be left out.
//!
//! A directory as a vendor's compiler writes it has no `nbuffer` section: only the vendor's runtime can compute it.
//! `"kernel": "compiled"` says the same in a section that adds `preprocess` and `labels`.
//!
//! `kernel_time_s`, `preprocess` and `labels` may be left out. Paths are relative to the directory and stay
//! within it.
//!
//! [`Model::open`] validates a model whole: what it returns is consistent in itself. Whether the graph agrees
//! with the manifest is seen when an engine loads it ([`Compute::new`](crate::Compute::new)).

mod descriptor;
mod directory;
mod error;
mod json;
mod labels;
mod manifest;
mod path;
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;

use crate::compute::GraphError;
pub use error::{FieldProblem, ModelError};
pub use labels::read_labels;
pub use program::{Argument, Code, CpuForm, DeviceCode, KernelProgram};

/// The most bytes of one tensor. The largest published ones have a few megabytes; a shape that asks for more
/// than this is a mistake, and allocating it would end the process.
pub const TENSOR_BYTES_MAX: usize = 4 << 30;

/// A model that has been read and validated whole. Nothing of it has run.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Name for reports: the directory's or the file's.
    pub name: String,
    /// What computes its values.
    pub kernel: Kernel,
    /// Inputs of one call, batch first. A manifest has no tensor names, so they are called `input_0`,
    /// `input_1` and so on. Empty for a plain `.onnx` file, whose tensors are known once an engine has
    /// loaded it: take them from [`Compute`](crate::Compute).
    pub inputs: Vec<TensorInfo>,
    /// Outputs of one call, batch first, called `output_0` and so on. Empty for a plain `.onnx` file.
    pub outputs: Vec<TensorInfo>,
    /// Items of one call: the first dimension of every tensor. 1 for a plain `.onnx` file.
    pub batch: usize,
    /// How long a simulated kernel takes, where the model declares it (seconds).
    pub kernel_s: Option<f64>,
    /// Bytes of weights and constants: the sum of the memory pools, or without any the size of the graph.
    pub model_bytes: u64,
    /// How images become inputs, where the model declares it.
    pub preprocess: Option<Preprocess>,
    /// Class names, one per class, where the model declares them.
    pub labels: Option<Vec<String>>,
}

/// What computes a model's values.
#[derive(Clone, Debug, PartialEq)]
pub enum Kernel {
    /// An ONNX graph. In the directory form its edges are the padded int8 tensors of the manifest; as a
    /// plain file they are whatever the graph says.
    Onnx(PathBuf),
    /// Outputs are the inputs, byte for byte; there are as many, of the same sizes.
    Identity,
    /// The first 8 bytes of the only output are FNV-1a (64 bit, little endian) of all input bytes in order,
    /// the rest zero.
    Checksum,
    /// Code for one device or more that the model brings itself.
    Program(Arc<KernelProgram>),
    /// Code for one vendor's device, which the vendor's runtime loads from the `model.json` at this path.
    Compiled(PathBuf),
}

/// How an image becomes an input tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// Height and width the image is resized to (stretched, bilinear).
    pub height: usize,
    /// See `height`.
    pub width: usize,
    /// `x / 255`, then minus `mean`, over `std`, per channel (RGB).
    pub mean: [f32; 3],
    /// See `mean`.
    pub std: [f32; 3],
}

impl Kernel {
    /// Whether a built-in kernel can compute these outputs from these inputs; a graph says so itself.
    pub(crate) fn check_sizes(
        &self,
        inputs: &[TensorInfo],
        outputs: &[TensorInfo],
    ) -> Result<(), FieldProblem> {
        let sizes = |tensors: &[TensorInfo]| tensors.iter().map(TensorInfo::size).collect::<Vec<usize>>();
        let (inputs, outputs) = (sizes(inputs), sizes(outputs));
        match self {
            Kernel::Identity if inputs != outputs => Err(FieldProblem::IdentitySizes { inputs, outputs }),
            Kernel::Checksum if outputs.len() != 1 || outputs[0] < 8 => {
                Err(FieldProblem::ChecksumOutput { outputs })
            }
            Kernel::Onnx(_)
            | Kernel::Identity
            | Kernel::Checksum
            | Kernel::Program(_)
            | Kernel::Compiled(_) => Ok(()),
        }
    }
}

impl Model {
    /// Reads a model: a directory, the `model.json` in it, or a plain `.onnx` file.
    ///
    /// A directory is validated whole, without running anything of it. Of a plain `.onnx` file only the
    /// presence is checked; its tensors stay unknown until an engine loads it.
    ///
    /// # Errors
    ///
    /// [`ModelError`], which names the file and the field, and says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, ModelError> {
        let path = path.as_ref();
        let metadata = fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ModelError::Missing {
                file: path.to_path_buf(),
                advice: "a model is a directory with model.json and manifest.json, or an .onnx file",
            },
            _ => ModelError::Read { file: path.to_path_buf(), source },
        })?;
        if metadata.is_dir() {
            return directory::open(path);
        }
        if path.file_name().is_some_and(|name| name == "model.json") {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            return directory::open(parent.unwrap_or(Path::new(".")));
        }
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
            return plain_onnx(path, &metadata);
        }
        Err(ModelError::NotAModel { path: path.to_path_buf() })
    }

    /// Whether the kernel fits the tensors. A device that runs a program checks this when it prepares a model, since one
    /// that was put together by hand has not been through [`Model::open`]; whether a graph fits is seen by its engine.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub fn check_kernel(&self) -> Result<(), GraphError> {
        let model = || self.name.clone();
        if let Kernel::Program(program) = &self.kernel {
            let checked = program.check(&self.inputs, &self.outputs);
            return checked.map_err(|(field, problem)| GraphError::Program {
                model: model(),
                field,
                problem,
            });
        }
        let checked = self.kernel.check_sizes(&self.inputs, &self.outputs);
        checked.map_err(|problem| GraphError::BuiltIn { model: model(), problem })
    }

    /// The path of the graph, where there is one.
    pub fn graph(&self) -> Option<&Path> {
        match &self.kernel {
            Kernel::Onnx(path) => Some(path),
            Kernel::Identity | Kernel::Checksum | Kernel::Program(_) | Kernel::Compiled(_) => None,
        }
    }
}

fn plain_onnx(file: &Path, metadata: &fs::Metadata) -> Result<Model, ModelError> {
    if !metadata.is_file() {
        return Err(ModelError::NotARegularFile { file: file.to_path_buf() });
    }
    if metadata.len() == 0 {
        return Err(ModelError::Empty { file: file.to_path_buf() });
    }
    Ok(Model {
        name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        kernel: Kernel::Onnx(file.to_path_buf()),
        inputs: Vec::new(),
        outputs: Vec::new(),
        batch: 1,
        kernel_s: None,
        model_bytes: metadata.len(),
        preprocess: None,
        labels: None,
    })
}
