//! A copy of the library: made, told what to do, and asked what it saw.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::{CString, c_char};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use tempfile::TempDir;

/// What a caller owns, by kind.
const KINDS: [&str; 5] = ["context", "model", "connection", "instance", "properties"];

/// The library, where cargo has put it: beside the program that runs, or among what that was built from.
///
/// # Errors
///
/// When it is in neither place, as when a program was carried elsewhere alone.
pub fn library() -> io::Result<PathBuf> {
    let name = format!("{DLL_PREFIX}axruntime_stand_in{DLL_SUFFIX}");
    let exe = env::current_exe()?;
    let folder = exe.parent().unwrap_or(Path::new("."));
    let places = [folder.join(&name), folder.join("deps").join(&name)];
    places.into_iter().find(|place| place.is_file()).ok_or_else(|| {
        let why = format!("no {name} in {} and in `deps` there: cargo puts it there", folder.display());
        io::Error::new(io::ErrorKind::NotFound, why)
    })
}

/// A copy of the library of its own, so that users side by side share no state.
///
/// It stays loaded for the life of the process: it has threads.
pub struct StandIn {
    folder: TempDir,
    path: PathBuf,
    library: ManuallyDrop<libloading::Library>,
}

impl StandIn {
    /// A whole one.
    ///
    /// # Errors
    ///
    /// When the library is not there, or cannot be copied or loaded.
    pub fn new() -> io::Result<Self> {
        StandIn::without(&[])
    }

    /// The library as an older version of it would be, without these functions.
    ///
    /// # Errors
    ///
    /// As [`StandIn::new`], and when it has no such function.
    pub fn without(functions: &[&str]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("libaxruntime.so");
        let mut bytes = fs::read(library()?)?;
        functions.iter().try_for_each(|function| hide(&mut bytes, function))?;
        fs::write(&path, bytes)?;
        // SAFETY: this is the stand-in, which does nothing while it is loaded. It is never unloaded: it has threads.
        let library =
            ManuallyDrop::new(unsafe { libloading::Library::new(&path) }.map_err(io::Error::other)?);
        Ok(StandIn { folder, path, library })
    }

    /// The file, called as the vendor calls it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder that lives as long as this.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells it what is to go wrong; `control.rs` says in which words.
    ///
    /// # Panics
    ///
    /// At words it does not know.
    pub fn tell(&self, lines: &str) {
        // SAFETY: the stand-in declares the function so.
        let tell: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char)> =
            unsafe { self.library.get("stand_in_control") }.expect("the stand-in has it");
        let lines = CString::new(lines).expect("no NUL in what is told");
        // SAFETY: the string ends in NUL.
        unsafe { tell(lines.as_ptr()) };
    }

    /// How often `function` was called.
    pub fn calls(&self, function: &str) -> u64 {
        self.ask("stand_in_calls", function)
    }

    /// How many objects of a kind are alive.
    pub fn alive(&self, kind: &str) -> u64 {
        self.ask("stand_in_alive", kind)
    }

    /// What was done that must not be, a line each.
    pub fn misuses(&self) -> String {
        // SAFETY: the stand-in declares the function so.
        let misuses: libloading::Symbol<'_, unsafe extern "C" fn(*mut u8, usize) -> u64> =
            unsafe { self.library.get("stand_in_misuses") }.expect("the stand-in has it");
        let mut text = vec![0; 4096];
        // SAFETY: so many bytes fit.
        unsafe { misuses(text.as_mut_ptr(), text.len()) };
        String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned()
    }

    /// Whether everything was destroyed, and nothing done that must not be.
    ///
    /// # Errors
    ///
    /// What is alive, or was done.
    pub fn is_at_rest(&self) -> Result<(), String> {
        let alive = KINDS.map(|kind| (self.alive(kind), kind));
        let left: Vec<String> = alive
            .into_iter()
            .filter(|&(count, _)| count > 0)
            .map(|(count, kind)| format!("{count} {kind} left"))
            .collect();
        let misuses = Some(self.misuses()).filter(|misuses| !misuses.is_empty());
        let wrong: Vec<String> = left.into_iter().chain(misuses).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
    }

    fn ask(&self, function: &str, about: &str) -> u64 {
        // SAFETY: the stand-in declares the functions that are asked for so.
        let ask: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> u64> =
            unsafe { self.library.get(function) }.expect("the stand-in has it");
        let about = CString::new(about).expect("no NUL in a name");
        // SAFETY: the string ends in NUL.
        unsafe { ask(about.as_ptr()) }
    }
}

impl std::fmt::Debug for StandIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StandIn({})", self.path.display())
    }
}

/// Hides a function: a name that is looked up is compared with the one in the file, which is another now.
fn hide(library: &mut [u8], function: &str) -> io::Result<()> {
    let name = format!("\0{function}\0");
    let places: Vec<usize> = memchr::memmem::find_iter(library, name.as_bytes()).map(|at| at + 1).collect();
    if places.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("the stand-in has no `{function}`")));
    }
    places.into_iter().for_each(|at| library[at] = b'_');
    Ok(())
}
