//! The native module of nbuffer's Python package: what Python needs to reach the Rust crates, and no more.

mod arrays;
mod command;
mod counted;
mod errors;
mod helpers;
mod objects;
mod pipeline;
mod tensor;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use crate::command::main;
    #[pymodule_export]
    use crate::helpers::{depad, depad_dequantize, dequantize, pad, quantize, quantize_pad};
    #[pymodule_export]
    use crate::objects::{Connection, Context, Model, ModelInstance, Object, alive};
    #[pymodule_export]
    use crate::pipeline::{NativePipeline, Report, Running, plan, simulate};
    #[pymodule_export]
    use crate::tensor::TensorInfo;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // Which names are public is the package's to say.
        module.delattr("__all__")
    }
}
