//! Finding and loading the library.

use std::env;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ::openvino::Core;
use nbuffer_runtime::EngineError;

use super::{NAME, OpenVino};

/// Names the library where no path is given.
const LIBRARY_VARIABLE: &str = "OPENVINO_DYLIB_PATH";

/// How the library's file name begins; wheels put a version behind it.
const FILE_NAME: &str = "libopenvino_c.";

const HOW_TO_GET: &str = "run `pip install openvino` (2025.1 or newer) and set OPENVINO_DYLIB_PATH to its \
    site-packages directory (`pip show openvino` names it) or to the file `openvino/libs/libopenvino_c.so*` in it";

/// What this process has loaded, or tried to: a loaded library stays, and OpenVINO takes one.
enum Loaded {
    Engine(OpenVino),
    Unusable(PathBuf),
}

static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

pub(super) fn load(library: Option<&Path>) -> Result<OpenVino, EngineError> {
    let from_environment =
        || env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(given) = library.map(Path::to_path_buf).or_else(from_environment) else {
        return Err(unavailable(format!("no library is named: {HOW_TO_GET}")));
    };
    let library = find(&given)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match &*loaded {
        Some(Loaded::Engine(engine)) if engine.library == library => return Ok(engine.clone()),
        Some(Loaded::Engine(OpenVino { library: other, .. }) | Loaded::Unusable(other)) => {
            return Err(unavailable(format!(
                "this process has already loaded, or tried, `{}` and takes no second library such as `{}`",
                other.display(),
                library.display()
            )));
        }
        None => {}
    }
    // The binding panics where a library lacks a symbol.
    let opened = catch_unwind(|| {
        openvino_sys::library::load_from(&library)?;
        Core::new().map_err(|error| error.to_string())
    });
    let opened = opened.unwrap_or_else(|_| Err("it lacks functions of OpenVINO's C library".to_owned()));
    let core = match opened {
        Ok(core) => core,
        Err(why) => {
            let error = unavailable(format!("`{}`: {why}: {HOW_TO_GET}", library.display()));
            *loaded = Some(Loaded::Unusable(library));
            return Err(error);
        }
    };
    let version = ::openvino::version().build_number;
    let engine = OpenVino { library, version, core: Arc::new(Mutex::new(core)) };
    *loaded = Some(Loaded::Engine(engine.clone()));
    Ok(engine)
}

/// The library's file, itself or in a directory that is given.
fn find(given: &Path) -> Result<PathBuf, EngineError> {
    // An absolute path is also what keeps the loader from searching system directories.
    let given = given
        .canonicalize()
        .map_err(|error| unavailable(format!("`{}`: {error}: {HOW_TO_GET}", given.display())))?;
    let is_library = |path: &Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FILE_NAME)) && path.is_file()
    };
    if !given.is_dir() {
        return if is_library(&given) {
            Ok(given)
        } else {
            Err(unavailable(format!("`{}` is no `{FILE_NAME}so*`: {HOW_TO_GET}", given.display())))
        };
    }
    for directory in ["", "libs", "openvino/libs"] {
        let Ok(entries) = fs::read_dir(given.join(directory)) else { continue };
        let mut found: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path()).filter(|path| is_library(path)).collect();
        found.sort();
        if let Some(library) = found.pop() {
            return Ok(library);
        }
    }
    Err(unavailable(format!(
        "there is no `{FILE_NAME}so*` in `{}`, nor in `libs` or `openvino/libs` in it: {HOW_TO_GET}",
        given.display()
    )))
}

fn unavailable(why: String) -> EngineError {
    EngineError::Unavailable { engine: NAME, why }
}
