//! What will happen when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::sharing::Which;
use crate::pipe::Pipe;

/// Something that will happen. What happens at one time happens in the order in which it was foreseen.
#[derive(Clone, Copy, Debug)]
struct Happening {
    at: f64,
    number: u64,
    what: What,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A pipe can look again.
    Wake(u32, Pipe),
    /// An instruction of this slot is over.
    Over(Which),
}

impl PartialEq for Happening {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Happening {}

impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Happening {
    /// The earliest is the greatest, as a heap wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.number.cmp(&self.number))
    }
}

/// All that will happen.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    happenings: BinaryHeap<Happening>,
    foreseen: u64,
}

impl Agenda {
    pub(super) fn foresee(&mut self, at: f64, what: What) {
        self.foreseen += 1;
        self.happenings.push(Happening { at, number: self.foreseen, what });
    }

    /// When the next thing happens; infinite if nothing does.
    pub(super) fn next(&self) -> f64 {
        self.happenings.peek().map_or(f64::INFINITY, |happening| happening.at)
    }

    pub(super) fn take(&mut self) -> Option<(f64, What)> {
        self.happenings.pop().map(|happening| (happening.at, happening.what))
    }
}
