//! Where a queue's blocks lie, and which pipes fill and use them.

use std::fmt;

use crate::pipe::Pipe;
use crate::profile::Arch;

/// A memory of an AI Core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// The unified buffer, which vector instructions work on.
    Ub,
    /// L1, which feeds L0A and L0B.
    L1,
    /// Left operands of matrix multiplication.
    L0a,
    /// Right operands of matrix multiplication.
    L0b,
    /// Results of matrix multiplication.
    L0c,
}

impl Space {
    /// All memories.
    pub const ALL: [Space; 5] = [Space::Ub, Space::L1, Space::L0a, Space::L0b, Space::L0c];

    /// The vendor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Space::Ub => "UB",
            Space::L1 => "L1",
            Space::L0a => "L0A",
            Space::L0b => "L0B",
            Space::L0c => "L0C",
        }
    }

    /// What addresses that instructions are given must be multiples of, in bytes (vendor document on alignment).
    pub const fn alignment(self) -> u32 {
        match self {
            Space::Ub | Space::L1 => 32,
            Space::L0a | Space::L0b => 512,
            Space::L0c => 64,
        }
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A queue's position (`TPosition`): what its blocks are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TPosition {
    /// Input of vector instructions.
    VecIn,
    /// Output of vector instructions.
    VecOut,
    /// Scratch of vector instructions.
    VecCalc,
    /// Left matrix in L1.
    A1,
    /// Right matrix in L1.
    B1,
    /// Left operand in L0A.
    A2,
    /// Right operand in L0B.
    B2,
    /// Result in L0C.
    Co1,
}

impl TPosition {
    /// The vendor's name.
    pub const fn name(self) -> &'static str {
        match self {
            TPosition::VecIn => "VECIN",
            TPosition::VecOut => "VECOUT",
            TPosition::VecCalc => "VECCALC",
            TPosition::A1 => "A1",
            TPosition::B1 => "B1",
            TPosition::A2 => "A2",
            TPosition::B2 => "B2",
            TPosition::Co1 => "CO1",
        }
    }

    /// The memory it lies in.
    pub const fn space(self) -> Space {
        match self {
            TPosition::VecIn | TPosition::VecOut | TPosition::VecCalc => Space::Ub,
            TPosition::A1 | TPosition::B1 => Space::L1,
            TPosition::A2 => Space::L0a,
            TPosition::B2 => Space::L0b,
            TPosition::Co1 => Space::L0c,
        }
    }

    /// Who fills a block and who uses it: EnQue makes the user wait for the filler, FreeTensor the filler for the user.
    pub(crate) const fn pipes(self, arch: Arch) -> (Pipe, Pipe) {
        match self {
            TPosition::VecIn => (Pipe::Mte2, Pipe::V),
            TPosition::VecOut => (Pipe::V, Pipe::Mte3),
            TPosition::VecCalc => (Pipe::V, Pipe::V),
            TPosition::A1 | TPosition::B1 => (Pipe::Mte2, Pipe::Mte1),
            TPosition::A2 | TPosition::B2 => (Pipe::Mte1, Pipe::M),
            TPosition::Co1 => match arch {
                Arch::A2201 => (Pipe::M, Pipe::Fix),
                Arch::A1001 | Arch::A2002 => (Pipe::M, Pipe::V),
            },
        }
    }
}

impl fmt::Display for TPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A position as a type, so that a tensor of one position does not go into a queue of another.
pub trait Position: Copy + fmt::Debug + 'static {
    /// Which one.
    const POSITION: TPosition;
}

macro_rules! positions {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;

        impl Position for $name {
            const POSITION: TPosition = TPosition::$name;
        }
    )*};
}

positions! {
    /// [`TPosition::VecIn`].
    VecIn;
    /// [`TPosition::VecOut`].
    VecOut;
    /// [`TPosition::VecCalc`].
    VecCalc;
    /// [`TPosition::A1`].
    A1;
    /// [`TPosition::B1`].
    B1;
    /// [`TPosition::A2`].
    A2;
    /// [`TPosition::B2`].
    B2;
    /// [`TPosition::Co1`].
    Co1;
}
