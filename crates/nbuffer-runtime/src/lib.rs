//! Carries out an nbuffer schedule in real time.
//!
//! A [`Device`] prepares a [`Model`] into a [`Program`] and opens lanes; a pipeline moves buffer sets
//! through them, so that host work, transfers and kernels of successive items overlap. Results come back in
//! order, each with the item it belongs to, and every item taken ends exactly once.

mod buffer;
mod closure;
mod compute;
mod device;
mod engine;
mod item_error;
mod lane;
pub mod machine;
pub mod model;
mod pipeline;

pub use buffer::{HostBuffer, HostBytes, HostMemory, InputSet, Memory, OutputSet};
pub use closure::{Around, BufferedMap, PassThrough};
pub use compute::{Compute, GraphError};
pub use device::{Device, DeviceError, DeviceInfo, LaneOptions, Program};
pub use engine::{Engine, EngineError, Graph, GraphTensor, Session};
pub use item_error::{BoxError, ItemError, Step};
pub use lane::{
    Blocking, BlockingLane, CallSpans, Called, Calls, Completions, DeviceCall, DeviceSpan, DeviceSpans,
    Ended, Flight, Lagged, Lane, Open, QueuedLane, Spans,
};
pub use model::Model;
pub use nbuffer_core::schedule::{Retry, Sets, Transit};
pub use pipeline::{
    Canceller, Delivery, HostStages, LaneSnapshot, Observer, Options, Pipeline, Places, Report, SetCounts,
    Snapshot, SourceEnd, StartError, Timing,
};
