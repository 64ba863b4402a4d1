//! Models as files: a directory with `model.json` and `manifest.json`, or a plain `.onnx` file.

use std::path::{Path, PathBuf};

use nbuffer_core::tensor::TensorInfo;

/// A model that has been read and validated whole. Nothing of it has run.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Name for reports: the directory's or the file's.
    pub name: String,
    /// What computes its values.
    pub kernel: Kernel,
    /// Inputs of one call, batch first. Known before an engine loads the graph only for directories.
    pub inputs: Vec<TensorInfo>,
    /// Outputs of one call, batch first.
    pub outputs: Vec<TensorInfo>,
    /// Items of one call: the first dimension of the first input.
    pub batch: usize,
    /// How long a simulated kernel takes, where the model declares it (seconds).
    pub kernel_s: Option<f64>,
    /// Bytes of weights and constants.
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
    /// Outputs are the inputs, byte for byte.
    Identity,
    /// The first 8 output bytes are FNV-1a (64 bit, little endian) of all input bytes, the rest zero.
    Checksum,
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

impl Model {
    /// The path of the graph, where there is one.
    pub fn graph(&self) -> Option<&Path> {
        match &self.kernel {
            Kernel::Onnx(path) => Some(path),
            _ => None,
        }
    }
}
