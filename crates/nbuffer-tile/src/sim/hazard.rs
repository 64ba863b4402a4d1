//! Hazards: instructions that touch the same bytes, one of them writing, with nothing that orders them.
//!
//! What is ordered follows from flags and barriers alone, not from when things happened to run: each pipe knows, of every other,
//! how many instructions are complete for certain (a vector clock). So a missing flag is found even when this profile's times happen to hide
//! it.

use std::ops::Range;
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
}

/// One of the instructions of a hazard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its pipe.
    pub pipe: Pipe,
    /// Its name.
    pub name: &'static str,
    /// Its number among the core's instructions.
    pub number: u64,
    /// The line of the kernel that made it.
    pub at: &'static Location<'static>,
}

/// Two instructions that nothing orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// What could go wrong.
    pub kind: HazardKind,
    /// The core.
    pub core: usize,
    /// The memory.
    pub space: Space,
    /// The first byte both touch.
    pub start: u32,
    /// Behind the last byte both touch.
    pub end: u32,
    /// The earlier one in program order.
    pub first: Party,
    /// The later one.
    pub second: Party,
}

impl Hazard {
    /// Whether it is of the same lines of the kernel.
    pub(super) fn is_like(&self, other: &Hazard) -> bool {
        let lines = |hazard: &Hazard| (hazard.kind, hazard.core, hazard.first.at, hazard.second.at);
        lines(self) == lines(other)
    }
}

impl std::fmt::Display for Hazard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Hazard { kind, core, space, start, end, first, second } = self;
        let party = |p: &Party| format!("{} {} ({}:{})", p.pipe, p.name, p.at.file(), p.at.line());
        write!(
            f,
            "core {core}: {} hazard on {space} bytes {start}..{end}: nothing makes {} wait for {}",
            kind.name(),
            party(second),
            party(first)
        )
    }
}

const PIPES: usize = Pipe::ALL.len();

/// Of each pipe, how many of its instructions are complete for certain.
pub(super) type Clock = [u64; PIPES];

fn merge(into: &mut Clock, other: &Clock) {
    for (known, more) in into.iter_mut().zip(other) {
        *known = (*known).max(*more);
    }
}

/// Bytes that an instruction touches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) space: Space,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) writes: bool,
}

#[derive(Clone, Copy, Debug)]
struct Access {
    touch: Touch,
    /// Its number among the instructions of its pipe, from 1.
    own: u64,
    party: Party,
}

/// What one core's pipes know of each other, and what was touched.
#[derive(Debug)]
pub(super) struct Watcher {
    core: usize,
    clocks: [Clock; PIPES],
    issued: Clock,
    /// By memory.
    accesses: [Vec<Access>; Space::ALL.len()],
    /// Whether a pipe's instructions wait for those before them on the same pipe.
    in_order: [bool; PIPES],
}

/// The most accesses kept of a memory. Beyond, the oldest are forgotten.
const ACCESSES_MAX: usize = 512;

impl Watcher {
    /// `auto_sync`: dependent vector instructions are ordered, as the compiler does by default.
    pub(super) fn new(core: usize, auto_sync: bool) -> Self {
        let mut in_order = [true; PIPES];
        in_order[Pipe::V as usize] = auto_sync;
        in_order[Pipe::Mte2 as usize] = false;
        in_order[Pipe::Mte3 as usize] = false;
        Watcher {
            core,
            clocks: [[0; PIPES]; PIPES],
            issued: [0; PIPES],
            accesses: Default::default(),
            in_order,
        }
    }

    /// What a flag that `pipe` sets now tells whoever waits for it: all of the pipe's instructions are complete.
    pub(super) fn set(&mut self, pipe: Pipe) -> Clock {
        self.barrier(pipe);
        self.clocks[pipe as usize]
    }

    /// A pipe has waited for a flag.
    pub(super) fn waited(&mut self, pipe: Pipe, told: &Clock) {
        merge(&mut self.clocks[pipe as usize], told);
    }

    /// A pipe has finished all it had.
    pub(super) fn barrier(&mut self, pipe: Pipe) {
        self.clocks[pipe as usize][pipe as usize] = self.issued[pipe as usize];
    }

    /// All pipes have finished all they had.
    pub(super) fn barrier_all(&mut self) {
        self.clocks = [self.issued; PIPES];
        self.accesses.iter_mut().for_each(Vec::clear);
    }

    /// An instruction begins. The hazards it has with earlier ones.
    pub(super) fn begin(&mut self, party: Party, touches: &[Touch], found: &mut Vec<Hazard>) {
        let pipe = party.pipe as usize;
        if self.in_order[pipe] {
            self.clocks[pipe][pipe] = self.issued[pipe];
        }
        self.issued[pipe] += 1;
        let own = self.issued[pipe];
        let known = self.clocks[pipe];
        let is_before = |access: &Access| known[access.party.pipe as usize] >= access.own;
        for touch in touches {
            self.accesses[touch.space as usize].retain(|access| {
                let other = access.touch;
                let (start, end) = (touch.start.max(other.start), touch.end.min(other.end));
                if start >= end || access.party.number == party.number {
                    return true;
                }
                if is_before(access) {
                    // Whatever comes after this and is ordered with it is ordered with what this covers, too.
                    let inside = touch.start <= other.start && other.end <= touch.end;
                    return !(inside && (touch.writes || !other.writes && access.party.pipe == party.pipe));
                }
                if other.writes || touch.writes {
                    found.push(hazard(self.core, start..end, access, *touch, party));
                }
                true
            });
        }
        for touch in touches {
            let accesses = &mut self.accesses[touch.space as usize];
            if accesses.len() >= ACCESSES_MAX {
                accesses.remove(0);
            }
            accesses.push(Access { touch: *touch, own, party });
        }
    }
}

/// The hazard of an instruction that begins with an earlier access to these bytes.
fn hazard(core: usize, bytes: Range<u32>, access: &Access, touch: Touch, party: Party) -> Hazard {
    let ((first, first_writes), (second, second_writes)) = if access.party.number < party.number {
        ((access.party, access.touch.writes), (party, touch.writes))
    } else {
        ((party, touch.writes), (access.party, access.touch.writes))
    };
    let kind = match (first_writes, second_writes) {
        (true, true) => HazardKind::WriteAfterWrite,
        (true, false) => HazardKind::ReadAfterWrite,
        _ => HazardKind::WriteAfterRead,
    };
    Hazard { kind, core, space: touch.space, start: bytes.start, end: bytes.end, first, second }
}
