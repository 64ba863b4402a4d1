//! `nbuffer::objects` as Python classes. Whatever may take time runs without the GIL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use nbuffer::objects::{self, DeviceChoice, Error, InstanceOptions, Settings};
use pyo3::PyClass;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::pyclass_init::PyClassInitializer;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};

use crate::arrays::{Read, Write};
use crate::counted::{PIPELINES, STREAMS, count};
use crate::errors::{invalid, of_objects};
use crate::tensor::TensorInfo;

/// Runs what may take time without the GIL.
fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    py.detach(work).map_err(|error| of_objects(py, &error))
}

/// What all objects are: owned by a Context, released by hand or with their owner.
#[pyclass(frozen, subclass, module = "nbuffer")]
pub(crate) struct Object {
    handle: Handle,
    /// What it keeps alive: the Context that owns it. A Context has none.
    context: Option<Py<Context>>,
}

enum Handle {
    Context(objects::Context),
    Connection(objects::Connection),
    Model(objects::Model),
    ModelInstance(objects::ModelInstance),
}

/// Owner of devices, Connections and Models; released with the last object of it at the latest.
///
/// `devices` are names such as `"cpu"` or `"sim:metis"`; by default those of `NBUFFER_DEVICE`, separated by commas, else `cpu`. A
/// name that occurs twice is two devices. `engine`, `"rten"` or `"ort"`, computes values where a device is simulated or is this
/// machine; by default that of `NBUFFER_ENGINE`, else `rten`. With `among_processes` cores are reserved against other
/// processes too. With `poison` the first two results of a double-buffered instance are 0xa5 in every byte, not the zero point.
#[pyclass(extends = Object, frozen, subclass, module = "nbuffer")]
pub(crate) struct Context {
    context: objects::Context,
}

/// Cores of one device that nobody else has until this is released.
#[pyclass(extends = Object, frozen, module = "nbuffer")]
pub(crate) struct Connection {
    connection: objects::Connection,
}

/// A model in host memory.
#[pyclass(extends = Object, frozen, module = "nbuffer")]
pub(crate) struct Model {
    model: objects::Model,
}

impl Model {
    /// The model it holds, for a pipeline: that may outlive the object.
    pub(crate) fn loaded(&self, py: Python<'_>) -> PyResult<Arc<nbuffer::Model>> {
        self.model.model().map_err(|error| of_objects(py, &error))
    }
}

/// A model on cores of its own. One thread at a time may run it.
#[pyclass(extends = Object, frozen, module = "nbuffer")]
pub(crate) struct ModelInstance {
    instance: objects::ModelInstance,
}

/// An object of `class`, owned by `context`.
fn owned<'py, T: PyClass<BaseType = Object>>(
    context: Bound<'py, Context>,
    handle: Handle,
    class: T,
) -> PyResult<Bound<'py, T>> {
    let py = context.py();
    let base = Object { handle, context: Some(context.unbind()) };
    Bound::new(py, PyClassInitializer::from(base).add_subclass(class))
}

#[pymethods]
impl Object {
    /// The Context that owns it; a Context's is itself.
    #[getter]
    fn context<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        match &slf.get().context {
            Some(context) => context.bind(slf.py()).clone().into_any(),
            None => slf.clone().into_any(),
        }
    }

    /// Releases it and all it owns. Waits for a run that is active; does nothing the second time.
    fn release(&self, py: Python<'_>) {
        py.detach(|| match &self.handle {
            Handle::Context(context) => context.release(),
            Handle::Connection(connection) => connection.release(),
            Handle::Model(model) => model.release(),
            Handle::ModelInstance(instance) => instance.release(),
        });
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.release(py);
    }

    fn __repr__(&self) -> String {
        match &self.handle {
            Handle::Context(context) => format!("{context:?}"),
            Handle::Connection(connection) => format!("{connection:?}"),
            Handle::Model(model) => format!("{model:?}"),
            Handle::ModelInstance(instance) => format!("{instance:?}"),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.context)
    }
}

