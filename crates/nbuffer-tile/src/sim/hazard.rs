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
    writes: bool,
    /// Its number among the instructions of its pipe, from 1.
    own: u64,
    party: Party,
}

/// The accesses to a memory, their bytes apart from the rest: most are looked at only to see that they touch other bytes.
#[derive(Debug, Default)]
struct Accesses {
    bytes: Vec<(u32, u32)>,
    of: Vec<Access>,
    /// The next one to forget.
    oldest: usize,
}

/// The most accesses kept of a memory. Beyond, they are forgotten in turn.
const ACCESSES_MAX: usize = 512;

impl Accesses {
    fn push(&mut self, bytes: (u32, u32), access: Access) {
        if self.bytes.len() < ACCESSES_MAX {
            self.bytes.push(bytes);
            self.of.push(access);
            return;
        }
        (self.bytes[self.oldest], self.of[self.oldest]) = (bytes, access);
        self.oldest = (self.oldest + 1) % ACCESSES_MAX;
    }

    /// Looks at all accesses to any of these bytes, and forgets those for which `is_over` says so.
    fn forget(&mut self, (start, end): (u32, u32), mut is_over: impl FnMut((u32, u32), &Access) -> bool) {
        let mut index = 0;
        while let Some(&bytes) = self.bytes.get(index) {
            if bytes.0 < end && start < bytes.1 && is_over(bytes, &self.of[index]) {
                self.bytes.swap_remove(index);
                self.of.swap_remove(index);
            } else {
                index += 1;
            }
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.of.clear();
    }
}

/// What one core's pipes know of each other, and what was touched.
#[derive(Debug)]
pub(super) struct Watcher {
    core: usize,
    clocks: [Clock; PIPES],
    issued: Clock,
    /// By memory.
    accesses: [Accesses; Space::ALL.len()],
    /// Whether a pipe's instructions wait for those before them on the same pipe.
    in_order: [bool; PIPES],
}

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
        self.accesses.iter_mut().for_each(Accesses::clear);
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
        for touch in touches {
            let Touch { space, start, end, writes } = *touch;
            self.accesses[space as usize].forget((start, end), |other, access| {
                if known[access.party.pipe as usize] >= access.own {
                    // Whatever comes after this and is ordered with it is ordered with what this covers, too.
                    let covers = start <= other.0 && other.1 <= end;
                    return covers && (writes || !access.writes && access.party.pipe == party.pipe);
                }
                if access.writes || writes {
                    let bytes = start.max(other.0)..end.min(other.1);
                    found.push(hazard(self.core, space, bytes, access, writes, party));
                }
                false
            });
        }
        for touch in touches.iter().filter(|touch| touch.start < touch.end) {
            let access = Access { writes: touch.writes, own, party };
            self.accesses[touch.space as usize].push((touch.start, touch.end), access);
        }
    }
}

/// The hazard of an instruction that begins with an earlier access to these bytes.
fn hazard(
    core: usize,
    space: Space,
    bytes: Range<u32>,
    access: &Access,
    writes: bool,
    party: Party,
) -> Hazard {
    let ((first, first_writes), (second, second_writes)) = if access.party.number < party.number {
        ((access.party, access.writes), (party, writes))
    } else {
        ((party, writes), (access.party, access.writes))
    };
    let kind = match (first_writes, second_writes) {
        (true, true) => HazardKind::WriteAfterWrite,
        (true, false) => HazardKind::ReadAfterWrite,
        _ => HazardKind::WriteAfterRead,
    };
    Hazard { kind, core, space, start: bytes.start, end: bytes.end, first, second }
}
