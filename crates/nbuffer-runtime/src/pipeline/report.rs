//! How a pipeline's run went, before it is put into words.

use std::sync::Arc;

use nbuffer_core::measure::{Measures, Nanos};
use nbuffer_core::schedule::Totals;

use crate::device::DeviceError;

/// Why no more items were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceEnd {
    /// Items are still being taken.
    Open,
    /// The source had no more.
    Exhausted,
    /// The pipeline was cancelled.
    Cancelled,
    /// Every lane was lost.
    NoLanes,
    /// The source panicked with this message.
    Panicked(String),
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Report {
    /// Items by how they ended.
    pub totals: Totals,
    /// Why no more items were taken.
    pub source_end: SourceEnd,
    /// Stage times, latencies and compute units; times since the pipeline was started.
    pub measures: Measures,
    /// Whether only one item in so many was timed, so that downtime is unknown.
    pub sampled: bool,
    /// From the start of the pipeline to the last event.
    pub wall: Nanos,
    /// Lanes that were lost, and why.
    pub lost: Vec<(usize, Arc<DeviceError>)>,
}
