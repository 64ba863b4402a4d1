//! The native module of nbuffer's Python package: what Python needs to reach the Rust crates, and no more.

mod command;
mod pipeline;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use crate::command::main;
    #[pymodule_export]
    use crate::pipeline::{NativePipeline, Report, Running, plan, simulate};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
