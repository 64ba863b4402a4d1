//! One item's way through a run: what it did when, and in which buffer sets.

use super::{Span, Topology, Unit};
use crate::measure::{Nanos, Stage};
use crate::schedule::{Outcome, Sequence};

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interval {
    /// When it began.
    pub start: Nanos,
    /// When it ended, not before `start`.
    pub end: Nanos,
}

impl Interval {
    /// From `start` to `end`; empty if that is earlier.
    pub fn new(start: Nanos, end: Nanos) -> Self {
        Interval { start, end: end.max(start) }
    }

    /// Nothing but this instant.
    pub const fn at(instant: Nanos) -> Self {
        Interval { start: instant, end: instant }
    }

    /// How long it is.
    pub const fn length(self) -> Nanos {
        self.end - self.start
    }
}

/// What one item did when. What did not happen, or was not seen, is `None`.
///
/// Everything that is drawn or counted of an item comes from here: its spans, the states of its buffer sets, what it
/// waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journey {
    /// The item.
    pub sequence: Sequence,
    /// The lane it went through; `None` if it ended before it was given one.
    pub lane: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// The input set it was preprocessed into.
    pub input: Option<u16>,
    /// The output set its result came in. Of a joint ring, the same set.
    pub output: Option<u16>,
    /// From when the source was asked for it until it was there.
    pub source: Option<Interval>,
    /// Its preprocess step, and on which host thread.
    pub preprocess: Option<(u16, Interval)>,
    /// The call that handed it to its lane. As long as this, the lane took no other.
    pub call: Option<Interval>,
    /// Its copy to the device.
    pub write: Option<Interval>,
    /// Its kernel.
    pub kernel: Option<Interval>,
    /// The copy of its result to the host.
    pub read: Option<Interval>,
    /// When the device had read its input for the last time. In a split ring its input set can be filled again then.
    pub input_free: Option<Nanos>,
    /// When its output was back with the host.
    pub landed: Option<Nanos>,
    /// Its postprocess step, and on which host thread.
    pub postprocess: Option<(u16, Interval)>,
    /// When it was handed out.
    pub delivered: Nanos,
}

impl Journey {
    /// The journey of an item of which nothing is known yet.
    pub const fn of(sequence: Sequence) -> Self {
        Journey {
            sequence,
            lane: None,
            outcome: Outcome::Ok,
            input: None,
            output: None,
            source: None,
            preprocess: None,
            call: None,
            write: None,
            kernel: None,
            read: None,
            input_free: None,
            landed: None,
            postprocess: None,
            delivered: 0,
        }
    }

    /// When a stage ran.
    pub fn stage(&self, stage: Stage) -> Option<Interval> {
        match stage {
            Stage::Preprocess => self.preprocess.map(|(_, time)| time),
            Stage::Write => self.write,
            Stage::Kernel => self.kernel,
            Stage::Read => self.read,
            Stage::Postprocess => self.postprocess.map(|(_, time)| time),
        }
    }

    /// The spans of its stages, in the order of the stages, on the units of `topology`.
    pub fn spans(&self, topology: &Topology) -> impl Iterator<Item = Span> + use<> {
        let (lane, sequence) = (self.lane.map_or(0, usize::from), self.sequence);
        let thread = |step: Option<(u16, Interval)>| step.map(|(thread, _)| Unit::Host(thread.into()));
        let units = [
            thread(self.preprocess),
            Some(topology.unit(lane, Stage::Write)),
            Some(topology.unit(lane, Stage::Kernel)),
            Some(topology.unit(lane, Stage::Read)),
            thread(self.postprocess),
        ];
        let times = Stage::ALL.map(|stage| self.stage(stage));
        let stages = Stage::ALL.into_iter().zip(units).zip(times);
        stages.filter_map(move |((stage, unit), time)| {
            let (unit, Interval { start, end }) = (unit?, time?);
            Some(Span { unit, stage, lane, sequence, start, end })
        })
    }
}
