//! The driver's functions, looked up once and called with their codes checked.
//!
//! cudarc has bindings of its own, with two properties that do not fit here: a function the driver lacks panics when it is
//! first called, and a `CUresult` is a Rust enum, so that a code newer than the bindings is undefined behaviour. So
//! cudarc finds and loads the library, and this table takes the functions out of it: all at once, an absent one is an
//! error that names it, and codes are numbers.
//!
//! Every function here is in drivers since CUDA 11.4, under the versioned name that `cuda.h` gives it. The `README.md` of
//! this crate has a row for each: what it requires, what its errors mean, where it is used.

#![allow(non_snake_case, clippy::too_many_arguments)] // as `cuda.h` has them

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};
use std::sync::OnceLock;

use cudarc::driver::sys::{
    self, CUcontext, CUdevice, CUdeviceptr, CUevent, CUfunction, CUgraph, CUgraphExec, CUmodule, CUstream,
};

use super::failure::Failure;

/// The functions, once they are loaded.
static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

/// Takes the functions out of the library, which is there.
///
/// # Errors
///
/// Which function is missing.
pub(super) fn load() -> Result<&'static Functions, String> {
    let functions = Functions::of_library()?;
    Ok(FUNCTIONS.get_or_init(|| functions))
}

/// The functions, if they have been loaded.
pub(super) fn loaded() -> Option<&'static Functions> {
    FUNCTIONS.get()
}

/// The functions, for the objects of this folder.
///
/// # Panics
///
/// If the driver is not loaded: every object comes from one that is.
pub(super) fn functions() -> &'static Functions {
    loaded().expect("an object of the driver exists, so the driver is loaded")
}

macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        /// The driver's functions. Each is as unsafe as the C function is.
        #[derive(Debug)]
        pub(super) struct Functions {
            $($name: unsafe extern "C" fn($($type),*) -> c_uint,)*
        }

        impl Functions {
            fn of_library() -> Result<Self, String> {
                // SAFETY: the caller has seen that the library is present, so this does not panic.
                let library = unsafe { sys::culib() };
                Ok(Functions {$(
                    // SAFETY: the type is that of the function of this name in `cuda.h`.
                    $name: *unsafe {
                        library.get::<unsafe extern "C" fn($($type),*) -> c_uint>(stringify!($name).as_bytes())
                    }
                    .map_err(|_| absent(stringify!($name)))?,
                )*})
            }

            $(
                /// The C function of this name.
                pub(super) unsafe fn $name(&self, $($argument: $type),*) -> Result<(), Failure> {
                    // SAFETY: the caller keeps to what the C function requires.
                    match unsafe { (self.$name)($($argument),*) } {
                        0 => Ok(()),
                        code => Err(Failure { call: stringify!($name), code }),
                    }
                }
            )*
        }
    };
}

fn absent(function: &str) -> String {
    format!("the CUDA driver has no {function}: it is older than CUDA 11.4; update it")
}

functions! {
    cuInit(flags: c_uint);
    cuDriverGetVersion(version: *mut c_int);
    cuGetErrorName(code: c_uint, name: *mut *const c_char);
    cuGetErrorString(code: c_uint, text: *mut *const c_char);

    cuDeviceGetCount(count: *mut c_int);
    cuDeviceGet(device: *mut CUdevice, ordinal: c_int);
    cuDeviceGetName(name: *mut c_char, len: c_int, device: CUdevice);
    cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, device: CUdevice);
    cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice);
    cuDevicePrimaryCtxRetain(context: *mut CUcontext, device: CUdevice);
    cuDevicePrimaryCtxRelease_v2(device: CUdevice);
    cuCtxSetCurrent(context: CUcontext);

    cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    cuMemAlloc_v2(address: *mut CUdeviceptr, bytes: usize);
    cuMemFree_v2(address: CUdeviceptr);
    cuMemHostAlloc(pointer: *mut *mut c_void, bytes: usize, flags: c_uint);
    cuMemFreeHost(pointer: *mut c_void);
    cuMemsetD8Async(address: CUdeviceptr, value: u8, bytes: usize, stream: CUstream);
    cuMemcpyHtoDAsync_v2(to: CUdeviceptr, from: *const c_void, bytes: usize, stream: CUstream);
    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: CUdeviceptr, bytes: usize, stream: CUstream);
    cuMemcpyDtoDAsync_v2(to: CUdeviceptr, from: CUdeviceptr, bytes: usize, stream: CUstream);

    cuStreamCreate(stream: *mut CUstream, flags: c_uint);
    cuStreamDestroy_v2(stream: CUstream);
    cuStreamWaitEvent(stream: CUstream, event: CUevent, flags: c_uint);
    cuStreamSynchronize(stream: CUstream);

    cuEventCreate(event: *mut CUevent, flags: c_uint);
    cuEventDestroy_v2(event: CUevent);
    cuEventRecord(event: CUevent, stream: CUstream);
    cuEventRecordWithFlags(event: CUevent, stream: CUstream, flags: c_uint);
    cuEventQuery(event: CUevent);
    cuEventSynchronize(event: CUevent);
    cuEventElapsedTime(milliseconds: *mut f32, start: CUevent, end: CUevent);

    cuModuleLoadDataEx(
        module: *mut CUmodule,
        image: *const c_void,
        options_len: c_uint,
        options: *mut c_uint,
        values: *mut *mut c_void
    );
    cuModuleUnload(module: CUmodule);
    cuModuleGetFunction(function: *mut CUfunction, module: CUmodule, name: *const c_char);
    cuFuncGetAttribute(value: *mut c_int, attribute: c_uint, function: CUfunction);
    cuLaunchKernel(
        function: CUfunction,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared_bytes: c_uint,
        stream: CUstream,
        parameters: *mut *mut c_void,
        extra: *mut *mut c_void
    );

    cuStreamBeginCapture_v2(stream: CUstream, mode: c_uint);
    cuStreamEndCapture(stream: CUstream, graph: *mut CUgraph);
    cuGraphInstantiateWithFlags(instance: *mut CUgraphExec, graph: CUgraph, flags: c_ulonglong);
    cuGraphDestroy(graph: CUgraph);
    cuGraphExecDestroy(instance: CUgraphExec);
    cuGraphLaunch(instance: CUgraphExec, stream: CUstream);
}
