//! Carries out an nbuffer schedule in real time.
//!
//! A [`Device`] prepares a [`Model`] into a [`Program`] and opens lanes; a pipeline moves [`BufferSet`]s
//! through them, so that host work, transfers and kernels of successive items overlap. Results come back in
//! order, each with the item it belongs to, and every item taken ends exactly once.

mod buffer;
mod compute;
mod device;
mod engine;
mod lane;
pub mod model;

pub use buffer::{BufferSet, HostBuffer};
pub use compute::Compute;
pub use device::{Device, DeviceError, DeviceInfo, LaneOptions, Program};
pub use engine::{Engine, EngineError, Graph, GraphTensor, Session};
pub use lane::{
    BlockingLane, CallSpans, Called, Completions, DeviceCall, DeviceSpan, DeviceSpans, Flight, FlightId,
    Lane, QueuedLane,
};
pub use model::Model;
