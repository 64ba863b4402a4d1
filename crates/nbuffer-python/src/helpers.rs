//! Into and out of int8 tensors, on NumPy arrays. Sizes are checked, not shapes.

use nbuffer::tensor::{self, ConversionError};
use numpy::{Element, PyArrayDyn};
use pyo3::prelude::*;

use crate::arrays::{read, slice, slice_mut, write};
use crate::errors::invalid;
use crate::tensor::TensorInfo;

/// One conversion of `nbuffer::tensor`.
type Conversion<I, O> = fn(&tensor::TensorInfo, &[I], &mut [O]) -> Result<(), ConversionError>;

/// Converts `array` into `out`, or into a new array of `shape`.
fn convert<'py, I: Element + Sync, O: Element + Send>(
    conversion: Conversion<I, O>,
    array: &Bound<'py, PyAny>,
    info: &TensorInfo,
    out: Option<Bound<'py, PyAny>>,
    shape: Vec<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let out = out.unwrap_or_else(|| PyArrayDyn::<O>::zeros(py, shape, false).into_any());
    let from = read::<I>(array, "the array")?;
    let mut to = write::<O>(&out, "out")?;
    let (from, to) = (slice(&from, "the array")?, slice_mut(&mut to, "out")?);
    let converted = py.detach(|| conversion(&info.0, from, to));
    converted.map_err(|error| invalid(py, error.to_string()))?;
    Ok(out)
}

/// Quantises reals: `clip(round(x / scale + zero_point), -128, 127)`, ties to even. Without padding.
#[pyfunction]
#[pyo3(signature = (x, info, *, out = None))]
pub(crate) fn quantize<'py>(
    x: &Bound<'py, PyAny>,
    info: &Bound<'py, TensorInfo>,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let info = info.get();
    convert(tensor::quantize, x, info, out, info.0.unpadded_shape())
}

/// Puts integers into a padded tensor, whose padding becomes the zero point, clamped to int8.
#[pyfunction]
#[pyo3(signature = (q, info, *, out = None))]
pub(crate) fn pad<'py>(
    q: &Bound<'py, PyAny>,
    info: &Bound<'py, TensorInfo>,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let info = info.get();
    convert(tensor::pad, q, info, out, info.0.shape().to_vec())
}

/// `quantize` and `pad` in one pass over memory.
#[pyfunction]
#[pyo3(signature = (x, info, *, out = None))]
pub(crate) fn quantize_pad<'py>(
    x: &Bound<'py, PyAny>,
    info: &Bound<'py, TensorInfo>,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let info = info.get();
    convert(tensor::quantize_pad, x, info, out, info.0.shape().to_vec())
}

/// Takes the data out of a padded tensor.
#[pyfunction]
#[pyo3(signature = (q, info, *, out = None))]
pub(crate) fn depad<'py>(
    q: &Bound<'py, PyAny>,
    info: &Bound<'py, TensorInfo>,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let info = info.get();
    convert(tensor::depad, q, info, out, info.0.unpadded_shape())
}

/// Turns integers back into reals: `(q - zero_point) * scale`. Without padding.
#[pyfunction]
#[pyo3(signature = (q, info, *, out = None))]
pub(crate) fn dequantize<'py>(
    q: &Bound<'py, PyAny>,
    info: &Bound<'py, TensorInfo>,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let info = info.get();
    convert(tensor::dequantize, q, info, out, info.0.unpadded_shape())
}

/// `depad` and `dequantize` in one pass over memory.
#[pyfunction]
#[pyo3(signature = (q, info, *, out = None))]
pub(crate) fn depad_dequantize<'py>(
    q: &Bound<'py, PyAny>,
    info: &Bound<'py, TensorInfo>,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let info = info.get();
    convert(tensor::depad_dequantize, q, info, out, info.0.unpadded_shape())
}
