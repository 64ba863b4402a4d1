//! What will happen, by its time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::measure::Nanos;
use crate::schedule::Slot;

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The simulation begins.
    Begin,
    /// The source has the item it was asked for.
    Arrived,
    /// The source has paused for the idle time, unless something moved meanwhile.
    Idle,
    Preprocessed(Slot),
    Postprocessed(Slot),
    /// A link or compute unit is done with its job.
    Served(usize),
    /// A lane's lockstep call is over.
    CallOver(usize),
    LaneLost(usize),
    Cancel,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Nanos,
    order: u64,
    what: Happening,
}

impl Ord for Entry {
    /// Reversed, because the heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

/// What will happen, in the order of time; of what happens at one time, what was foreseen first.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    entries: BinaryHeap<Entry>,
    order: u64,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Nanos, what: Happening) {
        self.order += 1;
        self.entries.push(Entry { at, order: self.order, what });
    }

    pub(super) fn next(&mut self) -> Option<(Nanos, Happening)> {
        self.entries.pop().map(|entry| (entry.at, entry.what))
    }
}
