//! One lane's ring: in which state each buffer set is, and how many are in which.

use std::collections::VecDeque;

use super::{LaneConfig, Sequence, Slot};

/// Where a buffer set is. Each state has exactly one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetState {
    /// In the ring, holding nothing.
    Free,
    /// With the host thread that fills its inputs.
    Preprocessing(Sequence),
    /// In the ring, filled, waiting for the lane.
    Ready(Sequence),
    /// With the device.
    InFlight(Sequence),
    /// In the ring, its outputs filled, waiting for a host thread.
    Landed(Sequence),
    /// With the host thread that reads its outputs.
    Postprocessing(Sequence),
    /// Never used again: the device that holds it is lost and might still write to it.
    Retired,
}

#[derive(Clone, Debug)]
pub(super) struct Ring {
    pub(super) lag: usize,
    pub(super) states: Vec<SetState>,
    /// Free sets, the warmest last.
    pub(super) free: Vec<usize>,
    /// Filled sets in the order they were filled.
    pub(super) ready: VecDeque<(usize, Sequence)>,
    pub(super) in_flight: usize,
    pub(super) preprocessing: usize,
    /// A call occupies the lane: blocking, or handing a set to its queue.
    pub(super) calling: bool,
    /// The lane stands in the schedule's list of callable lanes.
    pub(super) listed: bool,
    pub(super) lost: bool,
    /// When this lane was last chosen, in takes; breaks ties between equally loaded lanes.
    pub(super) chosen_at: u64,
}

impl Ring {
    pub(super) fn new(config: LaneConfig) -> Self {
        Ring {
            lag: config.lag,
            states: vec![SetState::Free; config.depth],
            free: (0..config.depth).rev().collect(),
            ready: VecDeque::with_capacity(config.depth),
            in_flight: 0,
            preprocessing: 0,
            calling: false,
            listed: false,
            lost: false,
            chosen_at: 0,
        }
    }

    pub(super) fn depth(&self) -> usize {
        self.states.len()
    }

    pub(super) fn occupied(&self) -> usize {
        self.depth() - self.free.len()
    }

    /// The filled set that waits longest.
    pub(super) fn pop_ready(&mut self, lane: usize) -> Option<Slot> {
        self.ready.pop_front().map(|(set, sequence)| Slot { lane, set, sequence })
    }

    pub(super) fn can_call(&self) -> bool {
        !self.calling && !self.lost
    }
}
