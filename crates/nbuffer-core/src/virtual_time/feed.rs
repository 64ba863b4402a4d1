//! The source's side: when it has which item, and what will go wrong with it.

use super::{Fault, Setup, Source};
use crate::measure::{Nanos, Stage};
use crate::schedule::Sequence;

/// Which host stages, and whether the kernel, fail for an item.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fails {
    pub(super) preprocess: bool,
    pub(super) kernel: bool,
    pub(super) postprocess: bool,
}

/// Faults of single items, in the order of their numbers, and the next item the source will give.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    source: Source,
    next: Sequence,
    /// When the next item is there.
    ready_at: Nanos,
    faults: Vec<(Sequence, Fault)>,
    /// How many of them lie before the next item.
    faults_passed: usize,
}

impl Feed {
    pub(super) fn new(setup: &Setup) -> Self {
        let mut faults: Vec<(Sequence, Fault)> = setup
            .faults
            .iter()
            .filter_map(|&fault| match fault {
                Fault::Stage(_, sequence) | Fault::Stall { before: sequence, .. } => Some((sequence, fault)),
                Fault::LaneLost { .. } | Fault::Cancel { .. } => None,
            })
            .collect();
        faults.sort_by_key(|&(sequence, _)| sequence);
        let mut feed = Feed { source: setup.source, next: 0, ready_at: 0, faults, faults_passed: 0 };
        feed.ready_at = feed.stall();
        feed
    }

    /// When the next item is there; `None` if there is none.
    pub(super) fn ready_at(&self) -> Option<Nanos> {
        (self.next < self.source.items).then_some(self.ready_at)
    }

    /// Gives the next item, with what will go wrong with it.
    pub(super) fn give(&mut self) -> Fails {
        let mut fails = Fails::default();
        while let Some(&(sequence, fault)) = self.faults.get(self.faults_passed)
            && sequence == self.next
        {
            self.faults_passed += 1;
            if let Fault::Stage(stage, _) = fault {
                fails.preprocess |= stage == Stage::Preprocess;
                fails.kernel |= stage == Stage::Kernel;
                fails.postprocess |= stage == Stage::Postprocess;
            }
        }
        self.next += 1;
        self.ready_at = self.ready_at.saturating_add(self.source.interval).saturating_add(self.stall());
        fails
    }

    /// How much later than the source's interval says the next item comes.
    fn stall(&self) -> Nanos {
        let of_next = self.faults[self.faults_passed..].iter().take_while(|(k, _)| *k == self.next);
        let stalls =
            of_next.map(|&(_, fault)| if let Fault::Stall { lasts, .. } = fault { lasts } else { 0 });
        stalls.fold(0, Nanos::saturating_add)
    }
}
