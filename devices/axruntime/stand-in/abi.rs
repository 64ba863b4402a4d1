//! The C functions and structs, as the vendor documents them.

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nbuffer_core::tensor::{DType, TensorInfo};

use crate::asynchronous::{Callback, Work};
use crate::compiled::Compiled;
use crate::control::Control;
use crate::instance::Region;
use crate::world::{Failed, INVALID_ARGUMENT, Kind, Object, SUCCESS, World, with_error_text};

type Handle = usize;

/// `axrDeviceInfo`, with room in front for the layout that is not as documented.
#[derive(Clone)]
#[repr(C)]
pub(crate) struct DeviceInfo {
    name: [u8; 256],
    subdevice_count: usize,
    max_memory: usize,
    in_use: c_int,
    in_use_by: [u8; 256],
    board_type: c_int,
    firmware_version: [u8; 256],
    board_revision: c_int,
    flashed_firmware_version: [u8; 256],
    board_controller_firmware_version: [u8; 256],
    board_controller_board_type: [u8; 256],
}

/// `axrTensorInfo` as bytes: 488 of them as documented, more in a layout that is not.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct RawTensor<const N: usize>([u8; N]);

/// Size of the struct in the layout that the test asked for; the function's result is as large.
const TENSOR_BYTES: usize = 552;

#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Argument {
    ptr: *mut c_void,
    fd: c_int,
    offset: usize,
    size: usize,
}

/// Where the fields up to `type` are: offset and length of dims, offsets of ndims, bits and type, bytes of the whole.
struct Layout {
    dims: usize,
    dims_max: usize,
    ndims: usize,
}

fn layout() -> Layout {
    match Control::get().layout.as_str() {
        "tensor-dims-4" => Layout { dims: 0, dims_max: 4, ndims: 32 },
        "tensor-front" => Layout { dims: 64, dims_max: 8, ndims: 128 },
        _ => Layout { dims: 0, dims_max: 8, ndims: 64 },
    }
}

/// What every function does first: the string of the last error is gone, and the call is counted.
fn enter(function: &'static str) -> [Option<crate::control::Fault>; 2] {
    with_error_text(|text| *text = None);
    Control::entered(function)
}

