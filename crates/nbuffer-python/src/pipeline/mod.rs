//! A model on its devices, and the streams of Python items that run through it.

mod arrays;
mod item;
mod report;
mod running;
mod stages;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nbuffer::schedule::{Order, Overload};
use nbuffer::{Buffering, Job, JobError, Model, Settings};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use self::item::Items;
pub(crate) use self::report::{Report, plan, simulate};
pub(crate) use self::running::Running;
use self::stages::{ImageArgs, Preprocess, Stages};
use crate::counted::{Counted, PIPELINES};

/// A model that is prepared on its devices, with its stages. It may run any number of streams, one after the other.
#[pyclass(frozen, module = "nbuffer._native", name = "Pipeline")]
pub(crate) struct NativePipeline {
    job: Job<Stages>,
    _counted: Counted,
}

/// A model's files, or one that is loaded.
#[derive(FromPyObject)]
enum Given {
    Loaded(Py<crate::objects::Model>),
    Path(PathBuf),
}

/// How a pipeline is to run, as `nbuffer.Pipeline` hands it over.
#[derive(FromPyObject)]
struct Options {
    model: Given,
    devices: Vec<String>,
    engine: String,
    ort_library: Option<PathBuf>,
    cores: Option<usize>,
    buffers: Option<usize>,
    double_buffer: Option<bool>,
    host_threads: Option<usize>,
    latency_max_s: Option<f64>,
    watchdog_s: Option<f64>,
    in_order: bool,
    raw: bool,
}

impl Options {
    fn settings(&self) -> PyResult<Settings> {
        let time = |seconds: Option<f64>, name: &str| {
            seconds
                .map(|s| {
                    Duration::try_from_secs_f64(s).ok().filter(|time| !time.is_zero()).ok_or_else(|| {
                        PyValueError::new_err(format!("{name} is {s} s: a time above 0 is expected"))
                    })
                })
                .transpose()
        };
        Ok(Settings {
            cores: self.cores,
            buffering: self.buffers.map_or(Buffering::Auto, Buffering::Depth),
            double_buffer: self.double_buffer,
            host_threads: self.host_threads,
            latency_max: time(self.latency_max_s, "latency_max")?,
            watchdog: time(self.watchdog_s, "watchdog")?,
            order: if self.in_order { Order::InOrder } else { Order::Completed },
            trace: Some(nbuffer::report::JOURNEYS),
            ..Settings::default()
        })
    }
}

#[pymethods]
impl NativePipeline {
    #[new]
    #[pyo3(signature = (options, preprocess, postprocess))]
    fn new(
        py: Python<'_>,
        options: Options,
        preprocess: Preprocess,
        postprocess: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let settings = options.settings()?;
        let model = match &options.model {
            Given::Loaded(model) => Ok(model.get().loaded(py)?),
            Given::Path(path) => Err(path.clone()),
        };
        let prepared = py.detach(|| -> Result<_, PyErr> {
            let engine = nbuffer::engine(&options.engine, options.ort_library.as_deref());
            let engine = engine.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
            let model = match model {
                Ok(loaded) => loaded,
                Err(path) => {
                    Arc::new(Model::open(path).map_err(|error| PyOSError::new_err(error.to_string()))?)
                }
            };
            let devices = options.devices.iter().map(|name| nbuffer::device(name, &engine));
            let devices = devices.collect::<Result<Vec<_>, _>>();
            let devices = devices.map_err(|error| PyValueError::new_err(error.to_string()))?;
            Job::with_stages(&model, &devices, &settings, |program, batch| {
                Stages::new(&model, program, batch, preprocess, postprocess, options.raw)
            })
            .map_err(|SetUp(error)| error)
        });
        Ok(NativePipeline { job: prepared?, _counted: Counted::new(&PIPELINES) })
    }

    /// Inputs of one call, as (name, dtype, shape, padding, scale, zero point).
    fn inputs(&self) -> Vec<arrays::Described> {
        self.job.inputs().iter().map(arrays::described).collect()
    }

    /// Outputs of one call.
    fn outputs(&self) -> Vec<arrays::Described> {
        self.job.outputs().iter().map(arrays::described).collect()
    }

    /// How many items a call takes.
    fn batch(&self) -> usize {
        self.job.batch()
    }

    /// Runs the items of an iterable, which is asked on a thread of the pipeline.
    fn run(&self, py: Python<'_>, items: &Bound<'_, PyAny>) -> PyResult<Running> {
        let items = Items::new(items, self.job.stages().takes_images())?;
        let failed = items.failed();
        let running = py.detach(|| self.job.run(items)).map_err(|error| SetUp::from(error).0)?;
        Ok(Running::new(running, None, failed))
    }

    /// Runs items that are submitted, with room for so many that wait.
    fn live(&self, py: Python<'_>, places: usize, overload: &str) -> PyResult<Running> {
        let overload = match overload {
            "wait" => Overload::Wait,
            "drop-oldest" => Overload::DropOldest,
            "drop-newest" => Overload::DropNewest,
            _ => return Err(PyValueError::new_err(format!("there is no overload policy {overload:?}"))),
        };
        let ends = nbuffer::inbox(places, overload);
        let (entrance, arrivals) = ends.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let running = py.detach(|| self.job.run_live(arrivals)).map_err(|error| SetUp::from(error).0)?;
        Ok(Running::new(running, Some((entrance, self.job.stages().takes_images())), Arc::default()))
    }
}

/// Why a pipeline cannot be set up, as Python is told.
pub(crate) struct SetUp(PyErr);

impl From<JobError> for SetUp {
    fn from(error: JobError) -> Self {
        let text = error.to_string();
        SetUp(match error {
            JobError::Device(_) | JobError::Start(_) | JobError::HostMemory { .. } => {
                PyRuntimeError::new_err(text)
            }
            _ => PyValueError::new_err(text),
        })
    }
}

impl From<PyErr> for SetUp {
    fn from(error: PyErr) -> Self {
        SetUp(error)
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Preprocess {
    type Error = PyErr;

    /// (kind, what belongs to it): `("arrays", None)`, `("call", f)`, `("in-place", f)` or
    /// `("image", (shorter_side, size, mean, std))`.
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let (kind, with): (String, Bound<'py, PyAny>) = object.extract()?;
        match &*kind {
            "arrays" => Ok(Preprocess::Arrays),
            "call" => Ok(Preprocess::Call(with.unbind())),
            "in-place" => Ok(Preprocess::InPlace(with.unbind())),
            "image" => {
                let (shorter_side, size, mean, std) = with.extract()?;
                Ok(Preprocess::Image(ImageArgs { shorter_side, size, mean, std }))
            }
            _ => Err(PyValueError::new_err(format!("there is no preprocess of kind {kind:?}"))),
        }
    }
}
