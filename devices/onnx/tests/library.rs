//! What is said when ONNX Runtime's library cannot be had. Nothing here loads one, so that the order of the
//! tests does not matter.

use std::env;
use std::path::Path;
use std::process::Command;

use nbuffer_onnx::Ort;
use nbuffer_runtime::EngineError;

#[test]
fn no_library_named() {
    if env::var_os("ORT_DYLIB_PATH").is_some() {
        let here = env::current_exe().unwrap();
        let status =
            Command::new(here).args(["--exact", "no_library_named"]).env_remove("ORT_DYLIB_PATH").status();
        assert!(status.unwrap().success());
        return;
    }
    check(None, &["no library is named", "pip install onnxruntime", "ORT_DYLIB_PATH", "libonnxruntime.so"]);
}

#[test]
fn a_missing_library() {
    let words = ["no/such/libonnxruntime.so", "No such file", "pip install onnxruntime", "ORT_DYLIB_PATH"];
    check(Some(Path::new("no/such/libonnxruntime.so")), &words);
}

#[test]
fn a_file_that_is_no_library() {
    check(Some(Path::new("Cargo.toml")), &["Cargo.toml", "pip install onnxruntime"]);
}

#[test]
fn a_directory() {
    check(Some(Path::new("src")), &["src", "pip install onnxruntime"]);
}

fn check(library: Option<&Path>, words: &[&str]) {
    let error = Ort::new(library).expect_err("there is no library");
    assert!(matches!(error, EngineError::Unavailable { engine: "ort", .. }), "{error:?}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}
