//! Programs and kernels.

use std::ffi::{CString, c_void};
use std::mem::size_of;
use std::ptr;

use opencl3::error_codes::{CL_INVALID_ARG_VALUE, CL_KERNEL_ARG_INFO_NOT_AVAILABLE};
use opencl3::kernel::{
    CL_KERNEL_ARG_ADDRESS_CONSTANT, CL_KERNEL_ARG_ADDRESS_GLOBAL, CL_KERNEL_ARG_ADDRESS_PRIVATE,
    CL_KERNEL_ARG_ADDRESS_QUALIFIER, CL_KERNEL_ARG_TYPE_CONST, CL_KERNEL_ARG_TYPE_NAME,
    CL_KERNEL_ARG_TYPE_QUALIFIER, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, CL_KERNEL_NUM_ARGS,
    CL_KERNEL_WORK_GROUP_SIZE, create_kernel, get_kernel_arg_info, get_kernel_info,
    get_kernel_work_group_info, release_kernel, set_kernel_arg,
};
use opencl3::program::{
    CL_PROGRAM_BUILD_LOG, build_program, create_program_with_binary, create_program_with_source,
    get_program_build_info, release_program,
};
use opencl3::types::{cl_kernel, cl_mem, cl_program, cl_uint};

use super::{Buffer, ClError, Context, checked};

/// More bytes than the fixed part of any driver's binaries has.
const BINARY_HEADER_MAX: usize = 4096;

/// What a program is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code<'a> {
    /// OpenCL C.
    Source(&'a str),
    /// What this device's compiler made of it before.
    Binary(&'a [u8]),
}

/// Why a program was not built.
#[derive(Debug, thiserror::Error)]
#[error("{error}{}", said(.log))]
pub(crate) struct BuildError {
    error: ClError,
    /// What the compiler said.
    log: String,
}

fn said(log: &str) -> String {
    if log.is_empty() { ", and the compiler said nothing".to_owned() } else { format!("; it said:\n{log}") }
}

/// A built program.
#[derive(Debug)]
pub(crate) struct Executable(cl_program);

// SAFETY: a handle that OpenCL's functions take from any thread; see `Context`.
unsafe impl Send for Executable {}
// SAFETY: as for `Send`.
unsafe impl Sync for Executable {}

impl Executable {
    /// Builds a program for the context's device. `options` are the compiler's; they hold no zero byte.
    pub(crate) fn build(context: &Context, code: Code<'_>, options: &str) -> Result<Self, BuildError> {
        let device = context.device().id();
        let (call, program) = match code {
            Code::Source(source) => {
                // A length of 0 would mean that the text ends with a zero byte.
                let source = format!("{source}\n");
                ("clCreateProgramWithSource", create_program_with_source(context.get(), &[&source]))
            }
            Code::Binary(binary) => {
                // Of a file that is too short for it, PoCL reads a whole header all the same.
                let padded = [binary, &[0; BINARY_HEADER_MAX]].concat();
                let binary = &padded[..binary.len()];
                // SAFETY: the device is the context's own, and the bytes outlive the call.
                let program = unsafe { create_program_with_binary(context.get(), &[device], &[binary]) };
                ("clCreateProgramWithBinary", program)
            }
        };
        let program =
            Executable(checked(call, program).map_err(|error| BuildError { error, log: String::new() })?);
        let options = CString::new(options).expect("options hold no zero byte");
        let built = build_program(program.0, &[device], &options, None, ptr::null_mut());
        checked("clBuildProgram", built).map_err(|error| {
            let log = get_program_build_info(program.0, device, CL_PROGRAM_BUILD_LOG);
            let log = log.map(String::from).unwrap_or_default();
            BuildError { error, log: log.trim_matches(['\0', '\n', ' ']).to_owned() }
        })?;
        Ok(program)
    }

    /// What the compiler made, to be loaded again.
    #[cfg(test)]
    pub(crate) fn binary(&self) -> Vec<u8> {
        use opencl3::program::{CL_PROGRAM_BINARIES, get_program_info};
        Vec::<Vec<u8>>::from(get_program_info(self.0, CL_PROGRAM_BINARIES).unwrap()).remove(0)
    }
}

impl Drop for Executable {
    fn drop(&mut self) {
        // SAFETY: `build` got this reference and nothing else gives it back. A failure leaves nothing to be done.
        let _ = unsafe { release_program(self.0) };
    }
}

/// What a kernel declares an argument to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArgumentKind {
    /// A pointer to device memory; `writable` unless it is `const` or `__constant`.
    Buffer { writable: bool },
    /// A value of this type.
    Value { type_name: String },
    /// What the host cannot give: local memory, an image, a sampler.
    Other { type_name: String },
    /// The program was built without this information.
    Unknown,
}

/// A value of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    U32(u32),
    I32(i32),
    U64(u64),
    F32(f32),
}

impl Value {
    fn size_bytes(self) -> usize {
        match self {
            Value::U32(_) | Value::I32(_) | Value::F32(_) => 4,
            Value::U64(_) => 8,
        }
    }

    fn address(&self) -> *const c_void {
        match self {
            Value::U32(value) => ptr::from_ref(value).cast(),
            Value::I32(value) => ptr::from_ref(value).cast(),
            Value::U64(value) => ptr::from_ref(value).cast(),
            Value::F32(value) => ptr::from_ref(value).cast(),
        }
    }
}

/// An entry of a program, with the arguments of its next run.
#[derive(Debug)]
pub(crate) struct Kernel {
    kernel: cl_kernel,
    arguments: Vec<ArgumentKind>,
}

