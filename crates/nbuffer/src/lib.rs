//! nbuffer runs a model or a kernel over a stream of items on an accelerator and keeps the device busy: N buffer
//! sets go round, so host work, transfers and the kernel of successive items overlap. Results come back in
//! order, each with the item it belongs to; nothing is lost; and the run says how busy the device was and
//! what limited it.
//!
//! # A closure over a stream, in parallel, in order
//!
//! No accelerator is needed: a lane can be a plain closure.
//!
//! ```
//! use nbuffer::BufferedMap;
//!
//! let squares = (0..1000_u64).buffered_map(2, |x| x * x);
//! for (i, square) in squares.enumerate() {
//!     assert_eq!(square.unwrap(), (i * i) as u64);
//! }
//! ```
//!
//! # A model over images
//!
//! [`Job`] puts a model, a device and a folder of images together, as the command line does;
//! [`Pipeline`] is the general form, for any lanes and any stages.

// The command line uses what users of this crate use, by the same names.
extern crate self as nbuffer;

mod answer;
mod batch;
pub mod cli;
mod double_buffer;
mod files;
pub mod image;
pub mod inputs;
mod job;
mod labels;
pub mod metrics;
mod npy;
pub mod objects;
mod open;
#[cfg(feature = "otel")]
pub mod otel;
pub mod report;
mod summarise;
mod synthetic;
pub mod trace_file;

pub use answer::{Answer, Class, OutputDigest};
pub use batch::ItemStages;
pub use job::{Buffering, Cause, Failure, Finished, Job, JobError, Record, Running, Settings};
pub use labels::class_of_folder;
pub use nbuffer_core::{downtime, measure, plan, schedule, summary, tensor, trace, tune, virtual_time};
pub use nbuffer_onnx::{ENGINES, engine};
pub use nbuffer_runtime::*;
pub use open::{OpenError, device, known_devices};
