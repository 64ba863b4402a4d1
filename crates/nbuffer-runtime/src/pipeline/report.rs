//! How a pipeline's run went, before it is put into words.

use std::sync::Arc;

use nbuffer_core::measure::{Measures, Nanos, Tallies};
use nbuffer_core::schedule::{Sets, Totals};
use nbuffer_core::tune::Decision;

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
    /// The stream cannot be run as asked, for this reason.
    Refused(String),
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
    /// Buffer sets of each lane now.
    pub sets: Sets,
    /// Host threads now.
    pub host_threads: usize,
    /// What was measured when something was last changed: the run as it is now began there.
    pub settled_from: Tallies,
    /// What a tuner chose, and when and why.
    pub decisions: Vec<Decision>,
}
