//! What happens in a run beside the items' own stages.

use super::Interval;
use crate::measure::Nanos;
use crate::schedule::{Sequence, Sets};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Nanos,
    /// What.
    pub what: What,
}

/// What can happen beside the items' own stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Buffer sets and host threads were chosen: so many from now on.
    Chosen {
        /// Buffer sets of each lane.
        sets: Sets,
        /// Host threads.
        host_threads: usize,
        /// Why.
        why: String,
    },
    /// A call that submitted nothing, and pushed a lane's oldest result out.
    Flush {
        /// The lane.
        lane: usize,
        /// How long it took.
        call: Interval,
    },
    /// An item failed.
    Failed {
        /// The item.
        sequence: Sequence,
        /// Where and why.
        why: String,
    },
    /// A lane's device was lost, or given up.
    LaneLost {
        /// The lane.
        lane: usize,
        /// Why.
        why: String,
    },
    /// The stream was cancelled.
    Cancelled,
}
