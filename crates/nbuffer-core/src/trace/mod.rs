//! What happened when, on whichever clock a run ran, and pictures of it.
//!
//! A [`Tracer`] keeps the [`Journey`] of each item and the [`Moment`]s beside them, in bounded memory; a [`Trace`] is
//! what it kept. A real run and one in virtual time fill the same tracer.
//!
//! A [`Span`] says that a [`Unit`] was busy with one stage of one item. [`Timeline`] draws spans as text, a
//! row a unit; it is [`Layout`] with characters, and other drawings start from that same layout. [`events`] are what
//! trace files are written from.

pub mod axis;
mod cut;
pub mod events;
mod journey;
pub mod layout;
mod moment;
mod rows;
mod timeline;
mod topology;
mod tracer;

use std::fmt;

pub use cut::steady_state;
pub use journey::{Interval, Journey};
pub use layout::Layout;
pub use moment::{Moment, What};
pub(crate) use rows::Rows;
pub use timeline::{Style, Timeline};
pub use topology::{LanePlace, Topology};
pub use tracer::{JOURNEY_BYTES, Trace, Tracer};

use crate::measure::{Nanos, Stage};
use crate::schedule::Sequence;

/// A unit was busy with one stage of one item from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// What was busy.
    pub unit: Unit,
    /// With what. The source counts as [`Stage::Preprocess`], delivery as [`Stage::Postprocess`].
    pub stage: Stage,
    /// The lane the item went through.
    pub lane: usize,
    /// The item.
    pub sequence: Sequence,
    /// When it began.
    pub start: Nanos,
    /// When it ended, not before `start`.
    pub end: Nanos,
}

/// What can be busy, in the order in which rows are drawn: the way an item goes.
///
/// A lane is no unit: a blocking call keeps a kernel busy and nothing else that another item could use, and
/// a call that does write, kernel and read for three items at once has a span for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// The source, while it was asked for an item.
    Source,
    /// A host thread.
    Host(usize),
    /// A half-duplex link: both directions.
    Link(usize),
    /// The host-to-device direction of a full-duplex link.
    LinkIn(usize),
    /// A compute unit.
    Kernel(usize),
    /// The device-to-host direction of a full-duplex link.
    LinkOut(usize),
    /// The delivery of results.
    Delivery,
}

impl Unit {
    /// The kind of unit, without its number.
    pub const fn kind(self) -> &'static str {
        match self {
            Unit::Source => "source",
            Unit::Host(_) => "host",
            Unit::Link(_) => "link",
            Unit::LinkIn(_) => "link in",
            Unit::Kernel(_) => "kernel",
            Unit::LinkOut(_) => "link out",
            Unit::Delivery => "delivery",
        }
    }

    /// Its number among the units of its kind, where there can be several.
    pub const fn number(self) -> Option<usize> {
        match self {
            Unit::Source | Unit::Delivery => None,
            Unit::Host(n) | Unit::Link(n) | Unit::LinkIn(n) | Unit::Kernel(n) | Unit::LinkOut(n) => Some(n),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number() {
            Some(number) => write!(f, "{} {number}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}
