//! OpenVINO, loaded at run time from a path, on the CPU.

mod library;
mod queue;
mod request;
mod tensor;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::openvino::{CompiledModel, Core, DeviceType, Dimension, InferenceError, PartialShape, RwPropertyKey};
use nbuffer_runtime::{Engine, EngineError, Graph, GraphTensor, InputSet, Memory, Open, OutputSet, Session};

use crate::edge::{Edge, fix_all};
use crate::onnx_file::read_edges;
use queue::Queue;
use request::{Ports, Request};
use tensor::OpenVinoMemory;

pub(crate) const NAME: &str = "openvino";

/// OpenVINO on the CPU.
///
/// Its lanes are queued: a submit starts an asynchronous request and returns, and OpenVINO computes on a thread of
/// its own, one request of a lane after the other. Buffer sets are OpenVINO's tensors, read and written in place.
///
/// Each lane is compiled by itself, with one stream: streams of one compiled model would share prepared weights, but
/// OpenVINO does not tell which of them computes a request or when.
///
/// Values are computed in float32 where the graph says so, as the other engines do; left alone, OpenVINO would take
/// bfloat16 on processors that have it. Where a value lies half-way between two quantised ones and the zero point is
/// odd, OpenVINO takes the other one: it rounds after it has added the zero point. Graphs in the QOperator format are
/// refused.
#[derive(Clone)]
pub struct OpenVino {
    library: PathBuf,
    version: String,
    core: Arc<Mutex<Core>>,
}

impl OpenVino {
    /// Loads the library: `library` if given, else what `$OPENVINO_DYLIB_PATH` names. Either is the file
    /// `libopenvino_c.so*`, or a directory that holds it: a site-packages directory, or `openvino/libs` in it.
    ///
    /// A process has one OpenVINO. Asking again for the library that is loaded gives the same engine.
    ///
    /// # Errors
    ///
    /// [`EngineError::Unavailable`] when no path is given, there is no such library, it is older than OpenVINO
    /// 2025.1, or another one is loaded already.
    pub fn new(library: Option<&Path>) -> Result<Self, EngineError> {
        library::load(library)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a file anew, since fixing the dimensions of a model changes it, and prepares it for one lane.
    fn compile(&self, path: &Path, inputs: &[Edge], threads: usize) -> Result<CompiledModel, String> {
        let path = path.to_str().ok_or("its path is not UTF-8, which OpenVINO's C API needs")?;
        let threads = threads.max(1).to_string();
        let mut core = self.core();
        catch_unwind(AssertUnwindSafe(|| {
            let mut model = core.read_model_from_file(path, "")?;
            if model.is_dynamic() {
                let shapes = inputs.iter().map(partial_shape).collect::<Result<Vec<_>, _>>()?;
                model.reshape_by_port_indexes(&shapes.iter().enumerate().collect::<Vec<_>>())?;
            }
            core.set_properties(
                &DeviceType::CPU,
                [
                    (RwPropertyKey::HintInferencePrecision, "f32"),
                    (RwPropertyKey::NumStreams, "1"),
                    (RwPropertyKey::InferenceNumThreads, threads.as_str()),
                    // Lanes know nothing of each other, and would all be pinned to the first core.
                    (RwPropertyKey::HintEnableCpuPinning, "NO"),
                ],
            )?;
            core.compile_model(&model, DeviceType::CPU)
        }))
        .map_err(|_| "the graph is damaged (the binding panicked while loading it)".to_owned())?
        .map_err(why)
    }
}

fn partial_shape(edge: &Edge) -> Result<PartialShape, InferenceError> {
    let dims: Vec<Dimension> = edge.dims.iter().map(|&len| Dimension::new(len as i64, len as i64)).collect();
    PartialShape::new(dims.len() as i64, &dims)
}

impl fmt::Debug for OpenVino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenVino({})", self.library.display())
    }
}

impl Engine for OpenVino {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> String {
        format!("{NAME} {}", self.version)
    }

    fn is_queued(&self) -> bool {
        true
    }

