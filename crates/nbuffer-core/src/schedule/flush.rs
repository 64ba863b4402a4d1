//! When a lane with lag needs a call that submits nothing.

use super::ring::Ring;
use super::{Flush, Schedule};

impl Schedule {
    /// A lane whose results will not come out unless a flush call pushes them.
    pub(super) fn lane_to_flush(&self) -> Option<usize> {
        let no_more = !self.wants_items() && !self.has_item();
        let paused = no_more || self.idle && self.flush == Flush::AtEndOrIdle;
        self.rings.iter().position(|ring| {
            let nothing_comes = ring.preprocessing == 0 && ring.ready.is_empty();
            can_flush(ring) && ring.lag > 0 && (is_exhausted(ring) || nothing_comes && paused)
        })
    }

    /// A lane to flush because nothing runs that could bring anything about, and nobody can fetch a result: the
    /// window or the lane choice waits for an item that sits in a lane with lag.
    pub(super) fn lane_to_unstick(&self) -> Option<usize> {
        let is_stuck = self.host.busy() == 0
            && self.calls == 0
            && !self.is_asking()
            && !self.window.can_deliver()
            && self.rings.iter().all(|ring| (ring.lag > 0 || ring.in_flight() == 0) && ring.ready.is_empty());
        if is_stuck { self.rings.iter().position(can_flush) } else { None }
    }
}

fn can_flush(ring: &Ring) -> bool {
    ring.can_call() && ring.in_flight() > 0
}

/// Whether the device holds every set of a kind, so that no result would ever make room for the next call.
fn is_exhausted(ring: &Ring) -> bool {
    ring.inputs().is_all_in_flight() || ring.outputs().is_all_in_flight()
}
