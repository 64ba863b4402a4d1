//! A core's instructions in program order, as its kernel makes them.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::mpsc::Receiver;

use crate::instruction::Instruction;

/// An instruction, where its program put it: a chunk goes when the last of its instructions is over.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    chunk: Rc<Vec<Instruction>>,
    index: u32,
}

impl Deref for Issued {
    type Target = Instruction;

    #[inline]
    fn deref(&self) -> &Instruction {
        &self.chunk[self.index as usize]
    }
}

/// Instructions as they come, a chunk at a time: a kernel of any length takes the memory of a few chunks.
#[derive(Debug)]
pub(crate) struct Feed {
    chunks: Receiver<Vec<Instruction>>,
    chunk: Rc<Vec<Instruction>>,
    next: u32,
}

impl Feed {
    pub(crate) fn new(chunks: Receiver<Vec<Instruction>>) -> Self {
        Feed { chunks, chunk: Rc::default(), next: 0 }
    }
}

impl Iterator for Feed {
    type Item = Issued;

    #[inline]
    fn next(&mut self) -> Option<Issued> {
        while self.next as usize >= self.chunk.len() {
            self.chunk = Rc::new(self.chunks.recv().ok()?);
            self.next = 0;
        }
        let index = self.next;
        self.next += 1;
        Some(Issued { chunk: Rc::clone(&self.chunk), index })
    }
}
