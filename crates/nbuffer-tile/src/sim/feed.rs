//! A core's instructions in program order, as its kernel makes them.

use std::sync::mpsc::Receiver;

use crate::instruction::Instruction;

/// Instructions as they come, a chunk at a time: a kernel of any length takes the memory of a few chunks.
#[derive(Debug)]
pub(crate) struct Feed {
    chunks: Receiver<Vec<Instruction>>,
    chunk: std::vec::IntoIter<Instruction>,
}

impl Feed {
    pub(crate) fn new(chunks: Receiver<Vec<Instruction>>) -> Self {
        Feed { chunks, chunk: Vec::new().into_iter() }
    }
}

impl Iterator for Feed {
    type Item = Instruction;

    #[inline]
    fn next(&mut self) -> Option<Instruction> {
        loop {
            if let Some(instruction) = self.chunk.next() {
                return Some(instruction);
            }
            self.chunk = self.chunks.recv().ok()?.into_iter();
        }
    }
}
