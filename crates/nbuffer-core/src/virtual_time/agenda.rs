//! What will happen, by its time.

use std::collections::VecDeque;

use crate::measure::Nanos;

/// Something that will happen, with the number of what it happens to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// The simulation begins.
    Begin,
    /// The source has the item it was asked for.
    Arrived,
    /// The source has paused for the idle time, unless something moved meanwhile.
    Idle,
    /// A host thread is done with its step.
    HostStepOver(u16),
    /// A link or compute unit is done with its job.
    Served(u32),
    /// A lane's lockstep call is over.
    CallOver(u32),
    /// A lane's device is gone.
    LaneLost(u32),
    Cancel,
}

/// What will happen, in the order of time; of what happens at one time, what was foreseen first.
///
/// There is little at once, at most one entry for each host thread, server and fault, and most of what is foreseen
/// comes after most of what was: keeping it sorted costs less than a heap, and keeps the order of equals for free.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    entries: VecDeque<(Nanos, Happening)>,
}

impl Agenda {
    pub(super) fn add(&mut self, at: Nanos, what: Happening) {
        let later = self.entries.iter().rev().take_while(|entry| entry.0 > at).count();
        self.entries.insert(self.entries.len() - later, (at, what));
    }

    pub(super) fn next(&mut self) -> Option<(Nanos, Happening)> {
        self.entries.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_foreseen_first_comes_first_of_what_happens_at_one_time() {
        let mut agenda = Agenda::default();
        for (n, at) in [30, 10, 20, 10, 30, 20, 10].into_iter().enumerate() {
            agenda.add(at, Happening::Served(n as u32));
        }
        let mut order = Vec::new();
        while let Some((at, Happening::Served(n))) = agenda.next() {
            order.push((at, n));
        }
        assert_eq!(order, [(10, 1), (10, 3), (10, 6), (20, 2), (20, 5), (30, 0), (30, 4)]);
    }
}
