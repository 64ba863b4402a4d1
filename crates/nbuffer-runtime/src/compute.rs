//! A model's values on the CPU, whatever computes them: an engine over a graph, or a built-in kernel.

use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;

use crate::device::DeviceError;
use crate::engine::{Engine, Session};
use crate::model::Model;

/// A model ready to be computed on the CPU: loaded once, with a [`Session`] per lane.
///
/// The CPU device runs it as its kernel; a simulated device takes its values from it.
pub struct Compute {}

impl Compute {
    /// Loads the model's graph into `engine` and checks that the graph agrees with the manifest; a built-in
    /// kernel needs no engine and leaves it unused.
    ///
    /// # Errors
    ///
    /// When the engine cannot load the graph, or graph and manifest disagree.
    pub fn new(_model: &Model, _engine: &Arc<dyn Engine>) -> Result<Self, DeviceError> {
        unreachable!("being written")
    }

    /// Inputs of one call.
    pub fn inputs(&self) -> &[TensorInfo] {
        unreachable!("being written")
    }

    /// Outputs of one call.
    pub fn outputs(&self) -> &[TensorInfo] {
        unreachable!("being written")
    }

    /// What computes the values, as a report prints it: `rten 0.27.0`, or `identity (built in)`.
    pub fn describe(&self) -> String {
        unreachable!("being written")
    }

    /// A session for one lane, on `threads` threads.
    ///
    /// # Errors
    ///
    /// When the engine cannot set up the session.
    pub fn session(&self, _threads: usize) -> Result<Box<dyn Session>, DeviceError> {
        unreachable!("being written")
    }
}