// SAFETY: a handle that OpenCL's functions take from any thread. `clSetKernelArg`, which two threads must not call for
// one kernel at once, is called through `&mut self` only; hence no `Sync` either.
unsafe impl Send for Kernel {}

impl Kernel {
    /// The entry `name`, which holds no zero byte.
    pub(crate) fn new(program: &Executable, name: &str) -> Result<Self, ClError> {
        let name = CString::new(name).expect("an entry's name holds no zero byte");
        let kernel = checked("clCreateKernel", create_kernel(program.0, &name))?;
        let mut kernel = Kernel { kernel, arguments: Vec::new() };
        let count = checked("clGetKernelInfo", get_kernel_info(kernel.kernel, CL_KERNEL_NUM_ARGS))?;
        let declared: Result<_, _> = (0..cl_uint::from(count)).map(|index| kernel.declared(index)).collect();
        kernel.arguments = declared?;
        Ok(kernel)
    }

    /// What the entry declares its arguments to be, in order.
    pub(crate) fn arguments(&self) -> &[ArgumentKind] {
        &self.arguments
    }

    fn declared(&self, index: cl_uint) -> Result<ArgumentKind, ClError> {
        let info = |what| get_kernel_arg_info(self.kernel, index, what);
        let address = match info(CL_KERNEL_ARG_ADDRESS_QUALIFIER) {
            Err(CL_KERNEL_ARG_INFO_NOT_AVAILABLE) => return Ok(ArgumentKind::Unknown),
            address => cl_uint::from(checked("clGetKernelArgInfo", address)?),
        };
        let qualifiers = u64::from(checked("clGetKernelArgInfo", info(CL_KERNEL_ARG_TYPE_QUALIFIER))?);
        let type_name = String::from(checked("clGetKernelArgInfo", info(CL_KERNEL_ARG_TYPE_NAME))?);
        let type_name = type_name.trim_end_matches('\0').to_owned();
        let handles = ["image", "sampler_t", "pipe", "queue_t", "event_t", "reserve_id_t"];
        if handles.iter().any(|handle| type_name.starts_with(handle)) {
            return Ok(ArgumentKind::Other { type_name });
        }
        Ok(match address {
            CL_KERNEL_ARG_ADDRESS_GLOBAL => {
                ArgumentKind::Buffer { writable: qualifiers & u64::from(CL_KERNEL_ARG_TYPE_CONST) == 0 }
            }
            CL_KERNEL_ARG_ADDRESS_CONSTANT => ArgumentKind::Buffer { writable: false },
            CL_KERNEL_ARG_ADDRESS_PRIVATE => ArgumentKind::Value { type_name },
            _ => ArgumentKind::Other { type_name },
        })
    }

    /// Gives argument `index` of the next run a buffer.
    pub(crate) fn set_buffer(&mut self, index: usize, buffer: &Buffer) -> Result<(), ClError> {
        let declared = self.arguments.get(index);
        if !matches!(declared, Some(ArgumentKind::Buffer { .. } | ArgumentKind::Unknown)) {
            return Err(ClError { call: "clSetKernelArg", code: CL_INVALID_ARG_VALUE });
        }
        let mem = buffer.get();
        // SAFETY: the argument is declared to be a pointer to device memory, and `mem` is a memory object of this
        // size's handle. Where the declaration is not known, a value of the same size gets the handle's bits, and any
        // other size is refused.
        let set = unsafe {
            set_kernel_arg(self.kernel, index as cl_uint, size_of::<cl_mem>(), (&raw const mem).cast())
        };
        checked("clSetKernelArg", set)
    }

    /// Gives argument `index` of all runs from now on a value.
    pub(crate) fn set_value(&mut self, index: usize, value: Value) -> Result<(), ClError> {
        let is_safe = match self.arguments.get(index) {
            Some(ArgumentKind::Value { .. }) => true,
            // What may be a handle must not be given a number of the same size.
            Some(ArgumentKind::Unknown) => value.size_bytes() != size_of::<cl_mem>(),
            _ => false,
        };
        if !is_safe {
            return Err(ClError { call: "clSetKernelArg", code: CL_INVALID_ARG_VALUE });
        }
        // SAFETY: `address` points to as many bytes, and the argument is declared to be a value, or is refused by
        // OpenCL if it is not, since no handle has this size.
        let set =
            unsafe { set_kernel_arg(self.kernel, index as cl_uint, value.size_bytes(), value.address()) };
        checked("clSetKernelArg", set)
    }

    /// The most work items of a group that this kernel runs with on this device.
    pub(crate) fn group_max(&self, context: &Context) -> Result<usize, ClError> {
        let size = get_kernel_work_group_info(self.kernel, context.device().id(), CL_KERNEL_WORK_GROUP_SIZE);
        checked("clGetKernelWorkGroupInfo", size).map(usize::from)
    }

    /// The group that the source fixes with `reqd_work_group_size`, if it does.
    pub(crate) fn group_required(&self, context: &Context) -> Result<Option<Vec<usize>>, ClError> {
        let device = context.device().id();
        let size = get_kernel_work_group_info(self.kernel, device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE);
        let size = Vec::<usize>::from(checked("clGetKernelWorkGroupInfo", size)?);
        Ok(size.iter().all(|&dim| dim > 0).then_some(size))
    }

    pub(super) fn get(&self) -> cl_kernel {
        self.kernel
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // SAFETY: `new` got this reference and nothing else gives it back. A failure leaves nothing to be done.
        let _ = unsafe { release_kernel(self.kernel) };
    }
}
