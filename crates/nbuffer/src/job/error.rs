//! Why a job cannot be set up.

use nbuffer_core::schedule::ConfigError;
use nbuffer_runtime::{BoxError, DeviceError, StartError};

use crate::image::ImageError;

/// Why a job cannot be set up. Nothing has run then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A count is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A device cannot do it.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The pipeline cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The model's input cannot take images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A latency limit, and a number of buffer sets that cannot be changed to meet it.
    #[error("a latency limit is met by choosing the number of buffer sets: leave that to nbuffer")]
    Latency,
    /// No device was named.
    #[error("no device was given")]
    NoDevice,
    /// More cores asked for than the device has, or too few for one lane.
    #[error(
        "device `{device}` has {available} cores and a lane of batch {batch} takes {batch}: {asked} cores cannot be used"
    )]
    Cores {
        /// The device.
        device: String,
        /// Cores asked for.
        asked: usize,
        /// Cores it has.
        available: usize,
        /// Items of one call.
        batch: usize,
    },
    /// The devices see the model differently.
    #[error(
        "devices `{first}` and `{other}` describe the tensors of this model differently, so they cannot share a run"
    )]
    Mixed {
        /// The first device.
        first: String,
        /// The other one.
        other: String,
    },
    /// Generated items for a model whose values only an engine knows.
    #[error(
        "model `{model}` computes with a graph, so there is nothing to check generated items against: give files"
    )]
    Synthetic {
        /// The model.
        model: String,
    },
    /// An input that cannot be filled item by item.
    #[error("model `{model}`: input `{input}` has no batch that items could be put in")]
    PaddedBatch {
        /// The model.
        model: String,
        /// The input.
        input: String,
    },
    /// The model's outputs cannot be described for a single item.
    #[error("model `{model}`: {source}")]
    Outputs {
        /// The model.
        model: String,
        /// What is wrong.
        source: BoxError,
    },
    /// Class names for another number of classes, or for outputs that are no class scores.
    #[error(
        "{found} labels were given, the outputs of model `{model}` tell {} apart: give one label per class",
        classes.map_or("no classes".to_owned(), |n| format!("{n} classes"))
    )]
    Labels {
        /// The model.
        model: String,
        /// Labels given.
        found: usize,
        /// Classes of the model, if its output is one score per class.
        classes: Option<usize>,
    },
    /// Buffer sets that do not fit into memory.
    #[error(
        "{depth} buffer sets for each of {lanes} lanes need {needed_bytes} B of host memory, {available_bytes} B are free; use fewer buffers"
    )]
    HostMemory {
        /// Buffer sets per lane.
        depth: usize,
        /// Lanes.
        lanes: usize,
        /// Bytes they need.
        needed_bytes: u64,
        /// Bytes there are.
        available_bytes: u64,
    },
}
