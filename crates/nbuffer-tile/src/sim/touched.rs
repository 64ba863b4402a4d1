//! Who touched which bytes of a memory last: for each range, the last access of each pipe in each way.
//!
//! Ranges are apart and in order. A kernel touches the same ones again and again, so that a search mostly ends with just the range
//! that it is for; where it does not, ranges are cut. There are never more of them than the memory has bytes.

use std::ops::Range;

use super::values::OPERANDS;
use super::watcher::Access;

/// A memory's ranges. Their bounds lie apart from the rest: they alone are searched.
#[derive(Debug, Default)]
pub(super) struct Touched {
    bounds: Vec<(u32, u32)>,
    accesses: Vec<Vec<Access>>,
    /// Where the last searches for an operand of this number ended: mostly where the next one does.
    hints: [usize; OPERANDS],
}

impl Touched {
    /// Shows what touched these bytes before, range by range.
    pub(super) fn look(
        &mut self,
        operand: usize,
        bytes: Range<u32>,
        mut look: impl FnMut(Range<u32>, &Access),
    ) {
        let first = self.search(operand, bytes.clone());
        for (bounds, accesses) in self.bounds[first..].iter().zip(&self.accesses[first..]) {
            let both = bounds.0.max(bytes.start)..bounds.1.min(bytes.end);
            if both.is_empty() {
                return;
            }
            accesses.iter().for_each(|access| look(both.clone(), access));
        }
    }

    /// Keeps an access to these bytes, in place of what it makes superfluous: what its pipe did in the same way before, and for a
    /// write all that is ordered before it. Whatever is ordered behind the one is ordered behind the others.
    pub(super) fn keep(
        &mut self,
        operand: usize,
        bytes: Range<u32>,
        access: Access,
        is_ordered: impl Fn(&Access) -> bool,
    ) {
        let first = self.search(operand, bytes.clone());
        if self.bounds.get(first) != Some(&(bytes.start, bytes.end)) {
            return self.keep_in_parts(first, bytes, access, is_ordered);
        }
        replace(&mut self.accesses[first], access, is_ordered);
    }

    fn keep_in_parts(
        &mut self,
        mut index: usize,
        bytes: Range<u32>,
        access: Access,
        is_ordered: impl Fn(&Access) -> bool,
    ) {
        if bytes.is_empty() {
            return;
        }
        if self.cut(index, bytes.start) {
            index += 1;
        }
        let (first, mut from) = (index, bytes.start);
        while from < bytes.end {
            let next = self.bounds.get(index).map_or(bytes.end, |bounds| bounds.0.min(bytes.end));
            if from < next {
                self.insert(index, (from, next), Vec::new());
            } else {
                self.cut(index, bytes.end);
            }
            from = self.bounds[index].1;
            replace(&mut self.accesses[index], access, &is_ordered);
            index += 1;
        }
        // Ranges that hold nothing but this access are one.
        if index > first + 1 && self.accesses[first..index].iter().all(|accesses| accesses.len() == 1) {
            self.bounds[first].1 = bytes.end;
            self.bounds.drain(first + 1..index);
            self.accesses.drain(first + 1..index);
        }
    }

    /// The first range that ends behind the first byte.
    fn search(&mut self, operand: usize, bytes: Range<u32>) -> usize {
        let hint = &mut self.hints[operand];
        if self.bounds.get(*hint) != Some(&(bytes.start, bytes.end)) {
            *hint = self.bounds.partition_point(|bounds| bounds.1 <= bytes.start);
        }
        *hint
    }

    /// Where its ranges begin and end.
    #[cfg(test)]
    pub(super) fn bounds(&self) -> &[(u32, u32)] {
        &self.bounds
    }

    /// Cuts a range in two where `at` lies within it.
    fn cut(&mut self, index: usize, at: u32) -> bool {
        let Some(bounds) = self.bounds.get_mut(index).filter(|bounds| bounds.0 < at && at < bounds.1) else {
            return false;
        };
        let behind = (at, std::mem::replace(&mut bounds.1, at));
        let accesses = self.accesses[index].clone();
        self.insert(index + 1, behind, accesses);
        true
    }

    fn insert(&mut self, index: usize, bounds: (u32, u32), accesses: Vec<Access>) {
        self.bounds.insert(index, bounds);
        self.accesses.insert(index, accesses);
    }
}

fn replace(accesses: &mut Vec<Access>, access: Access, is_ordered: impl Fn(&Access) -> bool) {
    let mut index = 0;
    while let Some(before) = accesses.get(index) {
        if access.succeeds(before) || access.writes && is_ordered(before) {
            accesses.swap_remove(index);
        } else {
            index += 1;
        }
    }
    accesses.push(access);
}
