//! The reorder window: the bounded stretch of items between take and delivery.

use std::collections::VecDeque;

use super::{Order, Outcome, Sequence};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Taken and not yet ended.
    Active,
    /// Ended and not yet delivered.
    Ended(Outcome),
    /// Delivered out of order; the place is reused once everything before it is delivered too.
    Delivered,
}

#[derive(Clone, Debug)]
pub(super) struct Window {
    order: Order,
    /// Item `sequence` has the place `sequence % places.len()`.
    places: Vec<Place>,
    /// The oldest item not yet delivered.
    oldest: Sequence,
    /// The next item to be taken.
    next: Sequence,
    /// `oldest` and `next` as places, kept in step because a division per item is the dearest thing here.
    oldest_place: usize,
    next_place: usize,
    /// Ended items in the order they ended; used for [`Order::Completed`] only.
    ended: VecDeque<Sequence>,
}

impl Window {
    pub(super) fn new(len: usize, order: Order) -> Self {
        Window {
            order,
            places: vec![Place::Delivered; len],
            oldest: 0,
            next: 0,
            oldest_place: 0,
            next_place: 0,
            ended: VecDeque::new(),
        }
    }

    /// Items between take and delivery.
    pub(super) fn len(&self) -> u64 {
        self.next - self.oldest
    }

    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn has_room(&self) -> bool {
        self.len() < self.places.len() as u64
    }

    /// Makes room for at least `len` items.
    pub(super) fn grow(&mut self, len: usize) {
        if len <= self.places.len() {
            return;
        }
        self.places.rotate_left(self.oldest_place);
        self.oldest_place = 0;
        self.next_place = self.len() as usize;
        // A full window's next place was its oldest; now the first new one follows.
        self.places.resize(len, Place::Delivered);
    }

    pub(super) fn take(&mut self) -> Sequence {
        assert!(self.has_room(), "an item was taken beyond the reorder window");
        let sequence = self.next;
        self.places[self.next_place] = Place::Active;
        self.next += 1;
        self.next_place = self.step(self.next_place);
        sequence
    }

    pub(super) fn end(&mut self, sequence: Sequence, outcome: Outcome) {
        if sequence < self.oldest || sequence >= self.next {
            not_active(sequence, self.oldest, self.next);
        }
        let place = self.place(sequence);
        if self.places[place] != Place::Active {
            not_active(sequence, self.oldest, self.next);
        }
        self.places[place] = Place::Ended(outcome);
        if self.order == Order::Completed {
            self.ended.push_back(sequence);
        }
    }

    pub(super) fn is_active(&self, sequence: Sequence) -> bool {
        (self.oldest..self.next).contains(&sequence) && self.places[self.place(sequence)] == Place::Active
    }

    pub(super) fn can_deliver(&self) -> bool {
        match self.order {
            Order::InOrder => matches!(self.places[self.oldest_place], Place::Ended(_)),
            Order::Completed => !self.ended.is_empty(),
        }
    }

    pub(super) fn deliver(&mut self) -> Option<(Sequence, Outcome)> {
        let (sequence, place) = match self.order {
            Order::InOrder => (self.oldest, self.oldest_place),
            Order::Completed => {
                let sequence = self.ended.pop_front()?;
                (sequence, self.place(sequence))
            }
        };
        let Place::Ended(outcome) = self.places[place] else {
            return None;
        };
        self.places[place] = Place::Delivered;
        while self.oldest < self.next && self.places[self.oldest_place] == Place::Delivered {
            self.oldest += 1;
            self.oldest_place = self.step(self.oldest_place);
        }
        Some((sequence, outcome))
    }

    fn step(&self, place: usize) -> usize {
        if place + 1 == self.places.len() { 0 } else { place + 1 }
    }

    /// The place of an item within the window.
    fn place(&self, sequence: Sequence) -> usize {
        let place = self.oldest_place + (sequence - self.oldest) as usize;
        if place < self.places.len() { place } else { place - self.places.len() }
    }
}

#[cold]
#[inline(never)]
fn not_active(sequence: Sequence, oldest: Sequence, next: Sequence) -> ! {
    panic!("item {sequence} ended twice, or outside the reorder window {oldest}..{next}")
}
