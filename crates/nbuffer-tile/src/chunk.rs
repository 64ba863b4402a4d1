//! Chunks of a core's program, as its kernel hands them to the simulator.
//!
//! An instruction here is as small as it can be: what it works on stands in tables beside, and vector instructions that are the same stand
//! there once. Programs of many cores at once then stay within the cache.

use std::panic::Location;

use crate::instruction::{Copy, Mmad, Op, Scalar, Vector, Work};
use crate::pipe::{Event, Pipe};

/// Instructions of a chunk.
const INSTRUCTIONS: usize = 512;

/// An instruction, and the line of the kernel that made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    pub(crate) step: Step,
    /// Queue operations whose code the scalar core runs before it.
    pub(crate) calls: u16,
    pub(crate) at: &'static Location<'static>,
}

/// What a pipe is to do next. Work is the number of an entry in its table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Set(Event, u8),
    Wait(Event, u8),
    Barrier(Pipe),
    BarrierAll,
    Copy(Pipe, u16),
    Vector(u16),
    Mmad(u16),
    Scalar(u16),
}

impl Step {
    /// The pipe that carries it out.
    pub(crate) fn pipe(self) -> Pipe {
        match self {
            Step::BarrierAll | Step::Scalar(_) => Pipe::S,
            Step::Set(event, _) => event.from,
            Step::Wait(event, _) => event.to,
            Step::Barrier(pipe) | Step::Copy(pipe, _) => pipe,
            Step::Vector(_) => Pipe::V,
            Step::Mmad(_) => Pipe::M,
        }
    }
}

/// Instructions in program order.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) copies: Vec<Copy>,
    pub(crate) vectors: Vec<Vector>,
    pub(crate) mmads: Vec<Mmad>,
    pub(crate) scalars: Vec<Scalar>,
}

impl Chunk {
    pub(crate) fn new() -> Self {
        Chunk { instructions: Vec::with_capacity(INSTRUCTIONS), ..Chunk::default() }
    }

    /// What the work is.
    ///
    /// # Panics
    ///
    /// For flags and barriers, which are none.
    pub(crate) fn work(&self, step: Step) -> Work<'_> {
        match step {
            Step::Copy(_, index) => Work::Copy(&self.copies[usize::from(index)]),
            Step::Vector(index) => Work::Vector(&self.vectors[usize::from(index)]),
            Step::Mmad(index) => Work::Mmad(&self.mmads[usize::from(index)]),
            Step::Scalar(index) => Work::Scalar(&self.scalars[usize::from(index)]),
            Step::Set(..) | Step::Wait(..) | Step::Barrier(_) | Step::BarrierAll => {
                unreachable!("flags and barriers are no work")
            }
        }
    }
}

/// The entries that a search for the same vector instruction looks at: one for each address, more or less.
const KNOWN: usize = 32;

/// A chunk in the making.
#[derive(Debug)]
pub(crate) struct Draft {
    chunk: Chunk,
    /// Where a vector instruction like this one may stand.
    known: [u16; KNOWN],
}

impl Draft {
    pub(crate) fn new() -> Self {
        Draft { chunk: Chunk::new(), known: [0; KNOWN] }
    }

    pub(crate) fn push(&mut self, op: Op, calls: u16, at: &'static Location<'static>) {
        let step = match op {
            Op::Set(event, id) => Step::Set(event, id),
            Op::Wait(event, id) => Step::Wait(event, id),
            Op::Barrier(pipe) => Step::Barrier(pipe),
            Op::BarrierAll => Step::BarrierAll,
            Op::Copy(copy) => Step::Copy(copy.route.pipe(), add(&mut self.chunk.copies, copy)),
            Op::Vector(vector) => Step::Vector(self.vector(vector)),
            Op::Mmad(mmad) => Step::Mmad(add(&mut self.chunk.mmads, mmad)),
            Op::Scalar(scalar) => Step::Scalar(add(&mut self.chunk.scalars, scalar)),
        };
        self.chunk.instructions.push(Instruction { step, calls, at });
    }

    fn vector(&mut self, vector: Vector) -> u16 {
        let addresses = vector.dst.address ^ vector.sources[0].address.rotate_left(3);
        let known = &mut self.known[((addresses >> 5) ^ (addresses >> 10)) as usize % KNOWN];
        if self.chunk.vectors.get(usize::from(*known)) != Some(&vector) {
            *known = add(&mut self.chunk.vectors, vector);
        }
        *known
    }

    /// The chunk, once it is full.
    pub(crate) fn take_full(&mut self) -> Option<Chunk> {
        (self.chunk.instructions.len() >= INSTRUCTIONS).then(|| self.take())
    }

    /// The chunk as it is.
    pub(crate) fn take(&mut self) -> Chunk {
        std::mem::replace(&mut self.chunk, Chunk::new())
    }
}

/// Puts it behind the others: its number.
fn add<T>(table: &mut Vec<T>, entry: T) -> u16 {
    table.push(entry);
    (table.len() - 1) as u16
}
