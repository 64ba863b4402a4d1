//! Rust's errors as Python's exceptions, which are plain Python classes.

use nbuffer::objects::{Error, ErrorKind};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception of this class in `nbuffer.errors`.
pub(crate) fn exception(py: Python<'_>, class: &str, message: String) -> PyErr {
    match py.import("nbuffer.errors").and_then(|errors| Ok(errors.getattr(class)?.cast_into::<PyType>()?)) {
        Ok(class) => PyErr::from_type(class, message),
        Err(error) => error,
    }
}

/// A bad parameter.
pub(crate) fn invalid(py: Python<'_>, message: String) -> PyErr {
    exception(py, "InvalidArgument", message)
}

/// An error of objects.
pub(crate) fn of_objects(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error.kind() {
        ErrorKind::Runtime => "Error",
        ErrorKind::InvalidArgument => "InvalidArgument",
        ErrorKind::Connection => "ConnectionError",
        ErrorKind::DeviceInUse => "DeviceInUse",
        ErrorKind::IncompatibleDevice => "IncompatibleDevice",
        ErrorKind::InvalidConfiguration => "InvalidConfiguration",
        ErrorKind::NotImplemented => "NotImplemented",
        ErrorKind::Internal => "InternalError",
    };
    exception(py, class, error.chain())
}
