//! The command line, for the console script `nbuffer`.

use std::ffi::OsString;
use std::io::Write;

use pyo3::prelude::*;

/// Runs the command line `argv`, of which the first is the program's name, and gives its exit status.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, argv: Vec<OsString>) -> u8 {
    py.detach(|| {
        let status = nbuffer::cli::main(argv);
        // At the end of a Rust program its runtime does this; who does not read any more has seen enough.
        let _ = std::io::stdout().flush();
        status
    })
}
