//! What a simulation knows of each item between take and delivery.

use std::ops::{Index, IndexMut};

use super::feed::Fails;
use super::times::StageTimes;
use crate::measure::Nanos;
use crate::schedule::Sequence;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Item {
    pub(super) times: StageTimes,
    pub(super) fails: Fails,
    pub(super) taken_at: Nanos,
    /// When the stage it is in began.
    pub(super) start: Nanos,
    /// The host thread that works on it.
    pub(super) thread: u32,
}

/// Items by number. As many as the reorder window holds have places, so no two of them meet.
#[derive(Clone, Debug)]
pub(super) struct Items {
    places: Vec<Item>,
    mask: u64,
}

impl Items {
    pub(super) fn new(window: usize) -> Self {
        let places = window.next_power_of_two();
        Items { places: vec![Item::default(); places], mask: places as u64 - 1 }
    }

    /// Makes places for a larger window, after so many items were taken.
    pub(super) fn grow(&mut self, window: usize, taken: u64) {
        let mut grown = Items::new(window.max(self.places.len()));
        for sequence in taken.saturating_sub(self.places.len() as u64)..taken {
            grown[sequence] = self[sequence];
        }
        *self = grown;
    }
}

impl Index<Sequence> for Items {
    type Output = Item;

    fn index(&self, sequence: Sequence) -> &Item {
        &self.places[(sequence & self.mask) as usize]
    }
}

impl IndexMut<Sequence> for Items {
    fn index_mut(&mut self, sequence: Sequence) -> &mut Item {
        &mut self.places[(sequence & self.mask) as usize]
    }
}

/// Numbers for host threads: a step gets the lowest that is free.
#[derive(Clone, Debug, Default)]
pub(super) struct Threads {
    /// One bit a thread, set while it works.
    busy: Vec<u64>,
}

impl Threads {
    pub(super) fn take(&mut self) -> u32 {
        let word = self.busy.iter().position(|&word| word != u64::MAX).unwrap_or_else(|| {
            self.busy.push(0);
            self.busy.len() - 1
        });
        let bit = self.busy[word].trailing_ones();
        self.busy[word] |= 1 << bit;
        word as u32 * u64::BITS + bit
    }

    pub(super) fn give_back(&mut self, thread: u32) {
        self.busy[(thread / u64::BITS) as usize] &= !(1 << (thread % u64::BITS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_thread_comes_first() {
        let mut threads = Threads::default();
        assert!((0..130).all(|n| threads.take() == n));
        threads.give_back(70);
        threads.give_back(3);
        assert_eq!([threads.take(), threads.take(), threads.take()], [3, 70, 130]);
    }
}
