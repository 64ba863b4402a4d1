//! A core's instructions in program order, as its kernel makes them.

use std::rc::Rc;
use std::sync::mpsc::Receiver;

use super::cost::{VectorCost, VectorCosts};
use super::scalar::Registers;
use crate::chunk::{Chunk, Instruction, Step};
use crate::instruction::Work;
use crate::profile::Profile;

/// A chunk, and what its vector instructions cost.
#[derive(Debug, Default)]
struct Loaded {
    chunk: Chunk,
    costs: Vec<VectorCost>,
}

/// An instruction with its chunk, which goes when the last of its instructions is over.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(super) instruction: Instruction,
    loaded: Rc<Loaded>,
}

impl Issued {
    /// What it works on; only of what is work.
    pub(super) fn work(&self) -> Work<'_> {
        self.loaded.chunk.work(self.instruction.step)
    }

    /// The number that it is given, if it is a vector instruction.
    pub(super) fn scalar(&self, registers: &Registers) -> [u8; 4] {
        match self.instruction.step {
            Step::Vector(index) => registers.of(self.loaded.chunk.vectors[usize::from(index)].scalar),
            _ => [0; 4],
        }
    }

    /// What it costs, if it is a vector instruction.
    pub(super) fn cost(&self) -> VectorCost {
        match self.instruction.step {
            Step::Vector(index) => self.loaded.costs[usize::from(index)],
            _ => VectorCost::default(),
        }
    }
}

/// Instructions as they come, a chunk at a time: a kernel of any length takes the memory of a few chunks.
#[derive(Debug)]
pub(crate) struct Feed {
    chunks: Receiver<Chunk>,
    loaded: Rc<Loaded>,
    next: usize,
}

impl Feed {
    pub(crate) fn new(chunks: Receiver<Chunk>) -> Self {
        Feed { chunks, loaded: Rc::default(), next: 0 }
    }

    /// The next instruction; none when the kernel is over.
    pub(super) fn next(&mut self, profile: &Profile, costs: &mut VectorCosts) -> Option<Issued> {
        while self.next >= self.loaded.chunk.instructions.len() {
            let chunk = self.chunks.recv().ok()?;
            let costs = chunk.vectors.iter().map(|vector| costs.of(profile, vector)).collect();
            (self.loaded, self.next) = (Rc::new(Loaded { chunk, costs }), 0);
        }
        let instruction = self.loaded.chunk.instructions[self.next];
        self.next += 1;
        Some(Issued { instruction, loaded: Rc::clone(&self.loaded) })
    }
}
