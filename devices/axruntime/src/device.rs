//! The Metis as the runtime sees it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::model::Kernel;
use nbuffer_runtime::{
    Blocking, Device, DeviceError, DeviceInfo, HostMemory, InputSet, Lagged, Lane, LaneOptions, Model,
    OutputSet, Program,
};

use crate::call::AxCall;
use crate::context::Context;
use crate::instance::{Instance, Properties, find};
use crate::library::Library;
use crate::loaded::Loaded;
use crate::queue::{AxQueue, PLACES};

/// Cores of every Metis that was published. The library's list of devices need not say it.
const CORES: usize = 4;

/// An Axelera Metis, through the vendor's runtime library.
///
/// A lane is one model instance on a connection of its own, with as many cores as the model has items in a batch.
pub struct AxDevice {
    name: String,
    wanted: Option<String>,
    library: Result<Arc<Library>, String>,
    /// Made when the library is first asked for something, and shared by all that follows.
    context: Mutex<Option<Arc<Context>>>,
}

impl AxDevice {
    /// The Metis that the library calls `wanted` (`metis-0:1:0`), or the first it lists.
    ///
    /// `library` is the path of `libaxruntime.so`; with `None` it is the file that `$AXRUNTIME_DYLIB_PATH` names, or else
    /// the one that the system's loader finds. Whether it is there is said by [`check`](Device::check).
    pub fn new(wanted: Option<&str>, library: Option<&Path>) -> Self {
        AxDevice {
            name: wanted.map_or_else(|| "metis".to_owned(), |wanted| format!("metis:{wanted}")),
            wanted: wanted.map(str::to_owned),
            library: Library::load(library),
            context: Mutex::new(None),
        }
    }

    /// What the library calls its devices, each of which `metis:NAME` takes.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Unavailable`] when there is no library or no device.
    pub fn names(&self) -> Result<Vec<String>, DeviceError> {
        self.context()?.device_names().map_err(|why| self.unavailable(why))
    }

    fn context(&self) -> Result<Arc<Context>, DeviceError> {
        let library = self.library.as_ref().map_err(|why| self.unavailable(why.clone()))?;
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = &*context {
            return Ok(Arc::clone(context));
        }
        let made = Context::new(library).map_err(|why| self.unavailable(why))?;
        Ok(Arc::clone(context.insert(made)))
    }

    fn has_queue(&self) -> bool {
        self.library.as_ref().is_ok_and(|library| library.run_async_model_instance.is_some())
    }

    fn unavailable(&self, why: String) -> DeviceError {
        DeviceError::Unavailable { device: self.name.clone(), why }
    }

    fn unsupported(&self, why: String) -> DeviceError {
        DeviceError::Unsupported { device: self.name.clone(), why }
    }
}

impl std::fmt::Debug for AxDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AxDevice").field("name", &self.name).field("library", &self.library).finish()
    }
}

impl Device for AxDevice {
    fn info(&self) -> DeviceInfo {
        let library = self.library.as_ref().map_or_else(|_| "no library".to_owned(), |l| l.describe());
        let calls = if self.has_queue() { "asynchronous calls" } else { "blocking calls" };
        DeviceInfo {
            name: self.name.clone(),
            description: format!("Axelera Metis through the vendor's runtime ({library}; {calls})"),
            cores: CORES,
            memory_bytes: None,
            double_buffer: true,
            queued: self.has_queue(),
            half_duplex: false,
        }
    }

    fn check(&self) -> Result<(), DeviceError> {
        let names = self.names()?;
        find(&names, self.wanted.as_deref()).map(drop).map_err(|why| self.unavailable(why))
    }

    /// An instance takes as many cores as its batch has items.
    fn lanes(&self, model: &Model, cores: usize) -> usize {
        cores / model.batch.max(1)
    }

    fn prepare(&self, model: &Arc<Model>, lanes: usize) -> Result<Arc<dyn Program>, DeviceError> {
        let Kernel::Compiled(path) = &model.kernel else {
            return Err(self.unsupported(format!(
                "model `{}` is not compiled for it: give the directory that the vendor's compiler wrote (a model.json without `nbuffer` section, or with `\"kernel\": \"compiled\"` in it)",
                model.name
            )));
        };
        let needed = lanes.saturating_mul(model.batch.max(1));
        if needed > CORES {
            return Err(self.unsupported(format!(
                "{lanes} lanes of batch {} need {needed} cores, it has {CORES}; use fewer lanes or a smaller batch",
                model.batch
            )));
        }
        self.check()?;
        let loaded = Loaded::new(&self.context()?, &self.name, model, path)?;
        Ok(Arc::new(AxProgram {
            device: self.name.clone(),
            wanted: self.wanted.clone(),
            engine: self.library.as_ref().map(|library| library.describe()).ok(),
            has_queue: self.has_queue(),
            model: Arc::clone(model),
            loaded,
        }))
    }
}

/// A compiled model that the library has loaded.
struct AxProgram {
    device: String,
    wanted: Option<String>,
    engine: Option<String>,
    has_queue: bool,
    model: Arc<Model>,
    loaded: Arc<Loaded>,
}

impl AxProgram {
    fn properties(&self, double_buffer: bool) -> Properties {
        let queue = (self.has_queue && !double_buffer).then_some(PLACES);
        Properties { cores: self.model.batch.max(1), double_buffer, queue }
    }
}

impl Program for AxProgram {
    fn inputs(&self) -> &[TensorInfo] {
        &self.model.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.model.outputs
    }

    fn engine(&self) -> Option<String> {
        self.engine.clone()
    }

    fn model_bytes(&self) -> u64 {
        self.model.model_bytes
    }

    fn open_lane(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        let LaneOptions { lane, double_buffer } = options;
        let properties = self.properties(double_buffer);
        let is_queued = properties.queue.is_some();
        let instance = Instance::open(&self.loaded, &self.device, self.wanted.as_deref(), properties)?;
        let memory = HostMemory { inputs: self.inputs().to_vec(), outputs: self.outputs().to_vec() };
        if is_queued {
            let queue = AxQueue::new(instance, &self.device, lane)?;
            return Ok(Lane::queued(move |completions| queue.open(completions), memory));
        }
        let call = AxCall::new(instance, double_buffer, self.inputs());
        Ok(match double_buffer {
            true => Lane::blocking(Lagged::new(call, self.inputs(), self.outputs()), memory),
            false => Lane::blocking(Blocking::new(call), memory),
        })
    }

    fn remarks(&self) -> Vec<String> {
        let other = if self.has_queue { "queued" } else { "blocking" };
        vec![
            format!(
                "instances were opened with {} (double-buffered) or {} ({other})",
                self.properties(true),
                self.properties(false)
            ),
            "the vendor's library does not tell write, kernel and read apart: kernel times are those of whole calls"
                .to_owned(),
        ]
    }
}