/// Carries out a function that reports through `object`.
fn report<T>(
    function: &'static str,
    object: &Object,
    body: impl FnOnce() -> Result<T, Failed>,
) -> Result<T, c_int> {
    let [before, after] = enter(function);
    if let Some(fault) = before {
        return Err(object.set_error((fault.code, fault.text)));
    }
    let result = body().map_err(|failed| object.set_error(failed))?;
    match after {
        Some(fault) => Err(object.set_error((fault.code, fault.text))),
        None => {
            object.set_error((SUCCESS, String::new()));
            Ok(result)
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn axr_api_version() -> u32 {
    enter("axr_api_version");
    0x0001_0007
}

#[unsafe(no_mangle)]
extern "C" fn axr_create_context() -> Handle {
    let [before, _] = enter("axr_create_context");
    if before.is_some() {
        return 0;
    }
    World::get().add(Kind::Context { listed: Mutex::default() }, None)
}

#[unsafe(no_mangle)]
extern "C" fn axr_destroy(object: Handle) {
    enter("axr_destroy");
    World::destroy(object);
}

#[unsafe(no_mangle)]
extern "C" fn axr_last_error(object: Handle) -> c_int {
    with_error_text(|text| *text = None);
    World::object(object, "object").map_or(INVALID_ARGUMENT, |object| object.error().0)
}

#[unsafe(no_mangle)]
extern "C" fn axr_last_error_string(object: Handle) -> *const c_char {
    let text = World::object(object, "object").map_or_else(String::new, |object| object.error().1);
    with_error_text(|kept| kept.insert(CString::new(text).expect("no NUL in an error")).as_ptr())
}

/// # Safety
///
/// `initial` is NULL or ends in NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn axr_create_properties(context: Handle, initial: *const c_char) -> Handle {
    let Some(object) = World::object(context, "context") else { return 0 };
    let made = report("axr_create_properties", &object, || {
        let text = if initial.is_null() {
            ""
        } else {
            // SAFETY: the caller states that it ends in NUL.
            unsafe { CStr::from_ptr(initial) }.to_str().expect("text")
        };
        let mut properties = std::collections::BTreeMap::new();
        for entry in text.split([';', '\n']).filter(|entry| !entry.is_empty()) {
            let pair = entry.split_once('=');
            let (key, value) = pair.ok_or((INVALID_ARGUMENT, format!("`{entry}` is not key=value")))?;
            properties.insert(key.to_owned(), value.to_owned());
        }
        Ok(World::get().add(Kind::Properties(properties), Some(context)))
    });
    made.unwrap_or(0)
}

/// # Safety
///
/// `devices` is NULL or may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn axr_list_devices(context: Handle, devices: *mut *mut DeviceInfo) -> usize {
    let Some(object) = World::object(context, "context") else { return 0 };
    let Kind::Context { listed } = &object.kind else { return 0 };
    let listing = report("axr_list_devices", &object, || {
        let (count, is_shifted) = {
            let control = Control::get();
            (control.devices, control.layout == "device-front")
        };
        let info = |idx: usize| {
            let mut info = DeviceInfo {
                name: [0; _],
                subdevice_count: 0,
                max_memory: 0,
                in_use: 0,
                in_use_by: [0; _],
                board_type: 3,
                firmware_version: [0; _],
                board_revision: 0,
                flashed_firmware_version: [0; _],
                board_controller_firmware_version: [0; _],
                board_controller_board_type: [0; _],
            };
            let name = format!("metis-0:{}:0", idx + 1);
            let at = if is_shifted { 8 } else { 0 };
            info.name[at..at + name.len()].copy_from_slice(name.as_bytes());
            info
        };
        Ok((0..count).map(info).collect::<Box<[DeviceInfo]>>())
    });
    let Ok(mut listing) = listing else { return 0 };
    let count = listing.len();
    if !devices.is_null() {
        // SAFETY: the caller states that it may be written.
        unsafe { *devices = if count > 0 { listing.as_mut_ptr() } else { std::ptr::null_mut() } };
    }
    // The array before this one is gone, as documented; this one is the context's.
    *listed.lock().unwrap_or_else(PoisonError::into_inner) = vec![listing];
    count
}

/// # Safety
///
/// `device` is NULL or one of the last listing.
#[unsafe(no_mangle)]
unsafe extern "C" fn axr_device_connect(
    context: Handle,
    device: *const DeviceInfo,
    n_sub_devices: usize,
    properties: Handle,
) -> Handle {
    let Some(object) = World::object(context, "context") else { return 0 };
    let connected = report("axr_device_connect", &object, || {
        if properties != 0 && World::object(properties, "properties").is_none() {
            return Err((INVALID_ARGUMENT, "no such properties".to_owned()));
        }
        let Kind::Context { listed } = &object.kind else { unreachable!("it is a context") };
        let listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = listed.first().map_or(&[][..], |listing| listing);
        let idx = if device.is_null() {
            Some(0)
        } else {
            listing.iter().position(|known| std::ptr::eq(known, device))
        };
        let idx = idx.ok_or((INVALID_ARGUMENT, "no device of the last listing".to_owned()))?;
        let mut world = World::get();
        world.connect(idx, n_sub_devices)?;
        Ok(world.add(Kind::Connection { device: idx, cores: n_sub_devices }, Some(context)))
    });
    connected.unwrap_or(0)
}

/// # Safety
///
/// `path` ends in NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn axr_load_model(context: Handle, path: *const c_char) -> Handle {
    let Some(object) = World::object(context, "context") else { return 0 };
    let loaded = report("axr_load_model", &object, || {
        // SAFETY: the caller states that it ends in NUL.
        let path = unsafe { CStr::from_ptr(path) };
        let model = Compiled::open(Path::new(OsStr::from_bytes(path.to_bytes())))?;
        Ok(World::get().add(Kind::Model { model: Arc::new(model) }, Some(context)))
    });
    loaded.unwrap_or(0)
}

fn tensors(model: Handle, outputs: bool) -> Vec<TensorInfo> {
    match World::object(model, "model").as_deref() {
        Some(Object { kind: Kind::Model { model }, .. }) => {
            if outputs {
                model.outputs.clone()
            } else {
                model.inputs.clone()
            }
        }
        _ => Vec::new(),
    }
}

#[unsafe(no_mangle)]
extern "C" fn axr_num_model_inputs(model: Handle) -> usize {
    let [before, _] = enter("axr_num_model_inputs");
    before.map_or_else(|| tensors(model, false).len(), |fault| fault.code as usize)
}

#[unsafe(no_mangle)]
extern "C" fn axr_num_model_outputs(model: Handle) -> usize {
    let [before, _] = enter("axr_num_model_outputs");
    before.map_or_else(|| tensors(model, true).len(), |fault| fault.code as usize)
}

fn described(tensor: Option<&TensorInfo>) -> RawTensor<TENSOR_BYTES> {
    let mut raw = RawTensor([0; TENSOR_BYTES]);
    let Some(tensor) = tensor else { return raw };
    let layout = layout();
    let mut put = |at: usize, value: usize| raw.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    for (dim, &len) in tensor.shape().iter().enumerate() {
        put(layout.dims + 8 * dim, len);
    }
    put(layout.ndims, tensor.shape().len());
    put(layout.ndims + 8, 8 * tensor.dtype().size_bytes());
    let kind = match tensor.dtype() {
        DType::U8 | DType::U32 => 0,
        DType::I8 | DType::I32 | DType::I64 => 1,
        DType::F32 => 2,
    };
    put(layout.ndims + 16, kind);
    raw
}

