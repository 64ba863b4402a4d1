//! Which engine computes values on the CPU, and where its library is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nbuffer::{Engine, EngineError};

/// The libraries of engines that are loaded at run time.
#[derive(Debug, clap::Args)]
pub(super) struct Libraries {
    /// ONNX Runtime library, for the engine ort [default: $ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
    /// OpenVINO library or its directory, for the engine openvino [default: $OPENVINO_DYLIB_PATH]
    #[arg(long, value_name = "PATH")]
    openvino_library: Option<PathBuf>,
}

impl Libraries {
    /// The engine of this name.
    pub(super) fn engine(&self, name: &str) -> Result<Arc<dyn Engine>, EngineError> {
        let library: Option<&Path> = match name {
            "ort" => self.ort_library.as_deref(),
            "openvino" => self.openvino_library.as_deref(),
            _ => None,
        };
        nbuffer_onnx::engine(name, library)
    }
}

/// An engine, and where its library is.
#[derive(Debug, clap::Args)]
pub(super) struct EngineArgs {
    /// What computes values on the CPU
    #[arg(long, value_parser = nbuffer_onnx::ENGINES, default_value = "rten")]
    engine: String,
    #[command(flatten)]
    libraries: Libraries,
}

impl EngineArgs {
    pub(super) fn engine(&self) -> Result<Arc<dyn Engine>, EngineError> {
        self.libraries.engine(&self.engine)
    }
}
