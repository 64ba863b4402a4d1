//! NumPy arrays into an item's part of the input buffers, and its part of the output buffers into arrays.

use bytemuck::Pod;
use nbuffer::BoxError;
use nbuffer::tensor::{self, DType, TensorInfo};
use numpy::ndarray::ArrayD;
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

/// A tensor in words: name, dtype, padded shape, padding, scale, zero point.
pub(crate) type Described = (String, &'static str, Vec<usize>, Vec<(usize, usize)>, f64, i32);

pub(crate) fn described(info: &TensorInfo) -> Described {
    let name = info.name().to_owned();
    (
        name,
        info.dtype().name(),
        info.shape().to_vec(),
        info.padding().to_vec(),
        info.scale(),
        info.zero_point(),
    )
}

/// Fills one item's inputs with what a preprocess gave: an array, or a sequence with one array for each input.
pub(crate) fn fill(value: &Bound<'_, PyAny>, infos: &[TensorInfo], slots: &mut [&mut [u8]]) -> PyResult<()> {
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let found = value.len()?;
        if found != infos.len() {
            let expected = infos.len();
            return Err(PyValueError::new_err(format!(
                "{found} arrays were given, the model takes {expected} for an item"
            )));
        }
        for (index, (info, slot)) in infos.iter().zip(slots).enumerate() {
            fill_one(&value.get_item(index)?, info, slot)?;
        }
        return Ok(());
    }
    match (infos, slots) {
        ([info], [slot]) => fill_one(value, info, slot),
        _ => Err(PyValueError::new_err(format!(
            "one array was given, the model takes {} for an item: give a list of them",
            infos.len()
        ))),
    }
}

fn fill_one(value: &Bound<'_, PyAny>, info: &TensorInfo, slot: &mut [u8]) -> PyResult<()> {
    let array = match value.cast::<PyUntypedArray>() {
        Ok(array) => array.clone(),
        Err(_) if value.hasattr("__array__")? => {
            value.py().import("numpy")?.call_method1("asarray", (value,))?.cast_into::<PyUntypedArray>()?
        }
        Err(_) => {
            return Err(PyTypeError::new_err(format!(
                "input `{}` needs a NumPy array, and {} was given",
                info.name(),
                value.get_type().name()?
            )));
        }
    };
    let array = if array.is_c_contiguous() {
        array
    } else {
        array.call_method1("copy", ("C",))?.cast_into::<PyUntypedArray>()?
    };
    let (padded, unpadded) = (fits(array.shape(), info.shape()), fits(array.shape(), &info.unpadded_shape()));
    let copied = |bytes: &[u8], slot: &mut [u8]| {
        if !padded {
            return Err(Refused::Shape);
        }
        slot.copy_from_slice(bytes);
        Ok(())
    };
    let filled = match info.dtype() {
        DType::I8 => match with::<i8, _>(&array, |integers| match unpadded && !padded {
            true => Ok(tensor::pad(info, integers, bytemuck::cast_slice_mut(slot))?),
            false => copied(bytemuck::cast_slice(integers), slot),
        })? {
            None => with_reals(&array, |reals| match unpadded {
                true => Ok(tensor::quantize_pad(info, reals, bytemuck::cast_slice_mut(slot))?),
                false => Err(Refused::Shape),
            })?,
            filled => filled,
        },
        DType::F32 => with_reals(&array, |reals| copied(bytemuck::cast_slice(reals), slot))?,
        DType::U8 => with::<u8, _>(&array, |bytes| copied(bytes, slot))?,
        DType::I32 => with::<i32, _>(&array, |integers| copied(bytemuck::cast_slice(integers), slot))?,
        DType::U32 => with::<u32, _>(&array, |integers| copied(bytemuck::cast_slice(integers), slot))?,
        DType::I64 => with::<i64, _>(&array, |integers| copied(bytemuck::cast_slice(integers), slot))?,
    };
    let (name, unpadded) = (info.name(), info.unpadded_shape());
    match filled {
        Some(Ok(())) => Ok(()),
        Some(Err(Refused::Conversion(error))) => Err(PyValueError::new_err(error.to_string())),
        Some(Err(Refused::Shape)) => {
            let padded = match unpadded == info.shape() {
                true => String::new(),
                false => format!(", or {:?} with its padding", info.shape()),
            };
            Err(PyValueError::new_err(format!(
                "input `{name}` needs an array of shape {unpadded:?}{padded}, and one of shape {:?} was given",
                array.shape()
            )))
        }
        None => {
            let dtype = info.dtype().name();
            let or_real = if dtype == "int8" { " (or of float32, which is quantised)" } else { "" };
            Err(PyTypeError::new_err(format!(
                "input `{name}` needs an array of {dtype}{or_real}, and one of {} was given",
                array.dtype().str()?
            )))
        }
    }
}

/// Why an array of the right type cannot be an input.
enum Refused {
    Shape,
    Conversion(tensor::ConversionError),
}

impl From<tensor::ConversionError> for Refused {
    fn from(error: tensor::ConversionError) -> Self {
        Refused::Conversion(error)
    }
}

/// Arrays of so many bytes are worth giving the interpreter up for: others wait for it no longer than for a callable.
const LARGE: usize = 128 << 10;

