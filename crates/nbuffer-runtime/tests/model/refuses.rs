//! One thing is broken at a time; the message must name the file and the field, and say what is wrong.

use std::fs;

use nbuffer_runtime::Model;
use nbuffer_runtime::model::{ModelError, read_labels};
use serde_json::{Value, json};

use crate::files::ModelFiles;

/// The message of a refused model must name `file`, and `field` where there is one, and contain `says`.
fn check(refused: Result<Model, ModelError>, file: &str, field: Option<&str>, says: &str) {
    let message = match refused {
        Ok(model) => panic!("opened, should say {says:?} of {file} {field:?}: {model:?}"),
        Err(error) => error.to_string(),
    };
    let names_file = message.contains(&format!("/{file}`"));
    let names_field = field.is_none_or(|field| message.contains(&format!(", field `{field}`: ")));
    assert!(
        names_file && names_field && message.contains(says),
        "should name {file}, {field:?} and say {says:?}: {message}"
    );
    assert!(!message.ends_with('.'), "{message}");
}

/// Puts one value into `manifest.json` of a good model and expects it refused.
fn check_manifest(pointer: &str, value: Value, field: &str, says: &str) {
    let mut files = ModelFiles::digits();
    files.set_manifest(pointer, value);
    check(files.open(), "manifest.json", Some(field), says);
}

/// Puts one value into `model.json` of a good model and expects it refused.
fn check_model(pointer: &str, value: Value, field: &str, says: &str) {
    let mut files = ModelFiles::digits();
    files.set_model(pointer, value);
    check(files.open(), "model.json", Some(field), says);
}

/// Puts one value into `model.json` of a good model with a program and expects it refused.
fn check_program(pointer: &str, value: Value, field: &str, says: &str) {
    let mut files = ModelFiles::power();
    files.set_model(pointer, value);
    check(files.open(), "model.json", Some(field), says);
}

#[test]
fn a_path_that_is_no_model() {
    let files = ModelFiles::digits();
    let open = |name: &str| Model::open(files.path(name));
    check(open("nothing"), "nothing", None, "is missing: a model is a directory");
    check(open("labels.txt"), "labels.txt", None, "is not a model: give a directory");
    files.write("empty.onnx", "");
    check(open("empty.onnx"), "empty.onnx", None, "is empty");
    fs::create_dir(files.path("other.onnx")).unwrap();
    check(open("other.onnx"), "other.onnx/model.json", None, "is missing");
}

#[test]
fn a_missing_file() {
    for name in ["model.json", "manifest.json"] {
        let files = ModelFiles::digits();
        files.open().unwrap();
        fs::remove_file(files.path(name)).unwrap();
        check(files.open_as_written(), name, None, "is missing");
    }
    for (name, field) in [("digits.onnx", "nbuffer.graph"), ("labels.txt", "nbuffer.labels")] {
        let files = ModelFiles::digits();
        fs::remove_file(files.path(name)).unwrap();
        check(files.open(), "model.json", Some(field), &format!("`{name}`, which is not in the model"));
    }
    check_manifest("/postprocess_graph", json!("post.onnx"), "postprocess_graph", "not in the model");
}

#[test]
fn a_file_that_is_not_json() {
    for name in ["model.json", "manifest.json"] {
        let files = ModelFiles::digits();
        files.open().unwrap();
        let whole = fs::read(files.path(name)).unwrap();

        files.write(name, &whole[..whole.len() / 2]);
        check(files.open_as_written(), name, None, "EOF while parsing");
        files.write(name, b"\x08\x09onnx");
        check(files.open_as_written(), name, None, "at line 1 column 1");
        files.write(name, "{\n  \"input_shapes\": NaN }");
        check(files.open_as_written(), name, None, "expected value at line 2 column");
        files.write(name, [&whole[..], b"}"].concat());
        check(files.open_as_written(), name, None, "trailing characters");
        files.write(name, "[".repeat(100_000));
        check(files.open_as_written(), name, None, "line 1");
        files.write(name, "");
        check(files.open_as_written(), name, None, "is empty");
        files.write(name, "[]");
        check(files.open_as_written(), name, Some("(top level)"), "invalid");
    }
}

