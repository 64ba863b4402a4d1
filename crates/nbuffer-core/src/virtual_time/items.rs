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
