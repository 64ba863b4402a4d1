//! Puts what is to be shown in the order of time.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::{Args, Event, Kind, Slice, Track, TrackId};
use crate::measure::Nanos;
use crate::trace::Interval;

/// Takes slices, instants and counters in any order, and gives events in the order of time.
///
/// Whoever fills it says from time to time that nothing earlier will follow ([`settle`](Self::settle)), and takes the
/// events out. What is in memory is what is not settled, and slices that are under way.
///
/// A slice that begins before another one of its row has ended gets a row of its own below, which is made when it is
/// first needed: clocks of two devices, or two lanes on one link, may say so.
#[derive(Clone, Debug, Default)]
pub struct InOrder<'a> {
    waiting: BinaryHeap<Reverse<Waiting<'a>>>,
    /// Breaks ties: what was given first comes first.
    given: u64,
    tracks: Vec<Known<'a>>,
    events: VecDeque<Event<'a>>,
}

#[derive(Clone, Debug)]
struct Known<'a> {
    track: Track<'a>,
    is_busy: bool,
    /// The next row for slices that overlap.
    overflow: Option<TrackId>,
}

#[derive(Clone, Debug)]
struct Waiting<'a> {
    at: Nanos,
    order: Order,
    given: u64,
    what: What<'a>,
}

/// What comes first at one time: a row is free before it is taken again, and counters have the values that they
/// keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    End,
    Empty,
    Begin,
    Instant,
    Counters,
}

#[derive(Clone, Debug)]
enum What<'a> {
    End(TrackId),
    Slice(TrackId, Nanos, Slice<'a>),
    Event(Event<'a>),
}

impl<'a> InOrder<'a> {
    /// Declares a track. Of tracks with the same rank, the one declared first is shown first.
    pub fn track(
        &mut self,
        parent: Option<TrackId>,
        name: impl Into<Cow<'a, str>>,
        rank: u32,
        kind: Kind,
    ) -> TrackId {
        let id = TrackId(self.tracks.len() as u32);
        let track = Track { id, parent, name: name.into(), rank, kind };
        self.events.push_back(Event::Track(track.clone()));
        self.tracks.push(Known { track, is_busy: false, overflow: None });
        id
    }

    /// A slice on a row.
    pub fn slice(&mut self, row: TrackId, time: Interval, slice: Slice<'a>) {
        let order = if time.length() == 0 { Order::Empty } else { Order::Begin };
        self.wait(time.start, order, What::Slice(row, time.end, slice));
    }

    /// Something without length on a row.
    pub fn instant(&mut self, track: TrackId, at: Nanos, name: impl Into<Cow<'a, str>>, args: Args<'a>) {
        let event = Event::Instant { track, at, name: name.into(), args };
        self.wait(at, Order::Instant, What::Event(event));
    }

    /// New values of counters.
    pub fn counters(&mut self, track: TrackId, at: Nanos, values: Vec<u64>) {
        self.wait(at, Order::Counters, What::Event(Event::Counters { track, at, values }));
    }

    /// Nothing before this time will be given any more; `None`: nothing at all.
    pub fn settle(&mut self, until: Option<Nanos>) {
        while let Some(Reverse(first)) = self.waiting.peek()
            && until.is_none_or(|until| first.at < until)
        {
            let Some(Reverse(first)) = self.waiting.pop() else { break };
            self.happen(first);
        }
    }

    /// The next event, of those that are settled.
    pub fn pop(&mut self) -> Option<Event<'a>> {
        self.events.pop_front()
    }

    fn wait(&mut self, at: Nanos, order: Order, what: What<'a>) {
        self.given += 1;
        self.waiting.push(Reverse(Waiting { at, order, given: self.given, what }));
    }

    fn happen(&mut self, Waiting { at, what, .. }: Waiting<'a>) {
        match what {
            What::Event(event) => self.events.push_back(event),
            What::End(track) => {
                self.tracks[track.0 as usize].is_busy = false;
                self.events.push_back(Event::End { track, at });
            }
            What::Slice(row, end, slice) => {
                let track = self.free_row(row);
                self.events.push_back(Event::Begin { track, at, slice });
                if end > at {
                    self.tracks[track.0 as usize].is_busy = true;
                    self.wait(end, Order::End, What::End(track));
                } else {
                    self.events.push_back(Event::End { track, at });
                }
            }
        }
    }

    /// The row itself, or the first below it that is free.
    fn free_row(&mut self, row: TrackId) -> TrackId {
        let (mut free, mut nth) = (row, 1);
        while self.tracks[free.0 as usize].is_busy {
            nth += 1;
            free = match self.tracks[free.0 as usize].overflow {
                Some(next) => next,
                None => {
                    let Track { parent, name, rank, .. } = &self.tracks[row.0 as usize].track;
                    let (parent, name, rank) = (*parent, format!("{name} ({nth})"), *rank);
                    let next = self.track(parent, name, rank, Kind::Row);
                    self.tracks[free.0 as usize].overflow = Some(next);
                    next
                }
            };
        }
        free
    }
}

impl Waiting<'_> {
    fn key(&self) -> (Nanos, Order, u64) {
        (self.at, self.order, self.given)
    }
}

impl PartialEq for Waiting<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting<'_> {}

impl PartialOrd for Waiting<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(slices: &[(u64, u64)], expected: &str) {
        let mut events = InOrder::default();
        let group = events.track(None, "device", 0, Kind::Group);
        let row = events.track(Some(group), "unit", 0, Kind::Row);
        for (nth, &(start, end)) in slices.iter().enumerate() {
            events.slice(row, Interval { start, end }, Slice::new(nth.to_string()));
        }
        events.settle(None);
        let mut said = String::new();
        while let Some(event) = events.pop() {
            match event {
                Event::Track(track) if track.id > row => said += &format!("[{}] ", track.name),
                Event::Begin { track, at, slice } => said += &format!("{at}:{}+{} ", slice.name, track.0),
                Event::End { track, at } => said += &format!("{at}:-{} ", track.0),
                _ => {}
            }
        }
        assert_eq!(said.trim_end(), expected);
    }

    #[test]
    fn a_row_is_free_before_it_is_taken_again() {
        check(&[(5, 9), (0, 5), (5, 5), (5, 5)], "0:1+1 5:-1 5:2+1 5:-1 5:3+1 5:-1 5:0+1 9:-1");
    }

    #[test]
    fn slices_that_overlap_have_rows_of_their_own() {
        check(
            &[(0, 6), (2, 8), (4, 5), (7, 9), (8, 10)],
            "0:0+1 [unit (2)] 2:1+2 [unit (3)] 4:2+3 5:-3 6:-1 7:3+1 8:-2 8:4+2 9:-1 10:-2",
        );
    }

    #[test]
    fn what_may_still_be_preceded_waits() {
        let mut events = InOrder::default();
        let row = events.track(None, "row", 0, Kind::Row);
        events.slice(row, Interval { start: 3, end: 7 }, Slice::new("late"));
        events.settle(Some(3));
        assert!(matches!(events.pop(), Some(Event::Track(_))));
        assert_eq!(events.pop(), None);
        events.settle(Some(4));
        assert!(matches!(events.pop(), Some(Event::Begin { at: 3, .. })));
        assert_eq!(events.pop(), None);
    }
}
