//! What a simulation came to.

use super::hazard::Hazard;
use super::spans::TileSpan;
use crate::pipe::{Event, Pipe};

/// Why the vector pipe did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wait {
    /// Its input was not there yet.
    Data,
    /// No output block was free yet.
    NoFreeBlock,
    /// The scalar core had not issued its next instruction.
    Issue,
    /// It was busy with flags that were there.
    Flags,
    /// It waited at a barrier.
    Barrier,
    /// Before its first instruction.
    Fill,
    /// After its last one.
    Drain,
}

impl Wait {
    /// All of them.
    pub const ALL: [Wait; 7] =
        [Wait::Data, Wait::NoFreeBlock, Wait::Issue, Wait::Flags, Wait::Barrier, Wait::Fill, Wait::Drain];

    /// Its name in words.
    pub const fn name(self) -> &'static str {
        match self {
            Wait::Data => "data not there",
            Wait::NoFreeBlock => "no free block",
            Wait::Issue => "not issued",
            Wait::Flags => "flags",
            Wait::Barrier => "barrier",
            Wait::Fill => "fill",
            Wait::Drain => "drain",
        }
    }

    /// What a wait for this event is: what comes before in the flow of data fills, what comes behind frees.
    pub(crate) fn of(event: Event) -> Wait {
        let place = |pipe| match pipe {
            Pipe::S => 0,
            Pipe::Mte2 => 1,
            Pipe::Mte1 => 2,
            Pipe::V | Pipe::M => 3,
            Pipe::Mte3 | Pipe::Fix => 4,
        };
        if place(event.from) > place(event.to) { Wait::NoFreeBlock } else { Wait::Data }
    }
}

/// Cycles waited, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waits([f64; Wait::ALL.len()]);

impl Waits {
    /// Cycles waited for this reason.
    pub fn of(&self, wait: Wait) -> f64 {
        self.0[wait as usize]
    }

    pub(crate) fn add(&mut self, wait: Wait, cycles: f64) {
        self.0[wait as usize] += cycles;
    }

    /// All of them.
    pub fn sum(&self) -> f64 {
        self.0.iter().sum()
    }
}

/// What a pipe of a core did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PipeReport {
    /// Instructions, without flags and barriers.
    pub instructions: u64,
    /// Flags set and waited for.
    pub flags: u64,
    /// Cycles in which at least one of them ran.
    pub busy: f64,
    /// Bytes moved.
    pub bytes: u64,
    /// Of `busy`, cycles of start-up.
    pub startup: f64,
    /// Of `busy`, cycles lost to bank conflicts.
    pub conflicts: f64,
    /// Elements that vector instructions worked on, and elements that their repeats had room for.
    pub elements: u64,
    /// See `elements`.
    pub elements_max: u64,
    /// When its first instruction began, and its last one ended.
    pub first: f64,
    /// See `first`.
    pub last: f64,
    /// Why it did nothing; the sum and `busy` are the core's time.
    pub waits: Waits,
}

/// What a core did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoreReport {
    /// When its last instruction ended.
    pub end: f64,
    /// Its pipes, in the order of [`Pipe::ALL`].
    pub pipes: [PipeReport; 7],
    /// Instructions, flags and barriers included.
    pub instructions: u64,
}

impl CoreReport {
    /// One pipe.
    pub fn pipe(&self, pipe: Pipe) -> &PipeReport {
        &self.pipes[pipe as usize]
    }
}

/// A kernel's run.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Cycles from the first instruction to the end of the last.
    pub cycles: f64,
    /// The cores.
    pub cores: Vec<CoreReport>,
    /// Instructions that touched the same bytes without order: the first of each pair of lines, on each core. Values mean
    /// nothing if there are any.
    pub hazards: Vec<Hazard>,
    /// How many hazards there were, those that were not kept included.
    pub n_hazards: u64,
    /// Copies that were too scattered to check whether another core wrote the same place of global memory.
    pub unchecked_copies: u64,
    /// What ran when, as far as it was kept: the beginning and the end.
    pub spans: Vec<TileSpan>,
    /// Spans between those that were not kept.
    pub spans_left_out: u64,
}
