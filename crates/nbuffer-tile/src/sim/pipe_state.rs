//! A pipe of a core: what stands in front of it, and what it works on.

use std::collections::VecDeque;

use super::feed::Issued;
use super::stats::Wait;
use super::values::Pending;
use crate::pipe::Pipe;

/// An instruction in front of its pipe.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) issued: Issued,
    pub(super) number: u64,
    /// When the scalar core has issued it.
    pub(super) at: f64,
    /// The number that the scalar core gave it.
    pub(super) scalar: [u8; 4],
}

/// An instruction at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) issued: Issued,
    pub(super) number: u64,
    pub(super) start: f64,
    pub(super) tile: u64,
    /// What it will write.
    pub(super) result: Pending,
}

#[derive(Debug)]
pub(super) struct PipeState {
    queue: VecDeque<Queued>,
    /// When each place of the queue was left last, in turn.
    left: Box<[f64]>,
    next_place: usize,
    next_left: usize,
    /// When the instruction now at the head came there.
    head_since: f64,
    /// By slot.
    pub(super) running: Vec<Option<Running>>,
    pub(super) n_running: usize,
    /// When the next instruction may start.
    pub(super) next_start: f64,
    /// Since when nothing has run, or since when something has.
    pub(super) changed: f64,
    /// What it has waited for last.
    pub(super) waits_for: Option<Wait>,
    /// When it is to be woken, so that it is not woken twice; infinite if it is not.
    pub(super) woken_at: f64,
    /// Tiles that it has begun, and whether its next instruction begins another one.
    pub(super) tiles: u64,
    pub(super) begins_tile: bool,
}

impl PipeState {
    /// With room for so many instructions.
    pub(super) fn new(fifo: usize) -> Self {
        PipeState {
            queue: VecDeque::with_capacity(fifo),
            left: vec![0.0; fifo].into(),
            next_place: 0,
            next_left: 0,
            head_since: 0.0,
            running: Vec::new(),
            n_running: 0,
            next_start: 0.0,
            changed: 0.0,
            waits_for: None,
            woken_at: f64::INFINITY,
            tiles: 0,
            begins_tile: true,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.n_running > 0 || !self.queue.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() == self.left.len()
    }

    /// When the next place in the queue has become free. Only while it is not full.
    pub(super) fn free_since(&self) -> f64 {
        self.left[self.next_place]
    }

    pub(super) fn push(&mut self, queued: Queued) {
        self.queue.push_back(queued);
        self.next_place = self.place_after(self.next_place);
    }

    pub(super) fn head(&self) -> Option<&Queued> {
        self.queue.front()
    }

    /// When the head may start as far as its own pipe is concerned.
    pub(super) fn ready(&self, head: &Queued) -> f64 {
        head.at.max(self.next_start).max(self.head_since)
    }

    /// The place among what is running that the next instruction takes.
    pub(super) fn free_slot(&self) -> u16 {
        self.running.iter().position(Option::is_none).unwrap_or(self.running.len()) as u16
    }

    /// An instruction begins, in the slot that this gives.
    pub(super) fn begin(&mut self, running: Running, now: f64) -> u16 {
        let slot = self.free_slot();
        match self.running.get_mut(usize::from(slot)) {
            Some(free) => *free = Some(running),
            None => self.running.push(Some(running)),
        }
        if self.n_running == 0 {
            self.changed = now;
        }
        self.n_running += 1;
        slot
    }

    /// The head leaves the queue.
    pub(super) fn pop(&mut self, at: f64) -> Queued {
        self.left[self.next_left] = at;
        self.next_left = self.place_after(self.next_left);
        self.head_since = at;
        self.queue.pop_front().expect("there is a head")
    }

    fn place_after(&self, place: usize) -> usize {
        if place + 1 < self.left.len() { place + 1 } else { 0 }
    }

    /// When the last instruction left the queue.
    pub(super) fn emptied(&self) -> f64 {
        self.head_since
    }
}

/// The pipes that may be able to start something, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look(u8);

impl Look {
    pub(super) const NONE: Look = Look(0);

    pub(super) fn at(pipe: Pipe) -> Self {
        Look(1 << pipe as u8)
    }

    pub(super) fn add(&mut self, other: Look) {
        self.0 |= other.0;
    }

    /// The first of them, which is looked at now.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        let first = self.0.trailing_zeros() as usize;
        self.0 &= self.0.wrapping_sub(1);
        Pipe::ALL.get(first).copied()
    }
}