#[pymethods]
impl Context {
    #[new]
    #[pyo3(signature = (devices = None, *, engine = None, among_processes = false, poison = false))]
    fn new(
        py: Python<'_>,
        devices: Option<&Bound<'_, PyAny>>,
        engine: Option<String>,
        among_processes: bool,
        poison: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let defaults = py.import("nbuffer._defaults")?;
        let devices: Vec<String> = defaults.getattr("devices")?.call1((devices,))?.extract()?;
        let (engine, library): (String, Option<PathBuf>) =
            defaults.getattr("engine")?.call1((engine,))?.extract()?;
        let settings = Settings { among_processes, poison };
        let engine = py.detach(|| nbuffer::engine(&engine, library.as_deref()));
        let engine = engine.map_err(|error| invalid(py, error.to_string()))?;
        let context =
            detached(py, || objects::Context::open(devices.iter().map(String::as_str), &engine, settings))?;
        let base = Object { handle: Handle::Context(context.clone()), context: None };
        Ok(PyClassInitializer::from(base).add_subclass(Context { context }))
    }

    /// The devices, and who uses them now.
    fn list_devices<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let devices = detached(py, || self.context.list_devices())?;
        devices.into_iter().map(|device| device_info(py, device)).collect()
    }

    /// Reserves `num_sub_devices` cores of a device until the Connection is released.
    ///
    /// `device` is a place in `list_devices`, a name, a `DeviceInfo`, or `None` for the first device with enough free cores. Raises
    /// `InvalidArgument` for more cores than it has, and `DeviceInUse` for more than are free.
    #[pyo3(signature = (device = None, num_sub_devices = 1, **kwargs))]
    fn device_connect<'py>(
        slf: &Bound<'py, Self>,
        device: Option<&Bound<'py, PyAny>>,
        num_sub_devices: usize,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, Connection>> {
        let py = slf.py();
        let mut device = Choice::new(py, device)?;
        for (key, value) in properties(kwargs)? {
            match key.as_str() {
                "device_name" if matches!(device, Choice::First) => device = Choice::Named(value),
                // Old or an outsider's: they change nothing here.
                "device_name" | "device_firmware_check" | "batch_size" => {}
                _ => return Err(of_objects(py, &Error::UnknownProperty { key })),
            }
        }
        let context = &slf.get().context;
        let connection = detached(py, || context.device_connect(device.as_ref(), num_sub_devices))?;
        owned(slf.clone(), Handle::Connection(connection.clone()), Connection { connection })
    }

    /// Reads a model: a `model.json`, its folder, or a plain `.onnx` file.
    fn load_model<'py>(slf: &Bound<'py, Self>, path: PathBuf) -> PyResult<Bound<'py, Model>> {
        let py = slf.py();
        let context = &slf.get().context;
        let model = detached(py, || context.load_model(path))?;
        owned(slf.clone(), Handle::Model(model.clone()), Model { model })
    }

    /// Configures a device by the vendor's keys. True when that is complete, as it always is here; the values are checked and
    /// kept, and change no device's speed.
    #[pyo3(signature = (device, **kwargs))]
    fn configure_device(
        &self,
        py: Python<'_>,
        device: Option<&Bound<'_, PyAny>>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<bool> {
        let (device, values) = (Choice::new(py, device)?, properties(kwargs)?);
        detached(py, || self.context.configure_device(device.as_ref(), &values))?;
        Ok(true)
    }

    /// Whether a device is ready.
    fn device_ready(&self, py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let device = Choice::new(py, device)?;
        detached(py, || self.context.device_ready(device.as_ref()))
    }

    /// The configuration of a device, by the vendor's keys.
    fn read_device_configuration(
        &self,
        py: Python<'_>,
        device: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<BTreeMap<String, String>> {
        let device = Choice::new(py, device)?;
        detached(py, || self.context.read_device_configuration(device.as_ref()))
    }
}

