//! The stand-in library: built, copied, told what to do, and asked what it saw.

use std::ffi::{CString, c_char};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use nbuffer_axruntime::AxDevice;
use nbuffer_runtime::{Device, Lane, LaneOptions, Model, Program};
use nbuffer_runtime::{InputSet, OutputSet};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::build::built;

/// A copy of the library of its own, so that tests side by side share no state.
pub(crate) struct StandIn {
    folder: TempDir,
    path: PathBuf,
    library: &'static libloading::Library,
}

const KINDS: [&str; 5] = ["context", "model", "connection", "instance", "properties"];

impl StandIn {
    pub(crate) fn new() -> Self {
        StandIn::without(&[])
    }

    /// The library as an older version of it would be, without these functions.
    pub(crate) fn without(functions: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libaxruntime.so");
        let mut bytes = fs::read(built()).unwrap();
        functions.iter().for_each(|function| rename(&mut bytes, function));
        fs::write(&path, bytes).unwrap();
        // SAFETY: this is the stand-in, which does nothing while it is loaded. It is never unloaded: it has threads.
        let library = Box::leak(Box::new(unsafe { libloading::Library::new(&path) }.unwrap()));
        StandIn { folder, path, library }
    }

    /// One with this to do.
    pub(crate) fn told(lines: &str) -> Self {
        let stand_in = StandIn::new();
        stand_in.tell(lines);
        stand_in
    }

    pub(crate) fn tell(&self, lines: &str) {
        // SAFETY: the stand-in declares the function so.
        let tell: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char)> =
            unsafe { self.library.get("stand_in_control") }.unwrap();
        let lines = CString::new(lines).unwrap();
        // SAFETY: the string ends in NUL.
        unsafe { tell(lines.as_ptr()) };
    }

    fn ask(&self, function: &str, about: &str) -> u64 {
        // SAFETY: the stand-in declares the functions that are asked for so.
        let ask: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> u64> =
            unsafe { self.library.get(function) }.unwrap();
        let about = CString::new(about).unwrap();
        // SAFETY: the string ends in NUL.
        unsafe { ask(about.as_ptr()) }
    }

    pub(crate) fn calls(&self, function: &str) -> u64 {
        self.ask("stand_in_calls", function)
    }

    pub(crate) fn alive(&self, kind: &str) -> u64 {
        self.ask("stand_in_alive", kind)
    }

    pub(crate) fn misuses(&self) -> String {
        // SAFETY: the stand-in declares the function so.
        let misuses: libloading::Symbol<'_, unsafe extern "C" fn(*mut u8, usize) -> u64> =
            unsafe { self.library.get("stand_in_misuses") }.unwrap();
        let mut text = vec![0; 4096];
        // SAFETY: so many bytes fit.
        unsafe { misuses(text.as_mut_ptr(), text.len()) };
        String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned()
    }

    /// Everything was destroyed, and nothing was done that must not be.
    #[track_caller]
    pub(crate) fn check_over(&self) {
        assert_eq!(KINDS.map(|kind| (kind, self.alive(kind))), KINDS.map(|kind| (kind, 0)));
        assert_eq!(self.misuses(), "");
    }

    pub(crate) fn device(&self) -> AxDevice {
        AxDevice::new(None, Some(&self.path))
    }

    pub(crate) fn named(&self, name: &str) -> AxDevice {
        AxDevice::new(Some(name), Some(&self.path))
    }

    /// A compiled model of `batch` items, 64 bytes each, whose outputs are its inputs.
    pub(crate) fn model(&self, batch: usize) -> Arc<Model> {
        self.model_of(json!([batch, 1, 1, 64]), json!([batch, 1, 1, 64]), "identity")
    }

    pub(crate) fn model_of(&self, input: Value, output: Value, values: &str) -> Arc<Model> {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let manifest = json!({
            "quantize_params": [[1.0, 0]], "dequantize_params": [[1.0, 0]],
            "input_shapes": [input], "output_shapes": [output], "model_lib_file": "model.json",
        });
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
        fs::write(folder.join("model.json"), json!({ "stand_in": values }).to_string()).unwrap();
        Arc::new(Model::open(folder).unwrap())
    }

    /// A file for a simulated device: quick, with these faults.
    pub(crate) fn profile(&self, faults: &str) -> PathBuf {
        let profile = format!(
            "description = \"test\"\nclass = \"lockstep\"\ncores = 4\nkernel_time = \"100us\"\ndouble_buffer = true\n[link]\nduplex = \"full\"\nwrite_time = \"20us\"\nread_time = \"20us\"\n{faults}"
        );
        let file = self.folder.path().join("profile.toml");
        fs::write(&file, profile).unwrap();
        file
    }
}

/// Lanes 0 to `n` of a program.
pub(crate) fn lanes(
    program: &Arc<dyn Program>,
    n: usize,
    double_buffer: bool,
) -> Vec<Lane<InputSet, OutputSet>> {
    let open = |lane| program.open_lane(LaneOptions { lane, double_buffer });
    (0..n).map(|lane| open(lane).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Why a model cannot be prepared.
#[track_caller]
pub(crate) fn refusal(device: &AxDevice, model: &Arc<Model>) -> String {
    match device.prepare(model, 1) {
        Ok(_) => panic!("it was prepared"),
        Err(error) => error.to_string(),
    }
}

/// Hides a function: a name that is looked up is compared with the one in the file, which is another now.
fn rename(library: &mut [u8], function: &str) {
    let name = format!("\0{function}\0");
    let places: Vec<usize> = memchr::memmem::find_iter(library, name.as_bytes()).map(|at| at + 1).collect();
    assert!(!places.is_empty(), "the stand-in has no `{function}`");
    places.into_iter().for_each(|at| library[at] = b'_');
}
