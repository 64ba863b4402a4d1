use std::fs;
use std::path::Path;

use nbuffer_core::tensor::DType;
use nbuffer_runtime::Model;
use nbuffer_runtime::model::{Argument, Code, CpuForm, DeviceCode, Kernel, Preprocess};
use serde_json::json;

use crate::files::ModelFiles;

#[test]
fn a_directory_gives_tensors_kernel_and_declarations() {
    let files = ModelFiles::digits();
    let model = files.open().unwrap();

    assert!(model.name.starts_with("digits"), "{}", model.name);
    assert_eq!(model.kernel, Kernel::Onnx(files.path("digits.onnx")));
    assert_eq!(model.graph(), Some(files.path("digits.onnx").as_path()));
    assert_eq!(model.batch, 1);
    assert_eq!(model.kernel_s, Some(0.002));
    assert_eq!(model.model_bytes, 16384 + 4096);
    let preprocess = Preprocess { height: 8, width: 8, mean: [0.0, 0.5, 0.0], std: [1.0, 0.25, 1.0] };
    assert_eq!(model.preprocess, Some(preprocess));
    let labels = model.labels.unwrap();
    assert_eq!((labels.len(), labels[0].as_str(), labels[9].as_str()), (10, "zero", "nine"));

    let [input] = &model.inputs[..] else { panic!("one input") };
    assert_eq!((input.name(), input.dtype(), input.size()), ("input_0", DType::I8, 640));
    assert_eq!(input.shape(), [1, 10, 16, 4]);
    assert_eq!(input.padding(), [(0, 0), (1, 1), (1, 7), (0, 1)]);
    assert_eq!((input.scale(), input.zero_point()), (0.003919653594, -128));
    let [output] = &model.outputs[..] else { panic!("one output") };
    assert_eq!((output.name(), output.unpadded_shape()), ("output_0", vec![1, 1, 1, 10]));
    assert_eq!((output.scale(), output.zero_point()), (0.1, 146));
}

#[test]
fn the_path_of_model_json_opens_its_directory() {
    let files = ModelFiles::digits();
    let model = files.open().unwrap();
    assert_eq!(Model::open(files.path("model.json")).unwrap(), model);
}

#[test]
fn the_optional_fields_may_be_left_out_or_null() {
    let mut files = ModelFiles::digits();
    files.model = json!({ "nbuffer": { "format": 1, "graph": "digits.onnx", "kernel_time_s": null } });
    for field in ["n_padded_ch_outputs", "output_shapes_original", "input_tensor_layout", "manifest_version"]
    {
        files.manifest.as_object_mut().unwrap().remove(field).unwrap();
    }
    let model = files.open().unwrap();

    assert_eq!((model.kernel_s, model.preprocess, model.labels), (None, None, None));
    assert_eq!(model.model_bytes, "graph".len() as u64);
    assert_eq!(model.outputs[0].padding(), [(0, 0); 4]);
}

#[test]
fn every_tensor_shares_the_batch() {
    let mut files = ModelFiles::digits();
    files.set_manifest("/input_shapes/0/0", json!(4));
    files.set_manifest("/input_shapes_original/0/0", json!(4));
    files.set_manifest("/output_shapes/0/0", json!(4));
    files.set_manifest("/output_shapes_original/0/0", json!(4));
    assert_eq!(files.open().unwrap().batch, 4);
}

#[test]
fn a_zero_point_may_be_written_as_a_float() {
    let mut files = ModelFiles::digits();
    files.set_manifest("/quantize_params/0", json!([0.5, -128.0]));
    assert_eq!(files.open().unwrap().inputs[0].zero_point(), -128);
}

#[test]
fn built_in_kernels_need_no_graph() {
    let identity = ModelFiles::built_in("identity", json!([2, 4, 4, 4]), json!([2, 1, 1, 64]));
    let model = identity.open().unwrap();
    assert_eq!((&model.kernel, model.graph()), (&Kernel::Identity, None));
    assert_eq!((model.batch, model.model_bytes), (2, 0));

    let checksum = ModelFiles::built_in("checksum", json!([1, 4, 4, 4]), json!([1, 8]));
    assert_eq!(checksum.open().unwrap().kernel, Kernel::Checksum);
}

