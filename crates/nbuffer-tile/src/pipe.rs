//! Pipes, which run side by side, and the events between them.

use std::fmt;

/// An instruction queue of an AI Core. Each starts its instructions in order; they run independently of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pipe {
    /// The scalar core: runs the kernel's program and issues the instructions of all others.
    S,
    /// Vector arithmetic on the unified buffer.
    V,
    /// Matrix multiplication.
    M,
    /// L1 to L0A and L0B.
    Mte1,
    /// Global memory into the core.
    Mte2,
    /// The unified buffer to global memory or L1.
    Mte3,
    /// L0C to global memory.
    Fix,
}

impl Pipe {
    /// All pipes.
    pub const ALL: [Pipe; 7] = [Pipe::S, Pipe::V, Pipe::M, Pipe::Mte1, Pipe::Mte2, Pipe::Mte3, Pipe::Fix];

    /// The vendor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Pipe::S => "S",
            Pipe::V => "V",
            Pipe::M => "M",
            Pipe::Mte1 => "MTE1",
            Pipe::Mte2 => "MTE2",
            Pipe::Mte3 => "MTE3",
            Pipe::Fix => "FIX",
        }
    }

    /// The name of its lane in the vendor's traces.
    pub const fn lane(self) -> &'static str {
        match self {
            Pipe::S => "SCALAR",
            Pipe::V => "VECTOR",
            Pipe::M => "CUBE",
            Pipe::Mte1 => "MTE1",
            Pipe::Mte2 => "MTE2",
            Pipe::Mte3 => "MTE3",
            Pipe::Fix => "FIXP",
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A type of event: set by one pipe, waited for by another (`MTE2_V`: the vector pipe waits for a copy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// Who sets it, after all its earlier instructions are complete.
    pub from: Pipe,
    /// Who waits for it.
    pub to: Pipe,
}

impl Event {
    /// The event that `from` sets and `to` waits for.
    pub const fn new(from: Pipe, to: Pipe) -> Self {
        Event { from, to }
    }

    /// Its number among all of them.
    pub(crate) const fn index(self) -> usize {
        self.from as usize * Pipe::ALL.len() + self.to as usize
    }

    /// All of them, in the order of their numbers.
    pub(crate) fn all() -> impl Iterator<Item = Event> {
        Pipe::ALL.into_iter().flat_map(|from| Pipe::ALL.map(|to| Event { from, to }))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.from, self.to)
    }
}
