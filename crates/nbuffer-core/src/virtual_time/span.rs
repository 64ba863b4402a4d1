//! A stretch of time that one unit spent on one stage of one item.

use crate::measure::{Nanos, Stage};
use crate::schedule::Sequence;

/// What was busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The source of items.
    Source,
    /// A host thread, by its number.
    Host(usize),
    /// The host-to-device direction of a link, by the link's number.
    LinkIn(usize),
    /// The device-to-host direction of a link, by the link's number.
    LinkOut(usize),
    /// A link with one channel for both directions, by its number.
    Link(usize),
    /// The compute unit of a lane.
    Kernel(usize),
    /// The end where results are handed out.
    Delivery,
}

/// A stretch of time that one unit spent on one stage of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// What was busy.
    pub unit: Unit,
    /// With which stage.
    pub stage: Stage,
    /// For which lane.
    pub lane: usize,
    /// For which item.
    pub sequence: Sequence,
    /// When it began.
    pub start: Nanos,
    /// When it ended; not before `start`.
    pub end: Nanos,
}
