//! Both engines give the same values and refuse the same files, held to it by the same cases.
//!
//! The half on ONNX Runtime runs where `ORT_DYLIB_PATH` names the library. Elsewhere it says on stderr that
//! it is left out, or fails if `NBUFFER_REQUIRE_ORT=1`.

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
    };
}
pub(crate) use on_each_engine;

fn rten() -> Arc<dyn Engine> {
    nbuffer_onnx::engine("rten", None).expect("rten is built in")
}

/// ONNX Runtime, or `None` where it is left out.
fn ort() -> Option<Arc<dyn Engine>> {
    static SAID: OnceLock<()> = OnceLock::new();
    if env::var_os("ORT_DYLIB_PATH").is_some() {
        return Some(nbuffer_onnx::engine("ort", None).expect("ORT_DYLIB_PATH names ONNX Runtime"));
    }
    let required = env::var("NBUFFER_REQUIRE_ORT").is_ok_and(|required| required == "1");
    assert!(!required, "NBUFFER_REQUIRE_ORT is 1, and ORT_DYLIB_PATH names no library");
    SAID.get_or_init(|| {
        // Not `eprintln`, which the test harness keeps to itself.
        let _ = writeln!(stderr(), "skipped: ONNX Runtime, since ORT_DYLIB_PATH is not set");
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