#[pymethods]
impl Connection {
    /// Puts a model on the device, on as many cores of the Connection as its batch takes. Several instances share them.
    ///
    /// Keywords are the vendor's properties. `double_buffer=True` overlaps transfer and compute: call k then writes the result of
    /// call k - 2. `num_sub_devices` and `aipu_cores` are checked and change nothing. What this device cannot do, such as
    /// `input_dmabuf`, raises `NotImplemented`; a keyword that is unknown raises `InvalidArgument`.
    #[pyo3(signature = (model, **kwargs))]
    fn load_model_instance<'py>(
        slf: &Bound<'py, Self>,
        model: &Bound<'py, Model>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, ModelInstance>> {
        let (py, properties) = (slf.py(), properties(kwargs)?);
        let (connection, model) = (&slf.get().connection, &model.get().model);
        let instance = detached(py, || {
            let options = InstanceOptions::from_properties(properties)?;
            connection.load_model_instance(model, &options)
        })?;
        if !instance.remarks().is_empty() {
            let logger = py.import("logging")?.call_method1("getLogger", ("nbuffer",))?;
            for remark in instance.remarks() {
                logger.call_method1("warning", (remark,))?;
            }
        }
        let Some(context) = &slf.as_super().get().context else { unreachable!("a Connection has a Context") };
        owned(context.bind(py).clone(), Handle::ModelInstance(instance.clone()), ModelInstance { instance })
    }
}

#[pymethods]
impl Model {
    /// Its inputs, in the order of `ModelInstance.run`.
    fn inputs(&self, py: Python<'_>) -> PyResult<Vec<TensorInfo>> {
        let inputs = self.model.inputs().map_err(|error| of_objects(py, &error))?;
        Ok(inputs.into_iter().map(TensorInfo).collect())
    }

    /// Its outputs, in the order of `ModelInstance.run`.
    fn outputs(&self, py: Python<'_>) -> PyResult<Vec<TensorInfo>> {
        let outputs = self.model.outputs().map_err(|error| of_objects(py, &error))?;
        Ok(outputs.into_iter().map(TensorInfo).collect())
    }

    /// `preamble_graph`, `postamble_graph` and `input_tensor_layout`, as keys and as attributes.
    #[getter]
    fn properties<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let graphs = self.model.graphs().map_err(|error| of_objects(py, &error))?;
        let properties = PyDict::new(py);
        properties.set_item("preamble_graph", graphs.preamble)?;
        properties.set_item("postamble_graph", graphs.postamble)?;
        properties.set_item("input_tensor_layout", "NHWC")?;
        py.import("nbuffer.devices")?.getattr("ModelProperties")?.call1((properties,))
    }
}

#[pymethods]
impl ModelInstance {
    /// One call: reads `inputs`, blocks until the device is done, and writes `outputs`. Other threads go on meanwhile.
    ///
    /// An array for each tensor, in the model's order: C-contiguous, of the tensor's element type and, in bytes, of the padded
    /// tensor's size; shapes are not looked at. Each byte is copied once on its way: inputs into memory that the device reaches,
    /// before anything else happens, so that they are the caller's again when this returns; outputs from there into `outputs`.
    /// With double buffering `outputs` get the result of two calls before, and in the first two calls the zero point.
    ///
    /// Raises `InvalidArgument` for arrays that do not fit, and `Error` when the call fails, when another thread is in it, or when the
    /// instance has been released. `outputs` are as they were then, and the next call goes on as if this one had not been made.
    fn run(&self, py: Python<'_>, inputs: &Bound<'_, PyAny>, outputs: &Bound<'_, PyAny>) -> PyResult<()> {
        let (inputs, outputs) = (arrays(inputs, "inputs")?, arrays(outputs, "outputs")?);
        let (of_inputs, of_outputs) = (self.instance.inputs(), self.instance.outputs());
        let (n_inputs, n_outputs) = (of_inputs.len(), of_outputs.len());
        for (side, given, expected) in [
            (objects::Side::Input, inputs.len(), n_inputs),
            (objects::Side::Output, outputs.len(), n_outputs),
        ] {
            if given != expected {
                return Err(of_objects(py, &Error::BufferCount { side, given, expected }));
            }
        }
        let name = |list: &str, idx: usize| format!("{list}[{idx}]");
        let reads = inputs.iter().zip(of_inputs).enumerate();
        let reads = reads.map(|(idx, (array, info))| Read::new(array, &name("inputs", idx), info.dtype()));
        let reads = reads.collect::<PyResult<Vec<_>>>()?;
        let writes = outputs.iter().zip(of_outputs).enumerate();
        let writes =
            writes.map(|(idx, (array, info))| Write::new(array, &name("outputs", idx), info.dtype()));
        let mut writes = writes.collect::<PyResult<Vec<_>>>()?;
        let reads = reads.iter().enumerate().map(|(idx, read)| read.bytes(&name("inputs", idx)));
        let reads = reads.collect::<PyResult<Vec<_>>>()?;
        let writes = writes.iter_mut().enumerate();
        let writes = writes.map(|(idx, write)| write.bytes_mut(&name("outputs", idx)));
        let mut writes = writes.collect::<PyResult<Vec<_>>>()?;
        detached(py, || self.instance.run(&reads, &mut writes))
    }

