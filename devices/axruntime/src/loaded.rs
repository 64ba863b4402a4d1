//! A compiled model in host memory, and whether the library sees it as its manifest describes it.

use std::ffi::CString;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{DeviceError, Model};

use crate::context::Context;
use crate::failure::Failure;
use crate::layout;
use crate::library::setup;
use crate::sys;

/// A model the library has loaded, shared by all instances of it.
pub(crate) struct Loaded {
    pub(crate) context: Arc<Context>,
    ptr: NonNull<sys::Model>,
}

// SAFETY: the vendor ties a model to no thread, and every call on it is made under the lock of `setup`.
unsafe impl Send for Loaded {}
// SAFETY: as for `Send`.
unsafe impl Sync for Loaded {}

impl Loaded {
    /// Loads the `model.json` at `path`, which `model` was read from.
    ///
    /// # Errors
    ///
    /// When the library refuses the model, has its structs otherwise than documented, or has other tensors than the
    /// manifest.
    pub(crate) fn new(
        context: &Arc<Context>,
        device: &str,
        model: &Model,
        path: &Path,
    ) -> Result<Arc<Self>, DeviceError> {
        let unsupported = |why| DeviceError::Unsupported { device: device.to_owned(), why };
        // Two of the vendor's own limits; a path with a NUL names no file.
        let file = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| {
            unsupported(format!("`{}` is not a path the library can be given", path.display()))
        })?;
        let loaded = {
            let _setup = setup();
            // SAFETY: the context is alive, the path ends in NUL, and the lock is held.
            let ptr = NonNull::new(unsafe { (context.library.load_model)(context.as_ptr(), file.as_ptr()) });
            let Some(ptr) = ptr else {
                // SAFETY: the context is alive, and no other call came between.
                let failure = unsafe { Failure::last(&context.library, "axr_load_model", context.object()) };
                return Err(unsupported(format!("model `{}`: {failure}", model.name)));
            };
            Loaded { context: Arc::clone(context), ptr }
        };
        loaded.check(model).map_err(|why| unsupported(format!("model `{}`: {why}", model.name)))?;
        Ok(Arc::new(loaded))
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::Model {
        self.ptr.as_ptr()
    }

    fn check(&self, model: &Model) -> Result<(), String> {
        let _setup = setup();
        let library = &self.context.library;
        if let Some(known) = model.inputs.first() {
            layout::check_tensor(library, known)?;
        }
        // SAFETY: the model is alive and the lock is held.
        let counts = unsafe {
            ((library.num_model_inputs)(self.as_ptr()), (library.num_model_outputs)(self.as_ptr()))
        };
        if counts != (model.inputs.len(), model.outputs.len()) {
            return Err(format!(
                "the library has {} inputs and {} outputs, the manifest has {} and {}: is manifest.json from the same compilation as model.json?",
                counts.0,
                counts.1,
                model.inputs.len(),
                model.outputs.len()
            ));
        }
        let check_all = |what, get: unsafe extern "C" fn(_, _) -> _, tensors: &[TensorInfo]| {
            tensors.iter().enumerate().try_for_each(|(idx, tensor)| {
                // SAFETY: the model is alive, it has so many tensors, and the lock is held. The result has room for far
                // more than the library's struct.
                let room = unsafe { get(self.as_ptr(), idx) };
                layout::check_agrees(library, &room, &format!("{what} {idx}"), tensor)
            })
        };
        check_all("input", library.get_model_input, &model.inputs)?;
        check_all("output", library.get_model_output, &model.outputs)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let _setup = setup();
        // SAFETY: instances of this model hold an `Arc` of it, so none is left; the context outlives it.
        unsafe { (self.context.library.destroy)(self.as_ptr().cast_const().cast()) };
    }
}
