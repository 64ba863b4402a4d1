//! The device contract: found, described and checked; prepares a model into a program; opens lanes.
//!
//! Who validates: the runtime checks shapes, sizes and states once, before a device sees them. A device may
//! assume them.

use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;

use crate::buffer::{InputSet, OutputSet};
use crate::compute::GraphError;
use crate::engine::EngineError;
use crate::lane::Lane;
use crate::model::Model;

/// The world failed at the device boundary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// This machine cannot do it. The text says what is missing and how to get it.
    #[error("device `{device}` is not available: {why}")]
    Unavailable {
        /// Name of the device.
        device: String,
        /// What is missing and how to get it.
        why: String,
    },
    /// The device cannot run this model or these settings.
    #[error("device `{device}` cannot run this: {why}")]
    Unsupported {
        /// Name of the device.
        device: String,
        /// What does not fit and what to change.
        why: String,
    },
    /// More memory asked for than there is.
    #[error("device `{device}` has {available_bytes} B of memory, {needed_bytes} B are needed for {what}")]
    Memory {
        /// Name of the device.
        device: String,
        /// Bytes asked for in all.
        needed_bytes: u64,
        /// Bytes there are.
        available_bytes: u64,
        /// What needs them.
        what: String,
    },
    /// One call failed. It costs the item of that call.
    #[error("device call failed: {why}")]
    Call {
        /// What the device said.
        why: String,
    },
    /// One call failed and the device started its lane afresh. It costs the item of that call and, where results come
    /// calls late, those inside the lane; the lane goes on.
    #[error("device call failed, and its lane was started afresh: {why}")]
    Reset {
        /// What the device said.
        why: String,
    },
    /// The code of the device or its engine panicked.
    #[error("device code panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The device is gone. It costs every item inside the lane, and the lane.
    #[error("device lost: {why}")]
    Lost {
        /// What happened.
        why: String,
    },
    /// The engine that computes for this device failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The graph does not fit its model.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// What a device is.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// The name given on the command line: `cpu`, `sim:metis`.
    pub name: String,
    /// One line for people: what it is and where its numbers come from.
    pub description: String,
    /// How many cores lanes can be spread over.
    pub cores: usize,
    /// Device memory in bytes, where it is limited.
    pub memory_bytes: Option<u64>,
    /// Whether a lane can overlap transfer and compute by returning results two calls late.
    pub double_buffer: bool,
    /// Whether a lane has a queue of its own ([`Lane::queued`](crate::Lane::queued)), or blocks. One that is opened with
    /// double buffering blocks.
    pub queued: bool,
    /// Whether both directions of the link share one channel.
    pub half_duplex: bool,
}

/// How a lane is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneOptions {
    /// Which of the program's lanes this is, from 0.
    pub lane: usize,
    /// Overlap transfer and compute inside the lane; its results come two calls late.
    pub double_buffer: bool,
}

/// A device that may or may not be here.
pub trait Device: Send + Sync {
    /// What it is. Does not touch the device.
    fn info(&self) -> DeviceInfo;

    /// Whether this machine can use it.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Unavailable`] with what is missing and how to get it.
    fn check(&self) -> Result<(), DeviceError>;

    /// How many lanes of this model `cores` cores carry; 0 when they are too few for one.
    fn lanes(&self, model: &Model, cores: usize) -> usize {
        let _ = model;
        cores
    }

    /// How many cores to use where nobody says: all of them, unless one lane keeps the whole device fed.
    fn cores_by_default(&self) -> usize {
        self.info().cores
    }

    /// Loads a model onto the device, to be shared by `lanes` lanes.
    ///
    /// # Errors
    ///
    /// When the device is not there, or the model does not fit it.
    fn prepare(&self, model: &Arc<Model>, lanes: usize) -> Result<Arc<dyn Program>, DeviceError>;
}

/// A model prepared for a device: shared and immutable.
pub trait Program: Send + Sync {
    /// Inputs of one call.
    fn inputs(&self) -> &[TensorInfo];

    /// Outputs of one call.
    fn outputs(&self) -> &[TensorInfo];

    /// What computes the values, as a report prints it (`rten 0.27.0`), where an engine does.
    fn engine(&self) -> Option<String>;

    /// Bytes the model itself takes on the device, without any buffer set.
    fn model_bytes(&self) -> u64;

    /// How many cores of this machine a lane computes on while it is at work; 0 when the device has its own.
    fn cores_per_lane(&self) -> usize {
        0
    }

    /// Opens one lane, with the memory its buffer sets come from.
    ///
    /// # Errors
    ///
    /// When the device has no room for it, or cannot do what the options ask.
    fn open_lane(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError>;

    /// What a reader of the report must know about this run: effective settings, or that a simulated
    /// device's timing is void because the arithmetic took longer than the declared kernel time.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}
