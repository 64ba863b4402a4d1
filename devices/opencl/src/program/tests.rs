use nbuffer_runtime::Device;

use super::*;
use crate::OpenClDevice;
use crate::testing::{N, SHIFT, TestModel, device, hardware, shift_args};

fn prepare(device: &OpenClDevice, model: &TestModel) -> Result<Arc<dyn Program>, DeviceError> {
    device.prepare(&Arc::new(model.model.clone()), 1)
}

/// The model is refused, with these words.
#[track_caller]
fn check_refused(change: impl FnOnce(&mut TestModel), words: &[&str]) {
    let Some(device) = device() else { return };
    let mut model = TestModel::new(SHIFT, "shift", shift_args(0));
    change(&mut model);
    let error = prepare(&device, &model).err().expect("it is refused").to_string();
    for word in words {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
}

/// So is an argument list for this entry.
#[track_caller]
fn check_arguments_refused(parameters: &str, args: &[Argument], words: &[&str]) {
    let source = format!("__kernel void entry({parameters}) {{}}");
    check_refused(|model| *model = TestModel::new(&source, "entry", args.to_vec()), words);
}

#[test]
fn what_is_no_kernel_model_is_refused() {
    check_refused(
        |model| model.model.kernel = model::Kernel::Onnx("digits.onnx".into()),
        &["cannot run this", "kernel models only", "run it on `cpu`"],
    );
    check_refused(|model| model.program().opencl = None, &["no code for OpenCL", "`opencl` section"]);
}

#[test]
fn what_the_compiler_says_is_in_the_error() {
    check_refused(
        |model| *model = TestModel::new("__kernel void shift() { nonsense; }", "shift", vec![]),
        &["kernel.cl` does not build", "CL_BUILD_PROGRAM_FAILURE (-11)", "nonsense"],
    );
    check_refused(|model| *model = TestModel::new("", "shift", vec![]), &["kernel.cl"]);
}

#[test]
fn a_file_that_is_missing_and_an_entry_that_is_not_there_are_named() {
    check_refused(
        |model| model.program().opencl.as_mut().unwrap().code = model::Code::Source("nowhere.cl".into()),
        &["`nowhere.cl` cannot be read"],
    );
    check_refused(
        |model| model.program().opencl.as_mut().unwrap().entry = "shaft".into(),
        &["has no entry `shaft`", "CL_INVALID_KERNEL_NAME"],
    );
    check_refused(
        |model| model.program().opencl.as_mut().unwrap().options = "-D X\0".into(),
        &["hold a zero byte"],
    );
}

#[test]
fn arguments_are_what_the_entry_declares() {
    use Argument::{F32, Input, Output, U32, U64};
    let x = "__global const float *x";
    check_refused(
        |model| model.program().args.truncate(3),
        &["takes 4 arguments, `args` in model.json gives 3"],
    );
    check_arguments_refused(
        "__global float *x",
        &[U64(7)],
        &["args[0] is a u64, and the entry declares a pointer"],
    );
    check_arguments_refused(&format!("{x}, uint n"), &[Input(0), F32(1.0)], &["declares uint: give u32"]);
    check_arguments_refused(&format!("{x}, float a"), &[Input(0), U32(1)], &["declares float: give f32"]);
    check_arguments_refused(&format!("{x}, short n"), &[Input(0), U32(1)], &["declares short: give one of"]);
    check_arguments_refused(
        "ulong n",
        &[Input(0)],
        &["is an input, and the entry declares the value `ulong`"],
    );
    check_arguments_refused(x, &[Output(0)], &["is an output, and the entry declares it const"]);
    check_arguments_refused("__constant float *x", &[Output(0)], &["declares it const"]);
    check_arguments_refused(
        "__local float *x",
        &[Input(0)],
        &["in memory that no argument here can stand for"],
    );
    check_arguments_refused("sampler_t s", &[U64(1)], &["declared sampler_t"]);
}

#[test]
fn groups_are_what_the_device_and_the_entry_allow() {
    check_refused(
        |model| model.program().local = Some(vec![1 << 20]),
        &["(`local`) are too large", "at most"],
    );
    let fixed = SHIFT.replace("__kernel", "__kernel __attribute__((reqd_work_group_size(8, 1, 1)))");
    let fixed = || TestModel::new(&fixed, "shift", shift_args(0));
    check_refused(|model| *model = fixed(), &["requires groups of [8, 1, 1]"]);

    let Some(device) = device() else { return };
    let mut model = fixed();
    model.program().local = Some(vec![8]);
    prepare(&device, &model).unwrap();
}

#[test]
fn work_items_are_rounded_up_to_whole_groups() {
    let mut model = TestModel::new(SHIFT, "shift", shift_args(0));
    let program = model.program();
    (program.global, program.local) = (vec![N - 1, 3], Some(vec![16, 3]));
    assert_eq!(Work::new(program), Work { global: vec![N, 3], local: Some(vec![16, 3]) });
}

#[test]
fn a_binary_is_loaded_and_a_damaged_one_refused() {
    let (Some(device), Some(hardware)) = (device(), hardware()) else { return };
    let code = Executable::build(&hardware.context, Code::Source(SHIFT), KEEP_ARGUMENTS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel.bin");
    let binary = || model::Code::Binary(path.clone());
    let mut model = TestModel::new(SHIFT, "shift", shift_args(0));
    model.program().opencl.as_mut().unwrap().code = binary();
    fs::write(&path, code.binary()).unwrap();
    prepare(&device, &model).unwrap();

    fs::write(&path, "nothing of the kind").unwrap();
    check_refused(
        |model| model.program().opencl.as_mut().unwrap().code = binary(),
        &["kernel.bin` does not build"],
    );
}

#[test]
fn a_number_that_could_be_an_address_is_refused() {
    // What a binary keeps of its arguments is the driver's choice; without it, this is the rule.
    let of_binary = |given| mismatch(&ArgumentKind::Unknown, given);
    assert_eq!(of_binary(Argument::Input(0)), None);
    assert_eq!(of_binary(Argument::F32(1.0)), None);
    assert!(of_binary(Argument::U64(1)).unwrap().contains("-cl-kernel-arg-info"));
}

#[test]
fn a_tensor_beyond_the_largest_object_is_refused_before_anything_is_allocated() {
    let Some(hardware) = hardware() else { return };
    let bytes = hardware.found.buffer_bytes_max + 4;
    check_refused(
        |model| {
            let elements = (bytes / 4) as usize;
            model.model.inputs = vec![TensorInfo::float32("input_0", [1, elements]).unwrap()];
        },
        &["tensor `input_0`", &bytes.to_string(), &hardware.found.buffer_bytes_max.to_string()],
    );
}

#[test]
fn memory_that_is_not_there_is_refused_and_what_is_dropped_is_there_again() {
    let Some(hardware) = hardware() else { return };
    let largest = hardware.found.buffer_bytes_max;
    let mut leases = Vec::new();
    let refused = loop {
        match hardware.lease(largest, "the sets") {
            Ok(lease) => leases.push(lease),
            Err(error) => break error,
        }
    };
    assert_eq!(leases.len() as u64, hardware.found.memory_bytes / largest);
    assert!(matches!(refused, DeviceError::Memory { .. }), "{refused}");
    drop(leases.pop());
    hardware.lease(largest, "the sets").unwrap();
}

#[test]
fn the_clock_is_known_to_a_fraction_of_a_millisecond() {
    let Some(hardware) = hardware() else { return };
    let uncertainty = hardware.clock().uncertainty();
    assert!(uncertainty.as_micros() < 500, "{uncertainty:?}");
}

#[test]
fn double_buffering_inside_a_lane_is_refused() {
    let Some(device) = device() else { return };
    let program = prepare(&device, &TestModel::new(SHIFT, "shift", shift_args(0))).unwrap();
    let error = program.open_lane(LaneOptions { lane: 0, double_buffer: true }).err().unwrap();
    assert!(error.to_string().contains("leave double buffering off"), "{error}");
}