    fn load(&self, path: &Path) -> Result<Arc<dyn Graph>, EngineError> {
        let failed = |why: String| EngineError::Load { engine: NAME, graph: path.display().to_string(), why };
        // From the file, since OpenVINO tells an open dimension as a range.
        let (inputs, outputs) = catch_unwind(AssertUnwindSafe(|| read_edges(path)))
            .unwrap_or_else(|_| Err("the graph is damaged (its reader panicked)".to_owned()))
            .map_err(failed)?;
        let graph = OpenVinoGraph { engine: self.clone(), path: path.to_path_buf(), inputs, outputs };
        // What OpenVINO cannot compute shows when it is compiled.
        graph.compile(1, 1)?;
        Ok(Arc::new(graph))
    }
}

struct OpenVinoGraph {
    engine: OpenVino,
    path: PathBuf,
    inputs: Vec<GraphTensor>,
    outputs: Vec<GraphTensor>,
}

impl OpenVinoGraph {
    fn edges(&self, batch: usize) -> Result<(Vec<Edge>, Vec<Edge>), EngineError> {
        Ok((fix_all(NAME, &self.inputs, batch)?, fix_all(NAME, &self.outputs, batch)?))
    }

    fn compile(&self, batch: usize, threads: usize) -> Result<(CompiledModel, Ports), EngineError> {
        let failed = |why| EngineError::Load { engine: NAME, graph: self.path.display().to_string(), why };
        let (inputs, outputs) = self.edges(batch)?;
        let compiled = self.engine.compile(&self.path, &inputs, threads).map_err(failed)?;
        let ports = Ports::new(&compiled, inputs, outputs).map_err(failed)?;
        Ok((compiled, ports))
    }
}

impl Graph for OpenVinoGraph {
    fn inputs(&self) -> &[GraphTensor] {
        &self.inputs
    }

    fn outputs(&self) -> &[GraphTensor] {
        &self.outputs
    }

    fn session(&self, batch: usize, threads: usize) -> Result<Box<dyn Session>, EngineError> {
        let (mut compiled, ports) = self.compile(batch, threads)?;
        let request = Request::new(&mut compiled).map_err(run_failed)?;
        Ok(Box::new(OpenVinoSession { request, ports }))
    }

    fn queue(&self, batch: usize, threads: usize) -> Result<Option<Open<InputSet, OutputSet>>, EngineError> {
        let (compiled, ports) = self.compile(batch, threads)?;
        let queue = Queue::new(compiled, ports).map_err(run_failed)?;
        Ok(Some(Box::new(|completions| Box::new(queue.open(completions)))))
    }

    fn memory(&self, batch: usize) -> Result<Option<Box<dyn Memory<InputSet, OutputSet>>>, EngineError> {
        let (inputs, outputs) = self.edges(batch)?;
        Ok(Some(Box::new(OpenVinoMemory { inputs, outputs })))
    }
}

/// A request that the caller waits for.
struct OpenVinoSession {
    request: Request,
    ports: Ports,
}

impl Session for OpenVinoSession {
    fn run(
        &mut self,
        inputs: &[nbuffer_runtime::HostBuffer],
        outputs: &mut [nbuffer_runtime::HostBuffer],
    ) -> Result<(), EngineError> {
        self.request.run(&self.ports, inputs, outputs).map_err(run_failed)
    }
}

fn run_failed(why: String) -> EngineError {
    EngineError::Run { engine: NAME, why }
}

/// What OpenVINO said, without the places in its own source.
fn why(error: InferenceError) -> String {
    let Some(message) = &error.message else {
        return error.to_string();
    };
    let is_place = |line: &&str| {
        let line = line.trim();
        !(line.is_empty()
            || line.starts_with("Exception from ")
            || line.starts_with("Check '") && line.ends_with(':'))
    };
    let said: Vec<&str> = message.lines().filter(is_place).map(str::trim).collect();
    let said = said.join("; ");
    let quantised =
        ["QLinear", "QGemm", "ConvInteger", "MatMulInteger"].iter().any(|name| said.contains(name));
    if quantised && said.contains("No conversion rule") {
        return format!(
            "{said}: it takes quantised graphs in the QDQ format only; quantise with `QuantFormat.QDQ`, or use engine `ort`"
        );
    }
    said
}