/// Looks at the elements of a contiguous array, if they are of type `T`.
fn with<T: Element + Pod, R: Send>(
    array: &Bound<'_, PyUntypedArray>,
    look: impl FnOnce(&[T]) -> R + Send,
) -> PyResult<Option<R>> {
    let Ok(array) = array.cast::<PyArrayDyn<T>>() else { return Ok(None) };
    let array = array.try_readonly()?;
    let elements = array.as_slice()?;
    Ok(Some(match size_of_val(elements) < LARGE {
        true => look(elements),
        false => array.py().detach(|| look(elements)),
    }))
}

/// Looks at the elements of a contiguous array of floats.
fn with_reals<R: Send>(
    array: &Bound<'_, PyUntypedArray>,
    look: impl FnOnce(&[f32]) -> R + Send,
) -> PyResult<Option<R>> {
    if array.cast::<PyArrayDyn<f64>>().is_ok() {
        return with::<f64, _>(array, |reals| look(&reals.iter().map(|&x| x as f32).collect::<Vec<_>>()));
    }
    with(array, look)
}

/// Whether an array's shape is that of a tensor, but for leading dimensions of 1, or it is flat.
fn fits(array: &[usize], tensor: &[usize]) -> bool {
    fn trimmed(shape: &[usize]) -> &[usize] {
        &shape[shape.iter().take_while(|&&len| len == 1).count()..]
    }
    let is_flat = array.len() == 1 && array[0] == tensor.iter().product::<usize>();
    is_flat || trimmed(array) == trimmed(tensor)
}

/// Arrays of an item's inputs, to be written in place: of the tensor's own type, its padding filled in.
pub(crate) fn writable(py: Python<'_>, infos: &[TensorInfo]) -> PyResult<Vec<Py<PyAny>>> {
    infos.iter().map(|info| writable_one(py, info).map(Bound::unbind)).collect()
}

fn writable_one<'py>(py: Python<'py>, info: &TensorInfo) -> PyResult<Bound<'py, PyAny>> {
    let (len, shape) = (info.shape().iter().product(), info.shape().to_vec());
    match info.dtype() {
        DType::I8 => shaped(py, vec![info.zero_point().clamp(-128, 127) as i8; len], shape),
        DType::U8 => shaped(py, vec![0_u8; len], shape),
        DType::I32 => shaped(py, vec![0_i32; len], shape),
        DType::U32 => shaped(py, vec![0_u32; len], shape),
        DType::I64 => shaped(py, vec![0_i64; len], shape),
        DType::F32 => shaped(py, vec![0_f32; len], shape),
    }
}

/// Elements as an array, which takes them over.
fn shaped<T: Element>(py: Python<'_>, elements: Vec<T>, shape: Vec<usize>) -> PyResult<Bound<'_, PyAny>> {
    let array = ArrayD::from_shape_vec(shape, elements);
    let array = array.map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyArrayDyn::from_owned_array(py, array).into_any())
}

/// An array that Python has not seen yet.
pub(crate) struct Out {
    elements: Elements,
    shape: Vec<usize>,
}

enum Elements {
    I8(Vec<i8>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
}

impl Out {
    /// An item's part of an output: real and without padding where the tensor is int8, unless it is wanted raw.
    pub(crate) fn read(info: &TensorInfo, bytes: &[u8], raw: bool) -> Result<Out, BoxError> {
        let shape = || info.shape().to_vec();
        Ok(match info.dtype() {
            DType::I8 if !raw => {
                let unpadded = info.unpadded_shape();
                let mut reals = vec![0.0; unpadded.iter().product()];
                tensor::depad_dequantize(info, bytemuck::cast_slice(bytes), &mut reals)?;
                Out { elements: Elements::F32(reals), shape: unpadded }
            }
            DType::I8 => Out { elements: Elements::I8(bytemuck::cast_slice(bytes).to_vec()), shape: shape() },
            DType::U8 => Out { elements: Elements::U8(bytes.to_vec()), shape: shape() },
            // A part of a buffer need not be aligned.
            DType::I32 => {
                Out { elements: Elements::I32(bytemuck::pod_collect_to_vec(bytes)), shape: shape() }
            }
            DType::U32 => {
                Out { elements: Elements::U32(bytemuck::pod_collect_to_vec(bytes)), shape: shape() }
            }
            DType::I64 => {
                Out { elements: Elements::I64(bytemuck::pod_collect_to_vec(bytes)), shape: shape() }
            }
            DType::F32 => {
                Out { elements: Elements::F32(bytemuck::pod_collect_to_vec(bytes)), shape: shape() }
            }
        })
    }

    fn into_array(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match self.elements {
            Elements::I8(elements) => shaped(py, elements, self.shape),
            Elements::U8(elements) => shaped(py, elements, self.shape),
            Elements::I32(elements) => shaped(py, elements, self.shape),
            Elements::U32(elements) => shaped(py, elements, self.shape),
            Elements::I64(elements) => shaped(py, elements, self.shape),
            Elements::F32(elements) => shaped(py, elements, self.shape),
        }
    }
}

/// Arrays as Python gets them: a list, one for each output.
pub(crate) fn list(py: Python<'_>, outs: Vec<Out>) -> PyResult<Bound<'_, PyList>> {
    let arrays = outs.into_iter().map(|out| out.into_array(py)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, arrays)
}
