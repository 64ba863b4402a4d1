//! What things of a summary are called on a page.

use nbuffer_core::plan::Resource;
use nbuffer_core::summary::{Buffers, Summary};

use super::numbers::plural;

/// What the run was, in a line.
pub(super) fn title(summary: &Summary) -> String {
    let model = summary.model.as_deref().unwrap_or("Stage times");
    if summary.device.is_empty() {
        return format!("{model} in virtual time");
    }
    format!("{model} on {}", devices(summary))
}

/// The devices by name, each once.
pub(super) fn devices(summary: &Summary) -> String {
    let mut names: Vec<&str> = summary.device.iter().map(String::as_str).collect();
    names.dedup();
    names.join(" + ")
}

/// What sets the period, by its name in a summary.
pub(super) fn resource(name: &str) -> &str {
    match name {
        "device" => "the device itself",
        "write" => "the link to the device",
        "read" => "the link from the device",
        "link" => "the link",
        "source" => "the source",
        "host" => "the host threads",
        "preprocess_threads" => "the preprocess threads",
        "postprocess_threads" => "the postprocess threads",
        "cores" => "the cores of this machine",
        "buffers" => "the number of buffer sets",
        "inputs" => "the number of input sets",
        "outputs" => "the number of output sets",
        other => other,
    }
}

pub(super) fn resource_of(of: Resource) -> &'static str {
    resource(of.name())
}

/// Whether `limits` or `limit` follows.
pub(super) fn limited(name: &str) -> &'static str {
    match name {
        "host" | "preprocess_threads" | "postprocess_threads" | "cores" => "limit",
        _ => "limits",
    }
}

/// The letter that the pipeline's texts have for a stage, and what it does.
pub(super) const STAGES: [(&str, &str, &str); 5] = [
    ("preprocess", "Ip", "host work that prepares an input"),
    ("write", "W", "copy to the device"),
    ("kernel", "K", "computing"),
    ("read", "R", "copy from the device"),
    ("postprocess", "Op", "host work on a result"),
];

/// What compute units waited for, by the cause's name in a summary.
pub(super) fn cause(name: &str) -> (&str, &'static str) {
    match name {
        "source_late" => ("the source", "it had no item to give"),
        "host_late" => ("host threads", "the next item was still being preprocessed, or waited for a thread"),
        "write_late" => ("the link to the device", "the next item's input was still on its way"),
        "read_late" => ("the link from the device", "results on their way kept what the next item needed"),
        "no_free_set" => ("a free buffer set", "all of the ring were in use"),
        "launch" => ("the launch", "everything was there; starting a kernel took that long"),
        "results_wait" => ("results to be taken", "they were done and kept their buffer sets"),
        "unknown" => ("not known", "the trace does not tell why"),
        other => (other, ""),
    }
}

/// `7 buffer sets`, or `3 input and 4 output sets`.
pub(super) fn sets(buffers: &Buffers) -> String {
    if buffers.layout == "joint" {
        return plural(buffers.depth as u64, "buffer set");
    }
    format!("{} input and {} output sets", buffers.inputs, buffers.outputs)
}
