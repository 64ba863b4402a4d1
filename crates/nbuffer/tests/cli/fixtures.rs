//! What the program is run over: models, images, device profiles; and how its files are read.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn digits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/digits")
}

pub(crate) fn digit_images() -> PathBuf {
    digits().join("images")
}

/// The first `n` images of the digits, in the order in which a folder gives them.
pub(crate) fn some_images(n: usize) -> Vec<PathBuf> {
    let in_order = |folder: &Path| {
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let images: Vec<_> = in_order(&digit_images()).iter().flat_map(|class| in_order(class)).take(n).collect();
    assert_eq!(images.len(), n);
    images
}

/// A place for a test's files, gone when it ends.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Desk(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A folder with the first `n` images of the digits, called `00.png` and so on.
    pub(crate) fn images(&self, n: usize) -> PathBuf {
        let folder = self.path("images");
        fs::create_dir_all(&folder).unwrap();
        for (i, image) in some_images(n).iter().enumerate() {
            fs::copy(image, folder.join(format!("{i:02}.png"))).unwrap();
        }
        folder
    }

    /// The model of the digits, to be damaged.
    pub(crate) fn digits(&self) -> PathBuf {
        for file in ["model.json", "manifest.json", "labels.txt", "digits_int8.onnx"] {
            self.write(&format!("model/{file}"), fs::read(digits().join(file)).unwrap());
        }
        self.path("model")
    }

    /// The model that answers with a checksum of its input. Its kernel takes the time that its device says.
    pub(crate) fn checksum(&self) -> PathBuf {
        let checksum = digits().join("../checksum");
        let mut model: Value =
            serde_json::from_slice(&fs::read(checksum.join("model.json")).unwrap()).unwrap();
        model["nbuffer"].as_object_mut().unwrap().remove("kernel_time_s").unwrap();
        self.write("checksum/model.json", model.to_string());
        self.write("checksum/manifest.json", fs::read(checksum.join("manifest.json")).unwrap());
        self.path("checksum")
    }

    /// A model that gives every image of `side` x `side` pixels back, so that results tell images apart and
    /// cost next to nothing.
    pub(crate) fn identity(&self, side: usize) -> PathBuf {
        let shape = json!([[1, side, side, 4]]);
        let original = json!([[1, 3, side, side]]);
        let padding = json!([[0, 0, 0, 0, 0, 0, 0, 1]]);
        let model = json!({
            "inputs": [{"shape": [1, side, side, 4]}],
            "memory_pools": [],
            "nbuffer": {"format": 1, "kernel": "identity", "kernel_time_s": 0.0005},
        });
        let manifest = json!({
            "manifest_version": "1.0",
            "quantized_model_file": null,
            "model_lib_file": "model.json",
            "model_params_file": null,
            "preprocess_graph": null,
            "postprocess_graph": null,
            "quantize_params": [[1.0 / 255.0, -128]],
            "dequantize_params": [[1.0 / 255.0, -128]],
            "input_shapes": shape,
            "output_shapes": shape,
            "input_shapes_original": original,
            "output_shapes_original": original,
            "n_padded_ch_inputs": padding,
            "n_padded_ch_outputs": padding,
            "input_tensor_layout": "NHWC",
        });
        self.write("identity/model.json", model.to_string());
        self.write("identity/manifest.json", manifest.to_string());
        self.path("identity")
    }

    /// The name of a lockstep device of 4 cores, with more lines for the head and the end of its profile.
    pub(crate) fn lockstep(&self, head: &str, end: &str) -> String {
        self.device("lockstep", head, end)
    }

    /// The name of a queued device of 4 kernel instances, with more lines for the head of its profile.
    pub(crate) fn queued(&self, head: &str) -> String {
        self.device("queued", head, "")
    }

    fn device(&self, class: &str, head: &str, end: &str) -> String {
        self.device_of(&format!(
            "class = \"{class}\"\ncores = 4\nkernel_time = \"1ms\"\n{head}\n\
             [link]\nduplex = \"full\"\nwrite_time = \"100us\"\nread_time = \"100us\"\n{end}\n"
        ))
    }

    /// The name of a device with this profile.
    pub(crate) fn device_of(&self, text: &str) -> String {
        format!("sim:{}", self.write("device.toml", text).display())
    }

    /// The name of a device with one planned fault.
    pub(crate) fn faulty_device(&self, fault: &str) -> String {
        self.lockstep("", &format!("[[fault]]\n{fault}"))
    }

    /// The lines that a run wrote with `--output`, checked for what holds of all of them.
    #[track_caller]
    pub(crate) fn output(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &lines {
            let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
            assert!(
                keys == ["result", "sequence", "source"] || keys == ["error", "sequence", "source"],
                "{line}"
            );
        }
        lines
    }

    /// The same of a run in order: items are numbered from 0 without a gap.
    #[track_caller]
    pub(crate) fn output_in_order(&self, name: &str) -> Vec<Value> {
        let lines = self.output(name);
        for (sequence, line) in lines.iter().enumerate() {
            assert_eq!(line["sequence"], sequence, "{line}");
        }
        lines
    }

    /// The summary that a run wrote with `--summary`, checked for what holds of all of them.
    #[track_caller]
    pub(crate) fn summary(&self, name: &str) -> Value {
        let summary: Value = serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap();
        check_summary(&summary);
        summary
    }
}

