//! `nbuffer devices`: what is here, what is not and why.

use std::path::PathBuf;
use std::sync::Arc;

use nbuffer::{Device, Engine};

use super::{Status, emit};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// ONNX Runtime library to look at [default: $ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let mut out = String::new();
    say!(out, "engines");
    for name in nbuffer_onnx::ENGINES {
        match nbuffer_onnx::engine(name, args.ort_library.as_deref()) {
            Ok(engine) => say!(out, "  {name:<14}{}", engine.describe()),
            Err(error) => say!(out, "  {name:<14}not here: {error}"),
        }
    }
    say!(out, "devices");
    let engine: Arc<dyn Engine> = Arc::new(nbuffer_onnx::Rten);
    for name in nbuffer::known_devices() {
        if name.contains("FILE") {
            say!(out, "  {name:<14}a simulated device with a profile of your own");
            continue;
        }
        if name.contains("PLATFORM") {
            list_opencl(&mut out);
            continue;
        }
        let device: Box<dyn Device> = nbuffer::device(&name, &engine)?;
        let info = device.info();
        match device.check() {
            Ok(()) => {
                let memory =
                    info.memory_bytes.map_or(String::new(), |bytes| format!(", {} MiB", bytes >> 20));
                let double = if info.double_buffer { ", double buffering" } else { "" };
                let plural = if info.cores == 1 { "" } else { "s" };
                say!(out, "  {name:<14}{} core{plural}{memory}{double}: {}", info.cores, info.description);
            }
            Err(error) => say!(out, "  {name:<14}not here: {error}"),
        }
    }
    emit(&out)
}

/// Each OpenCL device by the name that means no other; why there is none has been said of `opencl`.
fn list_opencl(out: &mut String) {
    #[cfg(feature = "opencl")]
    for listed in nbuffer_opencl::list().unwrap_or_default() {
        say!(out, "  {:<14}{} of {}", listed.name, listed.device, listed.platform);
    }
    #[cfg(not(feature = "opencl"))]
    let _ = out;
}
