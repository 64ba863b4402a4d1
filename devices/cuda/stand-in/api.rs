//! The driver's functions, with its names and types.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::faults::{Fault, strike};
use crate::handles::{self, Object, handles};
use crate::kernels::Module;
use crate::machine::{
    CAPTURE_INVALIDATED, CAPTURE_UNSUPPORTED, Capture, Event, INVALID_CONTEXT, INVALID_DEVICE,
    INVALID_HANDLE, INVALID_VALUE, NOT_FOUND, NOT_INITIALIZED, NOT_READY, Op, Stream, stuck,
};
use crate::memory::{DEVICE_BYTES, memory};

const CONTEXT: usize = 0xc0;

static INITIALISED: AtomicBool = AtomicBool::new(false);
static CONTEXTS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
    /// Whether this thread captures: then calls that would wait or allocate fail.
    static CAPTURING: Cell<bool> = const { Cell::new(false) };
}

/// Objects, allocations and retained contexts that still exist.
#[unsafe(no_mangle)]
pub extern "C" fn stand_in_live() -> usize {
    handles().live() + memory().live() + CONTEXTS.load(Ordering::Acquire)
}

/// A call's faults and rules, then its body; its code.
fn call(name: &str, needs: Needs, body: impl FnOnce() -> Result<(), u32>) -> c_uint {
    let checked = || {
        if !INITIALISED.load(Ordering::Acquire) && needs != Needs::Nothing {
            return Err(NOT_INITIALIZED);
        }
        if let Some(Fault::Code(code)) = strike(name) {
            return Err(code);
        }
        if needs >= Needs::Context {
            stuck()?;
            if CURRENT.get() != CONTEXT {
                return Err(INVALID_CONTEXT);
            }
        }
        if needs == Needs::NoCapture && CAPTURING.get() {
            return Err(CAPTURE_UNSUPPORTED);
        }
        body()
    };
    checked().err().unwrap_or(0)
}

/// What a call needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Needs {
    Nothing,
    Init,
    Context,
    NoCapture,
}

/// Writes a result through a pointer of the caller.
///
/// # Safety
///
/// `to` is null or may be written.
unsafe fn give<T>(to: *mut T, value: T) -> Result<(), u32> {
    if to.is_null() {
        return Err(INVALID_VALUE);
    }
    // SAFETY: the caller promises it.
    unsafe { to.write(value) };
    Ok(())
}

/// The driver's functions: their arguments, what they need, and what they do. Pointers are as good as `cuda.h` says.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*), $needs:ident, $body:block)*) => {
        $(
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) -> c_uint {
                call(stringify!($name), Needs::$needs, || $body)
            }
        )*
    };
}

