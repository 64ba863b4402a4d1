//! Whether the library's structs lie in memory as documented, asked before anything in them is relied on.
//!
//! The library's header is not public, so its structs might have changed. Each check reads only what any version would
//! have written: names from the front of a device, and of a tensor what stands before its name.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use nbuffer_core::tensor::{DType, TensorInfo};

use crate::library::Library;
use crate::sys::{
    self, DeviceInfo, NAME_BYTES, TYPE_FLOAT, TYPE_SIGNED, TYPE_UNSIGNED, TensorHead, TensorRoom,
};

/// What to do when the layout is another.
const ADVICE: &str =
    "use a version of the runtime that nbuffer knows (see devices/axruntime/README.md), or report this one";

/// The names of so many devices, each of which must be readable before the next is looked at.
///
/// # Safety
///
/// `devices` points to `count` devices of the library, however large it has made each.
pub(crate) unsafe fn device_names(devices: *const DeviceInfo, count: usize) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for idx in 0..count {
        // SAFETY: all devices before this one had readable names where the documented layout has them, so this one
        // begins here.
        let device = unsafe { devices.add(idx) };
        // SAFETY: a device begins with 256 bytes of name, or is at least as large: its smallest documented form is.
        let name: &[u8; NAME_BYTES] = unsafe { &*device.cast() };
        names.push(readable(name).ok_or_else(|| {
            format!("the name of device {idx} cannot be read: the struct axrDeviceInfo is not as documented; {ADVICE}")
        })?);
    }
    Ok(names)
}

/// A name as people can read it: not empty, printable, and ended by a NUL.
fn readable(name: &[u8; NAME_BYTES]) -> Option<String> {
    let end = name.iter().position(|&byte| byte == 0)?;
    let text = std::str::from_utf8(&name[..end]).ok()?;
    let is_readable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_readable.then(|| text.to_owned())
}

/// Whether the library reads a tensor as documented: it is given one whose size is known.
pub(crate) fn check_tensor(library: &Library, known: &TensorInfo) -> Result<(), String> {
    let mut room = TensorRoom([MaybeUninit::zeroed(); _]);
    let mut info = sys::TensorInfo {
        dims: [0; _],
        ndims: known.shape().len(),
        bits: 8 * known.dtype().size_bytes(),
        kind: kind(known.dtype()),
        name: [0 as c_char; _],
        padding: [[0; 2]; _],
        scale: 1.0,
        zero_point: 0,
    };
    info.dims[..known.shape().len()].copy_from_slice(known.shape());
    // SAFETY: the room is larger than the struct and aligned for it, and both are this function's own.
    unsafe { (&raw mut room).cast::<sys::TensorInfo>().write(info) };
    // SAFETY: the room is initialised and larger than any version of the struct.
    let size = unsafe { (library.tensor_size)(&room) };
    if size == known.size() {
        return Ok(());
    }
    Err(format!(
        "`axr_tensor_size` says {size} B of a tensor {:?} of {} B: the struct axrTensorInfo is not as documented; {ADVICE}",
        known.shape(),
        known.size()
    ))
}

/// How the library tells element types apart, beside their bits.
fn kind(dtype: DType) -> usize {
    match dtype {
        DType::U8 | DType::U32 => TYPE_UNSIGNED,
        DType::I8 | DType::I32 | DType::I64 => TYPE_SIGNED,
        DType::F32 => TYPE_FLOAT,
    }
}

/// Whether a tensor that the library describes is the one in the manifest. `check_tensor` has passed.
pub(crate) fn check_agrees(
    library: &Library,
    room: &TensorRoom,
    what: &str,
    manifest: &TensorInfo,
) -> Result<(), String> {
    // SAFETY: the library has filled in its struct, which begins like the documented one: `check_tensor` has seen it
    // read the very fields of the head, and the room is aligned for them.
    let head = unsafe { (&raw const *room).cast::<TensorHead>().read() };
    // SAFETY: the room holds what the library itself has written there.
    let size = unsafe { (library.tensor_size)(room) };
    let shape = head.dims.get(..head.ndims).unwrap_or_default();
    if shape == manifest.shape()
        && head.bits == 8 * manifest.dtype().size_bytes()
        && head.kind == kind(manifest.dtype())
        && size == manifest.size()
    {
        return Ok(());
    }
    Err(format!(
        "the library has {what} as {shape:?} of {} bits and {size} B, the manifest has {:?} of {} and {} B: is manifest.json from the same compilation as model.json?",
        head.bits,
        manifest.shape(),
        manifest.dtype(),
        manifest.size()
    ))
}
