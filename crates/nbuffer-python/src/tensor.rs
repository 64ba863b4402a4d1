//! What a tensor is.

use std::hash::{DefaultHasher, Hash, Hasher};

use nbuffer::tensor;
use numpy::PyArrayDescr;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::arrays::{element_type, numpy_dtype};
use crate::errors::invalid;

/// What a tensor is: padded shape, element type (int8 unless given), name, padding and quantisation.
///
/// `padding` is `(before, after)` for each dimension, counted in `shape`. A real number `x` is stored as `x / scale + zero_point`.
#[pyclass(frozen, eq, module = "nbuffer")]
#[derive(Clone, PartialEq)]
pub(crate) struct TensorInfo(pub(crate) tensor::TensorInfo);

#[pymethods]
impl TensorInfo {
    #[new]
    #[pyo3(signature = (shape, dtype = None, name = "", padding = None, scale = 1.0, zero_point = 0))]
    fn new(
        py: Python<'_>,
        shape: Vec<usize>,
        dtype: Option<&Bound<'_, PyAny>>,
        name: &str,
        padding: Option<Vec<(usize, usize)>>,
        scale: f64,
        zero_point: i32,
    ) -> PyResult<Self> {
        let dtype = dtype.map_or(Ok(tensor::DType::I8), element_type)?;
        tensor::TensorInfo::new(name, shape, padding.unwrap_or_default(), scale, zero_point, dtype)
            .map(TensorInfo)
            .map_err(|error| invalid(py, error.to_string()))
    }

    /// The padded shape.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.shape())
    }

    /// The element type.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyArrayDescr> {
        numpy_dtype(py, self.0.dtype())
    }

    /// The name; may be empty.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// `(before, after)` for each dimension.
    #[getter]
    fn padding(&self) -> Vec<(usize, usize)> {
        self.0.padding().to_vec()
    }

    /// The real-number step between two neighbouring integers.
    #[getter]
    fn scale(&self) -> f64 {
        self.0.scale()
    }

    /// The integer that stands for 0.0; may lie outside int8.
    #[getter]
    fn zero_point(&self) -> i32 {
        self.0.zero_point()
    }

    /// Bytes of the padded tensor.
    #[getter]
    fn size(&self) -> usize {
        self.0.size()
    }

    /// The shape of the data without its padding.
    #[getter]
    fn unpadded_shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.unpadded_shape())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.0.shape(), self.0.padding(), self.0.name(), self.0.zero_point()).hash(&mut hasher);
        hasher.finish()
    }

    /// Copies and pickles are made of the arguments.
    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let (shape, dtype) = (self.shape(py)?, self.dtype(py));
        (shape, dtype, self.name(), self.padding(), self.scale(), self.zero_point()).into_pyobject(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let name = PyString::new(py, self.name()).repr()?;
        let (shape, dtype, padding) = (self.shape(py)?, self.0.dtype(), self.padding());
        let (scale, zero_point) = (self.scale(), self.zero_point());
        Ok(format!(
            "TensorInfo(shape={shape}, dtype={dtype}, name={name}, padding={padding:?}, scale={scale}, zero_point={zero_point})"
        ))
    }
}
