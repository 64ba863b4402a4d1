//! Keeps what happens in a run, in bounded memory.

use super::rows::Rows;
use super::{Interval, Journey, LanePlace, Moment, Span, Topology, What};
use crate::measure::{Nanos, Stage};
use crate::schedule::{Outcome, Sequence, Slot, Transit};

/// What happened in a run: journeys, moments, and what they happened on.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// What the run ran on.
    pub topology: Topology,
    /// The journeys that were kept, by number: those of the beginning, and those of the end.
    pub journeys: Vec<Journey>,
    /// How many journeys of the beginning there are; behind them, some may have been left out.
    pub head: usize,
    /// How many journeys between beginning and end were left out because the trace was full.
    pub left_out: u64,
    /// What happened beside the items' own stages, oldest first.
    pub moments: Vec<Moment>,
    /// How many moments were left out because the trace was full.
    pub moments_left_out: u64,
    /// When the last thing happened.
    pub end: Nanos,
}

impl Trace {
    /// Stretches of the run that were kept whole: the beginning, and the end if it does not follow at once.
    pub fn stretches(&self) -> impl Iterator<Item = &[Journey]> {
        let cut = if self.left_out > 0 { self.head } else { self.journeys.len() };
        let (head, tail) = self.journeys.split_at(cut);
        [head, tail].into_iter().filter(|stretch| !stretch.is_empty())
    }

    /// The spans of the run's first items, of some in its middle, and of its last: more than a picture that is cut shows,
    /// and however long the run is no more.
    pub fn excerpt(&self) -> Vec<Span> {
        let of_lane = |lane: &LanePlace| 16 + 8 * lane.sets.items_max();
        let part = 256 + self.topology.lanes.iter().map(of_lane).sum::<usize>();
        let items = self.journeys.len();
        // In a run that was not kept whole, what comes long after the beginning is its middle, too.
        let middle = if self.left_out > 0 { self.head } else { items } / 2;
        let parts =
            [0..part, middle.saturating_sub(part / 2)..middle + part / 2, items.saturating_sub(part)..items];
        let shown = self.journeys.iter().enumerate();
        let shown = shown.filter(|(index, _)| parts.iter().any(|part| part.contains(index)));
        shown.flat_map(|(_, journey)| journey.spans(&self.topology)).collect()
    }
}

/// Keeps the journeys of a run's items as they happen.
///
/// Memory is bounded: of a run with more items than there is room for, the first half of the room keeps the
/// beginning and the second the end, since these hold fill, steady state and drain. The trace says how many were
/// left out. A journey takes [`JOURNEY_BYTES`].
#[derive(Clone, Debug)]
pub struct Tracer {
    /// Journeys under way, where the low bits of their number say.
    open: Vec<Journey>,
    threads: Rows,
    head: Store,
    tail: Store,
    /// Where the next journey goes in a full tail.
    next: usize,
    /// Journeys that each of head and tail has room for.
    room: usize,
    overwritten: u64,
    moments: Vec<Moment>,
    moments_left_out: u64,
    end: Nanos,
}

/// What one journey takes in memory.
pub const JOURNEY_BYTES: usize = size_of::<Journey>();

/// Journeys that stay where they are while more come: growing must not hold a run up to copy what there is.
#[derive(Clone, Debug, Default)]
struct Store {
    /// All full but the last.
    chunks: Vec<Vec<Journey>>,
    len: usize,
}

/// Journeys in a chunk.
const CHUNK: usize = 256;

impl Store {
    fn push(&mut self, journey: Journey) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.len += 1;
        self.chunks.last_mut().expect("there is a chunk with room").push(journey);
    }

    fn replace(&mut self, index: usize, journey: Journey) {
        self.chunks[index / CHUNK][index % CHUNK] = journey;
    }
}

/// The most moments kept.
const MOMENTS_MAX: usize = 4096;

impl Tracer {
    /// Room for `journeys` journeys (at least 2), of which up to `window` are under way at once.
    pub fn new(journeys: usize, window: usize) -> Self {
        Tracer {
            open: (0..window.next_power_of_two() as u64).map(Journey::of).collect(),
            threads: Rows::default(),
            head: Store::default(),
            tail: Store::default(),
            next: 0,
            room: (journeys / 2).max(1),
            overwritten: 0,
            moments: Vec::new(),
            moments_left_out: 0,
            end: 0,
        }
    }

    /// Lets more items be under way at once.
    pub fn grow(&mut self, window: usize) {
        if window <= self.open.len() {
            return;
        }
        let places = window.next_power_of_two() as u64;
        let old = std::mem::replace(&mut self.open, (0..places).map(Journey::of).collect());
        for journey in old {
            self.open[(journey.sequence & (places - 1)) as usize] = journey;
        }
    }

    /// An item was taken from the source, which was asked for it from `source.start` on.
    #[inline]
    pub fn taken(&mut self, sequence: Sequence, source: Interval) {
        let place = self.place(sequence);
        self.open[place] = Journey { source: Some(source), ..Journey::of(sequence) };
    }

