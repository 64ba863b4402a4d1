//! What ran when, in bounded memory: of a long run its beginning and its end.

use std::collections::VecDeque;

use crate::pipe::Pipe;

/// An instruction as it ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TileSpan {
    /// The core.
    pub core: usize,
    /// The pipe.
    pub pipe: Pipe,
    /// The vendor's name of the instruction.
    pub name: &'static str,
    /// Its number among the core's instructions.
    pub number: u64,
    /// The tile it belongs to, if it does work: a pipe's next tile begins with what it does behind a flag or barrier.
    pub tile: Option<u64>,
    /// When it began, in cycles.
    pub start: f64,
    /// When it ended.
    pub end: f64,
    /// The line of the kernel.
    pub line: u32,
    /// For a wait, the number of the instruction that set the flag.
    pub set_by: Option<u64>,
}

/// Keeps the first and the last spans.
#[derive(Debug)]
pub(super) struct Kept {
    head: Vec<TileSpan>,
    tail: VecDeque<TileSpan>,
    head_max: usize,
    tail_max: usize,
    left_out: u64,
}

impl Kept {
    /// Keeps `max` spans, half of them of the beginning.
    pub(super) fn new(max: usize) -> Self {
        let head_max = max.div_ceil(2);
        Kept { head: Vec::new(), tail: VecDeque::new(), head_max, tail_max: max - head_max, left_out: 0 }
    }

    /// Whether any are kept: where none are, none need be made.
    pub(super) fn is_on(&self) -> bool {
        self.head_max > 0
    }

    pub(super) fn keep(&mut self, span: TileSpan) {
        if self.head.len() < self.head_max {
            self.head.push(span);
            return;
        }
        if self.tail.len() == self.tail_max {
            self.left_out += 1;
            if self.tail.pop_front().is_none() {
                return;
            }
        }
        self.tail.push_back(span);
    }

    /// All that was kept, in the order of time, and how many spans were not.
    pub(super) fn finish(self) -> (Vec<TileSpan>, u64) {
        let mut spans = self.head;
        spans.extend(self.tail);
        // Work is told when it ends, flags when they are sure to come.
        spans.sort_by(|a, b| a.start.total_cmp(&b.start));
        (spans, self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(max: usize, given: u64, expected: &[u64], left_out: u64) {
        let mut kept = Kept::new(max);
        let span = |number| TileSpan {
            core: 0,
            pipe: Pipe::V,
            name: "VADD",
            number,
            tile: None,
            start: 0.0,
            end: 0.0,
            line: 0,
            set_by: None,
        };
        (0..given).for_each(|number| kept.keep(span(number)));
        let (spans, out) = kept.finish();
        assert_eq!(
            (spans.iter().map(|span| span.number).collect::<Vec<_>>(), out),
            (expected.to_vec(), left_out)
        );
    }

    #[test]
    fn the_first_and_the_last_are_kept() {
        check(0, 3, &[], 3);
        check(1, 3, &[0], 2);
        check(4, 4, &[0, 1, 2, 3], 0);
        check(5, 9, &[0, 1, 2, 7, 8], 4);
    }
}
