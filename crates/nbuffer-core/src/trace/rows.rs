//! Rows for things that overlap: each gets the free row with the lowest number.

/// Which rows are taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// One bit a row, set while it is taken.
    taken: Vec<u64>,
}

impl Rows {
    /// The free row with the lowest number, which is taken now.
    pub(crate) fn begin(&mut self) -> u16 {
        let word = self.taken.iter().position(|&word| word != u64::MAX).unwrap_or_else(|| {
            self.taken.push(0);
            self.taken.len() - 1
        });
        let bit = self.taken[word].trailing_ones();
        self.taken[word] |= 1 << bit;
        // Host steps are fewer than the LIMIT of the schedule, which fits.
        (word * 64 + bit as usize) as u16
    }

    /// The row is free again.
    pub(crate) fn end(&mut self, row: u16) {
        self.taken[usize::from(row) / 64] &= !(1 << (row % 64));
    }

    /// How many rows are taken.
    pub(crate) fn count(&self) -> usize {
        self.taken.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the row is taken.
    pub(crate) fn is_taken(&self, row: usize) -> bool {
        self.taken.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_row_comes_first() {
        let mut rows = Rows::default();
        assert!((0..130).all(|row| rows.begin() == row));
        rows.end(70);
        rows.end(3);
        assert_eq!(
            [rows.is_taken(3), rows.is_taken(4), rows.is_taken(129), rows.is_taken(999)],
            [false, true, true, false]
        );
        assert_eq!(rows.count(), 128);
        assert_eq!([rows.begin(), rows.begin(), rows.begin()], [3, 70, 130]);
    }
}
