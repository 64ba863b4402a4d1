//! `nbuffer inspect`: a model's tensors, and what buffering it takes.

use std::path::PathBuf;
use std::sync::Arc;

use nbuffer::tensor::TensorInfo;
use nbuffer::{Compute, Model};
use serde_json::json;

use super::engine::EngineArgs;
use super::{Status, emit};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model directory, or a plain .onnx file
    model: PathBuf,
    #[command(flatten)]
    engine: EngineArgs,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let mut out = String::new();
    let model = Arc::new(Model::open(&args.model)?);
    let engine = args.engine.engine()?;
    // Loading the graph shows whether it agrees with the manifest.
    let compute = Compute::new(&model, &engine)?;
    let set_bytes: usize = compute.inputs().iter().chain(compute.outputs()).map(TensorInfo::size).sum();
    if args.json {
        let tensors = |tensors: &[TensorInfo]| tensors.iter().map(tensor_json).collect::<Vec<_>>();
        let value = json!({
            "format": 1,
            "model": model.name,
            "computed_by": compute.describe(),
            "batch": compute.batch(),
            "inputs": tensors(compute.inputs()),
            "outputs": tensors(compute.outputs()),
            "model_bytes": model.model_bytes,
            "kernel_time_s": model.kernel_s,
            "labels": model.labels.as_ref().map(Vec::len),
            "buffer_set_bytes": set_bytes,
        });
        say!(out, "{value:#}");
        return emit(&out);
    }
    say!(out, "{} (batch {}), computed by {}", model.name, compute.batch(), compute.describe());
    for (what, tensors) in [("input", compute.inputs()), ("output", compute.outputs())] {
        for info in tensors {
            describe(&mut out, what, info);
        }
    }
    if let Some(p) = &model.preprocess {
        say!(out, "  images to {} x {} (h x w), mean {:?}, std {:?}", p.height, p.width, p.mean, p.std);
    }
    if let Some(labels) = &model.labels {
        say!(out, "  {} classes: {}", labels.len(), shortened(labels));
    }
    if let Some(kernel_s) = model.kernel_s {
        say!(out, "  kernel time on a simulated device: {kernel_s} s");
    }
    say!(out, "  weights and constants: {} B", model.model_bytes);
    say!(out, "memory for N buffer sets of a lane, on the host and again on the device");
    for n in [1, 2, 3, 4, 6, 8] {
        say!(out, "  N = {n}: {} B", n * set_bytes);
    }
    emit(&out)
}

fn describe(out: &mut String, what: &str, info: &TensorInfo) {
    say!(out, "  {what} `{}`: {} {:?}, {} B", info.name(), info.dtype(), info.shape(), info.size());
    if info.shape() != info.unpadded_shape() {
        say!(
            out,
            "    of which data {:?}, padding {:?} with {}",
            info.unpadded_shape(),
            info.padding(),
            info.pad_value()
        );
    }
    if info.scale() != 1.0 || info.zero_point() != 0 {
        say!(out, "    real = (q - {}) * {}", info.zero_point(), info.scale());
    }
}

fn tensor_json(info: &TensorInfo) -> serde_json::Value {
    json!({
        "name": info.name(),
        "dtype": info.dtype().name(),
        "shape": info.shape(),
        "unpadded_shape": info.unpadded_shape(),
        "padding": info.padding(),
        "scale": info.scale(),
        "zero_point": info.zero_point(),
        "size": info.size(),
    })
}

fn shortened(labels: &[String]) -> String {
    let shown = labels.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ");
    if labels.len() > 12 { format!("{shown}, ...") } else { shown }
}