functions! {
    cuInit(flags: c_uint), Nothing, {
        if flags != 0 {
            return Err(INVALID_VALUE);
        }
        INITIALISED.store(true, Ordering::Release);
        Ok(())
    }

    // SAFETY: `cuda.h` asks for pointers that may be written; so in all functions below.
    cuDriverGetVersion(version: *mut c_int), Nothing, { unsafe { give(version, 12_040) } }

    cuGetErrorName(code: c_uint, name: *mut *const c_char), Nothing, {
        let known = named(code).ok_or(INVALID_VALUE)?;
        // SAFETY: as above.
        unsafe { give(name, known[0].as_ptr()) }
    }

    cuGetErrorString(code: c_uint, text: *mut *const c_char), Nothing, {
        let known = named(code).ok_or(INVALID_VALUE)?;
        // SAFETY: as above.
        unsafe { give(text, known[1].as_ptr()) }
    }

    cuDeviceGetCount(count: *mut c_int), Init, {
        let hidden = std::env::var("CUDA_VISIBLE_DEVICES").is_ok_and(|visible| visible.is_empty());
        // SAFETY: as above.
        unsafe { give(count, c_int::from(!hidden)) }
    }

    cuDeviceGet(device: *mut c_int, ordinal: c_int), Init, {
        if ordinal != 0 {
            return Err(INVALID_DEVICE);
        }
        // SAFETY: as above.
        unsafe { give(device, 0) }
    }

    cuDeviceGetName(name: *mut c_char, len: c_int, _device: c_int), Init, {
        for (i, &byte) in c"Stand-in, no GPU".to_bytes_with_nul().iter().enumerate().take(len as usize) {
            // SAFETY: as above, for `len` bytes.
            unsafe { give(name.add(i), byte as c_char)? };
        }
        Ok(())
    }

    cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, _device: c_int), Init, {
        let found = match attribute {
            1..=4 => 1024,                       // threads of a block; block x, y; block z below
            5 => c_int::MAX,                     // grid x
            6 | 7 => 65_535,                     // grid y, z
            20 => 0,                             // compute mode: default
            40 => 2,                             // copy engines
            75 => 9,                             // compute capability, major
            76 => 0,                             // and minor
            _ => return Err(INVALID_VALUE),
        };
        // SAFETY: as above.
        unsafe { give(value, if attribute == 4 { 64 } else { found }) }
    }

    // SAFETY: as above.
    cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int), Init, { unsafe { give(bytes, DEVICE_BYTES) } }

    cuDevicePrimaryCtxRetain(context: *mut *mut c_void, device: c_int), Init, {
        if device != 0 {
            return Err(INVALID_DEVICE);
        }
        stuck()?;
        CONTEXTS.fetch_add(1, Ordering::AcqRel);
        // SAFETY: as above.
        unsafe { give(context, std::ptr::without_provenance_mut(CONTEXT)) }
    }

    cuDevicePrimaryCtxRelease_v2(_device: c_int), Init, {
        CONTEXTS.fetch_sub(1, Ordering::AcqRel);
        Ok(())
    }

    cuCtxSetCurrent(context: *mut c_void), Init, {
        stuck()?;
        if CONTEXTS.load(Ordering::Acquire) == 0 {
            return Err(INVALID_CONTEXT);
        }
        CURRENT.set(context.addr());
        Ok(())
    }

    cuMemGetInfo_v2(free: *mut usize, total: *mut usize), Context, {
        // SAFETY: as above.
        unsafe { give(free, memory().free_bytes()).and_then(|()| give(total, DEVICE_BYTES)) }
    }

    cuMemAlloc_v2(address: *mut u64, bytes: usize), NoCapture, {
        let allocated = memory().allocate(bytes)?;
        // SAFETY: as above.
        unsafe { give(address, allocated) }
    }

    cuMemFree_v2(address: u64), NoCapture, { memory().free(address) }

    cuMemHostAlloc(pointer: *mut *mut c_void, bytes: usize, flags: c_uint), NoCapture, {
        if flags > 7 {
            return Err(INVALID_VALUE);
        }
        let pinned = memory().pin(bytes)?;
        // SAFETY: as above.
        unsafe { give(pointer, pinned.cast()) }
    }

    cuMemFreeHost(pointer: *mut c_void), NoCapture, { memory().unpin(pointer.addr()) }

    cuMemsetD8Async(to: u64, value: u8, len: usize, stream: *mut c_void), Context, {
        memory().device(to, len).map_err(|_| INVALID_VALUE)?;
        handles::stream(stream)?.push(Op::Set { to, value, len });
        Ok(())
    }

    cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, len: usize, stream: *mut c_void), Context, {
        memory().pinned(from.addr(), len)?;
        memory().device(to, len).map_err(|_| INVALID_VALUE)?;
        handles::stream(stream)?.push(Op::Write { to, from: from.expose_provenance(), len });
        Ok(())
    }

    cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, len: usize, stream: *mut c_void), Context, {
        memory().pinned(to.addr(), len)?;
        memory().device(from, len).map_err(|_| INVALID_VALUE)?;
        handles::stream(stream)?.push(Op::Read { to: to.expose_provenance(), from, len });
        Ok(())
    }

    cuMemcpyDtoDAsync_v2(to: u64, from: u64, len: usize, stream: *mut c_void), Context, {
        handles::stream(stream)?.push(Op::Copy { to, from, len });
        Ok(())
    }

    cuStreamCreate(stream: *mut *mut c_void, _flags: c_uint), NoCapture, {
        let made = handles().add(Object::Stream(Arc::new(Stream::new())));
        // SAFETY: as above.
        unsafe { give(stream, made) }
    }

    // The thread ends after the work that is in it.
    cuStreamDestroy_v2(stream: *mut c_void), Context, { remove(stream) }

    cuStreamWaitEvent(stream: *mut c_void, event: *mut c_void, _flags: c_uint), Context, {
        let event = handles::event(event)?;
        let number = event.recorded();
        handles::stream(stream)?.push(Op::Wait(event, number));
        Ok(())
    }

    cuStreamSynchronize(stream: *mut c_void), NoCapture, { handles::stream(stream)?.synchronise() }

    cuEventCreate(event: *mut *mut c_void, flags: c_uint), Context, {
        let made = handles().add(Object::Event(Arc::new(Event::new(flags & 2 == 0))));
        // SAFETY: as above.
        unsafe { give(event, made) }
    }

    cuEventDestroy_v2(event: *mut c_void), Context, { remove(event) }

    cuEventRecord(event: *mut c_void, stream: *mut c_void), Context, {
        let (event, stream) = (handles::event(event)?, handles::stream(stream)?);
        if stream.capture().is_some() {
            // It would order the graph and keep no time, which nobody here means.
            return Err(CAPTURE_UNSUPPORTED);
        }
        let number = event.record();
        stream.push(Op::Reach(event, number));
        Ok(())
    }

    cuEventRecordWithFlags(event: *mut c_void, stream: *mut c_void, flags: c_uint), Context, {
        let (event, stream) = (handles::event(event)?, handles::stream(stream)?);
        if flags != 1 || stream.capture().is_none() {
            return Err(INVALID_VALUE);
        }
        stream.push(Op::RecordAndReach(event));
        Ok(())
    }

    cuEventQuery(event: *mut c_void), NoCapture, {
        if handles::event(event)?.is_reached() { Ok(()) } else { Err(NOT_READY) }
    }

    cuEventSynchronize(event: *mut c_void), NoCapture, { handles::event(event)?.wait() }

    cuEventElapsedTime(milliseconds: *mut f32, start: *mut c_void, end: *mut c_void), Context, {
        let (start, end) = (handles::event(start)?, handles::event(end)?);
        if !start.is_timed || !end.is_timed {
            return Err(INVALID_HANDLE);
        }
        let (start, end) = (start.reached_at()?, end.reached_at()?);
        let seconds = match end.checked_duration_since(start) {
            Some(after) => after.as_secs_f64(),
            None => -(start - end).as_secs_f64(),
        };
        // SAFETY: as above.
        unsafe { give(milliseconds, (seconds * 1e3) as f32) }
    }

    cuModuleLoadDataEx(
        module: *mut *mut c_void,
        image: *const c_void,
        options_len: c_uint,
        options: *mut c_uint,
        values: *mut *mut c_void
    ), NoCapture, {
        // SAFETY: an image of text ends with a zero; so does what is given here of binaries.
        let image = unsafe { CStr::from_ptr(image.cast()) };
        let loaded = Module::load(image.to_bytes()).map_err(|(code, log)| {
            // SAFETY: there are as many options and values.
            unsafe { write_log(&log, options_len, options, values) };
            code
        })?;
        let made = handles().add(Object::Module(Arc::new(loaded)));
        // SAFETY: as above.
        unsafe { give(module, made) }
    }

    cuModuleUnload(module: *mut c_void), NoCapture, { remove(module) }

    cuModuleGetFunction(function: *mut *mut c_void, module: *mut c_void, name: *const c_char), Context, {
        let module = handles::module(module)?;
        // SAFETY: the name ends with a zero.
        let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| NOT_FOUND)?;
        let found = module.functions.get(name).ok_or(NOT_FOUND)?;
        let made = handles().add(Object::Function(Arc::clone(found)));
        // SAFETY: as above.
        unsafe { give(function, made) }
    }

    cuFuncGetAttribute(value: *mut c_int, attribute: c_uint, function: *mut c_void), Context, {
        handles::function(function)?;
        if attribute != 0 {
            return Err(INVALID_VALUE);
        }
        // SAFETY: as above.
        unsafe { give(value, 1024) }
    }

    cuLaunchKernel(
        function: *mut c_void,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        _shared_bytes: c_uint,
        stream: *mut c_void,
        parameters: *mut *mut c_void,
        _extra: *mut *mut c_void
    ), Context, {
        let function = handles::function(function)?;
        let all = |sizes: [c_uint; 3]| sizes.iter().map(|&size| u64::from(size)).product::<u64>();
        let (blocks, threads) = (all([grid_x, grid_y, grid_z]), all([block_x, block_y, block_z]));
        if blocks == 0 || threads == 0 || threads > 1024 {
            return Err(INVALID_VALUE);
        }
        let argument = |(i, &len): (usize, &usize)| {
            // SAFETY: there are as many parameters as the entry has, and each has its bytes.
            unsafe { std::slice::from_raw_parts((*parameters.add(i)).cast::<u8>(), len) }.to_vec()
        };
        let arguments = function.parameters.iter().enumerate().map(argument).collect();
        handles::stream(stream)?.push(Op::Launch { function, arguments, work_items: blocks * threads });
        Ok(())
    }

    cuStreamBeginCapture_v2(stream: *mut c_void, _mode: c_uint), Context, {
        *handles::stream(stream)?.capture() = Some(Capture::default());
        CAPTURING.set(true);
        Ok(())
    }

    cuStreamEndCapture(stream: *mut c_void, graph: *mut *mut c_void), Context, {
        CAPTURING.set(false);
        let captured = handles::stream(stream)?.capture().take().ok_or(INVALID_VALUE)?;
        if captured.invalid {
            return Err(CAPTURE_INVALIDATED);
        }
        let made = handles().add(Object::Graph(Arc::new(captured.ops)));
        // SAFETY: as above.
        unsafe { give(graph, made) }
    }

    cuGraphInstantiateWithFlags(instance: *mut *mut c_void, graph: *mut c_void, _flags: c_ulonglong), NoCapture, {
        let ops = handles::graph(graph)?;
        let made = handles().add(Object::Instance(ops));
        // SAFETY: as above.
        unsafe { give(instance, made) }
    }

    cuGraphDestroy(graph: *mut c_void), Context, { remove(graph) }

    cuGraphExecDestroy(instance: *mut c_void), Context, { remove(instance) }

    cuGraphLaunch(instance: *mut c_void, stream: *mut c_void), Context, {
        let ops = handles::instance(instance)?;
        handles::stream(stream)?.push(Op::Graph(ops));
        Ok(())
    }
}

