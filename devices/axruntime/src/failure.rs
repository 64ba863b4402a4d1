//! What the library says when a call fails, and what that means for an item, a lane or the set-up.

use std::ffi::CStr;
use std::fmt;

use nbuffer_runtime::DeviceError;

use crate::library::Library;
use crate::sys::{Object, ResultCode, SUCCESS};

/// `axrResult` in its documented order.
const NAMES: [&str; 12] = [
    "SUCCESS",
    "RUNTIME_ERROR",
    "VALUE_ERROR",
    "INVALID_ARGUMENT",
    "CONNECTION_ERROR",
    "DEVICE_IN_USE",
    "INCOMPATIBLE_DEVICE",
    "INVALID_CONFIGURATION",
    "NOT_IMPLEMENTED",
    "INTERNAL_ERROR",
    "PENDING_ERROR",
    "UNKNOWN_ERROR",
];

const VALUE_ERROR: ResultCode = 2;
const INVALID_ARGUMENT: ResultCode = 3;
const CONNECTION_ERROR: ResultCode = 4;
const INCOMPATIBLE_DEVICE: ResultCode = 6;
const INVALID_CONFIGURATION: ResultCode = 7;
const NOT_IMPLEMENTED: ResultCode = 8;
const PENDING_ERROR: ResultCode = 10;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    call: &'static str,
    code: ResultCode,
    text: String,
}

impl Failure {
    /// The code of a lane whose instance could not be loaded again.
    pub(crate) const GONE: ResultCode = CONNECTION_ERROR;

    /// The failure that a call reports through the object it was made on. It must be asked for before any other call in
    /// this thread, and by the same thread.
    ///
    /// # Safety
    ///
    /// `object` is alive.
    pub(crate) unsafe fn last(library: &Library, call: &'static str, object: *const Object) -> Self {
        // SAFETY: the caller states that the object is alive.
        let code = unsafe { (library.last_error)(object) };
        // SAFETY: as above.
        unsafe { Failure::of_code(library, call, code, object) }
    }

    /// The failure of a call that returned `code`; its words come through the object, as with [`Failure::last`].
    ///
    /// # Safety
    ///
    /// `object` is alive.
    pub(crate) unsafe fn of_code(
        library: &Library,
        call: &'static str,
        code: ResultCode,
        object: *const Object,
    ) -> Self {
        // SAFETY: the caller states that the object is alive.
        let text = unsafe { (library.last_error_string)(object) };
        let text = if text.is_null() {
            String::new()
        } else {
            // SAFETY: the library gives a string that ends in NUL and stays until the next call in this thread, which
            // comes after it has been copied.
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        };
        Failure { call, code, text }
    }

    /// A failure that the library told by its code alone.
    pub(crate) fn of_code_alone(call: &'static str, code: ResultCode) -> Self {
        Failure { call, code, text: String::new() }
    }

    /// The same failure, saying what the call was for.
    pub(crate) fn with(mut self, what: &str) -> Self {
        self.text = if self.text.is_empty() { what.to_owned() } else { format!("{}; {what}", self.text) };
        self
    }

    /// What a failed step of the set-up means.
    pub(crate) fn in_setup(&self, device: &str) -> DeviceError {
        let (device, why) = (device.to_owned(), self.to_string());
        match self.code {
            VALUE_ERROR
            | INVALID_ARGUMENT
            | INCOMPATIBLE_DEVICE
            | INVALID_CONFIGURATION
            | NOT_IMPLEMENTED => DeviceError::Unsupported { device, why },
            _ => DeviceError::Unavailable { device, why },
        }
    }

    /// What a failed run of an instance means for its lane. Only a connection that is gone takes the lane with it.
    pub(crate) fn in_run(&self) -> DeviceError {
        let why = self.to_string();
        if self.is_loss() { DeviceError::Lost { why } } else { DeviceError::Call { why } }
    }

    /// Whether there is no error after all.
    pub(crate) fn is_success(&self) -> bool {
        self.code == SUCCESS
    }

    /// Whether the device is gone.
    pub(crate) fn is_loss(&self) -> bool {
        self.code == CONNECTION_ERROR
    }

    /// Whether a submit was refused only because the instance has no place left for it. Which code says so is not
    /// documented.
    pub(crate) fn is_queue_full(&self) -> bool {
        self.code == PENDING_ERROR || self.text.to_ascii_lowercase().contains("full")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { call, code, text } = self;
        let name = usize::try_from(*code).ok().and_then(|code| NAMES.get(code).copied());
        match (name, *code == SUCCESS) {
            // A call that gives NULL and no error.
            (_, true) => write!(f, "`{call}` failed without an error code")?,
            (Some(name), _) => write!(f, "`{call}` failed with {name} ({code})")?,
            (None, _) => write!(f, "`{call}` failed with the unknown code {code}")?,
        }
        if text.is_empty() { Ok(()) } else { write!(f, ": {}", text.trim_end()) }
    }
}