#[test]
fn a_file_too_large_to_be_right() {
    for name in ["model.json", "manifest.json", "labels.txt"] {
        let files = ModelFiles::digits();
        files.open().unwrap();
        // Sparse: it has the size without the bytes.
        fs::File::create(files.path(name)).unwrap().set_len(1 << 40).unwrap();
        check(files.open_as_written(), name, None, "more than the 16777216 B");
    }
}

#[cfg(unix)]
#[test]
fn something_else_than_a_file() {
    for name in ["model.json", "manifest.json", "digits.onnx", "labels.txt"] {
        let files = ModelFiles::digits();
        files.open().unwrap();
        fs::remove_file(files.path(name)).unwrap();
        fs::create_dir(files.path(name)).unwrap();
        check(files.open_as_written(), name, None, "is not a regular file");
    }
    // Opening a pipe that nobody writes to would never end.
    let files = ModelFiles::digits();
    files.open().unwrap();
    fs::remove_file(files.path("manifest.json")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(files.path("manifest.json")).status().unwrap();
    assert!(made.success());
    check(files.open_as_written(), "manifest.json", None, "is not a regular file");
}

#[test]
fn another_format_version() {
    check_model("/nbuffer/format", json!(2), "nbuffer.format", "is 2, this version reads format 1");
    check_model("/nbuffer/format", json!("1"), "nbuffer.format", "is \"1\"");
    check_model("/nbuffer/format", json!(1.0), "nbuffer.format", "is 1.0");
    check_model("/nbuffer/format", json!(-1), "nbuffer.format", "is -1");
    check_model("/nbuffer/format", Value::Null, "nbuffer.format", "is missing; write it like 1");
    check_model("/nbuffer", json!({ "graph": "digits.onnx" }), "nbuffer.format", "is missing");
    check_model("/nbuffer", Value::Null, "nbuffer", "it is written like {\"format\": 1");
    check_model("/nbuffer", json!("yes"), "nbuffer", "expected an object");
    // A newer version may well have keys this one does not know: the version is the news.
    let newer = json!({ "format": 2, "graphs": ["a.onnx"] });
    check_model("/nbuffer", newer, "nbuffer.format", "is 2");
}

#[test]
fn unknown_keys_in_the_own_section() {
    check_model("/nbuffer/label", json!("labels.txt"), "nbuffer.label", "unknown field `label`");
    let field = "nbuffer.preprocess.mode";
    check_model("/nbuffer/preprocess/mode", json!("crop"), field, "unknown field `mode`");
}

#[test]
fn fields_of_another_type() {
    check_model("/nbuffer/graph", json!(7), "nbuffer.graph", "expected a string");
    check_model(
        "/nbuffer/kernel",
        json!("invert"),
        "nbuffer.kernel",
        "expected one of `identity`, `checksum`, `compiled`",
    );
    check_model("/nbuffer/kernel_time_s", json!("2ms"), "nbuffer.kernel_time_s", "it is written like 0.002");
    check_model("/nbuffer/preprocess/height", json!(-8), "nbuffer.preprocess.height", "integer `-8`");
    check_model("/nbuffer/preprocess", json!({ "height": 8 }), "nbuffer.preprocess", "missing field `width`");
    check_model("/memory_pools", json!({ "l2": 1 }), "memory_pools", "expected a sequence");
    check_model("/memory_pools/1/memory", json!("l3"), "memory_pools[1].memory", "expected `l2` or `ddr`");
    check_model("/memory_pools/0/size", json!(-1), "memory_pools[0].size", "integer `-1`");

    for (field, sample) in [
        ("input_shapes", "[[1, 230, 240, 4]]"),
        ("output_shapes", "[[1, 230, 240, 4]]"),
        ("input_shapes_original", "[[1, 3, 224, 224]]"),
        ("output_shapes_original", "[[1, 3, 224, 224]]"),
        ("quantize_params", "[[0.0039, -128]]"),
        ("dequantize_params", "[[0.0039, -128]]"),
        ("n_padded_ch_inputs", "[[0, 0, 3, 3"),
        ("n_padded_ch_outputs", "[[0, 0, 3, 3"),
        ("input_tensor_layout", "\"NHWC\""),
        ("manifest_version", "\"1.0\""),
        ("quantized_model_file", "\"postprocess_graph.onnx\""),
        ("model_lib_file", "\"postprocess_graph.onnx\""),
        ("model_params_file", "\"postprocess_graph.onnx\""),
        ("preprocess_graph", "\"postprocess_graph.onnx\""),
        ("postprocess_graph", "\"postprocess_graph.onnx\""),
    ] {
        let says = format!("; it is written like {sample}");
        check_manifest(&format!("/{field}"), json!({ "a": 1 }), field, &says);
    }
    check_manifest("/input_shapes", json!([1, 10, 16, 4]), "input_shapes[0]", "integer `1`");
    check_manifest("/input_shapes/0/1", json!(-10), "input_shapes[0][1]", "integer `-10`");
    check_manifest("/input_shapes/0/1", json!(1e30), "input_shapes[0][1]", "floating point `1e+30`");
    check_manifest("/input_shapes/0/1", json!("10"), "input_shapes[0][1]", "string \"10\"");
    check_manifest("/n_padded_ch_inputs/0/2", json!(-1), "n_padded_ch_inputs[0][2]", "integer `-1`");
}

#[test]
fn required_lists_that_are_missing() {
    for field in ["input_shapes", "output_shapes", "quantize_params", "dequantize_params"] {
        let mut files = ModelFiles::digits();
        files.manifest.as_object_mut().unwrap().remove(field).unwrap();
        check(files.open(), "manifest.json", Some(field), "is missing; write it like [[");
        check_manifest(&format!("/{field}"), Value::Null, field, "is missing");
    }
}

#[test]
fn no_inputs_or_no_outputs() {
    check_manifest("/input_shapes", json!([]), "input_shapes", "is an empty list");
    check_manifest("/output_shapes", json!([]), "output_shapes", "is an empty list");
}

#[test]
fn lists_whose_lengths_disagree() {
    for (field, other) in [
        ("quantize_params", "input_shapes"),
        ("n_padded_ch_inputs", "input_shapes"),
        ("input_shapes_original", "input_shapes"),
        ("dequantize_params", "output_shapes"),
        ("n_padded_ch_outputs", "output_shapes"),
        ("output_shapes_original", "output_shapes"),
    ] {
        let says = format!("has 0 entries where `{other}` has 1");
        check_manifest(&format!("/{field}"), json!([]), field, &says);
    }
    check_manifest(
        "/input_shapes/-",
        json!([1]),
        "quantize_params",
        "has 1 entries where `input_shapes` has 2",
    );
}

#[test]
fn shapes_that_cannot_be() {
    let half = 1_u64 << 32;
    let overflow = json!([1, half, half, 4]);
    check_manifest("/input_shapes/0", overflow, "input_shapes[0]", "more bytes than can be addressed");
    let max = json!([1, u64::MAX, 1, 1]);
    check_manifest("/output_shapes/0", max, "output_shapes[0]", "more bytes than can be addressed");
    let large = json!([1, 1 << 20, 1 << 20, 4]);
    check_manifest("/input_shapes/0", large, "input_shapes[0]", "is a dimension wrong?");
    let rank = json!([1, 1, 1, 1, 1, 1, 1, 1, 1]);
    let mut files = ModelFiles::built_in("identity", rank.clone(), rank);
    check(files.open(), "manifest.json", Some("input_shapes[0]"), "shape has 9 dimensions");
    files.set_manifest("/input_shapes/0", json!([]));
    check(files.open(), "manifest.json", Some("input_shapes[0]"), "holds no element");
    files.set_manifest("/input_shapes/0", json!([0, 8]));
    check(files.open(), "manifest.json", Some("input_shapes[0]"), "holds no element");
}

#[test]
fn scales_and_zero_points_that_cannot_be() {
    for scale in [json!(0), json!(0.0), json!(-0.1), json!(1e-60), json!(1e60), json!(-0.0)] {
        let says = "is not a positive finite number that float32 can hold";
        check_manifest("/quantize_params/0/0", scale.clone(), "quantize_params[0]", says);
        check_manifest("/dequantize_params/0/0", scale, "dequantize_params[0]", says);
    }
    for pair in
        [json!([]), json!([1.0]), json!([1.0, 0, 0]), json!([1.0, 0.5]), json!([1.0, 3e9]), json!([1, 1e300])]
    {
        let says = "is not a scale and a zero point that fits 32 bits";
        check_manifest("/quantize_params/0", pair, "quantize_params[0]", says);
    }
    check_manifest("/quantize_params/0/0", Value::Null, "quantize_params[0][0]", "null");
    // JSON has no NaN and no infinity; Python writes them all the same.
    for number in ["NaN", "Infinity", "-Infinity", "1e999"] {
        let files = ModelFiles::digits();
        files.open().unwrap();
        let manifest = fs::read_to_string(files.path("manifest.json")).unwrap();
        let broken = manifest.replace("0.003919653594", number);
        assert_ne!(manifest, broken);
        files.write("manifest.json", broken);
        let says = "is not valid JSON: in `quantize_params[0][0]`, ";
        check(files.open_as_written(), "manifest.json", None, says);
    }
}

#[test]
fn padding_that_does_not_fit() {
    let field = "n_padded_ch_inputs[0]";
    check_manifest("/n_padded_ch_inputs/0/5", json!(16), field, "(1, 16) of dimension 2 is longer");
    check_manifest("/n_padded_ch_inputs/0/5", json!(u64::MAX), field, "of dimension 2 is longer");
    check_manifest("/n_padded_ch_inputs/0/5", json!(15), field, "leaves nothing of shape [1, 10, 16, 4]");
    check_manifest("/n_padded_ch_inputs/0", json!([0, 0, 1]), field, "has 3 numbers for the 4 dimensions");
    check_manifest("/n_padded_ch_inputs/0/-", json!(0), field, "has 9 numbers for the 4 dimensions");
    let mut files = ModelFiles::digits();
    files.set_manifest("/input_shapes/0/0", json!(2));
    files.set_manifest("/n_padded_ch_inputs/0/1", json!(1));
    check(files.open(), "manifest.json", Some(field), "pads the batch by (0, 1)");
}

#[test]
fn original_shapes_that_disagree() {
    let field = "input_shapes_original[0]";
    let nhwc = json!([1, 8, 8, 3]);
    check_manifest("/input_shapes_original/0", nhwc, field, "padding gives [1, 3, 8, 8]");
    check_manifest("/input_shapes_original/0/3", json!(9), field, "is [1, 3, 8, 9]");
    let field = "output_shapes_original[0]";
    check_manifest("/output_shapes_original/0", json!([1, 11]), field, "gives [1, 10, 1, 1]");
    check_manifest("/output_shapes_original/0", json!([]), field, "is []");
}

#[test]
fn batches_that_differ() {
    let mut files = ModelFiles::digits();
    files.set_manifest("/output_shapes/0/0", json!(4));
    files.set_manifest("/output_shapes_original/0/0", json!(4));
    let says = "has batch 4, `input_shapes[0]` has 1";
    check(files.open(), "manifest.json", Some("output_shapes[0]"), says);
}

#[test]
fn a_layout_other_than_nhwc() {
    check_manifest("/input_tensor_layout", json!("NCHW"), "input_tensor_layout", "only `NHWC` is supported");
}

#[test]
fn paths_that_leave_the_directory() {
    for path in ["../digits.onnx", "a/../../digits.onnx", "/etc/hostname", "..", ".", "./", ""] {
        let says = format!("path `{path}` does not stay within the model directory");
        check_model("/nbuffer/graph", json!(path), "nbuffer.graph", &says);
        check_model("/nbuffer/labels", json!(path), "nbuffer.labels", &says);
    }
    check_model("/nbuffer/graph", json!("a\u{0}b"), "nbuffer.graph", "does not stay within");
    for path in ["../x", "/x"] {
        let says = "does not stay within the model directory";
        let field = "memory_pools[0].blob_file";
        check_model("/memory_pools/0/blob_file", json!(path), field, says);
        for field in [
            "quantized_model_file",
            "model_lib_file",
            "model_params_file",
            "preprocess_graph",
            "postprocess_graph",
        ] {
            check_manifest(&format!("/{field}"), json!(path), field, says);
        }
    }
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_directory() {
    use std::os::unix::fs::symlink;

    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "zero\n").unwrap();
    let mut files = ModelFiles::digits();
    symlink(outside.path().join("secret"), files.path("link")).unwrap();
    symlink(outside.path(), files.path("folder")).unwrap();
    for path in ["link", "folder/secret"] {
        files.set_model("/nbuffer/labels", json!(path));
        check(
            files.open(),
            "model.json",
            Some("nbuffer.labels"),
            "is a link that leaves the model directory",
        );
    }
}

#[test]
fn several_kernels_or_none() {
    check_model(
        "/nbuffer/kernel",
        json!("identity"),
        "nbuffer",
        "has `graph` and `kernel`: give exactly one",
    );
    check_model("/nbuffer/graph", Value::Null, "nbuffer", "has nothing to compute with: give exactly one");
    check_program("/nbuffer/kernel", json!("identity"), "nbuffer", "has `kernel` and `program`");
}

#[test]
fn an_empty_graph() {
    let files = ModelFiles::digits();
    files.write("digits.onnx", "");
    check(files.open(), "digits.onnx", None, "is empty");
}

#[test]
fn built_in_kernels_with_sizes_they_cannot_have() {
    let mut files = ModelFiles::built_in("identity", json!([1, 64]), json!([1, 63]));
    check(files.open(), "model.json", Some("nbuffer.kernel"), "inputs have [64] B and outputs [63] B");
    files.set_manifest("/output_shapes", json!([[1, 64], [1, 64]]));
    files.set_manifest("/dequantize_params", json!([[1, 0], [1, 0]]));
    check(files.open(), "model.json", Some("nbuffer.kernel"), "outputs [64, 64] B");
    files.set_model("/nbuffer/kernel", json!("checksum"));
    check(files.open(), "model.json", Some("nbuffer.kernel"), "to its only output");

    let files = ModelFiles::built_in("checksum", json!([1, 64]), json!([1, 7]));
    check(
        files.open(),
        "model.json",
        Some("nbuffer.kernel"),
        "outputs have [7] B: declare one of at least 8",
    );
}

#[test]
fn kernel_times_that_cannot_be() {
    for kernel_s in [json!(-0.001), json!(3601), json!(1e300)] {
        check_model("/nbuffer/kernel_time_s", kernel_s, "nbuffer.kernel_time_s", "is no kernel time");
    }
}

#[test]
fn preprocessing_that_does_not_fit() {
    let at = |name: &str| format!("nbuffer.preprocess.{name}");
    let pointer = |name: &str| format!("/nbuffer/preprocess/{name}");
    check_model(&pointer("height"), json!(10), &at("height"), "is 10, the first input holds 8");
    check_model(&pointer("width"), json!(0), &at("width"), "is 0, the first input holds 8");
    for std in [json!(0), json!(-1), json!(1e-300), json!(1e300)] {
        check_model(&pointer("std/2"), std, &at("std[2]"), "cannot be divided by");
    }
    check_model(&pointer("mean/1"), json!(1e300), &at("mean[1]"), "is not a finite number");
    check_model(&pointer("mean"), json!([0.5]), &at("mean"), "has 1 numbers: give three");
    check_model(&pointer("std"), json!([1, 1, 1, 1]), &at("std"), "has 4 numbers: give three");

    let mut files = ModelFiles::digits();
    files.set_manifest("/n_padded_ch_inputs/0/7", json!(0));
    files.set_manifest("/input_shapes_original", Value::Null);
    check(files.open(), "model.json", Some("nbuffer.preprocess"), "holds [1, 8, 8, 4] without padding");
    files.set_manifest("/input_shapes", json!([[1, 10, 16, 4], [1, 8]]));
    files.set_manifest("/quantize_params/-", json!([1, 0]));
    files.set_manifest("/n_padded_ch_inputs/-", json!([0, 0, 0, 0]));
    check(files.open(), "model.json", Some("nbuffer.preprocess"), "the model has 2 inputs");
}

#[test]
fn labels_that_do_not_fit() {
    let files = ModelFiles::digits();
    files.write("labels.txt", "");
    check(files.open(), "labels.txt", None, "is empty");
    files.write("labels.txt", "\n \n");
    check(files.open(), "labels.txt", None, "is empty");
    files.write("labels.txt", "zero\n\ntwo\n");
    check(files.open(), "labels.txt", None, "line 2: the label is empty");
    files.write("labels.txt", b"zero\n\xff\n");
    check(files.open(), "labels.txt", None, "from byte 5 on");
    files.write("labels.txt", "zero\none\n");
    check(files.open(), "model.json", Some("nbuffer.labels"), "has 2 labels, the outputs have [10] channels");
}

#[test]
fn a_labels_file_on_its_own_that_is_missing() {
    let message = read_labels("no/such/labels.txt").unwrap_err().to_string();
    assert!(message.starts_with("`no/such/labels.txt` cannot be read: "), "{message}");
}

#[test]
fn pools_beyond_counting() {
    check_model("/memory_pools/0/size", json!(u64::MAX), "memory_pools", "more than can be counted");
}

#[test]
fn a_program_without_what_it_needs() {
    let at = |name: &str| format!("nbuffer.program.{name}");
    check_program("/nbuffer/program/global", Value::Null, &at("global"), "it is written like [1048576]");
    check_program("/nbuffer/program/arg", json!([]), &at("arg"), "unknown field `arg`");
    check_program("/nbuffer/program/cpu", json!("cube"), &at("cpu"), "unknown variant `cube`");
    let bare = json!({ "global": [8], "args": [{ "input": 0 }, { "output": 0 }] });
    check_program(
        "/nbuffer/program",
        bare,
        "nbuffer.program",
        "give at least one of `cpu`, `opencl` and `cuda`",
    );

    check_program(
        "/nbuffer/program/opencl/source",
        Value::Null,
        &at("opencl"),
        "has neither `source` and `binary`",
    );
    check_program(
        "/nbuffer/program/cuda/source",
        json!("power.cl"),
        &at("cuda"),
        "has both `source` and `ptx`",
    );
    check_program(
        "/nbuffer/program/cuda/ptx",
        json!("cube.ptx"),
        &at("cuda.ptx"),
        "not in the model directory",
    );
    let outside = "does not stay within the model directory";
    check_program("/nbuffer/program/opencl/source", json!("../power.cl"), &at("opencl.source"), outside);
    for entry in ["", "7th", "a b", "f;"] {
        check_program(
            "/nbuffer/program/cuda/entry",
            json!(entry),
            &at("cuda.entry"),
            "is not the name of a function",
        );
    }
    let files = ModelFiles::power();
    files.write("power.cl", "");
    check(files.open(), "power.cl", None, "is empty");
}

#[test]
fn work_items_that_cannot_be_launched() {
    for (field, sizes) in [
        ("global", json!([])),
        ("global", json!([1, 1, 1, 1])),
        ("global", json!([0])),
        ("global", json!([1_u64 << 32])),
        ("local", json!([0])),
    ] {
        let says = "give 1 to 3 numbers from 1 to 4294967295";
        check_program(&format!("/nbuffer/program/{field}"), sizes, &format!("nbuffer.program.{field}"), says);
    }
    let says = "has 2 dimensions where `global` has 1";
    check_program("/nbuffer/program/local", json!([4, 4]), "nbuffer.program.local", says);
}

#[test]
fn arguments_that_do_not_fit() {
    let args = |args: Value, field: &str, says: &str| {
        check_program("/nbuffer/program/args", args, &format!("nbuffer.program.{field}"), says);
    };
    args(json!([{ "input": 1 }, { "output": 0 }]), "args[0]", "names input 1, the manifest has 1");
    args(json!([{ "input": 0 }, { "output": 7 }]), "args[1]", "names output 7, the manifest has 1");
    args(json!([{ "input": 0 }, { "output": 0 }, { "output": 0 }]), "args[2]", "names output 0 again");
    args(json!([{ "output": 0 }]), "args", "does not have input 0");
    args(json!([{ "input": 0 }]), "args", "does not have output 0");
    args(json!([{ "input": 0 }, { "output": 0 }, { "f32": 1e300 }]), "args[2]", "that float32 can hold");
    args(json!([{ "input": 0 }, { "output": 0 }, { "u32": -1 }]), "args[2].u32", "integer `-1`");
    args(json!([{ "input": 0 }, { "output": 0 }, { "f64": 1.0 }]), "args[2]", "unknown variant `f64`");
}

#[test]
fn a_built_in_form_of_other_arguments_or_tensors() {
    let field = "nbuffer.program.cpu";
    check_program(
        "/nbuffer/program/cpu",
        json!("saxpy"),
        field,
        "`saxpy` takes input 0, input 1, output 0, f32 a",
    );
    check_program(
        "/nbuffer/program/args/3",
        json!({ "u32": 9 }),
        field,
        "`power` takes input 0, output 0, u32 power",
    );
    check_program("/nbuffer/program/args/2", json!({ "i32": 7 }), field, "`power` takes");
    let mut files = ModelFiles::power();
    files.set_manifest("/output_dtypes/0", json!("int32"));
    check(files.open(), "model.json", Some(field), "with tensors of n float32 or uint32");
}

#[test]
fn element_types_that_cannot_be() {
    let check_dtypes = |pointer: &str, value: Value, field: &str, says: &str| {
        let mut files = ModelFiles::power();
        files.set_manifest(pointer, value);
        check(files.open(), "manifest.json", Some(field), says);
    };
    check_dtypes("/input_dtypes/0", json!("float64"), "input_dtypes[0]", "unknown variant `float64`");
    check_dtypes("/input_dtypes", json!([]), "input_dtypes", "has 0 entries where `input_shapes` has 1");
    check_dtypes("/input_dtypes", Value::Null, "quantize_params", "is missing");
    check_dtypes("/quantize_params", json!([[0.5, 0]]), "quantize_params[0]", "a tensor that is not int8");
    let padding = json!([[0, 0, 0, 1]]);
    check_dtypes("/n_padded_ch_outputs", padding, "n_padded_ch_outputs[0]", "only int8 tensors are padded");

    let mut files = ModelFiles::digits();
    files.set_manifest("/input_dtypes", json!(["float32"]));
    files.set_manifest("/quantize_params/0", json!([1, 0]));
    files.set_manifest("/n_padded_ch_inputs", Value::Null);
    files.set_manifest("/input_shapes/0", json!([1, 8, 8, 3]));
    let says = "computes int8 tensors, but `input_dtypes[0]` is another type";
    check(files.open(), "model.json", Some("nbuffer"), says);
}
