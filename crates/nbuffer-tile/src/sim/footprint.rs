//! What each core has written of global memory, and whether another one wrote it, too.
//!
//! A copy out is a strip: pieces of one length, one stride apart. Strips that go on from each other become one, so that a core's tiles, whether
//! they lie side by side, a stride apart or in columns, take one strip whatever their number.

use crate::instruction::Copy;

/// Pieces of `len` bytes, `stride` bytes apart, `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Strip {
    tensor: u32,
    start: u64,
    len: u64,
    stride: u64,
    count: u64,
}

impl Strip {
    fn end(&self) -> u64 {
        self.start + (self.count - 1) * self.stride + self.len
    }

    /// Both as one, if `next` goes on where this one ends.
    fn joined(&self, next: &Strip) -> Option<Strip> {
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
    fn overlap(&self, other: &Strip) -> Option<(u64, u64)> {
        if self.tensor != other.tensor || self.end() <= other.start || other.end() <= self.start {
            return None;
        }
        let (few, many) = if self.count <= other.count { (self, other) } else { (other, self) };
        if few.count > 1 && few.stride == many.stride {
            // Only how far the pieces are shifted against each other counts.
            return few.pieces_apart(many);
        }
        (0..few.count).find_map(|i| few.piece(i).overlap_of_piece(many))
    }

    fn piece(&self, i: u64) -> Strip {
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
        [i, i + 1].into_iter().filter(|i| *i < low.count).find_map(|i| low.piece(i).overlap_of_piece(high))
    }
}

/// Strips kept of a core before they are sorted to find those that lie side by side, and at most.
const STRIPS: usize = 1024;
const STRIPS_MAX: usize = 1 << 16;

/// What one core has written.
#[derive(Debug)]
pub(super) struct Footprint {
    strips: Vec<Strip>,
    limit: usize,
    /// Copies that are not among the strips.
    left_out: u64,
}

/// Two cores that wrote the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) tensor: u32,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Footprint {
    pub(super) fn new() -> Self {
        Footprint { strips: Vec::new(), limit: STRIPS, left_out: 0 }
    }

    /// The core writes this.
    pub(super) fn add(&mut self, copy: &Copy) {
        if copy.blocks == 0 || copy.len == 0 {
            return;
        }
        if self.strips.len() >= self.limit {
            self.strips.sort_unstable();
            let strips = std::mem::take(&mut self.strips);
            strips.into_iter().for_each(|strip| self.push(strip));
            self.limit = (2 * self.strips.len()).clamp(STRIPS, STRIPS_MAX);
        }
        if self.strips.len() >= STRIPS_MAX {
            self.left_out += 1;
            return;
        }
        let (start, len, stride) = (copy.far, copy.far_len(), copy.far_stride);
        let strip = Strip { tensor: copy.buffer, start, len, stride, count: copy.blocks.into() };
        self.push(if copy.blocks > 1 { strip.flat() } else { Strip { stride: 0, ..strip } });
    }

    fn push(&mut self, strip: Strip) {
        self.strips.push(strip);
        while let [.., before, last] = self.strips[..]
            && let Some(joined) = before.joined(&last)
        {
            self.strips.pop();
            *self.strips.last_mut().expect("there were two") = joined;
        }
    }

    /// Copies that were not kept, and are not checked.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The first bytes that two cores wrote.
    pub(super) fn conflict(footprints: &[&Footprint]) -> Option<Conflict> {
        let of_core = |(core, footprint): (usize, &&Footprint)| {
            footprint.strips.iter().map(move |strip| (*strip, core)).collect::<Vec<_>>()
        };
        let mut strips: Vec<(Strip, usize)> = footprints.iter().enumerate().flat_map(of_core).collect();
        strips.sort_unstable();
        // Those that reach beyond where the next one begins.
        let mut open: Vec<(Strip, usize)> = Vec::new();
        for (strip, core) in strips {
            open.retain(|(other, _)| other.tensor == strip.tensor && other.end() > strip.start);
            for &(other, other_core) in &open {
                if other_core != core
                    && let Some((start, end)) = other.overlap(&strip)
                {
                    let (first, second) = (core.min(other_core), core.max(other_core));
                    return Some(Conflict { first, second, tensor: strip.tensor, start, end });
                }
            }
            open.push((strip, core));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::element::DType;
    use crate::instruction::Route;

    fn copy((start, len, gap, blocks): (u64, u32, u64, u16)) -> Copy {
        Copy {
            route: Route::Out,
            buffer: 0,
            bypasses_l2: false,
            far: start,
            near: 0,
            blocks,
            len,
            far_stride: u64::from(len) + gap,
            near_stride: 0,
            pad: (0, 0),
            filler: None,
            dtype: DType::F32,
        }
    }

    fn footprint(copies: &[(u64, u32, u64, u16)], limit: usize) -> Footprint {
        let mut footprint = Footprint { limit, ..Footprint::new() };
        copies.iter().for_each(|given| footprint.add(&copy(*given)));
        footprint
    }

    fn bytes(copies: &[(u64, u32, u64, u16)]) -> std::collections::BTreeSet<u64> {
        let blocks = |&(start, len, gap, blocks): &(u64, u32, u64, u16)| {
            (0..u64::from(blocks)).flat_map(move |i| {
                let first = start + i * (u64::from(len) + gap);
                first..first + u64::from(len)
            })
        };
        copies.iter().flat_map(blocks).collect()
    }

    #[test]
    fn tiles_in_any_regular_order_take_one_strip() {
        let one = |copies: Vec<_>| assert_eq!(footprint(&copies, STRIPS).strips.len(), 1, "{copies:?}");
        one((0..1000).map(|i| (64 * i, 64, 0, 1)).collect());
        one((0..1000).map(|i| (640 * i, 64, 0, 1)).collect());
        one((0..1000).flat_map(|i| [(640 * i, 32, 0, 1), (640 * i + 32, 64, 0, 1)]).collect());
        // Columns of a matrix of 1000 bytes a row, and then the rows below.
        one((0..10).map(|i| (100 * i, 100, 900, 16)).collect());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn cores_conflict_exactly_when_they_share_a_byte(
            a in prop::collection::vec((0_u64..200, 0_u32..12, 0_u64..20, 0_u16..6), 0..8),
            b in prop::collection::vec((0_u64..200, 0_u32..12, 0_u64..20, 0_u16..6), 0..8),
            limit in 1_usize..4,
        ) {
            let found = Footprint::conflict(&[&footprint(&a, limit), &footprint(&b, limit)]);
            let (a, b) = (bytes(&a), bytes(&b));
            prop_assert_eq!(found.is_some(), a.intersection(&b).next().is_some());
            if let Some(Conflict { start, end, .. }) = found {
                prop_assert!(start < end && (start..end).all(|byte| a.contains(&byte) && b.contains(&byte)));
            }
        }
    }
}
