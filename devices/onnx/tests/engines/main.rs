//! All engines give the same values and refuse the same files, held to it by the same cases.
//!
//! The part on ONNX Runtime runs where `ORT_DYLIB_PATH` names the library, that on OpenVINO where
//! `OPENVINO_DYLIB_PATH` does. Elsewhere it says on stderr that it is left out, or fails if `NBUFFER_REQUIRE_ORT=1` or
//! `NBUFFER_REQUIRE_OPENVINO=1`.

mod device;
mod digits;
mod refusals;
mod values;

use std::env;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytemuck::Pod;
use nbuffer_runtime::{Engine, Graph, HostBuffer};

/// Runs every named case on every engine, each as a test of its own.
macro_rules! on_each_engine {
    ($($case:ident),+ $(,)?) => {
        mod on_rten {
            $(#[test] fn $case() { super::$case(&crate::rten()); })+
        }
        mod on_ort {
            $(#[test] fn $case() { if let Some(engine) = crate::ort() { super::$case(&engine); } })+
        }
        mod on_openvino {
            $(#[test] fn $case() { if let Some(engine) = crate::openvino() { super::$case(&engine); } })+
        }
    };
}
pub(crate) use on_each_engine;

fn rten() -> Arc<dyn Engine> {
    nbuffer_onnx::engine("rten", None).expect("rten is built in")
}

/// ONNX Runtime, or `None` where it is left out.
fn ort() -> Option<Arc<dyn Engine>> {
    static SAID: OnceLock<()> = OnceLock::new();
    loaded("ort", "ORT_DYLIB_PATH", "NBUFFER_REQUIRE_ORT", &SAID)
}

/// OpenVINO, or `None` where it is left out.
fn openvino() -> Option<Arc<dyn Engine>> {
    static SAID: OnceLock<()> = OnceLock::new();
    loaded("openvino", "OPENVINO_DYLIB_PATH", "NBUFFER_REQUIRE_OPENVINO", &SAID)
}

fn loaded(name: &str, library: &str, required: &str, said: &OnceLock<()>) -> Option<Arc<dyn Engine>> {
    if env::var_os(library).is_some() {
        let engine = nbuffer_onnx::engine(name, None);
        return Some(engine.unwrap_or_else(|error| panic!("{library} names no library of {name}: {error}")));
    }
    let is_required = env::var(required).is_ok_and(|value| value == "1");
    assert!(!is_required, "{required} is 1, and {library} names no library");
    said.get_or_init(|| {
        // Not `eprintln`, which the test harness keeps to itself.
        let _ = writeln!(stderr(), "skipped: {name}, since {library} is not set");
    });
    None
}

fn small_model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name).with_extension("onnx")
}

fn load(engine: &Arc<dyn Engine>, name: &str) -> Arc<dyn Graph> {
    engine.load(&small_model(name)).unwrap_or_else(|error| panic!("{error}"))
}

fn buffer<T: Pod>(values: &[T]) -> HostBuffer {
    let mut buffer = HostBuffer::zeroed(size_of_val(values));
    buffer.as_mut_slice().copy_from_slice(values);
    buffer
}
