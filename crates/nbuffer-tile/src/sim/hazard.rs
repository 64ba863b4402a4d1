//! Hazards: instructions that touch the same bytes, one of them writing, with nothing that orders them.

use std::fmt;
use std::panic::Location;

use crate::pipe::Pipe;
use crate::position::Space;

/// What could go wrong between two instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HazardKind {
    /// The second reads what the first writes.
    ReadAfterWrite,
    /// The second writes what the first reads.
    WriteAfterRead,
    /// Both write.
    WriteAfterWrite,
}

impl HazardKind {
    /// Its short name.
    pub const fn name(self) -> &'static str {
        match self {
            HazardKind::ReadAfterWrite => "RAW",
            HazardKind::WriteAfterRead => "WAR",
            HazardKind::WriteAfterWrite => "WAW",
        }
    }

    /// Of two instructions, by whether they write. At least one does.
    pub(super) fn of(first_writes: bool, second_writes: bool) -> Self {
        match (first_writes, second_writes) {
            (true, true) => HazardKind::WriteAfterWrite,
            (true, false) => HazardKind::ReadAfterWrite,
            _ => HazardKind::WriteAfterRead,
        }
    }
}

/// Where bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In a memory of a core.
    Local(Space),
    /// In a tensor in global memory, counted from 0 in the order in which they were made.
    Global(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Local(space) => space.fmt(f),
            Place::Global(tensor) => write!(f, "global tensor {tensor}"),
        }
    }
}

/// One of the instructions of a hazard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its core.
    pub core: usize,
    /// Its pipe.
    pub pipe: Pipe,
    /// Its name.
    pub name: &'static str,
    /// Its number among the core's instructions.
    pub number: u64,
    /// The line of the kernel that made it.
    pub at: &'static Location<'static>,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Party { pipe, name, at, .. } = self;
        write!(f, "{pipe} {name} ({}:{})", at.file(), at.line())
    }
}

/// Two instructions that nothing orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// What could go wrong.
    pub kind: HazardKind,
    /// Where.
    pub place: Place,
    /// The first byte both touch.
    pub start: u64,
    /// Behind the last byte both touch.
    pub end: u64,
    /// The earlier one in program order.
    pub first: Party,
    /// The later one.
    pub second: Party,
}

impl Hazard {
    /// Whether it is of the same lines of the kernel.
    pub(super) fn is_like(&self, other: &Hazard) -> bool {
        let party = |party: &Party| (party.core, party.at);
        let lines = |hazard: &Hazard| (hazard.kind, party(&hazard.first), party(&hazard.second));
        lines(self) == lines(other)
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hazard { kind, place, start, end, first, second } = self;
        let (kind, of_first, of_second) = (kind.name(), first.core, second.core);
        if of_first == of_second {
            write!(f, "core {of_first}: {kind} hazard on {place} bytes {start}..{end}: ")?;
            return write!(f, "nothing makes {second} wait for {first}");
        }
        write!(f, "cores {of_first} and {of_second}: {kind} hazard on {place} bytes {start}..{end}: ")?;
        write!(f, "nothing makes {second} of core {of_second} wait for {first} of core {of_first}; ")?;
        write!(f, "launch once more on what was written")
    }
}
