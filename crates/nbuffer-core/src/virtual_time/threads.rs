//! Host threads: which works on what.

use crate::measure::Stage;
use crate::schedule::Slot;
use crate::trace::Rows;

/// A host step that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostStep {
    pub(super) slot: Slot,
    pub(super) stage: Stage,
}

/// A step gets the free thread with the lowest number.
#[derive(Clone, Debug, Default)]
pub(super) struct Threads {
    busy: Rows,
    steps: Vec<HostStep>,
}

impl Threads {
    pub(super) fn begin(&mut self, step: HostStep) -> u16 {
        let thread = self.busy.begin();
        match self.steps.get_mut(usize::from(thread)) {
            Some(place) => *place = step,
            // The lowest free number is at most one beyond those ever used.
            None => self.steps.push(step),
        }
        thread
    }

    /// How many steps run.
    pub(super) fn count(&self) -> usize {
        self.busy.count()
    }

    /// The steps that run.
    pub(super) fn running(&self) -> impl Iterator<Item = HostStep> {
        (0..self.steps.len()).filter(|&thread| self.busy.is_taken(thread)).map(|thread| self.steps[thread])
    }

    /// What the thread did; it is free now.
    pub(super) fn end(&mut self, thread: u16) -> HostStep {
        self.busy.end(thread);
        self.steps[usize::from(thread)]
    }
}
