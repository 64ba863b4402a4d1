//! The simulated AI Core: runs the pipes' streams in cycles, and applies what they do to data in the order of time.

mod agenda;
mod arithmetic;
mod copying;
mod core_state;
mod cost;
mod engine;
mod feed;
mod footprint;
mod hazard;
mod matrix;
mod memory;
mod pipe_state;
mod scalar;
mod sharing;
mod spans;
mod stats;
mod strip;
mod touched;
mod unsettled;
mod values;
mod vector;
mod watcher;

pub use hazard::{Hazard, HazardKind, Party, Place};
pub use memory::GlobalMemory;
pub use spans::TileSpan;
pub use stats::{CoreReport, PipeReport, Run, Wait, Waits};

pub(crate) use engine::Engine;
pub(crate) use feed::Feed;