#[test]
fn a_program_gives_code_geometry_arguments_and_types() {
    let mut files = ModelFiles::power();
    let model = files.open().unwrap();
    let Kernel::Program(program) = &model.kernel else { panic!("{:?}", model.kernel) };
    let code = |code, options: &str| DeviceCode { code, entry: "power".into(), options: options.into() };
    assert_eq!(program.cpu, Some(CpuForm::Power));
    assert_eq!(program.opencl, Some(code(Code::Source(files.path("power.cl")), "-cl-std=CL1.2")));
    assert_eq!(program.cuda, Some(code(Code::Binary(files.path("power.ptx")), "")));
    assert_eq!((&program.global[..], program.local.as_deref()), (&[8][..], Some(&[4][..])));
    let args = [Argument::Input(0), Argument::Output(0), Argument::U32(7), Argument::U32(8)];
    assert_eq!(program.args, args);
    assert_eq!((model.inputs[0].dtype(), model.inputs[0].size()), (DType::F32, 32));
    assert_eq!((model.graph(), model.model_bytes), (None, 0));

    // One device is enough, `local` may be its own, and types may differ per tensor.
    files.model = json!({ "nbuffer": { "format": 1, "program": {
        "cuda": { "source": "power.cl", "entry": "_k2" }, "global": [2, 3, 4],
        "args": [{ "u64": 1_u64 << 40 }, { "i32": -1 }, { "output": 0 }, { "input": 0 }, { "f32": 0.5 }]
    } } });
    files.set_manifest("/input_dtypes/0", json!("uint32"));
    files.set_manifest("/output_dtypes/0", json!("int8"));
    files.set_manifest("/dequantize_params", json!([[0.5, 3]]));
    let model = files.open().unwrap();
    let Kernel::Program(program) = &model.kernel else { panic!("{:?}", model.kernel) };
    assert_eq!((&program.opencl, program.cpu, &program.local), (&None, None, &None));
    assert_eq!((program.args[0], program.args[4]), (Argument::U64(1 << 40), Argument::F32(0.5)));
    assert_eq!((model.inputs[0].dtype(), model.outputs[0].dtype()), (DType::U32, DType::I8));
    assert_eq!((model.outputs[0].scale(), model.outputs[0].zero_point()), (0.5, 3));
}

#[test]
fn a_directory_as_a_compiler_writes_it_is_a_compiled_model() {
    let mut files = ModelFiles::digits();
    files.model.as_object_mut().unwrap().remove("nbuffer");
    let model = files.open().unwrap();
    assert_eq!((&model.kernel, model.graph()), (&Kernel::Compiled(files.path("model.json")), None));
    assert_eq!((model.batch, model.inputs[0].shape(), model.model_bytes), (1, &[1, 10, 16, 4][..], 20480));
    assert_eq!((model.preprocess, model.labels), (None, None));

    // A section may add what a compiler does not know.
    let mut files = ModelFiles::digits();
    let section = files.model["nbuffer"].as_object_mut().unwrap();
    section.remove("graph");
    section.insert("kernel".into(), json!("compiled"));
    let model = files.open().unwrap();
    assert_eq!(model.kernel, Kernel::Compiled(files.path("model.json")));
    assert!(model.preprocess.is_some() && model.labels.is_some());
}

#[test]
fn labels_may_have_windows_line_ends_and_a_byte_order_mark() {
    let files = ModelFiles::digits();
    files.write("labels.txt", "\u{feff}a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\nj\r\n\r\n");
    assert_eq!(files.open().unwrap().labels.unwrap().concat(), "abcdefghij");
}

#[test]
fn files_may_lie_in_folders_and_behind_links_within_the_directory() {
    let mut files = ModelFiles::digits();
    fs::create_dir(files.path("graphs")).unwrap();
    files.write("graphs/digits.onnx", "graph");
    files.set_model("/nbuffer/graph", json!("./graphs/digits.onnx"));
    files.open().unwrap();

    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("graphs/digits.onnx", files.path("link.onnx")).unwrap();
        files.set_model("/nbuffer/graph", json!("link.onnx"));
        files.open().unwrap();
    }
}

#[test]
fn a_plain_onnx_file_opens_with_its_tensors_unknown() {
    let files = ModelFiles::digits();
    let model = Model::open(files.path("digits.onnx")).unwrap();
    assert_eq!(model.name, "digits");
    assert_eq!(model.kernel, Kernel::Onnx(files.path("digits.onnx")));
    assert_eq!((model.inputs.len(), model.outputs.len(), model.batch, model.model_bytes), (0, 0, 1, 5));
}

#[test]
fn every_model_of_this_repository_opens() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    for (name, batch) in [("digits", 1), ("digits/batch4", 4), ("copy", 1), ("checksum", 1)] {
        let model = Model::open(models.join(name)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((model.batch, model.kernel_s.is_some()), (batch, true), "{name}");
        assert_eq!(model.graph().is_some(), model.labels.is_some() && model.preprocess.is_some(), "{name}");
    }
}

#[test]
fn every_kernel_of_this_repository_has_all_forms() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    for (name, form) in [("power", CpuForm::Power), ("saxpy", CpuForm::Saxpy), ("copy-large", CpuForm::Copy)]
    {
        let model = Model::open(models.join(name)).unwrap_or_else(|error| panic!("{error}"));
        let Kernel::Program(program) = &model.kernel else { panic!("{name}: {:?}", model.kernel) };
        assert_eq!((program.cpu, model.kernel_s.is_some()), (Some(form), true), "{name}");
        let (Some(opencl), Some(cuda)) = (&program.opencl, &program.cuda) else { panic!("{name}") };
        for (code, entry) in [(opencl, "__kernel void"), (cuda, ".visible .entry")] {
            let (Code::Source(path) | Code::Binary(path)) = &code.code;
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(&format!("{entry} {}(", code.entry)), "{}", path.display());
        }
    }
}
