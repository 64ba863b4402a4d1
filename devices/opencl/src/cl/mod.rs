//! OpenCL objects that own themselves.
//!
//! `opencl3` has owners too, but theirs panic when a release fails, which is what a lost device does, and in a
//! drop that ends the process. These are built on its functions, and release quietly.
//!
//! What is unsafe here is what Rust cannot see: a queued copy reads or writes host memory after its call has
//! returned. Everything else is checked by OpenCL, and each call's code is looked at.

mod buffer;
mod context;
mod event;
mod kernel;
mod queue;

use nbuffer_runtime::DeviceError;
use opencl3::error_codes::{self as codes, error_text};
use opencl3::types::cl_int;

pub(crate) use buffer::Buffer;
pub(crate) use context::Context;
pub(crate) use event::{Event, Times, wait_for};
pub(crate) use kernel::{ArgumentKind, Code, Executable, Kernel, Value};
pub(crate) use queue::Queue;

/// What an OpenCL function returned, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {} ({code})", error_text(*code))]
pub(crate) struct ClError {
    call: &'static str,
    code: cl_int,
}

/// The end of an OpenCL call that failed with this code, or its value.
fn checked<T>(call: &'static str, result: Result<T, cl_int>) -> Result<T, ClError> {
    result.map_err(|code| ClError { call, code })
}

/// What NVIDIA's driver says when a kernel touched memory that is not its own. The context is gone then.
const ILLEGAL_ACCESS_NVIDIA: cl_int = -9999;

impl ClError {
    /// The end of a command, as its event tells it: `code` is negative.
    pub(crate) fn of_command(command: &'static str, code: i32) -> Self {
        ClError { call: command, code }
    }

    /// Whether the device or the context is gone, and not this one call.
    pub(crate) fn is_lost(self) -> bool {
        matches!(
            self.code,
            codes::CL_DEVICE_NOT_AVAILABLE
                | codes::CL_OUT_OF_RESOURCES
                | codes::CL_INVALID_DEVICE
                | codes::CL_INVALID_CONTEXT
                | codes::CL_INVALID_COMMAND_QUEUE
                | codes::CL_CONTEXT_TERMINATED_KHR
                | ILLEGAL_ACCESS_NVIDIA
        )
    }

    /// Whether there is no memory left for an object.
    pub(crate) fn is_out_of_memory(self) -> bool {
        matches!(
            self.code,
            codes::CL_MEM_OBJECT_ALLOCATION_FAILURE
                | codes::CL_OUT_OF_RESOURCES
                | codes::CL_OUT_OF_HOST_MEMORY
                | codes::CL_INVALID_BUFFER_SIZE
        )
    }

    /// Whether the command itself is fine, and failed since one it waited for did.
    pub(crate) fn is_of_another(self) -> bool {
        self.code == codes::CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST
    }
}

impl From<ClError> for DeviceError {
    /// A call that failed costs its item, a device that is gone its lane.
    fn from(error: ClError) -> Self {
        let why = error.to_string();
        if error.is_lost() { DeviceError::Lost { why } } else { DeviceError::Call { why } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_call_and_its_code() {
        let error = checked::<()>("clEnqueueNDRangeKernel", Err(codes::CL_INVALID_KERNEL_ARGS)).unwrap_err();
        assert_eq!(error.to_string(), "clEnqueueNDRangeKernel: CL_INVALID_KERNEL_ARGS (-52)");
    }

    #[test]
    fn a_failed_call_costs_its_item_and_a_lost_device_its_lane() {
        let device_error = |code| DeviceError::from(ClError { call: "clFlush", code });
        for code in [codes::CL_DEVICE_NOT_AVAILABLE, codes::CL_OUT_OF_RESOURCES, ILLEGAL_ACCESS_NVIDIA] {
            assert!(matches!(device_error(code), DeviceError::Lost { .. }), "{code}");
        }
        for code in [codes::CL_INVALID_KERNEL_ARGS, codes::CL_OUT_OF_HOST_MEMORY, -12345] {
            assert!(matches!(device_error(code), DeviceError::Call { .. }), "{code}");
        }
    }
}
