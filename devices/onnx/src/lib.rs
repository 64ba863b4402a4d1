//! The `cpu` device: a model's graph is computed by an ONNX engine on the host's own cores.
//!
//! Three engines stand behind [`nbuffer_runtime::Engine`], and one shared set of tests holds them to the same
//! values:
//!
//! - [`Rten`] is pure Rust and always there. It computes quantised (QDQ) graphs in float and knows neither
//!   the `QLinear*` operators nor 64-bit integers inside a graph.
//! - [`Ort`] is ONNX Runtime, loaded at run time from a path. It has int8 kernels and every operator.
//! - [`OpenVino`] is OpenVINO, loaded at run time as well. It has int8 kernels for QDQ graphs, and computes on
//!   threads of its own: its lanes are queued.
//!
//! Every session computes on one thread unless told otherwise, since lanes run side by side. No engine
//! is ever replaced by another: what was asked for runs, or an error says why not.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use nbuffer_runtime::HostBuffer;
//!
//! let engine = nbuffer_onnx::engine("rten", None)?;
//! let graph = engine.load("tests/models/add_f32.onnx".as_ref())?;
//!
//! let mut inputs = [HostBuffer::zeroed(16), HostBuffer::zeroed(16)];
//! inputs[0].as_mut_slice::<f32>().copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
//! inputs[1].as_mut_slice::<f32>().fill(0.5);
//! let mut outputs = [HostBuffer::zeroed(16)];
//!
//! graph.session(1, 1)?.run(&inputs, &mut outputs)?;
//! assert_eq!(outputs[0].as_slice::<f32>(), [1.5, 2.5, 3.5, 4.5]);
//! # Ok(())
//! # }
//! ```

mod device;
mod edge;
mod onnx_file;
mod openvino;
mod ort;
mod rten;

use std::path::Path;
use std::sync::Arc;

use nbuffer_runtime::{Engine, EngineError};

pub use device::CpuDevice;
pub use openvino::OpenVino;
pub use ort::Ort;
pub use rten::Rten;

/// Names that [`engine`] takes.
pub const ENGINES: [&str; 3] = [rten::NAME, ort::NAME, openvino::NAME];

/// The engine of this name, ready to load graphs.
///
/// `library` is the library of `ort` or `openvino`, see [`Ort::new`] and [`OpenVino::new`]; `rten` has no use for it.
///
/// # Errors
///
/// [`EngineError::Unavailable`] when the engine's library is missing or does not fit, saying how to get it,
/// and [`EngineError::Unknown`] for any name that is not in [`ENGINES`].
pub fn engine(name: &str, library: Option<&Path>) -> Result<Arc<dyn Engine>, EngineError> {
    match name {
        rten::NAME => Ok(Arc::new(Rten)),
        ort::NAME => Ok(Arc::new(Ort::new(library)?)),
        openvino::NAME => Ok(Arc::new(OpenVino::new(library)?)),
        _ => Err(EngineError::Unknown { name: name.to_owned(), known: ENGINES.join(", ") }),
    }
}
