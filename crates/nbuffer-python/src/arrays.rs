//! NumPy arrays as plain memory, borrowed for the time of a call.

use nbuffer::tensor::DType;
use numpy::{
    BorrowError, Element, PyArrayDescr, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn,
    PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods, dtype,
};
use pyo3::prelude::*;

use crate::errors::invalid;

/// An array that is being read.
pub(crate) enum Read<'py> {
    I8(PyReadonlyArrayDyn<'py, i8>),
    U8(PyReadonlyArrayDyn<'py, u8>),
    I32(PyReadonlyArrayDyn<'py, i32>),
    U32(PyReadonlyArrayDyn<'py, u32>),
    I64(PyReadonlyArrayDyn<'py, i64>),
    F32(PyReadonlyArrayDyn<'py, f32>),
}

/// An array that is being written, which nobody else may read or write through nbuffer meanwhile.
pub(crate) enum Write<'py> {
    I8(PyReadwriteArrayDyn<'py, i8>),
    U8(PyReadwriteArrayDyn<'py, u8>),
    I32(PyReadwriteArrayDyn<'py, i32>),
    U32(PyReadwriteArrayDyn<'py, u32>),
    I64(PyReadwriteArrayDyn<'py, i64>),
    F32(PyReadwriteArrayDyn<'py, f32>),
}

impl<'py> Read<'py> {
    /// Borrows `array`, called `what` in errors.
    pub(crate) fn new(array: &Bound<'py, PyAny>, what: &str, dtype: DType) -> PyResult<Self> {
        Ok(match dtype {
            DType::I8 => Read::I8(read(array, what)?),
            DType::U8 => Read::U8(read(array, what)?),
            DType::I32 => Read::I32(read(array, what)?),
            DType::U32 => Read::U32(read(array, what)?),
            DType::I64 => Read::I64(read(array, what)?),
            DType::F32 => Read::F32(read(array, what)?),
        })
    }

    pub(crate) fn bytes(&self, what: &str) -> PyResult<&[u8]> {
        match self {
            Read::I8(array) => slice(array, what).map(bytemuck::cast_slice),
            Read::U8(array) => slice(array, what),
            Read::I32(array) => slice(array, what).map(bytemuck::cast_slice),
            Read::U32(array) => slice(array, what).map(bytemuck::cast_slice),
            Read::I64(array) => slice(array, what).map(bytemuck::cast_slice),
            Read::F32(array) => slice(array, what).map(bytemuck::cast_slice),
        }
    }
}

impl<'py> Write<'py> {
    /// Borrows `array`, called `what` in errors.
    pub(crate) fn new(array: &Bound<'py, PyAny>, what: &str, dtype: DType) -> PyResult<Self> {
        Ok(match dtype {
            DType::I8 => Write::I8(write(array, what)?),
            DType::U8 => Write::U8(write(array, what)?),
            DType::I32 => Write::I32(write(array, what)?),
            DType::U32 => Write::U32(write(array, what)?),
            DType::I64 => Write::I64(write(array, what)?),
            DType::F32 => Write::F32(write(array, what)?),
        })
    }

    pub(crate) fn bytes_mut(&mut self, what: &str) -> PyResult<&mut [u8]> {
        match self {
            Write::I8(array) => slice_mut(array, what).map(bytemuck::cast_slice_mut),
            Write::U8(array) => slice_mut(array, what),
            Write::I32(array) => slice_mut(array, what).map(bytemuck::cast_slice_mut),
            Write::U32(array) => slice_mut(array, what).map(bytemuck::cast_slice_mut),
            Write::I64(array) => slice_mut(array, what).map(bytemuck::cast_slice_mut),
            Write::F32(array) => slice_mut(array, what).map(bytemuck::cast_slice_mut),
        }
    }
}

/// Borrows an array of `T` to read it.
pub(crate) fn read<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    what: &str,
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    typed::<T>(array, what)?.try_readonly().map_err(|error| borrowed(array.py(), what, error))
}

/// Borrows an array of `T` to write it.
pub(crate) fn write<'py, T: Element>(
    array: &Bound<'py, PyAny>,
    what: &str,
) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
    typed::<T>(array, what)?.try_readwrite().map_err(|error| borrowed(array.py(), what, error))
}

/// The elements in C order.
pub(crate) fn slice<'a, T: Element>(array: &'a PyReadonlyArrayDyn<'_, T>, what: &str) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| misaligned(array.py(), what))
}

/// The elements in C order, to be written.
pub(crate) fn slice_mut<'a, T: Element>(
    array: &'a mut PyReadwriteArrayDyn<'_, T>,
    what: &str,
) -> PyResult<&'a mut [T]> {
    let py = array.py();
    array.as_slice_mut().map_err(|_| misaligned(py, what))
}

/// An array of `T` whose elements lie one after the other in C order.
fn typed<'a, 'py, T: Element>(
    array: &'a Bound<'py, PyAny>,
    what: &str,
) -> PyResult<&'a Bound<'py, PyArrayDyn<T>>> {
    let py = array.py();
    let Ok(untyped) = array.cast::<PyUntypedArray>() else {
        let class = array.get_type().name()?;
        return Err(invalid(py, format!("{what} is a {class}, a NumPy array is needed")));
    };
    let (found, wanted) = (untyped.dtype(), dtype::<T>(py));
    if !found.is_equiv_to(&wanted) {
        return Err(invalid(py, format!("{what} is an array of {found}, {wanted} is needed")));
    }
    if !untyped.is_c_contiguous() {
        let how = "its elements do not lie one after the other in memory; pass np.ascontiguousarray(..)";
        return Err(invalid(py, format!("{what} is not contiguous: {how}")));
    }
    // Only its number of dimensions is open, and that of a dynamic array is.
    array.cast::<PyArrayDyn<T>>().map_err(|_| misaligned(py, what))
}

fn borrowed(py: Python<'_>, what: &str, error: BorrowError) -> PyErr {
    let why = match error {
        BorrowError::NotWriteable => "is read-only, it must be written",
        _ => "is in use by another call, or twice in this one",
    };
    invalid(py, format!("{what} {why}"))
}

fn misaligned(py: Python<'_>, what: &str) -> PyErr {
    invalid(py, format!("{what} is not aligned in memory; pass a copy"))
}

/// NumPy's name for an element type.
pub(crate) fn numpy_dtype(py: Python<'_>, wanted: DType) -> Bound<'_, PyArrayDescr> {
    match wanted {
        DType::I8 => dtype::<i8>(py),
        DType::U8 => dtype::<u8>(py),
        DType::I32 => dtype::<i32>(py),
        DType::U32 => dtype::<u32>(py),
        DType::I64 => dtype::<i64>(py),
        DType::F32 => dtype::<f32>(py),
    }
}

/// The element type that NumPy means by `given`.
pub(crate) fn element_type(given: &Bound<'_, PyAny>) -> PyResult<DType> {
    let py = given.py();
    let descr = PyArrayDescr::new(py, given)?;
    let known = [DType::I8, DType::U8, DType::I32, DType::U32, DType::I64, DType::F32];
    known.into_iter().find(|&known| descr.is_equiv_to(&numpy_dtype(py, known))).ok_or_else(|| {
        let names = known.map(DType::name).join(", ");
        invalid(py, format!("a tensor cannot have elements of {descr}; it can have {names}"))
    })
}