fn remove(handle: *mut c_void) -> Result<(), u32> {
    let object = handles().remove(handle).ok_or(INVALID_HANDLE)?;
    drop(object);
    Ok(())
}

/// # Safety
///
/// There are `len` options and values; a log buffer has the size that is given.
unsafe fn write_log(log: &str, len: c_uint, options: *const c_uint, values: *const *mut c_void) {
    const BUFFER: c_uint = 5;
    const SIZE: c_uint = 6;
    let (mut buffer, mut size) = (std::ptr::null_mut::<u8>(), 0);
    for i in 0..len as usize {
        // SAFETY: the caller promises it.
        match unsafe { (*options.add(i), *values.add(i)) } {
            (BUFFER, value) => buffer = value.cast(),
            (SIZE, value) => size = value.addr(),
            _ => {}
        }
    }
    if !buffer.is_null() && size > 0 {
        let len = log.len().min(size - 1);
        // SAFETY: the buffer has `size` bytes.
        unsafe {
            std::ptr::copy_nonoverlapping(log.as_ptr(), buffer, len);
            buffer.add(len).write(0);
        }
    }
}

/// The codes that tests see, as the driver words them.
fn named(code: u32) -> Option<[&'static CStr; 2]> {
    Some(match code {
        1 => [c"CUDA_ERROR_INVALID_VALUE", c"invalid argument"],
        2 => [c"CUDA_ERROR_OUT_OF_MEMORY", c"out of memory"],
        100 => [c"CUDA_ERROR_NO_DEVICE", c"no CUDA-capable device is detected"],
        201 => [c"CUDA_ERROR_INVALID_CONTEXT", c"invalid device context"],
        209 => [c"CUDA_ERROR_NO_BINARY_FOR_GPU", c"no kernel image is available for execution on the device"],
        218 => [c"CUDA_ERROR_INVALID_PTX", c"a PTX JIT compilation failed"],
        222 => [
            c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
            c"the provided PTX was compiled with an unsupported toolchain.",
        ],
        500 => [c"CUDA_ERROR_NOT_FOUND", c"named symbol not found"],
        700 => [c"CUDA_ERROR_ILLEGAL_ADDRESS", c"an illegal memory access was encountered"],
        701 => [c"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", c"too many resources requested for launch"],
        719 => [c"CUDA_ERROR_LAUNCH_FAILED", c"unspecified launch failure"],
        803 => [
            c"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
            c"system has unsupported display driver / cuda driver combination",
        ],
        _ => return None,
    })
}
