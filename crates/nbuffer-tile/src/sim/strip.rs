//! What a copy touches of global memory.

use crate::instruction::Copy;

/// Pieces of `len` bytes, `stride` bytes apart, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Strip {
    pub(super) tensor: u32,
    pub(super) start: u64,
    len: u64,
    stride: u64,
    count: u64,
}

impl Strip {
    /// What lies in global memory of a copy out of or into it; `None` if that is nothing.
    pub(super) fn of(copy: &Copy) -> Option<Strip> {
        if copy.blocks == 0 || copy.len == 0 {
            return None;
        }
        let (start, len, stride) = (copy.far, copy.far_len(), copy.far_stride);
        let strip = Strip { tensor: copy.buffer, start, len, stride, count: copy.blocks.into() };
        Some(if copy.blocks > 1 { strip.flat() } else { Strip { stride: 0, ..strip } })
    }

    /// A single piece.
    pub(super) fn piece(tensor: u32, start: u64, len: u64) -> Strip {
        Strip { tensor, start, len, stride: 0, count: 1 }
    }

    pub(super) fn end(&self) -> u64 {
        self.start + (self.count - 1) * self.stride + self.len
    }

    /// Both as one, if `next` goes on where this one ends.
    pub(super) fn joined(&self, next: &Strip) -> Option<Strip> {
        if self.tensor != next.tensor || next.start < self.start {
            return None;
        }
        let gap = next.start - self.start;
        if self.count == 1 && next.count == 1 {
            // Side by side, or over what is there.
            if gap <= self.len {
                return Some(Strip { len: self.len.max(gap + next.len), ..*self });
            }
            return (self.len == next.len).then_some(Strip { stride: gap, count: 2, ..*self });
        }
        let same = self.len == next.len && (next.count == 1 || next.stride == self.stride);
        // The next pieces, the same distance on.
        if same && self.count > 1 && gap == self.count * self.stride {
            return Some(Strip { count: self.count + next.count, ..*self });
        }
        // Columns beside columns.
        let alike = self.stride == next.stride && self.count == next.count;
        if alike && gap == self.len && self.len + next.len <= self.stride {
            return Some(Strip { len: self.len + next.len, ..*self }.flat());
        }
        (self == next).then_some(*self)
    }

    /// Pieces without gaps are one piece.
    fn flat(self) -> Strip {
        if self.count > 1 && self.len >= self.stride {
            Strip { len: self.end() - self.start, stride: 0, count: 1, ..self }
        } else {
            self
        }
    }

    /// The first bytes that are in both.
    pub(super) fn overlap(&self, other: &Strip) -> Option<(u64, u64)> {
        if self.tensor != other.tensor || self.end() <= other.start || other.end() <= self.start {
            return None;
        }
        let (few, many) = if self.count <= other.count { (self, other) } else { (other, self) };
        if few.count > 1 && few.stride == many.stride {
            // Only how far the pieces are shifted against each other counts.
            return few.pieces_apart(many);
        }
        (0..few.count).find_map(|i| few.nth(i).overlap_of_piece(many))
    }

    fn nth(&self, i: u64) -> Strip {
        Strip { start: self.start + i * self.stride, stride: 0, count: 1, ..*self }
    }

    /// The overlap of a single piece with a strip.
    fn overlap_of_piece(&self, strip: &Strip) -> Option<(u64, u64)> {
        let (start, end) = (self.start, self.start + self.len);
        // The first of the strip's pieces that ends behind the start.
        let i = match strip.stride {
            0 => 0,
            stride => (start + 1).saturating_sub(strip.start + strip.len).div_ceil(stride),
        };
        let first = strip.start + i * strip.stride;
        let overlap = (start.max(first), end.min(first + strip.len));
        (i < strip.count && overlap.0 < overlap.1).then_some(overlap)
    }

    /// The overlap of strips of one stride.
    fn pieces_apart(&self, other: &Strip) -> Option<(u64, u64)> {
        let (low, high) = if self.start <= other.start { (self, other) } else { (other, self) };
        // The piece of the lower one at or before the start of the higher one, and the one behind it.
        let i = (high.start - low.start) / low.stride;
        [i, i + 1].into_iter().filter(|i| *i < low.count).find_map(|i| low.nth(i).overlap_of_piece(high))
    }
}
