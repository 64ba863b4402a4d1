//! What a driver call that fails says, and what it means for the lane that made it.

use std::ffi::{CStr, c_char};
use std::ptr;

use super::functions;

/// A driver call that failed.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed: {}", Named(*.code))]
pub(crate) struct Failure {
    /// The C function.
    pub(crate) call: &'static str,
    /// The `CUresult`, which may be newer than this crate.
    pub(crate) code: u32,
}

pub(crate) const INVALID_VALUE: u32 = 1;
pub(crate) const OUT_OF_MEMORY: u32 = 2;
const NO_DEVICE: u32 = 100;
const NO_BINARY_FOR_GPU: u32 = 209;
const INVALID_PTX: u32 = 218;
const JIT_COMPILER_NOT_FOUND: u32 = 221;
const UNSUPPORTED_PTX_VERSION: u32 = 222;
const NOT_FOUND: u32 = 500;
pub(crate) const NOT_READY: u32 = 600;
const LAUNCH_OUT_OF_RESOURCES: u32 = 701;
const SYSTEM_NOT_READY: u32 = 802;
const SYSTEM_DRIVER_MISMATCH: u32 = 803;
const UNKNOWN: u32 = 999;

impl Failure {
    /// Whether the call was refused and everything else goes on: what was given to the device before is done, and the
    /// next call may succeed. All other codes leave the context in a state that only a new process gets out of, or are
    /// ones this crate cannot judge.
    pub(crate) fn is_contained(self) -> bool {
        matches!(self.code, INVALID_VALUE | OUT_OF_MEMORY | LAUNCH_OUT_OF_RESOURCES)
    }

    pub(crate) fn is_out_of_memory(self) -> bool {
        self.code == OUT_OF_MEMORY
    }

    /// What it says, and what to do where that is known.
    pub(crate) fn with_advice(self) -> String {
        let advice = match self.code {
            NO_DEVICE => {
                "no NVIDIA GPU is visible; see `nvidia-smi`, and whether CUDA_VISIBLE_DEVICES hides it"
            }
            SYSTEM_DRIVER_MISMATCH => {
                "the driver's library and its kernel module differ in version; restart after a driver update"
            }
            SYSTEM_NOT_READY => {
                "the system is still starting (on NVSwitch machines: is nvidia-fabricmanager running?)"
            }
            UNKNOWN => "the kernel module may not be loaded; `nvidia-smi` says more",
            NOT_FOUND => "the code has no `extern \"C\"` kernel of this name",
            NO_BINARY_FOR_GPU => "the binary was built for another GPU; ship PTX, which fits newer ones too",
            INVALID_PTX => "the file is no PTX this driver takes",
            UNSUPPORTED_PTX_VERSION => {
                "the PTX is newer than the driver: update the driver, or build it with an older toolkit"
            }
            JIT_COMPILER_NOT_FOUND => "libnvidia-ptxjitcompiler is missing beside the driver",
            _ => return self.to_string(),
        };
        format!("{self} ({advice})")
    }
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// A code as the driver words it: `CUDA_ERROR_OUT_OF_MEMORY (2), out of memory`.
struct Named(u32);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let texts = functions::loaded().and_then(|functions| {
            let (mut name, mut text): (*const c_char, *const c_char) = (ptr::null(), ptr::null());
            // SAFETY: both pointers are written by the call, with strings that live as long as the driver.
            let found = unsafe {
                functions.cuGetErrorName(self.0, &mut name).is_ok()
                    && functions.cuGetErrorString(self.0, &mut text).is_ok()
            };
            // SAFETY: the driver found both: static C strings.
            found.then(|| unsafe { [CStr::from_ptr(name), CStr::from_ptr(text)] })
        });
        match texts {
            Some([name, text]) => {
                write!(f, "{} ({}), {}", name.to_string_lossy(), self.0, text.to_string_lossy())
            }
            None => write!(f, "CUDA error {}", self.0),
        }
    }
}
