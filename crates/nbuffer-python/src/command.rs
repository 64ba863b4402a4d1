//! The command line, for the console script `nbuffer`.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command line `argv`, of which the first is the program's name, and gives its exit status.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, argv: Vec<OsString>) -> u8 {
    py.detach(|| nbuffer::cli::main(argv))
}
