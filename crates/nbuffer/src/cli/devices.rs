//! `nbuffer devices`: what is here, what is not and why.

use std::sync::Arc;

use nbuffer::{Device, Engine};

use super::engine::Libraries;
use super::{Status, emit};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    libraries: Libraries,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let mut out = String::new();
    say!(out, "engines");
    for name in nbuffer_onnx::ENGINES {
        match args.libraries.engine(name) {
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
        if name.contains("NAME") {
            say!(out, "  {name:<14}{}", metis_by_name());
            continue;
        }
        let device: Box<dyn Device> = nbuffer::device(&name, &engine)?;
        let checked = device.check();
        // Some devices know what they are only once they have been looked for.
        let info = device.info();
        match checked {
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

#[cfg(feature = "metis")]
fn metis_by_name() -> String {
    let names = nbuffer_axruntime::AxDevice::new(None, None).names().unwrap_or_default();
    let here =
        if names.is_empty() { "none is here".to_owned() } else { format!("here: {}", names.join(", ")) };
    format!("one Metis of several, by the name its runtime gives it; {here}")
}

#[cfg(not(feature = "metis"))]
fn metis_by_name() -> &'static str {
    unreachable!("the name is known with the feature alone")
}
