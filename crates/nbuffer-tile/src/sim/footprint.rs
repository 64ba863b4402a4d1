//! What each core has read and written of global memory, and whether another one wrote it, too.
//!
//! Strips that go on from each other become one, so that what a line of a kernel copies tile by tile, whether the tiles lie side by side, a
//! stride apart or in columns, takes one strip whatever their number.

use super::strip::Strip;
use super::watcher::Who;

/// Strips kept of a line before they are sorted to find those that lie side by side, and at most.
const STRIPS: usize = 1024;
const STRIPS_MAX: usize = 1 << 16;

/// What one line of a kernel touched.
#[derive(Debug)]
struct Line {
    /// Its first instruction.
    who: Who,
    writes: bool,
    strips: Vec<Strip>,
    limit: usize,
    /// Copies that are not among the strips.
    left_out: u64,
}

impl Line {
    fn add(&mut self, strip: Strip) {
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
        self.push(strip);
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
}

/// What one core has touched.
#[derive(Debug)]
pub(super) struct Footprint {
    lines: Vec<Line>,
    /// Strips of a line before they are sorted for the first time.
    limit: usize,
}

/// An access of a core.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) core: usize,
    pub(super) who: Who,
    pub(super) writes: bool,
}

/// Two cores that touched the same bytes, at least one of them writing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conflict {
    /// By the numbers of the cores.
    pub(super) accesses: [Access; 2],
    pub(super) tensor: u32,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Footprint {
    pub(super) fn new() -> Self {
        Footprint { lines: Vec::new(), limit: STRIPS }
    }

    /// The core touches this.
    pub(super) fn add(&mut self, who: Who, writes: bool, strip: Strip) {
        let is_of = |line: &&mut Line| std::ptr::eq(line.who.at, who.at) && line.who.opcode == who.opcode;
        match self.lines.iter_mut().find(is_of) {
            Some(line) => line.add(strip),
            None => {
                let strips = vec![strip];
                self.lines.push(Line { who, writes, strips, limit: self.limit, left_out: 0 });
            }
        }
    }

    /// Copies that were not kept, and are not checked.
    pub(super) fn left_out(&self) -> u64 {
        self.lines.iter().map(|line| line.left_out).sum()
    }

    /// Where one core wrote what another one read or wrote.
    pub(super) fn conflicts(footprints: &[&Footprint], mut found: impl FnMut(Conflict)) {
        let lines = || {
            footprints.iter().enumerate().flat_map(|(core, of)| of.lines.iter().map(move |line| (core, line)))
        };
        let mut written: Vec<u32> = Vec::new();
        for (_, line) in lines().filter(|(_, line)| line.writes) {
            written.extend(line.strips.iter().map(|strip| strip.tensor));
            written.sort_unstable();
            written.dedup();
        }
        // What nobody writes is read by all as they like.
        let of_line = |(core, line): (usize, &Line)| {
            let access = Access { core, who: line.who, writes: line.writes };
            let strips = line.strips.iter().filter(|strip| written.binary_search(&strip.tensor).is_ok());
            strips.map(|strip| (*strip, access)).collect::<Vec<_>>()
        };
        let mut strips: Vec<(Strip, Access)> = lines().flat_map(of_line).collect();
        strips.sort_by_key(|(strip, access)| (*strip, access.core));
        // Those that reach beyond where the next one begins.
        let mut open: Vec<(Strip, Access)> = Vec::new();
        for (strip, access) in strips {
            open.retain(|(other, _)| other.tensor == strip.tensor && other.end() > strip.start);
            for (other, other_access) in &open {
                if other_access.core != access.core
                    && (other_access.writes || access.writes)
                    && let Some((start, end)) = other.overlap(&strip)
                {
                    let mut accesses = [*other_access, access];
                    accesses.sort_by_key(|access| access.core);
                    found(Conflict { accesses, tensor: strip.tensor, start, end });
                }
            }
            open.push((strip, access));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::element::DType;
    use crate::instruction::{Copy, Opcode, Route};
    use crate::pipe::Pipe;

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

    fn footprint(writes: bool, copies: &[(u64, u32, u64, u16)], limit: usize) -> Footprint {
        let mut footprint = Footprint { limit, ..Footprint::new() };
        let at = std::panic::Location::caller();
        let who = Who { pipe: Pipe::Mte3, opcode: Opcode::Copy(Route::Out), number: 0, at };
        for strip in copies.iter().filter_map(|given| Strip::of(&copy(*given))) {
            footprint.add(who, writes, strip);
        }
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
        let one = |copies: Vec<_>| {
            assert_eq!(footprint(true, &copies, STRIPS).lines[0].strips.len(), 1, "{copies:?}")
        };
        one((0..1000).map(|i| (64 * i, 64, 0, 1)).collect());
        one((0..1000).map(|i| (640 * i, 64, 0, 1)).collect());
        one((0..1000).flat_map(|i| [(640 * i, 32, 0, 1), (640 * i + 32, 64, 0, 1)]).collect());
        // Columns of a matrix of 1000 bytes a row, and then the rows below.
        one((0..10).map(|i| (100 * i, 100, 900, 16)).collect());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn cores_conflict_exactly_when_they_share_a_byte_that_one_writes(
            a in prop::collection::vec((0_u64..200, 0_u32..12, 0_u64..20, 0_u16..6), 0..8),
            b in prop::collection::vec((0_u64..200, 0_u32..12, 0_u64..20, 0_u16..6), 0..8),
            writes in any::<(bool, bool)>(),
            limit in 1_usize..4,
        ) {
            let mut found = Vec::new();
            let footprints = [&footprint(writes.0, &a, limit), &footprint(writes.1, &b, limit)];
            Footprint::conflicts(&footprints, |conflict| found.push(conflict));
            let (a, b) = (bytes(&a), bytes(&b));
            let writes = writes.0 || writes.1;
            prop_assert_eq!(!found.is_empty(), writes && a.intersection(&b).next().is_some());
            for Conflict { start, end, .. } in found {
                prop_assert!(start < end && (start..end).all(|byte| a.contains(&byte) && b.contains(&byte)));
            }
        }
    }
}
