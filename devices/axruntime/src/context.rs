//! A context of the library, and the devices it lists.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use nbuffer_runtime::DeviceError;

use crate::failure::Failure;
use crate::layout;
use crate::library::{Library, setup};
use crate::sys;

/// What owns everything else. It is destroyed when the last of what refers to it is gone.
pub(crate) struct Context {
    pub(crate) library: Arc<Library>,
    ptr: NonNull<sys::Context>,
}

// SAFETY: the vendor ties a context to no thread, and every call on it is made under the lock of `setup`.
unsafe impl Send for Context {}
// SAFETY: as for `Send`: shared use is kept to one thread at a time by the lock of `setup`.
unsafe impl Sync for Context {}

impl Context {
    /// A context of its own.
    ///
    /// # Errors
    ///
    /// When the library makes none.
    pub(crate) fn new(library: &Arc<Library>) -> Result<Arc<Self>, String> {
        let _setup = setup();
        // SAFETY: the function takes nothing, and the lock keeps other set-up calls away.
        let ptr = NonNull::new(unsafe { (library.create_context)() });
        let ptr = ptr.ok_or("`axr_create_context` gave nothing: is the vendor's driver loaded?")?;
        Ok(Arc::new(Context { library: Arc::clone(library), ptr }))
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::Context {
        self.ptr.as_ptr()
    }

    /// Names of the devices, in the library's order.
    ///
    /// # Errors
    ///
    /// Why there is none, or why what the library says cannot be read.
    pub(crate) fn device_names(&self) -> Result<Vec<String>, String> {
        let _setup = setup();
        // SAFETY: the lock is held.
        unsafe { self.listed() }.map(|(names, _)| names)
    }

    /// The devices, each by its name, and the library's own array of them, which stays until the next call on this
    /// context.
    ///
    /// # Safety
    ///
    /// The lock of `setup` is held until the array is used no more.
    pub(crate) unsafe fn listed(&self) -> Result<(Vec<String>, *const sys::DeviceInfo), String> {
        let mut devices: *mut sys::DeviceInfo = ptr::null_mut();
        // SAFETY: the context is alive, and the library writes one pointer.
        let count = unsafe { (self.library.list_devices)(self.as_ptr(), &mut devices) };
        if count == 0 || devices.is_null() {
            // SAFETY: the context is alive, and no other call came between.
            let failure = unsafe { Failure::last(&self.library, "axr_list_devices", self.object()) };
            let no_device = "the library lists no device: is the card there, and its driver loaded?";
            return Err(if failure.is_success() {
                no_device.to_owned()
            } else {
                format!("{no_device} {failure}")
            });
        }
        // SAFETY: the library has just given so many devices there, and the lock keeps it from changing them.
        let names = unsafe { layout::device_names(devices, count) }?;
        Ok((names, devices))
    }

    /// The object that errors of calls on this context are told through.
    pub(crate) fn object(&self) -> *const sys::Object {
        self.as_ptr().cast_const().cast()
    }

    /// Properties from `key=value;key=value`, for one call.
    ///
    /// # Safety
    ///
    /// The lock of `setup` is held while the result lives.
    pub(crate) unsafe fn properties(&self, text: &str, device: &str) -> Result<Properties<'_>, DeviceError> {
        let text = CString::new(text).expect("properties are made of numbers and words");
        // SAFETY: the context is alive, and the library copies the string.
        let ptr = unsafe { (self.library.create_properties)(self.as_ptr(), text.as_ptr()) };
        match NonNull::new(ptr) {
            Some(ptr) => Ok(Properties { context: self, ptr }),
            None => {
                // SAFETY: the context is alive, and no other call came between.
                let failure = unsafe { Failure::last(&self.library, "axr_create_properties", self.object()) };
                Err(failure.in_setup(device))
            }
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let _setup = setup();
        // SAFETY: whatever belongs to this context holds an `Arc` of it, so nothing of it is in use any more.
        unsafe { (self.library.destroy)(self.object()) };
    }
}

/// Properties for one call, destroyed after it. They live under the lock of `setup`.
pub(crate) struct Properties<'a> {
    context: &'a Context,
    ptr: NonNull<sys::Properties>,
}

impl Properties<'_> {
    pub(crate) fn as_ptr(&self) -> *mut sys::Properties {
        self.ptr.as_ptr()
    }
}

impl Drop for Properties<'_> {
    fn drop(&mut self) {
        // SAFETY: this is the only reference to the object, and whoever made it holds the lock of `setup`.
        unsafe { (self.context.library.destroy)(self.as_ptr().cast_const().cast()) };
    }
}
