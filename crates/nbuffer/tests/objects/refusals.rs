//! What is refused, with which kind of error, in which words.

use nbuffer::objects::{Context, DeviceChoice, Error, ErrorKind, InstanceOptions, Settings};

use super::fixtures::{engine, load, lockstep, model_path};

fn check(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "`{error}` lacks `{words}`");
}

#[test]
fn buffers_of_the_wrong_number_or_size() {
    let context = lockstep("");
    let (_, instance) = load(&context, "checksum", &InstanceOptions::default());
    let (input, mut output) = ([0; 256], [0; 64]);
    let invalid = ErrorKind::InvalidArgument;
    let error = instance.run(&[], &mut [&mut output]).unwrap_err();
    check(&error, invalid, "0 input buffers were given, the model has 1 inputs");
    let error = instance.run(&[&input], &mut []).unwrap_err();
    check(&error, invalid, "0 output buffers were given, the model has 1 outputs");
    let error = instance.run(&[&input[1..]], &mut [&mut output]).unwrap_err();
    check(
        &error,
        invalid,
        "input 0 (`input_0`) has 255 B, 256 B are needed: int8 of the padded shape [1, 8, 8, 4]",
    );
    let error = instance.run(&[&input], &mut [&mut output[1..]]).unwrap_err();
    check(&error, invalid, "output 0 (`output_0`) has 63 B, 64 B are needed");
    instance.run(&[&input], &mut [&mut output]).unwrap();
}

#[test]
fn devices_and_cores_that_are_not_there() {
    let context = lockstep("");
    let connect = |device, cores| context.device_connect(device, cores).unwrap_err();
    let invalid = ErrorKind::InvalidArgument;
    check(
        &connect(DeviceChoice::Named("metis-0:1:0"), 1),
        invalid,
        "there is no device `metis-0:1:0`; the context has sim:",
    );
    check(&connect(DeviceChoice::Ordinal(1), 1), invalid, "there is no device number 1");
    check(&connect(DeviceChoice::First, 5), invalid, "has 4 cores, 5 were asked for; connect with 1 to 4");
    check(&connect(DeviceChoice::First, 0), invalid, "has 4 cores, 0 were asked for");
    let empty = Context::new(Vec::new(), &engine(), Settings::default());
    let error = empty.device_connect(DeviceChoice::First, 1).unwrap_err();
    check(&error, ErrorKind::Connection, "there is no device at all; the context has none");
    let error = Context::open(["warp"], &engine(), Settings::default()).unwrap_err();
    check(&error, invalid, "there is no device `warp`");
}

#[test]
fn the_first_device_with_room_is_taken() {
    let context = Context::open(["sim:metis", "sim:metis"], &engine(), Settings::default()).unwrap();
    let first = context.device_connect(DeviceChoice::Named("sim:metis"), 1).unwrap();
    let second = context.device_connect(DeviceChoice::First, 4).unwrap();
    assert_eq!([first.device().name, second.device().name], ["sim:metis", "sim:metis#1"]);
    let error = context.device_connect(DeviceChoice::First, 4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeviceInUse);
}

#[test]
fn models_that_do_not_fit_or_are_none() {
    let context = lockstep("");
    let error = context.load_model("nowhere/model.json").unwrap_err();
    check(&error, ErrorKind::InvalidArgument, "nowhere/model.json");
    let model = context.load_model(model_path("digits/batch4")).unwrap();
    let connection = context.device_connect(DeviceChoice::First, 3).unwrap();
    let error = connection.load_model_instance(&model, &InstanceOptions::default()).unwrap_err();
    check(&error, ErrorKind::InvalidArgument, "model `batch4` of batch 4 does not fit the 3 cores");
}

#[test]
fn options_the_device_does_not_have() {
    let cpu = Context::open(["cpu"], &engine(), Settings::default()).unwrap();
    let model = cpu.load_model(model_path("checksum")).unwrap();
    let connection = cpu.device_connect(DeviceChoice::First, 1).unwrap();
    for (options, words) in [
        (
            InstanceOptions { double_buffer: true, ..Default::default() },
            "double_buffer is not there on device `cpu`",
        ),
        (InstanceOptions { dma_buf: true, ..Default::default() }, "input_dmabuf and output_dmabuf"),
        (InstanceOptions { async_mode: true, ..Default::default() }, "async_mode"),
    ] {
        let error = connection.load_model_instance(&model, &options).unwrap_err();
        check(&error, ErrorKind::NotImplemented, words);
    }
    let options = InstanceOptions { num_sub_devices: 2, ..Default::default() };
    let error = connection.load_model_instance(&model, &options).unwrap_err();
    check(&error, ErrorKind::InvalidArgument, "needs 2 cores, the Connection has 1 of 1 free");
}

#[test]
fn what_has_no_effect_is_remarked() {
    let context = lockstep("");
    let model = context.load_model(model_path("checksum")).unwrap();
    let connection = context.device_connect(DeviceChoice::First, 4).unwrap();
    let options =
        InstanceOptions::from_properties([("num_sub_devices", "3"), ("host_profiling", "1")]).unwrap();
    let instance = connection.load_model_instance(&model, &options).unwrap();
    assert_eq!(
        instance.remarks(),
        [
            "num_sub_devices=3 changes nothing: the model's batch decides, and takes 1",
            "host_profiling has no effect here"
        ]
    );
}

#[test]
fn tensors_of_a_plain_graph_come_from_the_engine() {
    let context = lockstep("");
    let model = context.load_model(model_path("digits/digits_int8.onnx")).unwrap();
    assert!(!model.inputs().unwrap().is_empty() && !model.outputs().unwrap().is_empty());
    assert_eq!(model.graphs().unwrap(), Default::default());
}
