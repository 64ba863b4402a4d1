//! What goes with an item from take to delivery, beside its buffer sets.

use nbuffer_core::measure::Nanos;
use nbuffer_core::schedule::Sequence;

use super::HostStages;
use crate::item_error::ItemError;

/// An item's luggage.
pub(super) struct Passage<H: HostStages> {
    sequence: Sequence,
    /// A copy of the item, should its lane be lost.
    pub(super) kept: Option<H::Item>,
    /// What preprocess left for postprocess.
    pub(super) carry: Option<H::Carry>,
    /// When the item was taken; `None` when it is not timed.
    pub(super) taken_at: Option<Nanos>,
    /// Host time spent on it so far.
    pub(super) work: Nanos,
    /// When it was handed to its device; kept for the watchdog.
    pub(super) submitted_at: Nanos,
    /// Its result, until it is delivered.
    pub(super) result: Option<Result<H::Output, ItemError>>,
}

impl<H: HostStages> Passage<H> {
    fn new(sequence: Sequence) -> Self {
        Passage { sequence, kept: None, carry: None, taken_at: None, work: 0, submitted_at: 0, result: None }
    }
}

/// The passages of all items in the reorder window.
///
/// Items in the window are numbered without gaps, so the low bits of the number say the place.
pub(super) struct Passages<H: HostStages> {
    places: Vec<Passage<H>>,
    mask: u64,
}

impl<H: HostStages> Passages<H> {
    /// Room for a window of so many items.
    pub(super) fn new(window: usize) -> Self {
        let places = window.next_power_of_two();
        Passages { places: (0..places as u64).map(Passage::new).collect(), mask: places as u64 - 1 }
    }

    /// Makes room for a larger window; every item keeps what it has.
    pub(super) fn grow(&mut self, window: usize) {
        if window <= self.places.len() {
            return;
        }
        let old = std::mem::replace(self, Passages::new(window));
        for passage in old.places {
            let place = (passage.sequence & self.mask) as usize;
            self.places[place] = passage;
        }
    }

    /// The place of an item that was just taken.
    pub(super) fn open(&mut self, sequence: Sequence) -> &mut Passage<H> {
        let passage = &mut self.places[(sequence & self.mask) as usize];
        passage.sequence = sequence;
        passage.work = 0;
        passage
    }

    /// The passage of an item in the window.
    pub(super) fn of(&mut self, sequence: Sequence) -> &mut Passage<H> {
        let passage = &mut self.places[(sequence & self.mask) as usize];
        debug_assert_eq!(passage.sequence, sequence, "an item outside the window");
        passage
    }

    /// When an item in the window was handed to its device.
    pub(super) fn submitted_at(&self, sequence: Sequence) -> Nanos {
        self.places[(sequence & self.mask) as usize].submitted_at
    }
}
