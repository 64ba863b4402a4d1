//! Items that wait for a schedule to take them, where they come by themselves: who waits, and who is dropped.

use std::collections::VecDeque;

use super::ConfigError;
use super::config::in_range;

/// What happens to an item that finds its inbox full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overload {
    /// Whoever offers it waits until there is room.
    #[default]
    Wait,
    /// The item that has waited longest makes room: a live source sees what is new.
    DropOldest,
    /// It is dropped itself: what waits is done first.
    DropNewest,
}

/// What became of an item that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an item that did not enter is given back here"]
pub enum Offered<T> {
    /// It waits to be taken.
    Entered,
    /// There was no room, and by the policy this item makes it: the one that waited longest, or the one offered.
    Dropped(T),
    /// There is no room, and by the policy the one offered waits: offer it again when there is.
    Full(T),
    /// No items are taken any more.
    Closed(T),
}

/// Items that were offered, by what became of them. `offered` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxTotals {
    /// Items that entered or were dropped.
    pub offered: u64,
    /// Items that the schedule's source gave.
    pub taken: u64,
    /// Items that made room, or still waited when the stream was given up.
    pub dropped: u64,
    /// Items that wait.
    pub waiting: u64,
}

/// A bounded queue in front of a schedule. What it holds has not been taken, so that the schedule's totals do not count
/// it: what is dropped here is given back to whoever offers.
///
/// It knows no threads and no clock: whoever drives the schedule puts it where items come in.
#[derive(Clone, Debug)]
pub struct Inbox<T> {
    waiting: VecDeque<T>,
    places: usize,
    overload: Overload,
    is_closed: bool,
    taken: u64,
    dropped: u64,
}

impl<T> Inbox<T> {
    /// An empty inbox with room for so many items.
    ///
    /// # Errors
    ///
    /// Places that are 0 or beyond [`LIMIT`](super::LIMIT).
    pub fn new(places: usize, overload: Overload) -> Result<Self, ConfigError> {
        in_range("places of an inbox", places)?;
        Ok(Inbox { waiting: VecDeque::new(), places, overload, is_closed: false, taken: 0, dropped: 0 })
    }

    /// An item comes. Where another one makes room for it, that one is given back and this one entered.
    pub fn offer(&mut self, item: T) -> Offered<T> {
        if self.is_closed {
            return Offered::Closed(item);
        }
        if self.waiting.len() < self.places {
            self.waiting.push_back(item);
            return Offered::Entered;
        }
        match self.overload {
            Overload::Wait => Offered::Full(item),
            Overload::DropNewest => {
                self.dropped += 1;
                Offered::Dropped(item)
            }
            Overload::DropOldest => {
                self.waiting.push_back(item);
                self.dropped += 1;
                Offered::Dropped(self.waiting.pop_front().expect("a full inbox has an oldest item"))
            }
        }
    }

    /// The item that has waited longest, for the schedule's next take.
    pub fn take(&mut self) -> Option<T> {
        let item = self.waiting.pop_front()?;
        self.taken += 1;
        Some(item)
    }

    /// No more items come in; those that wait are still taken.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// No more items come in, and none are taken: those that wait are dropped, and given back.
    pub fn abandon(&mut self) -> VecDeque<T> {
        self.is_closed = true;
        self.dropped += self.waiting.len() as u64;
        std::mem::take(&mut self.waiting)
    }

    /// Whether no more items come in.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Items by what became of them.
    pub fn totals(&self) -> InboxTotals {
        let waiting = self.waiting.len() as u64;
        let (taken, dropped) = (self.taken, self.dropped);
        InboxTotals { offered: taken + dropped + waiting, taken, dropped, waiting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offers items 0, 1, .. to two places, one taken after each `take_every` offers. Says what was taken and what
    /// was dropped, in order.
    fn check(overload: Overload, take_every: u64, taken: &[u64], dropped: &[u64]) {
        let mut inbox = Inbox::new(2, overload).unwrap();
        let (mut were_taken, mut were_dropped) = (Vec::new(), Vec::new());
        for item in 0..6 {
            match inbox.offer(item) {
                Offered::Entered => {}
                Offered::Dropped(item) => were_dropped.push(item),
                Offered::Full(item) => {
                    were_taken.extend(inbox.take());
                    assert_eq!(inbox.offer(item), Offered::Entered);
                }
                Offered::Closed(_) => unreachable!("nobody closed it"),
            }
            if (item + 1) % take_every == 0 {
                were_taken.extend(inbox.take());
            }
            let totals = inbox.totals();
            assert_eq!(totals.offered, item + 1);
            assert_eq!(totals.offered, totals.taken + totals.dropped + totals.waiting);
        }
        inbox.close();
        assert_eq!(inbox.offer(9), Offered::Closed(9));
        were_taken.extend(std::iter::from_fn(|| inbox.take()));
        assert_eq!((&were_taken[..], &were_dropped[..]), (taken, dropped), "{overload:?}");
        assert_eq!(
            inbox.totals(),
            InboxTotals { offered: 6, taken: taken.len() as u64, dropped: dropped.len() as u64, waiting: 0 }
        );
    }

    #[test]
    fn who_makes_room_is_a_policy() {
        check(Overload::Wait, 9, &[0, 1, 2, 3, 4, 5], &[]);
        check(Overload::DropOldest, 9, &[4, 5], &[0, 1, 2, 3]);
        check(Overload::DropNewest, 9, &[0, 1], &[2, 3, 4, 5]);
        check(Overload::DropOldest, 2, &[0, 2, 4, 5], &[1, 3]);
        check(Overload::DropNewest, 2, &[0, 1, 2, 4], &[3, 5]);
    }

    #[test]
    fn an_inbox_has_at_least_one_place() {
        let error = Inbox::<()>::new(0, Overload::Wait).unwrap_err();
        assert_eq!(error.to_string(), "0 places of an inbox: from 1 to 65536 are possible");
    }
}
