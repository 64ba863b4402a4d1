//! The host stages of a pipeline whose items are Python's.

use std::sync::{Arc, Mutex};

use nbuffer::image::ImagePreprocess;
use nbuffer::tensor::TensorInfo;
use nbuffer::{BoxError, ItemStages, Model, Program};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::SetUp;
use super::arrays::{self, Out};
use super::item::{Image, Item};

/// What fills an item's inputs.
pub(crate) enum Preprocess {
    /// Nothing: the items are arrays.
    Arrays,
    /// A callable that gives arrays for an item.
    Call(Py<PyAny>),
    /// A callable that writes an item's arrays.
    InPlace(Py<PyAny>),
    /// nbuffer itself, from images, without Python.
    Image(ImageArgs),
}

/// How images become inputs.
pub(crate) struct ImageArgs {
    /// Scale the shorter side to so many pixels, and take the middle.
    pub(crate) shorter_side: Option<u32>,
    /// Height and width that the input is expected to have.
    pub(crate) size: Option<(u32, u32)>,
    pub(crate) mean: Option<[f32; 3]>,
    pub(crate) std: Option<[f32; 3]>,
}

enum Fill {
    Arrays,
    Call(Py<PyAny>),
    InPlace(Py<PyAny>),
    Image(ImagePreprocess),
}

/// The stages of a prepared model.
pub(crate) struct Stages {
    /// One item's part of each input and output.
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    fill: Fill,
    postprocess: Option<Py<PyAny>>,
    raw: bool,
    /// Arrays that are written in place, while nobody does.
    spare: Mutex<Vec<Vec<Py<PyAny>>>>,
}

/// A result that Python may not have seen yet.
pub(crate) enum Outcome {
    Object(Py<PyAny>),
    Arrays(Vec<Out>),
}

impl Stages {
    pub(crate) fn new(
        model: &Model,
        program: &dyn Program,
        batch: usize,
        preprocess: Preprocess,
        postprocess: Option<Py<PyAny>>,
        raw: bool,
    ) -> Result<Self, SetUp> {
        let entry =
            |info: &TensorInfo| info.batch_entry().filter(|_| batch > 1).unwrap_or_else(|| info.clone());
        let entries = |infos: &[TensorInfo]| infos.iter().map(entry).collect::<Vec<_>>();
        let (inputs, outputs) = (entries(program.inputs()), entries(program.outputs()));
        let fill = match preprocess {
            Preprocess::Arrays => Fill::Arrays,
            Preprocess::Call(callable) => Fill::Call(callable),
            Preprocess::InPlace(callable) => Fill::InPlace(callable),
            Preprocess::Image(args) => Fill::Image(args.for_input(model, &inputs)?),
        };
        Ok(Stages { inputs, outputs, fill, postprocess, raw, spare: Mutex::default() })
    }

    /// Whether items are images, which are read off while Python is at hand.
    pub(crate) fn takes_images(&self) -> bool {
        matches!(self.fill, Fill::Image(_))
    }

    fn call(
        &self,
        py: Python<'_>,
        callable: &Py<PyAny>,
        item: &Item,
        slots: &mut [&mut [u8]],
    ) -> PyResult<()> {
        arrays::fill(callable.bind(py).call1((&item.object,))?.as_any(), &self.inputs, slots)
    }

    fn call_in_place(
        &self,
        py: Python<'_>,
        callable: &Py<PyAny>,
        item: &Item,
        slots: &mut [&mut [u8]],
    ) -> PyResult<()> {
        let spare = self.spare.lock().expect("nothing panics while it holds this lock").pop();
        let out = spare.map_or_else(|| arrays::writable(py, &self.inputs), Ok)?;
        let given = match &out[..] {
            [only] => only.bind(py).clone(),
            _ => PyList::new(py, &out)?.into_any(),
        };
        let kept = callable.bind(py).call1((&item.object, &given))?;
        if !kept.is_none() {
            return Err(PyValueError::new_err(
                "a preprocess that is given `out` writes it and returns nothing; one that returns arrays takes the item \
                 alone",
            ));
        }
        arrays::fill(&given, &self.inputs, slots)?;
        drop(given);
        // Arrays that somebody keeps are theirs.
        let count = py.import("sys")?.getattr("getrefcount")?;
        let are_ours = out.iter().map(|array| count.call1((array,))?.extract::<usize>());
        if are_ours.collect::<PyResult<Vec<_>>>()?.into_iter().all(|references| references <= 2) {
            self.spare.lock().expect("nothing panics while it holds this lock").push(out);
        }
        Ok(())
    }
}

