//! A model in host memory.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{Compute, Engine};

use super::context::Context;
use super::error::{Error, Object};
use super::life::Counted;

/// A model in host memory. It can be loaded on any number of Connections of its Context.
///
/// Instances keep what they need of it: releasing it takes nothing from them.
#[derive(Clone)]
pub struct Model {
    context: Context,
    shared: Arc<Shared>,
}

/// The graphs around a compiled model, relative to its folder; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graphs {
    /// What turns a network's input into the model's.
    pub preamble: String,
    /// What turns the model's outputs into the network's.
    pub postamble: String,
}

pub(super) struct Shared {
    released: AtomicBool,
    loaded: Mutex<Option<Loaded>>,
}

struct Loaded {
    model: Arc<nbuffer_runtime::Model>,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    graphs: Graphs,
    _counted: Counted,
}

impl Model {
    pub(super) fn load(context: &Context, path: &Path, engine: &Arc<dyn Engine>) -> Result<Self, Error> {
        let model = nbuffer_runtime::Model::open(path).map_err(Arc::new)?;
        let (inputs, outputs) = if model.inputs.is_empty() {
            // The tensors of a plain graph are known once an engine has loaded it.
            let compute = Compute::new(&model, engine)?;
            (compute.inputs().to_vec(), compute.outputs().to_vec())
        } else {
            (model.inputs.clone(), model.outputs.clone())
        };
        let graphs = graphs(path);
        let counted = Counted::new(Object::Model);
        let loaded = Loaded { model: Arc::new(model), inputs, outputs, graphs, _counted: counted };
        let shared = Shared { released: AtomicBool::new(false), loaded: Mutex::new(Some(loaded)) };
        Ok(Model { context: context.clone(), shared: Arc::new(shared) })
    }

    /// The Context that owns it.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Its inputs, in the order of [`run`](super::ModelInstance::run).
    ///
    /// # Errors
    ///
    /// [`Error::Released`].
    pub fn inputs(&self) -> Result<Vec<TensorInfo>, Error> {
        self.with(|loaded| loaded.inputs.clone())
    }

    /// Its outputs, in the order of [`run`](super::ModelInstance::run).
    ///
    /// # Errors
    ///
    /// [`Error::Released`].
    pub fn outputs(&self) -> Result<Vec<TensorInfo>, Error> {
        self.with(|loaded| loaded.outputs.clone())
    }

    /// The graphs its folder holds for the host.
    ///
    /// # Errors
    ///
    /// [`Error::Released`].
    pub fn graphs(&self) -> Result<Graphs, Error> {
        self.with(|loaded| loaded.graphs.clone())
    }

    /// The model as every part of nbuffer takes it.
    ///
    /// # Errors
    ///
    /// [`Error::Released`].
    pub fn model(&self) -> Result<Arc<nbuffer_runtime::Model>, Error> {
        self.with(|loaded| Arc::clone(&loaded.model))
    }

    /// Whether it has been released.
    pub fn is_released(&self) -> bool {
        self.shared.is_released()
    }

    /// Frees it.
    pub fn release(&self) {
        self.shared.release();
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn with<T>(&self, look: impl FnOnce(&Loaded) -> T) -> Result<T, Error> {
        let loaded = self.shared.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.as_ref().map(look).ok_or(Error::Released { object: Object::Model })
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.with(|loaded| loaded.model.name.clone()).ok();
        f.debug_struct("Model").field("name", &name).field("released", &self.is_released()).finish()
    }
}

impl Shared {
    pub(super) fn is_released(&self) -> bool {
        // Acquire pairs with the Release in `release`.
        self.released.load(Ordering::Acquire)
    }

    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The graphs that the manifest of the model at `path` names; its paths were checked when it was opened.
fn graphs(path: &Path) -> Graphs {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let is_plain = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    let manifest = fs::read(folder.join("manifest.json")).ok().filter(|_| !is_plain);
    let manifest = manifest.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    let named = |key: &str| {
        let path = manifest.as_ref().and_then(|manifest| manifest.get(key)?.as_str());
        path.unwrap_or_default().to_owned()
    };
    Graphs { preamble: named("preprocess_graph"), postamble: named("postprocess_graph") }
}