/// The items of a summary: taken, ok, failed, cancelled.
pub(crate) fn items(summary: &Value) -> [u64; 4] {
    ["taken", "ok", "failed", "cancelled"].map(|key| summary["items"][key].as_u64().expect(key))
}

#[track_caller]
fn check_summary(summary: &Value) {
    let is = |pointer: &str, check: fn(&Value) -> bool| {
        let value = summary.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {summary:#}"));
        assert!(check(value), "{pointer} is {value}");
    };
    let numbers = |section: &str, keys: &[&str]| {
        for key in keys {
            is(&format!("{section}/{key}"), |v| v.as_f64().is_some_and(|n| n.is_finite() && n >= 0.0));
        }
    };
    is("/format", |v| *v == 1);
    is("/model", Value::is_string);
    is("/device", |v| v.as_array().is_some_and(|d| !d.is_empty() && d.iter().all(Value::is_string)));
    is("/engine", Value::is_string);
    is("/buffers/chosen_by", |v| *v == "auto" || *v == "user");
    is("/buffers/why", Value::is_string);
    is("/double_buffer", Value::is_boolean);
    is("/interrupted", Value::is_boolean);
    for count in ["/lanes", "/buffers/depth", "/host_threads"] {
        is(count, |v| v.as_u64().is_some_and(|n| n > 0));
    }
    numbers("", &["wall_s", "items_per_s"]);
    is("/bytes/host", Value::is_u64);
    is("/bytes/device", Value::is_u64);
    let [taken, ok, failed, cancelled] = items(summary);
    assert_eq!(taken, ok + failed + cancelled, "every item ends exactly once");
    let stages = summary["stages"].as_object().unwrap();
    for (name, _) in stages {
        assert!(["preprocess", "write", "kernel", "read", "postprocess"].contains(&name.as_str()), "{name}");
        numbers(&format!("/stages/{name}"), &["mean_s", "p50_s", "p99_s", "busy_s"]);
    }
    if ok > 0 {
        numbers("/latency_s", &["mean", "p50", "p90", "p99", "max"]);
    }
    if summary.get("kernel").is_some() {
        numbers("/kernel", &["busy_s", "downtime_s", "downtime_fraction", "fill_s", "drain_s"]);
        is("/kernel/downtime_fraction", |v| v.as_f64().is_some_and(|share| share <= 1.0));
    }
    if summary.get("plan").is_some() {
        numbers("/plan", &["period_s", "measured_period_s", "efficiency"]);
        is("/plan/binding", |v| {
            ["device", "write", "read", "link", "host", "cores", "buffers", "source"]
                .iter()
                .any(|name| v == name)
        });
        is("/plan/slack", |v| v.as_object().is_some_and(|s| s.values().all(Value::is_number)));
        is("/plan/buffers_enough", Value::is_u64);
        is("/plan/host_threads_enough", Value::is_u64);
        // Over a few items, cold caches weigh on the mean stage times and not on the period.
        if ok >= 100 {
            is("/plan/efficiency", |v| v.as_f64().is_some_and(|e| e <= 1.05));
        }
    }
}
