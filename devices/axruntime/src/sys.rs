//! The C interface of `libaxruntime.so`, as its documentation describes it.
//!
//! The vendor's header is not public. Names, order of fields and of arguments are documented; what the documentation
//! leaves open is checked against the library before it is relied on, see `layout.rs`.

use std::ffi::{c_char, c_int, c_void};
use std::marker::{PhantomData, PhantomPinned};
use std::mem::MaybeUninit;

/// `AXR_MAX_TENSOR_DIMS`.
pub(crate) const TENSOR_DIMS_MAX: usize = 8;

/// Bytes that a name in a struct of the library takes, with its NUL.
pub(crate) const NAME_BYTES: usize = 256;

/// `axrResult`. Zero is success.
pub(crate) type ResultCode = c_int;

pub(crate) const SUCCESS: ResultCode = 0;

/// `axrTensorInfo.type`.
pub(crate) const TYPE_UNSIGNED: usize = 0;
pub(crate) const TYPE_SIGNED: usize = 1;
pub(crate) const TYPE_FLOAT: usize = 2;

/// `axr_run_async_model_instance` calls this from a thread of the library.
pub(crate) type Callback = unsafe extern "C" fn(arg: *mut c_void, result: ResultCode);

/// What cannot be looked into, and is not moved.
macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub(crate) struct $name {
            _data: [u8; 0],
            _marker: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )*};
}

opaque! {
    /// `axrObject`, what all others can be cast to.
    Object;
    /// `axrContext`.
    Context;
    /// `axrModel`.
    Model;
    /// `axrConnection`.
    Connection;
    /// `axrModelInstance`.
    ModelInstance;
    /// `axrProperties`.
    Properties;
}

/// `axrArgument`: one tensor's memory.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Argument {
    pub(crate) ptr: *mut c_void,
    /// A dma-buf in place of `ptr`; -1 is none.
    pub(crate) fd: c_int,
    /// Must be 0.
    pub(crate) offset: usize,
    /// Bytes, which the library compares with the tensor's.
    pub(crate) size: usize,
}

/// `axrTensorInfo`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TensorInfo {
    pub(crate) dims: [usize; TENSOR_DIMS_MAX],
    pub(crate) ndims: usize,
    pub(crate) bits: usize,
    pub(crate) kind: usize,
    pub(crate) name: [c_char; NAME_BYTES],
    pub(crate) padding: [[usize; 2]; TENSOR_DIMS_MAX],
    pub(crate) scale: f64,
    pub(crate) zero_point: c_int,
}

/// The part of `axrTensorInfo` that is read: what `layout.rs` can compare with a manifest. Any version of the struct that
/// begins like the documented one has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct TensorHead {
    pub(crate) dims: [usize; TENSOR_DIMS_MAX],
    pub(crate) ndims: usize,
    pub(crate) bits: usize,
    pub(crate) kind: usize,
}

/// Memory for an `axrTensorInfo` of the library, with room for one far larger than the documented: the library writes
/// the whole of its struct, as large as it knows it.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct TensorRoom(pub(crate) [MaybeUninit<u8>; 4096]);

/// `axrDeviceInfo`.
#[repr(C)]
pub(crate) struct DeviceInfo {
    pub(crate) name: [c_char; NAME_BYTES],
    pub(crate) subdevice_count: usize,
    pub(crate) max_memory: usize,
    pub(crate) in_use: c_int,
    pub(crate) in_use_by: [c_char; NAME_BYTES],
    pub(crate) board_type: c_int,
    pub(crate) firmware_version: [c_char; NAME_BYTES],
    pub(crate) board_revision: c_int,
    pub(crate) flashed_firmware_version: [c_char; NAME_BYTES],
    pub(crate) board_controller_firmware_version: [c_char; NAME_BYTES],
    pub(crate) board_controller_board_type: [c_char; NAME_BYTES],
}

/// Declares the functions that are used, and how all of them are looked up.
macro_rules! functions {
    (
        required { $($field:ident: fn($($arg:ty),*) $(-> $result:ty)?;)* }
        optional { $($maybe:ident: fn($($maybe_arg:ty),*) $(-> $maybe_result:ty)?;)* }
    ) => {
        /// The functions of a loaded library, each called `axr_` and its name here.
        pub(crate) struct Functions {
            $(pub(crate) $field: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
            $(pub(crate) $maybe: Option<unsafe extern "C" fn($($maybe_arg),*) $(-> $maybe_result)?>,)*
        }

        impl Functions {
            /// Looks each function up by its name; on failure, all names that must be there and are not.
            ///
            /// # Safety
            ///
            /// `library` is a version of `libaxruntime.so`: what it exports under these names has these types.
            pub(crate) unsafe fn look_up(library: &libloading::Library) -> Result<Self, Vec<&'static str>> {
                let mut missing = Vec::new();
                $(
                    let name = concat!("axr_", stringify!($field));
                    // SAFETY: the caller states that a function of this name has this type.
                    let $field = unsafe { library.get(name) }.map(|symbol| *symbol);
                    if $field.is_err() {
                        missing.push(name);
                    }
                )*
                $(
                    // SAFETY: as above.
                    let $maybe = unsafe { library.get(concat!("axr_", stringify!($maybe))) };
                    let $maybe = $maybe.ok().map(|symbol| *symbol);
                )*
                match ($($field,)*) {
                    ($(Ok($field),)*) => Ok(Functions { $($field,)* $($maybe,)* }),
                    _ => Err(missing),
                }
            }
        }
    };
}

functions! {
    required {
        create_context: fn() -> *mut Context;
        destroy: fn(*const Object);
        last_error: fn(*const Object) -> ResultCode;
        last_error_string: fn(*const Object) -> *const c_char;
        create_properties: fn(*mut Context, *const c_char) -> *mut Properties;
        list_devices: fn(*mut Context, *mut *mut DeviceInfo) -> usize;
        device_connect: fn(*mut Context, *const DeviceInfo, usize, *mut Properties) -> *mut Connection;
        load_model: fn(*mut Context, *const c_char) -> *mut Model;
        num_model_inputs: fn(*mut Model) -> usize;
        num_model_outputs: fn(*mut Model) -> usize;
        get_model_input: fn(*mut Model, usize) -> TensorRoom;
        get_model_output: fn(*mut Model, usize) -> TensorRoom;
        tensor_size: fn(*const TensorRoom) -> usize;
        load_model_instance: fn(*mut Connection, *mut Model, *mut Properties) -> *mut ModelInstance;
        run_model_instance: fn(*mut ModelInstance, *const Argument, usize, *mut Argument, usize) -> ResultCode;
    }
    optional {
        api_version: fn() -> u32;
        run_async_model_instance: fn(*mut ModelInstance, *const Argument, usize, *mut Argument, usize, Callback, *mut c_void) -> ResultCode;
    }
}

/// The documented sizes on machines with 64-bit addresses.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<TensorInfo>() == 488);
    assert!(size_of::<DeviceInfo>() == 1568);
    assert!(size_of::<Argument>() == 32);
};