    /// A host step begins, on the free host thread with the lowest number.
    #[inline]
    pub fn host_begins(&mut self, slot: Slot, stage: Stage) {
        let place = self.place(slot.sequence());
        let journey = &mut self.open[place];
        if journey.sequence != slot.sequence() {
            return;
        }
        let thread = Some((self.threads.begin(), Interval::at(0)));
        if stage == Stage::Preprocess {
            if journey.lane.is_some() {
                // Its lane was lost, and it begins again: what counts is the way it went in the end.
                *journey = Journey { source: journey.source, ..Journey::of(slot.sequence()) };
            }
            journey.lane = Some(slot.lane() as u16);
            journey.input = Some(slot.set() as u16);
            journey.preprocess = thread;
        } else {
            journey.postprocess = thread;
        }
    }

    /// A host step is over.
    #[inline]
    pub fn host_ends(&mut self, sequence: Sequence, stage: Stage, time: Interval) {
        let Some(journey) = self.journey(sequence) else { return };
        let step = match stage {
            Stage::Preprocess => &mut journey.preprocess,
            _ => &mut journey.postprocess,
        };
        if let Some((thread, at)) = step {
            *at = time;
            let thread = *thread;
            self.threads.end(thread);
        }
    }

    /// An item is handed to its lane.
    #[inline]
    pub fn call_begins(&mut self, transit: Transit, at: Nanos) {
        if let Some(journey) = self.journey(transit.sequence()) {
            journey.output = Some(transit.output() as u16);
            journey.call = Some(Interval::at(at));
        }
    }

    /// The lane takes the next call.
    #[inline]
    pub fn call_ends(&mut self, sequence: Sequence, at: Nanos) {
        if let Some(call) = self.journey(sequence).and_then(|journey| journey.call.as_mut()) {
            call.end = call.start.max(at);
        }
    }

    /// A stage on a device is over.
    #[inline]
    pub fn device_stage(&mut self, sequence: Sequence, stage: Stage, time: Interval) {
        if let Some(journey) = self.journey(sequence) {
            match stage {
                Stage::Write => journey.write = Some(time),
                Stage::Kernel => journey.kernel = Some(time),
                Stage::Read => journey.read = Some(time),
                Stage::Preprocess | Stage::Postprocess => {}
            }
        }
    }

    /// The device has read an item's input for the last time. Only what is told first counts.
    #[inline]
    pub fn input_free(&mut self, sequence: Sequence, at: Nanos) {
        if let Some(journey) = self.journey(sequence) {
            journey.input_free = journey.input_free.or(Some(at));
        }
    }

    /// An item's output is back with the host.
    #[inline]
    pub fn landed(&mut self, sequence: Sequence, at: Nanos) {
        if let Some(journey) = self.journey(sequence) {
            journey.landed = Some(at);
        }
    }

    /// An item is handed out. Nothing is heard of it any more.
    pub fn delivered(&mut self, sequence: Sequence, outcome: Outcome, at: Nanos) {
        self.end = self.end.max(at);
        let Some(journey) = self.journey(sequence) else { return };
        (journey.outcome, journey.delivered) = (outcome, at);
        let ended = *journey;
        // Whatever still comes for it, as from a lane that was given up, is not heard.
        journey.sequence = Sequence::MAX;
        if self.head.len < self.room {
            self.head.push(ended);
        } else if self.tail.len < self.room {
            self.tail.push(ended);
        } else {
            self.tail.replace(self.next, ended);
            self.next = if self.next + 1 == self.room { 0 } else { self.next + 1 };
            self.overwritten += 1;
        }
    }

    /// Something happened beside the items' stages.
    pub fn moment(&mut self, at: Nanos, what: What) {
        self.end = self.end.max(at);
        if self.moments.len() < MOMENTS_MAX {
            self.moments.push(Moment { at, what });
        } else {
            self.moments_left_out += 1;
        }
    }

    /// What was kept so far.
    pub fn trace(&self, topology: Topology) -> Trace {
        let mut head = self.head.chunks.concat();
        let mut tail = self.tail.chunks.concat();
        // Results that are handed out as they complete come in any order.
        head.sort_unstable_by_key(|journey| journey.sequence);
        tail.sort_unstable_by_key(|journey| journey.sequence);
        let kept = head.len();
        head.append(&mut tail);
        let mut moments = self.moments.clone();
        moments.sort_by_key(|moment| moment.at);
        Trace {
            topology,
            journeys: head,
            head: kept,
            left_out: self.overwritten,
            moments,
            moments_left_out: self.moments_left_out,
            end: self.end,
        }
    }

    #[inline]
    fn place(&self, sequence: Sequence) -> usize {
        sequence as usize & (self.open.len() - 1)
    }

    /// An item's journey while it is under way; `None` for one that was not traced from its beginning.
    #[inline]
    fn journey(&mut self, sequence: Sequence) -> Option<&mut Journey> {
        let place = self.place(sequence);
        let journey = &mut self.open[place];
        (journey.sequence == sequence).then_some(journey)
    }
}