#[unsafe(no_mangle)]
extern "C" fn axr_get_model_input(model: Handle, n: usize) -> RawTensor<TENSOR_BYTES> {
    let [before, _] = enter("axr_get_model_input");
    described(tensors(model, false).get(n).filter(|_| before.is_none()))
}

#[unsafe(no_mangle)]
extern "C" fn axr_get_model_output(model: Handle, n: usize) -> RawTensor<TENSOR_BYTES> {
    let [before, _] = enter("axr_get_model_output");
    described(tensors(model, true).get(n).filter(|_| before.is_none()))
}

/// # Safety
///
/// `info` is a tensor of this layout.
#[unsafe(no_mangle)]
unsafe extern "C" fn axr_tensor_size(info: *const u8) -> usize {
    let [before, _] = enter("axr_tensor_size");
    if before.is_some() {
        return 0;
    }
    let layout = layout();
    // SAFETY: the caller states that the struct is this large.
    let get = |at: usize| unsafe { info.add(at).cast::<usize>().read_unaligned() };
    let ndims = get(layout.ndims).min(layout.dims_max);
    let elements = (0..ndims).map(|dim| get(layout.dims + 8 * dim)).fold(1, usize::wrapping_mul);
    elements.wrapping_mul(get(layout.ndims + 8)) / 8
}

#[unsafe(no_mangle)]
extern "C" fn axr_load_model_instance(connection: Handle, model: Handle, properties: Handle) -> Handle {
    let Some(object) = World::object(connection, "connection") else { return 0 };
    let loaded = report("axr_load_model_instance", &object, || {
        let [model, properties] =
            [(model, "model"), (properties, "properties")].map(|(h, kind)| World::object(h, kind));
        let (Some(Kind::Model { model }), Some(Kind::Properties(given))) =
            (model.as_ref().map(|o| &o.kind), properties.as_ref().map(|o| &o.kind))
        else {
            return Err((INVALID_ARGUMENT, "no such model or properties".to_owned()));
        };
        let mut world = World::get();
        let instance = world.instance(connection, model, given)?;
        Ok(world.add(Kind::Instance { connection, instance }, Some(object.context)))
    });
    loaded.unwrap_or(0)
}

/// # Safety
///
/// `arguments` points to `count` arguments.
unsafe fn regions(arguments: *const Argument, count: usize) -> Result<Vec<Region>, Failed> {
    // SAFETY: the caller states it.
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count) };
    let region = |argument: &Argument| {
        if argument.ptr.is_null() || argument.offset != 0 || argument.fd > 0 {
            return Err((INVALID_ARGUMENT, "an argument is host memory, without offset".to_owned()));
        }
        Ok(Region { address: argument.ptr.expose_provenance(), size: argument.size })
    };
    arguments.iter().map(region).collect()
}

/// # Safety
///
/// The arguments are as many as stated, and their memory is the library's for the time of the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn axr_run_model_instance(
    handle: Handle,
    inputs: *const Argument,
    n_inputs: usize,
    outputs: *mut Argument,
    n_outputs: usize,
) -> c_int {
    let Some(object) = World::object(handle, "instance") else { return INVALID_ARGUMENT };
    let Kind::Instance { instance, .. } = &object.kind else { return INVALID_ARGUMENT };
    let ran = report("axr_run_model_instance", &object, || {
        // SAFETY: the caller states it.
        let [inputs, outputs] = unsafe { [regions(inputs, n_inputs)?, regions(outputs, n_outputs)?] };
        instance.check([&inputs, &outputs])?;
        // SAFETY: the caller states it.
        unsafe { instance.run(&inputs, &outputs) }
    });
    ran.map_or_else(|code| code, |()| SUCCESS)
}

/// # Safety
///
/// The arguments are as many as stated, and their memory is the library's until it calls back.
#[unsafe(no_mangle)]
unsafe extern "C" fn axr_run_async_model_instance(
    handle: Handle,
    inputs: *const Argument,
    n_inputs: usize,
    outputs: *mut Argument,
    n_outputs: usize,
    callback: Callback,
    arg: *mut c_void,
) -> c_int {
    let Some(object) = World::object(handle, "instance") else { return INVALID_ARGUMENT };
    let Kind::Instance { instance, .. } = &object.kind else { return INVALID_ARGUMENT };
    // What fails after the call has begun is told through the callback.
    let [before, after] = enter("axr_run_async_model_instance");
    let begin = || {
        if let Some(fault) = before {
            return Err((fault.code, fault.text));
        }
        // SAFETY: the caller states it.
        let [inputs, outputs] = unsafe { [regions(inputs, n_inputs)?, regions(outputs, n_outputs)?] };
        instance.check([&inputs, &outputs])?;
        let code = after.map(|fault| fault.code);
        instance.queue()?.submit(Work { inputs, outputs, callback, arg: arg.addr(), code })
    };
    begin().map_or_else(|failed| object.set_error(failed), |()| SUCCESS)
}
