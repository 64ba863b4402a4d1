//! A device as the suite sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nbuffer_runtime::{BoxError, Device};
use tempfile::TempDir;

/// How to open a device, what it can carry, and what it is known not to do.
pub struct Runner {
    /// The column's head: `sim:metis`, or `cpu rten` where an engine makes a difference.
    pub name: String,
    /// Opens the device anew; an error says why it is not here, and is no failure.
    pub open: Box<dyn Fn() -> Result<Box<dyn Device>, BoxError> + Send + Sync>,
    /// What its kernels are made of.
    pub forms: Forms,
    /// The most lanes that cases open at once.
    pub lanes_max: usize,
    /// Lanes overlap transfer and compute inside themselves, their results coming late.
    pub double_buffer: bool,
    /// How many kernels of one lane may run at once.
    pub kernel_units: usize,
    /// Asked after each case, when all of it is gone: whether what is below the device was left as it was found, or what is
    /// left and was misused. A device whose driver cannot tell has none.
    pub at_rest: Option<Box<dyn Fn() -> Result<(), BoxError> + Send + Sync>>,
    /// Cases that fail, by name, each with the reason. One that passes all the same is red.
    pub expected_failures: Vec<(&'static str, &'static str)>,
}

/// What a device's kernels are made of.
#[derive(Clone, Debug)]
pub enum Forms {
    /// The programs in `models/`, resized: a device takes the code that is for it, or computes the built-in form.
    Programs,
    /// ONNX graphs of the same names in this directory.
    Graphs(PathBuf),
    /// Compiled model directories of int8 tensors, written into this folder.
    Compiled(Arc<TempDir>),
}

impl Runner {
    /// A runner for one lane at a time of a device that takes programs, without double buffering.
    pub fn new<D: Device + 'static, E: Into<BoxError>>(
        name: &str,
        open: impl Fn() -> Result<D, E> + Send + Sync + 'static,
    ) -> Self {
        Runner {
            name: name.to_owned(),
            open: Box::new(move || {
                open().map(|device| Box::new(device) as Box<dyn Device>).map_err(Into::into)
            }),
            forms: Forms::Programs,
            lanes_max: 1,
            double_buffer: false,
            kernel_units: 1,
            at_rest: None,
            expected_failures: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How much each case does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Elements of a tensor, for each item of a batch. No multiple of a power of two, so that the last group of work items is not
    /// whole. Graphs have their own.
    pub elements: usize,
    /// Items of an ordinary stream.
    pub items: u64,
    /// Items of the long stream.
    pub items_long: u64,
    /// A case that takes longer hangs.
    pub patience: Duration,
}

impl Default for Sizes {
    fn default() -> Self {
        Sizes { elements: 1000, items: 24, items_long: 10_000, patience: Duration::from_secs(120) }
    }
}
