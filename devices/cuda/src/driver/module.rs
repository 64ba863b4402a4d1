//! Code on the device: a module, and a function in it.

use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::{CUfunction, CUmodule};

use super::failure::Failure;
use super::functions::functions;
use super::{Context, Stream};

const JIT_ERROR_LOG_BUFFER: u32 = 5;
const JIT_ERROR_LOG_BUFFER_SIZE_BYTES: u32 = 6;
const LOG_BYTES: usize = 16 << 10;
const FUNCTION_MAX_THREADS_PER_BLOCK: u32 = 0;

/// Blocks of a grid, or threads of a block, in x, y and z.
pub(crate) type Dim3 = [u32; 3];

/// Loaded code.
#[derive(Debug)]
pub(crate) struct Module {
    raw: CUmodule,
    context: Arc<Context>,
}

// SAFETY: a module may be used from any thread with its context current.
unsafe impl Send for Module {}
// SAFETY: nothing in it changes after it was loaded.
unsafe impl Sync for Module {}

impl Module {
    /// Loads PTX (text) or a cubin. The text is what the compiler said, and what to do about it.
    pub(crate) fn load(context: &Arc<Context>, image: &[u8]) -> Result<Arc<Self>, String> {
        context.bind().map_err(Failure::with_advice)?;
        // Text must end with a zero; a cubin knows its length.
        let image = [image, &[0]].concat();
        let mut log = vec![0_u8; LOG_BYTES];
        let mut options = [JIT_ERROR_LOG_BUFFER, JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        // The size is passed as a value where a pointer stands.
        let mut values = [log.as_mut_ptr().cast::<c_void>(), ptr::without_provenance_mut(LOG_BYTES)];
        let mut raw = ptr::null_mut();
        // SAFETY: a context is current; the image ends with a zero; there are two options with their values, and the log
        // has the size that is given for it. All of it outlives the call.
        let loaded = unsafe {
            functions().cuModuleLoadDataEx(
                &mut raw,
                image.as_ptr().cast(),
                options.len() as u32,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        };
        loaded.map_err(|failure| {
            let log = CStr::from_bytes_until_nul(&log).unwrap_or_default().to_string_lossy();
            match log.trim() {
                "" => failure.with_advice(),
                log => format!("{}: {log}", failure.with_advice()),
            }
        })?;
        Ok(Arc::new(Module { raw, context: Arc::clone(context) }))
    }

    /// The kernel of this name.
    pub(crate) fn function(self: &Arc<Self>, name: &CStr) -> Result<Function, Failure> {
        self.context.bind()?;
        let mut raw = ptr::null_mut();
        // SAFETY: the module is loaded, the name ends with a zero, and `raw` outlives the call that writes it.
        unsafe { functions().cuModuleGetFunction(&mut raw, self.raw, name.as_ptr())? };
        let mut threads_max = 0;
        // SAFETY: the function is of a loaded module, and `threads_max` outlives the call that writes it.
        unsafe { functions().cuFuncGetAttribute(&mut threads_max, FUNCTION_MAX_THREADS_PER_BLOCK, raw)? };
        let threads_max = u32::try_from(threads_max).unwrap_or(0);
        Ok(Function { raw, threads_max, module: Arc::clone(self) })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: it was loaded once, and each function that may still run holds an `Arc` of it.
            let _ = unsafe { functions().cuModuleUnload(self.raw) };
        }
    }
}

/// A kernel in loaded code.
#[derive(Debug)]
pub(crate) struct Function {
    raw: CUfunction,
    threads_max: u32,
    /// Keeps the code loaded.
    module: Arc<Module>,
}

// SAFETY: a function may be launched from any thread with its context current.
unsafe impl Send for Function {}
// SAFETY: nothing in it changes.
unsafe impl Sync for Function {}

impl Function {
    /// The most threads of a block, by the registers the kernel needs.
    pub(crate) fn threads_max(&self) -> u32 {
        self.threads_max
    }

    /// Launches the kernel. Of each argument the kernel takes the first bytes in memory, as many as its parameter has.
    ///
    /// # Safety
    ///
    /// `arguments` must be those the kernel takes, in its order. Until it is over, the function and all memory it is given
    /// must exist, and no other work may use what it writes or write what it reads.
    pub(crate) unsafe fn launch(
        &self,
        grid: Dim3,
        block: Dim3,
        stream: &Stream,
        arguments: &mut [u64],
    ) -> Result<(), Failure> {
        debug_assert!(Arc::ptr_eq(stream.context(), &self.module.context), "one context for all");
        // An array of pointers, one an argument; the driver copies what they point at before the call returns.
        let mut pointers: Vec<*mut c_void> =
            arguments.iter_mut().map(|argument| ptr::from_mut(argument).cast()).collect();
        let ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]) = (grid, block);
        // SAFETY: the function's module is loaded, and the caller answers for the arguments and the memory.
        unsafe {
            functions().cuLaunchKernel(
                self.raw,
                grid_x,
                grid_y,
                grid_z,
                block_x,
                block_y,
                block_z,
                0,
                stream.raw(),
                pointers.as_mut_ptr(),
                ptr::null_mut(),
            )
        }
    }
}
