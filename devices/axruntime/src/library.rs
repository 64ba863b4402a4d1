//! The library itself: found, loaded, and never unloaded.

use std::env;
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sys::Functions;

/// Names the library where no path is given.
const LIBRARY_VARIABLE: &str = "AXRUNTIME_DYLIB_PATH";

/// What the system's loader searches for where no path is given at all.
const LIBRARY_NAME: &str = "libaxruntime.so";

const HOW_TO_GET: &str = "install the vendor's Voyager SDK (its driver and runtime packages) and set AXRUNTIME_DYLIB_PATH to its \
    libaxruntime.so, or put the folder of that file on the loader's search path";

/// A loaded `libaxruntime.so`.
///
/// It stays loaded for the life of the process: it has threads of its own, whose code must not go away.
pub(crate) struct Library {
    functions: Functions,
    name: OsString,
    _loaded: ManuallyDrop<libloading::Library>,
}

impl Library {
    /// Loads `path`, else the file that `$AXRUNTIME_DYLIB_PATH` names, else what the loader finds.
    ///
    /// # Errors
    ///
    /// What is missing and how to get it.
    pub(crate) fn load(path: Option<&Path>) -> Result<Arc<Self>, String> {
        let from_environment = || env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty());
        let name = path.map(|path| path.as_os_str().to_owned()).or_else(from_environment);
        let name = name.unwrap_or_else(|| LIBRARY_NAME.into());
        // SAFETY: loading runs the library's initialisers. The user named this file, or it is the system's
        // libaxruntime.so; the vendor states no condition for loading it.
        let loaded = unsafe { libloading::Library::new(&name) }
            .map_err(|error| format!("{}: {HOW_TO_GET}", error_chain(&error)))?;
        let loaded = ManuallyDrop::new(loaded);
        // SAFETY: a library called so, or named so by the user, has the vendor's functions under the vendor's names.
        let functions = unsafe { Functions::look_up(&loaded) }.map_err(|missing| {
            format!(
                "`{}` has no {}: it is another library, or a version of libaxruntime.so that nbuffer does not know",
                name.display(),
                missing.join(", ")
            )
        })?;
        Ok(Arc::new(Library { functions, name, _loaded: loaded }))
    }

    /// What a report says of it.
    pub(crate) fn describe(&self) -> String {
        let file = Path::new(&self.name).file_name().unwrap_or(&self.name).display();
        // SAFETY: the function takes nothing and has no documented precondition.
        match self.functions.api_version.map(|api_version| unsafe { api_version() }) {
            Some(version) => format!("{file}, API version {version:#x}"),
            None => file.to_string(),
        }
    }
}

impl Deref for Library {
    type Target = Functions;

    fn deref(&self) -> &Functions {
        &self.functions
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Library({})", self.name.display())
    }
}

/// Keeps all but the calls that run an instance to one thread of the process at a time.
///
/// The vendor states no thread safety for them, and its own software takes a lock for connecting and loading, which do
/// not work side by side. What is held meanwhile must not be dropped under this lock if its drop takes it as well.
pub(crate) fn setup() -> MutexGuard<'static, ()> {
    static SETUP: Mutex<()> = Mutex::new(());
    SETUP.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
