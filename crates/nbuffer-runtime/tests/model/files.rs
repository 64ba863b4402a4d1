//! Builds model directories: a good one to start from, and ways to change one thing.

use std::fs;
use std::path::PathBuf;

use nbuffer_runtime::Model;
use nbuffer_runtime::model::ModelError;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A model directory in the making. The two JSON files are written by [`ModelFiles::open`].
pub(crate) struct ModelFiles {
    dir: TempDir,
    pub(crate) model: Value,
    pub(crate) manifest: Value,
}

impl ModelFiles {
    /// A classifier of 8x8 images at batch 1, with a graph file that is no graph: opening does not read it.
    pub(crate) fn digits() -> Self {
        let files = ModelFiles {
            dir: tempfile::Builder::new().prefix("digits").tempdir().unwrap(),
            model: json!({
                "memory_pools": [{ "memory": "l2", "size": 16384, "blob_file": "pool_l2_const.bin" },
                                 { "memory": "ddr", "size": 4096 }],
                "made_by": "a compiler this version knows nothing of",
                "nbuffer": {
                    "format": 1,
                    "graph": "digits.onnx",
                    "kernel_time_s": 0.002,
                    "preprocess": { "height": 8, "width": 8, "mean": [0, 0.5, 0], "std": [1, 0.25, 1] },
                    "labels": "labels.txt"
                }
            }),
            manifest: json!({
                "manifest_version": "1.0",
                "quantized_model_file": null,
                "model_lib_file": "model.json",
                "preprocess_graph": "",
                "postprocess_graph": null,
                "quantize_params": [[0.003919653594, -128]],
                "dequantize_params": [[0.1, 146]],
                "input_shapes": [[1, 10, 16, 4]],
                "input_shapes_original": [[1, 3, 8, 8]],
                "output_shapes": [[1, 1, 1, 64]],
                "output_shapes_original": [[1, 10]],
                "n_padded_ch_inputs": [[0, 0, 1, 1, 1, 7, 0, 1]],
                "n_padded_ch_outputs": [[0, 0, 0, 0, 0, 0, 0, 54]],
                "input_tensor_layout": "NHWC",
                "unknown": { "to": ["this", "version"] }
            }),
        };
        files.write("digits.onnx", "graph");
        files.write("labels.txt", "zero\none\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n");
        files
    }

    /// A model of a built-in kernel with one input and one output.
    pub(crate) fn built_in(kernel: &str, input: Value, output: Value) -> Self {
        let mut files = ModelFiles::digits();
        files.model = json!({ "nbuffer": { "format": 1, "kernel": kernel } });
        files.manifest = json!({
            "quantize_params": [[1.0, 0]], "dequantize_params": [[1.0, 0]],
            "input_shapes": [input], "output_shapes": [output],
        });
        files
    }

    /// A kernel of the model's own with all forms there are, over eight float32.
    pub(crate) fn power() -> Self {
        let mut files = ModelFiles::digits();
        files.model = json!({ "nbuffer": { "format": 1, "program": {
            "cpu": "power",
            "opencl": { "source": "power.cl", "entry": "power", "options": "-cl-std=CL1.2" },
            "cuda": { "ptx": "power.ptx", "entry": "power" },
            "global": [8], "local": [4],
            "args": [{ "input": 0 }, { "output": 0 }, { "u32": 7 }, { "u32": 8 }]
        } } });
        files.manifest = json!({
            "input_shapes": [[1, 8]], "output_shapes": [[1, 8]],
            "input_dtypes": ["float32"], "output_dtypes": ["float32"],
        });
        files.write("power.cl", "code");
        files.write("power.ptx", "code");
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Sets a field of `model.json`, named by JSON pointer, whose parent exists.
    pub(crate) fn set_model(&mut self, pointer: &str, value: Value) {
        set(&mut self.model, pointer, value);
    }

    /// Sets a field of `manifest.json`.
    pub(crate) fn set_manifest(&mut self, pointer: &str, value: Value) {
        set(&mut self.manifest, pointer, value);
    }

    /// Writes both JSON files and opens the directory.
    pub(crate) fn open(&self) -> Result<Model, ModelError> {
        self.write("model.json", serde_json::to_vec_pretty(&self.model).unwrap());
        self.write("manifest.json", serde_json::to_vec_pretty(&self.manifest).unwrap());
        self.open_as_written()
    }

    /// Opens the directory with the files as they are.
    pub(crate) fn open_as_written(&self) -> Result<Model, ModelError> {
        Model::open(self.dir.path())
    }
}

fn set(root: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = root.pointer_mut(parent).unwrap_or_else(|| panic!("no parent of {pointer}"));
    match parent {
        Value::Array(list) => match key.parse::<usize>() {
            Ok(idx) => list[idx] = value,
            Err(_) => list.push(value), // "-" appends, as in RFC 6902
        },
        Value::Object(object) => {
            object.insert(key.to_owned(), value);
        }
        other => panic!("{other} has no fields"),
    }
}
