//! Engines: what computes a model's values on the CPU.
//!
//! The CPU device runs one as its kernel; a simulated device borrows one for its values and takes its time
//! from a profile.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use nbuffer_core::tensor::DType;

use crate::buffer::{HostBuffer, InputSet, Memory, OutputSet};
use crate::lane::Open;

/// Why an engine cannot load or run a graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine is not on this machine. The text says what is missing and how to get it.
    #[error("engine `{engine}` is not available: {why}")]
    Unavailable {
        /// Name of the engine.
        engine: &'static str,
        /// What is missing and how to get it.
        why: String,
    },
    /// There is no engine of this name.
    #[error("there is no engine `{name}`; known are {known}")]
    Unknown {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The graph cannot be loaded.
    #[error("engine `{engine}` cannot load `{graph}`: {why}")]
    Load {
        /// Name of the engine.
        engine: &'static str,
        /// Path of the graph.
        graph: String,
        /// What the engine said.
        why: String,
    },
    /// Running the graph failed.
    #[error("engine `{engine}` failed: {why}")]
    Run {
        /// Name of the engine.
        engine: &'static str,
        /// What the engine said.
        why: String,
    },
}

/// A library that computes ONNX graphs on the CPU.
pub trait Engine: fmt::Debug + Send + Sync {
    /// Short name: `rten`, `ort` or `openvino`.
    fn name(&self) -> &'static str;

    /// Name and version, as a report prints it.
    fn describe(&self) -> String;

    /// Whether its lanes compute on threads of its own ([`Graph::queue`]), or on the caller's.
    fn is_queued(&self) -> bool {
        false
    }

    /// Loads a graph, to be shared by all lanes.
    ///
    /// # Errors
    ///
    /// [`EngineError::Load`] when the file is missing or damaged or uses what the engine does not know.
    fn load(&self, graph: &Path) -> Result<Arc<dyn Graph>, EngineError>;
}

/// One tensor at the edge of a graph, as the graph declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphTensor {
    /// Name within the graph.
    pub name: String,
    /// Dimensions; `None` is one the graph leaves open (a symbolic batch).
    pub dims: Vec<Option<usize>>,
    /// Element type.
    pub dtype: DType,
}

/// A loaded graph: shared and immutable.
pub trait Graph: Send + Sync {
    /// Inputs, in the graph's order.
    fn inputs(&self) -> &[GraphTensor];

    /// Outputs, in the graph's order.
    fn outputs(&self) -> &[GraphTensor];

    /// A session for one lane, computing on `threads` threads (1 unless the user asks for more, since lanes
    /// run side by side).
    ///
    /// Open dimensions are taken as 1 or as `batch` where they stand first.
    ///
    /// # Errors
    ///
    /// When the engine cannot set up the session.
    fn session(&self, batch: usize, threads: usize) -> Result<Box<dyn Session>, EngineError>;

    /// For an engine that is queued: the end of one lane that takes submits and returns at once. It computes on
    /// `threads` threads of the engine's own, one item after the other, in the order of the submits.
    ///
    /// # Errors
    ///
    /// When the engine cannot set up the queue.
    fn queue(&self, batch: usize, threads: usize) -> Result<Option<Open<InputSet, OutputSet>>, EngineError> {
        let _ = (batch, threads);
        Ok(None)
    }

    /// Memory that sessions and queues of this batch read and write in place; `None` where plain memory is as
    /// good. They take plain memory as well, and may copy it.
    ///
    /// # Errors
    ///
    /// When a tensor cannot be described to the engine.
    fn memory(&self, batch: usize) -> Result<Option<Box<dyn Memory<InputSet, OutputSet>>>, EngineError> {
        let _ = batch;
        Ok(None)
    }
}

/// What one lane needs to run a graph.
pub trait Session: Send {
    /// Computes `outputs` from `inputs`, one buffer per tensor in the graph's order, dense and in C order.
    ///
    /// # Errors
    ///
    /// When the engine fails; the outputs are then unspecified.
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), EngineError>;
}
