//! ONNX Runtime, loaded at run time from a path.

mod session;
mod tensor;

use std::env;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ::ort::environment::Environment;
use ::ort::session::Session as OrtInner;
use ::ort::value::{Outlet, TensorElementType, ValueType};
use nbuffer_core::tensor::DType;
use nbuffer_runtime::{Engine, EngineError, Graph, GraphTensor, InputSet, Memory, OutputSet, Session};

use self::session::OrtSession;
use self::tensor::OrtMemory;
use crate::edge::{Edge, fix_all, unsupported_dtype};

pub(crate) const NAME: &str = "ort";

/// Names the library where no path is given.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// ONNX Runtime.
///
/// Buffer sets are ONNX Runtime's tensors, read and written in place.
///
/// Each lane has an ONNX Runtime session of its own: `Run` on a shared one is not safe from several threads. The sessions
/// share no weights: ONNX Runtime would share what it prepares of a weight that is given from outside, but lays those of
/// convolutions out anew for each session before, and has kernels that refuse such a weight.
#[derive(Clone)]
pub struct Ort {
    library: PathBuf,
    environment: Environment,
}

/// The library of this process: ONNX Runtime allows one environment a process, and a loaded library stays.
static LOADED: Mutex<Option<Ort>> = Mutex::new(None);

impl Ort {
    /// Loads the library: `library` if given, else the file that `$ORT_DYLIB_PATH` names. Nothing else is
    /// searched.
    ///
    /// A process has one ONNX Runtime. Asking again for the library that is loaded gives the same engine.
    ///
    /// # Errors
    ///
    /// [`EngineError::Unavailable`] when no path is given, the file cannot be loaded, it is older than
    /// ONNX Runtime 1.24, or another library is loaded already.
    pub fn new(library: Option<&Path>) -> Result<Self, EngineError> {
        let from_environment =
            || env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let Some(library) = library.map(Path::to_path_buf).or_else(from_environment) else {
            return Err(unavailable(format!("no library is named: {HOW_TO_GET}")));
        };
        // An absolute path is also what keeps the loader from searching system directories.
        let library = library
            .canonicalize()
            .map_err(|error| unavailable(format!("`{}`: {error}: {HOW_TO_GET}", library.display())))?;

        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*loaded {
            Some(ort) if ort.library == library => return Ok(ort.clone()),
            Some(ort) => {
                return Err(unavailable(format!(
                    "this process has already loaded `{}` and cannot load `{}` beside it",
                    ort.library.display(),
                    library.display()
                )));
            }
            None => {}
        }
        let environment = ::ort::init_from(&library)
            .map_err(|error| unavailable(format!("{error}: {HOW_TO_GET}")))?
            .with_name("nbuffer")
            .with_telemetry(false)
            .build()
            .map_err(|error| unavailable(format!("`{}`: {error}", library.display())))?;
        Ok(loaded.insert(Ort { library, environment }).clone())
    }

    fn open(&self, path: &Path, threads: usize) -> ::ort::Result<OrtInner> {
        OrtInner::builder(&self.environment)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            .commit_from_file(path)
    }
}

const HOW_TO_GET: &str = "run `pip install onnxruntime` (1.24 or newer) and set ORT_DYLIB_PATH to the file \
    `onnxruntime/capi/libonnxruntime.so.1.x.y` in its site-packages directory (`pip show onnxruntime` names \
    the directory)";

fn unavailable(why: String) -> EngineError {
    EngineError::Unavailable { engine: NAME, why }
}

impl fmt::Debug for Ort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ort({})", self.library.display())
    }
}

impl Engine for Ort {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> String {
        // The binding tells no version; the resolved file name carries it, the build information a commit.
        let library = self.library.file_name().unwrap_or_default().display();
        let build = ::ort::info();
        match build.split_once("git-commit-id=").and_then(|(_, rest)| rest.split([',', ' ']).next()) {
            Some(commit) => format!("{NAME} ({library}, commit {commit})"),
            None => format!("{NAME} ({library})"),
        }
    }

    fn load(&self, path: &Path) -> Result<Arc<dyn Graph>, EngineError> {
        let failed = |why: String| EngineError::Load { engine: NAME, graph: path.display().to_string(), why };
        // The binding asserts on what a damaged file can hold, such as names that are not UTF-8.
        let (session, inputs, outputs) = catch_unwind(AssertUnwindSafe(|| {
            let session = self.open(path, 1).map_err(|error| error.to_string())?;
            let tensors = |outlets: &[Outlet]| outlets.iter().map(edge).collect::<Result<Vec<_>, _>>();
            let (inputs, outputs) = (tensors(session.inputs())?, tensors(session.outputs())?);
            Ok((session, inputs, outputs))
        }))
        .unwrap_or_else(|_| Err("the graph is damaged (the binding panicked while loading it)".to_owned()))
        .map_err(failed)?;
        let spare = Mutex::new(Some(session));
        Ok(Arc::new(OrtGraph { ort: self.clone(), path: path.to_path_buf(), inputs, outputs, spare }))
    }
}

fn edge(outlet: &Outlet) -> Result<GraphTensor, String> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(format!("input or output `{}` is not a tensor", outlet.name()));
    };
    let dtype = match ty {
        TensorElementType::Float32 => DType::F32,
        TensorElementType::Int8 => DType::I8,
        TensorElementType::Uint8 => DType::U8,
        TensorElementType::Int32 => DType::I32,
        TensorElementType::Uint32 => DType::U32,
        TensorElementType::Int64 => DType::I64,
        other => return Err(unsupported_dtype(outlet.name(), other.to_string().to_lowercase())),
    };
    let dims = shape.iter().map(|&len| usize::try_from(len).ok()).collect();
    Ok(GraphTensor { name: outlet.name().to_owned(), dims, dtype })
}

struct OrtGraph {
    ort: Ort,
    path: PathBuf,
    inputs: Vec<GraphTensor>,
    outputs: Vec<GraphTensor>,
    /// The single-threaded session that loading made; it serves the first lane that wants one.
    spare: Mutex<Option<OrtInner>>,
}

impl OrtGraph {
    fn edges(&self, batch: usize) -> Result<(Vec<Edge>, Vec<Edge>), EngineError> {
        Ok((fix_all(NAME, &self.inputs, batch)?, fix_all(NAME, &self.outputs, batch)?))
    }
}

impl Graph for OrtGraph {
    fn inputs(&self) -> &[GraphTensor] {
        &self.inputs
    }

    fn outputs(&self) -> &[GraphTensor] {
        &self.outputs
    }

    fn session(&self, batch: usize, threads: usize) -> Result<Box<dyn Session>, EngineError> {
        let threads = threads.max(1);
        let failed = |error: ::ort::Error| EngineError::Load {
            engine: NAME,
            graph: self.path.display().to_string(),
            why: error.to_string(),
        };
        let spare = match threads {
            1 => self.spare.lock().unwrap_or_else(PoisonError::into_inner).take(),
            _ => None,
        };
        let session = match spare {
            Some(session) => session,
            None => self.ort.open(&self.path, threads).map_err(failed)?,
        };
        let (inputs, outputs) = self.edges(batch)?;
        Ok(Box::new(OrtSession::new(session, inputs, outputs).map_err(failed)?))
    }

    fn memory(&self, batch: usize) -> Result<Option<Box<dyn Memory<InputSet, OutputSet>>>, EngineError> {
        let (inputs, outputs) = self.edges(batch)?;
        Ok(Some(Box::new(OrtMemory { inputs, outputs })))
    }
}
