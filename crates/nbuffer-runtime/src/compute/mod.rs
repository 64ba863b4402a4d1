//! A model's values on the CPU, whatever computes them: an engine over a graph, or a built-in kernel.

mod builtin;
mod edges;
mod program;

use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;

use crate::buffer::{HostMemory, InputSet, Memory, OutputSet};
use crate::device::DeviceError;
use crate::engine::{Engine, Graph, Session};
use crate::lane::Open;
use crate::model::{CpuForm, Kernel, KernelProgram, Model};

pub use edges::GraphError;

/// A model ready to be computed on the CPU: loaded once, with a [`Session`] per lane.
///
/// The CPU device runs it as its kernel; a simulated device takes its values from it.
pub struct Compute {
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    source: Source,
}

/// Where sessions come from.
enum Source {
    Graph { graph: Arc<dyn Graph>, engine: String },
    Identity,
    Checksum,
    Program(Arc<KernelProgram>, CpuForm),
}

impl Compute {
    /// Loads the model's graph into `engine` and checks that the graph agrees with the manifest; a built-in
    /// kernel, or the built-in form of the model's own, needs no engine and leaves it unused.
    ///
    /// The tensors of a plain `.onnx` file are taken from the graph: a first dimension it leaves open is 1,
    /// or what the first input fixes it to.
    ///
    /// # Errors
    ///
    /// When the engine cannot load the graph ([`DeviceError::Engine`]), when graph and manifest disagree, or
    /// when a plain graph leaves more open than its first dimension ([`DeviceError::Graph`]).
    pub fn new(model: &Model, engine: &Arc<dyn Engine>) -> Result<Self, DeviceError> {
        match &model.kernel {
            Kernel::Onnx(path) => Compute::of_graph(model, engine.load(path)?, engine.describe()),
            _ => Ok(Compute::built_in(model)?.expect("every kernel but a graph is built in")),
        }
    }

    /// The values of a kernel that needs no engine; `None` for a graph.
    ///
    /// # Errors
    ///
    /// When kernel and tensors do not fit, or a program has no form for the CPU ([`DeviceError::Graph`]).
    pub fn built_in(model: &Model) -> Result<Option<Self>, DeviceError> {
        let source = match &model.kernel {
            Kernel::Onnx(_) => return Ok(None),
            Kernel::Identity => Source::Identity,
            Kernel::Checksum => Source::Checksum,
            Kernel::Program(program) => {
                let form = program.cpu.ok_or_else(|| GraphError::NoCpuForm { model: model.name.clone() })?;
                Source::Program(Arc::clone(program), form)
            }
            Kernel::Compiled(_) => return Err(GraphError::Compiled { model: model.name.clone() }.into()),
        };
        model.check_kernel()?;
        Ok(Some(Compute { inputs: model.inputs.clone(), outputs: model.outputs.clone(), source }))
    }

    fn of_graph(model: &Model, graph: Arc<dyn Graph>, engine: String) -> Result<Self, DeviceError> {
        // A directory has at least one input, and a plain file none that is known.
        let (inputs, outputs) = if model.inputs.is_empty() {
            edges::derived(model, graph.as_ref())?
        } else {
            edges::agreed(model, graph.as_ref())?
        };
        Ok(Compute { inputs, outputs, source: Source::Graph { graph, engine } })
    }

    /// Inputs of one call. Where a graph computes them, they carry the graph's names.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    /// Outputs of one call. Where a graph computes them, they carry the graph's names.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    /// Items of one call: the first dimension of the first input, 1 where it has none.
    pub fn batch(&self) -> usize {
        self.inputs.first().and_then(|input| input.shape().first()).copied().unwrap_or(1)
    }

    /// What computes the values, as a report prints it: `rten 0.27.0`, or `identity (built in)`.
    pub fn describe(&self) -> String {
        match &self.source {
            Source::Graph { engine, .. } => engine.clone(),
            Source::Identity => "identity (built in)".to_owned(),
            Source::Checksum => "checksum (built in)".to_owned(),
            Source::Program(_, form) => format!("{} (built in)", form.name()),
        }
    }

    /// A session for one lane, on `threads` threads; a built-in kernel computes on the caller's.
    ///
    /// # Errors
    ///
    /// When the engine cannot set up the session.
    pub fn session(&self, threads: usize) -> Result<Box<dyn Session>, DeviceError> {
        Ok(match &self.source {
            Source::Graph { graph, .. } => graph.session(self.batch(), threads)?,
            Source::Identity => Box::new(builtin::Identity),
            Source::Checksum => Box::new(builtin::Checksum),
            Source::Program(program, form) => {
                Box::new(program::BuiltInForm::new(*form, &program.args, self.inputs[0].dtype()))
            }
        })
    }

    /// The end of a lane that computes on `threads` threads of the engine's own; `None` where sessions compute on
    /// the caller's.
    ///
    /// # Errors
    ///
    /// When the engine cannot set up the queue.
    pub fn queue(&self, threads: usize) -> Result<Option<Open<InputSet, OutputSet>>, DeviceError> {
        match &self.source {
            Source::Graph { graph, .. } => Ok(graph.queue(self.batch(), threads)?),
            _ => Ok(None),
        }
    }

    /// Where the buffer sets of a lane come from: memory that the engine uses in place, or plain memory.
    ///
    /// # Errors
    ///
    /// When a tensor cannot be described to the engine.
    pub fn memory(&self) -> Result<Box<dyn Memory<InputSet, OutputSet>>, DeviceError> {
        if let Source::Graph { graph, .. } = &self.source
            && let Some(memory) = graph.memory(self.batch())?
        {
            return Ok(memory);
        }
        Ok(Box::new(HostMemory { inputs: self.inputs.clone(), outputs: self.outputs.clone() }))
    }
}

impl std::fmt::Debug for Compute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compute")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .field("source", &self.describe())
            .finish()
    }
}
