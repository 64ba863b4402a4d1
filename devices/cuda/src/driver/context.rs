//! The GPUs there are, and the context of one.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::{CUcontext, CUdevice, CUdevice_attribute};

use super::failure::Failure;
use super::functions::functions;

/// An attribute of a GPU, as `cuda.h` names it without `CU_DEVICE_ATTRIBUTE_`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute(CUdevice_attribute);

impl Attribute {
    pub(crate) const COMPUTE_CAPABILITY_MAJOR: Self =
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    pub(crate) const COMPUTE_CAPABILITY_MINOR: Self =
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    pub(crate) const COMPUTE_MODE: Self = Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_MODE);
    pub(crate) const ASYNC_ENGINES: Self =
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT);
    pub(crate) const BLOCK_MAX: [Self; 3] = [
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X),
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y),
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z),
    ];
    pub(crate) const GRID_MAX: [Self; 3] = [
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X),
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y),
        Attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z),
    ];
}

/// A GPU of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gpu(CUdevice);

/// How many GPUs the driver shows.
pub(crate) fn gpus() -> Result<usize, Failure> {
    let mut count = 0;
    // SAFETY: `count` outlives the call that writes it.
    unsafe { functions().cuDeviceGetCount(&mut count)? };
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The GPU of this ordinal.
pub(crate) fn gpu(ordinal: u16) -> Result<Gpu, Failure> {
    let mut device = 0;
    // SAFETY: `device` outlives the call that writes it; an ordinal out of range is an error of the call.
    unsafe { functions().cuDeviceGet(&mut device, c_int::from(ordinal))? };
    Ok(Gpu(device))
}

impl Gpu {
    pub(crate) fn name(self) -> Result<String, Failure> {
        let mut name = [0_u8; 256];
        // SAFETY: the call writes no more than the length it is given, with a zero at the end.
        unsafe {
            functions().cuDeviceGetName(name.as_mut_ptr().cast::<c_char>(), name.len() as c_int, self.0)?;
        }
        let len = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        Ok(String::from_utf8_lossy(&name[..len]).into_owned())
    }

    pub(crate) fn memory_bytes(self) -> Result<u64, Failure> {
        let mut bytes = 0;
        // SAFETY: `bytes` outlives the call that writes it.
        unsafe { functions().cuDeviceTotalMem_v2(&mut bytes, self.0)? };
        Ok(bytes as u64)
    }

    pub(crate) fn attribute(self, attribute: Attribute) -> Result<u32, Failure> {
        let mut value = 0;
        // SAFETY: `value` outlives the call that writes it.
        unsafe { functions().cuDeviceGetAttribute(&mut value, attribute.0 as u32, self.0)? };
        Ok(u32::try_from(value).unwrap_or(0))
    }
}

/// A GPU's primary context, kept for as long as anything made in it exists.
#[derive(Debug)]
pub(crate) struct Context {
    gpu: Gpu,
    raw: CUcontext,
}

// SAFETY: a context may be current to any number of threads at once, and the driver's functions are thread-safe.
unsafe impl Send for Context {}
// SAFETY: as above; nothing in here changes after `new`.
unsafe impl Sync for Context {}

impl Context {
    pub(crate) fn new(gpu: Gpu) -> Result<Arc<Self>, Failure> {
        let mut raw = ptr::null_mut();
        // SAFETY: the device is one the driver gave, and `raw` outlives the call that writes it.
        unsafe { functions().cuDevicePrimaryCtxRetain(&mut raw, gpu.0)? };
        Ok(Arc::new(Context { gpu, raw }))
    }

    pub(crate) fn gpu(&self) -> Gpu {
        self.gpu
    }

    /// Makes it the context of the calling thread, for the calls that follow.
    pub(crate) fn bind(&self) -> Result<(), Failure> {
        // SAFETY: the context is retained until `self` is dropped.
        unsafe { functions().cuCtxSetCurrent(self.raw) }
    }

    /// Bytes of device memory that are free.
    pub(crate) fn free_bytes(&self) -> Result<u64, Failure> {
        self.bind()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: both outlive the call that writes them.
        unsafe { functions().cuMemGetInfo_v2(&mut free, &mut total)? };
        Ok(free as u64)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: `new` retained it once, and everything made in it holds an `Arc` of this context, so all of it is gone.
        // An error here leaves nothing to do: the process keeps the context until it ends.
        let _ = unsafe { functions().cuDevicePrimaryCtxRelease_v2(self.gpu.0) };
    }
}
