//! Host threads: which works on what.

use crate::measure::Stage;
use crate::schedule::Slot;

/// A host step that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostStep {
    pub(super) slot: Slot,
    pub(super) stage: Stage,
}

/// A step gets the free thread with the lowest number.
#[derive(Clone, Debug, Default)]
pub(super) struct Threads {
    /// One bit a thread, set while it works.
    busy: Vec<u64>,
    steps: Vec<HostStep>,
}

impl Threads {
    pub(super) fn begin(&mut self, step: HostStep) -> u32 {
        let word = self.busy.iter().position(|&word| word != u64::MAX).unwrap_or_else(|| {
            self.busy.push(0);
            self.busy.len() - 1
        });
        let bit = self.busy[word].trailing_ones();
        self.busy[word] |= 1 << bit;
        let thread = word * 64 + bit as usize;
        match self.steps.get_mut(thread) {
            Some(place) => *place = step,
            // The lowest free number is at most one beyond those ever used.
            None => self.steps.push(step),
        }
        thread as u32
    }

    /// The steps that run.
    pub(super) fn running(&self) -> impl Iterator<Item = HostStep> {
        let is_busy = |thread: usize| self.busy[thread / 64] >> (thread % 64) & 1 == 1;
        (0..self.steps.len()).filter(move |&thread| is_busy(thread)).map(|thread| self.steps[thread])
    }

    /// What the thread did; it is free now.
    pub(super) fn end(&mut self, thread: u32) -> HostStep {
        self.busy[(thread / u64::BITS) as usize] &= !(1 << (thread % u64::BITS));
        self.steps[thread as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_thread_comes_first() {
        let mut threads = Threads::default();
        let step = |k| HostStep { slot: Slot::new(0, 0, k), stage: Stage::Preprocess };
        assert!((0..130).all(|n| threads.begin(step(u64::from(n))) == n));
        assert_eq!((threads.end(70), threads.end(3)), (step(70), step(3)));
        assert_eq!([200, 201, 202].map(|k| threads.begin(step(k))), [3, 70, 130]);
        assert_eq!((threads.end(3), threads.end(130)), (step(200), step(202)));
    }
}