    /// Inputs of one call.
    fn inputs(&self) -> Vec<TensorInfo> {
        self.instance.inputs().iter().cloned().map(TensorInfo).collect()
    }

    /// Outputs of one call.
    fn outputs(&self) -> Vec<TensorInfo> {
        self.instance.outputs().iter().cloned().map(TensorInfo).collect()
    }

    /// By how many calls results come late: 0, or 2 with double buffering.
    #[getter]
    fn lag(&self) -> usize {
        self.instance.lag()
    }
}

/// A device as Python names it.
enum Choice {
    First,
    Ordinal(usize),
    Named(String),
}

impl Choice {
    /// Nothing, a number, a name, or a `DeviceInfo`.
    fn new(py: Python<'_>, device: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(device) = device else { return Ok(Choice::First) };
        if let Ok(name) = device.extract::<String>() {
            return Ok(Choice::Named(name));
        }
        if let Ok(idx) = device.extract::<i64>() {
            let no_such = || format!("there is no device number {idx}");
            return usize::try_from(idx).map(Choice::Ordinal).map_err(|_| invalid(py, no_such()));
        }
        match device.getattr("name").and_then(|name| name.extract()) {
            Ok(name) => Ok(Choice::Named(name)),
            Err(_) => {
                let class = device.get_type().name()?;
                Err(invalid(py, format!("a device is None, a number, a name or a DeviceInfo, not a {class}")))
            }
        }
    }

    fn as_ref(&self) -> DeviceChoice<'_> {
        match self {
            Choice::First => DeviceChoice::First,
            Choice::Ordinal(idx) => DeviceChoice::Ordinal(*idx),
            Choice::Named(name) => DeviceChoice::Named(name),
        }
    }
}

/// Keywords as properties: strings, with booleans as 0 and 1.
fn properties(kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<(String, String)>> {
    let Some(kwargs) = kwargs else { return Ok(Vec::new()) };
    let text = |value: Bound<'_, PyAny>| -> PyResult<String> {
        match value.cast::<PyBool>() {
            Ok(flag) => Ok(usize::from(flag.is_true()).to_string()),
            Err(_) => Ok(value.str()?.to_string()),
        }
    };
    kwargs.iter().map(|(key, value)| Ok((key.extract()?, text(value)?))).collect()
}

/// The arrays of a list or tuple.
fn arrays<'py>(given: &Bound<'py, PyAny>, what: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = given.cast::<PyList>() {
        return Ok(list.iter().collect());
    }
    if let Ok(tuple) = given.cast::<PyTuple>() {
        return Ok(tuple.iter().collect());
    }
    let class = given.get_type().name()?;
    Err(invalid(given.py(), format!("{what} is a {class}, a list of arrays is needed")))
}

fn device_info(py: Python<'_>, info: objects::DeviceInfo) -> PyResult<Bound<'_, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item("name", info.name)?;
    fields.set_item("subdevice_count", info.cores)?;
    fields.set_item("max_memory", info.memory_bytes.unwrap_or(0))?;
    fields.set_item("in_use", info.in_use)?;
    fields.set_item("in_use_by", info.in_use_by)?;
    fields.set_item("description", info.description)?;
    fields.set_item("double_buffer", info.double_buffer)?;
    py.import("nbuffer.devices")?.getattr("DeviceInfo")?.call((), Some(&fields))
}

/// How many objects of this process hold something, by class name, and how many streams run: for finding leaks.
#[pyfunction]
pub(crate) fn alive(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let alive = objects::alive();
    let counts = PyDict::new(py);
    counts.set_item("Context", alive.contexts)?;
    counts.set_item("Connection", alive.connections)?;
    counts.set_item("Model", alive.models)?;
    counts.set_item("ModelInstance", alive.instances)?;
    counts.set_item("Pipeline", count(&PIPELINES))?;
    counts.set_item("Stream", count(&STREAMS))?;
    Ok(counts)
}
