//! Builds the stand-in library. Other crates' tests include this file.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The library, built by the cargo that builds these tests.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(env!("CARGO")))
}

fn build(cargo: &str) -> PathBuf {
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "-p",
        "nbuffer-axruntime",
        "--example",
        "axruntime-stand-in",
        "--message-format",
        "json",
    ]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output().expect("cargo runs");
    if !output.status.success() {
        // The tests that wait for it would each try again.
        eprintln!("the stand-in does not build");
        std::process::abort();
    }
    let messages = String::from_utf8(output.stdout).expect("cargo writes text");
    let artifact = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it =
            message["reason"] == "compiler-artifact" && message["target"]["name"] == "axruntime-stand-in";
        is_it.then(|| PathBuf::from(message["filenames"][0].as_str().unwrap_or_default()))
    };
    messages.lines().find_map(artifact).expect("cargo tells what it has built")
}