impl ImageArgs {
    fn for_input(self, model: &Model, inputs: &[TensorInfo]) -> Result<ImagePreprocess, SetUp> {
        let [input] = inputs else {
            let found = inputs.len();
            let why = format!("model `{}` has {found} inputs; ImagePreprocess fills one", model.name);
            return Err(SetUp(PyValueError::new_err(why)));
        };
        let wrong = |error: nbuffer::image::ImageError| SetUp(PyValueError::new_err(error.to_string()));
        let declared = model.preprocess.as_ref().map(|p| (p.mean, p.std)).unwrap_or(([0.0; 3], [1.0; 3]));
        let (mean, std) = (self.mean.unwrap_or(declared.0), self.std.unwrap_or(declared.1));
        let mut image = ImagePreprocess::new(input, mean, std).map_err(wrong)?;
        if let Some(size) = self.size
            && size != image.size()
        {
            let why = format!(
                "ImagePreprocess ends with images of (height, width) {size:?}, and model `{}` takes {:?}",
                model.name,
                image.size()
            );
            return Err(SetUp(PyValueError::new_err(why)));
        }
        if let Some(shorter_side) = self.shorter_side {
            image = image.center_crop(shorter_side).map_err(wrong)?;
        }
        Ok(image)
    }
}

/// What Python raised, put into words while the interpreter is at hand: errors are told under locks that must not wait
/// for it.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) error: PyErr,
    said: String,
}

impl Raised {
    fn new(error: PyErr) -> Self {
        Raised { said: error.to_string(), error }
    }
}

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Raised {}

/// Runs a step that needs Python.
fn attached<T>(step: impl for<'py> FnOnce(Python<'py>) -> PyResult<T>) -> Result<T, BoxError> {
    match Python::try_attach(|py| step(py).map_err(Raised::new)) {
        Some(done) => done.map_err(BoxError::from),
        None => Err("Python is shutting down".into()),
    }
}

impl ItemStages for Stages {
    type Item = Arc<Item>;
    type Output = Outcome;

    /// Known to the interpreter from its first step to its last: to make it known anew for each costs more than many a
    /// callable, and would lose what callables keep in `threading.local`.
    fn around_thread(&self, work: &mut (dyn FnMut() + Send)) {
        Python::try_attach(|py| py.detach(work));
    }

    fn fill(&self, _: u64, item: &Arc<Item>, inputs: &mut [&mut [u8]]) -> Result<(), BoxError> {
        match &self.fill {
            Fill::Arrays => attached(|py| arrays::fill(item.object.bind(py), &self.inputs, inputs)),
            Fill::Call(callable) => attached(|py| self.call(py, callable, item, inputs)),
            Fill::InPlace(callable) => attached(|py| self.call_in_place(py, callable, item, inputs)),
            Fill::Image(preprocess) => {
                let image = match item.take_image().map_err(Raised::new)? {
                    Image::File(path) => preprocess.load(path)?,
                    Image::Encoded(bytes) => preprocess.decode("bytes", &bytes)?,
                    Image::Pixels(pixels) => preprocess.resize(pixels),
                };
                Ok(preprocess.fill(&image, inputs[0])?)
            }
        }
    }

    fn read(&self, _: u64, item: &Arc<Item>, outputs: &[&[u8]]) -> Result<Outcome, BoxError> {
        let outs = self.outputs.iter().zip(outputs).map(|(info, bytes)| Out::read(info, bytes, self.raw));
        let outs = outs.collect::<Result<Vec<_>, _>>()?;
        match &self.postprocess {
            None => Ok(Outcome::Arrays(outs)),
            Some(callable) => attached(|py| {
                let outputs = arrays::list(py, outs)?;
                Ok(Outcome::Object(callable.bind(py).call1((&item.object, outputs))?.unbind()))
            }),
        }
    }
}
