//! What is said when the library of an engine cannot be had. Nothing here loads one, so that the order of the
//! tests does not matter.

use std::env;
use std::path::Path;
use std::process::Command;

use nbuffer_runtime::EngineError;

/// The engines that are loaded, what names their library, and how a wheel's is called.
const LOADED: [(&str, &str, &str, &str); 2] = [
    ("ort", "ORT_DYLIB_PATH", "onnxruntime", "libonnxruntime.so"),
    ("openvino", "OPENVINO_DYLIB_PATH", "openvino", "libopenvino_c.so"),
];

#[test]
fn no_library_named() {
    if LOADED.iter().any(|(_, variable, ..)| env::var_os(variable).is_some()) {
        let mut again = Command::new(env::current_exe().unwrap());
        again.args(["--exact", "no_library_named"]);
        for (_, variable, ..) in LOADED {
            again.env_remove(variable);
        }
        assert!(again.status().unwrap().success());
        return;
    }
    check(None, &["no library is named"]);
}

#[test]
fn a_missing_library() {
    check(Some("no/such/libopenvino_c.so"), &["no/such/libopenvino_c.so", "No such file"]);
}

#[test]
fn a_file_that_is_no_library() {
    check(Some("Cargo.toml"), &["Cargo.toml"]);
}

#[test]
fn a_directory() {
    check(Some("src"), &["src"]);
}

/// Every engine that is loaded refuses, with these words, and says how to get its library.
fn check(library: Option<&str>, words: &[&str]) {
    for (name, variable, package, file) in LOADED {
        let error = nbuffer_onnx::engine(name, library.map(Path::new)).expect_err("there is no library");
        assert!(matches!(error, EngineError::Unavailable { engine, .. } if engine == name), "{error:?}");
        let text = error.to_string();
        let install = format!("pip install {package}");
        for word in words.iter().copied().chain([install.as_str(), variable, file]) {
            assert!(text.contains(word), "no `{word}` in: {text}");
        }
    }
}
