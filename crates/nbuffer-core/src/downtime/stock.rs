//! Stocks of which there are so many, all alike: buffer sets, host threads, places of the reorder window.

use crate::measure::Nanos;

/// Things in the order of a time each of them has.
#[derive(Clone, Debug)]
pub(super) struct Timed<T>(Vec<(Nanos, T)>);

impl<T: Copy + PartialEq> Timed<T> {
    pub(super) fn new(mut things: Vec<(Nanos, T)>) -> Self {
        things.sort_by_key(|&(at, _)| at);
        Timed(things)
    }

    /// The last thing up to a time, other than `but`.
    pub(super) fn latest_but(&self, at: Nanos, but: T) -> Option<(Nanos, T)> {
        let until = self.0.partition_point(|&(time, _)| time <= at);
        self.0[..until].iter().rev().find(|&&(_, thing)| thing != but).copied()
    }

    /// The last thing up to a time.
    pub(super) fn latest(&self, at: Nanos) -> Option<(Nanos, T)> {
        let until = self.0.partition_point(|&(time, _)| time <= at);
        self.0[..until].last().copied()
    }
}

/// One use of something a stock has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use<T> {
    pub(super) taken: Nanos,
    pub(super) back: Nanos,
    pub(super) by: T,
}

/// How much a stock holds: so much from each time on.
pub(super) type Size = Vec<(Nanos, usize)>;

/// When a stock that was used up had something again, and who gave it back.
pub(super) fn ends_of_shortage<T: Copy + PartialEq>(uses: &[Use<T>], size: &Size) -> Timed<T> {
    // What comes back at a time can be taken at that time.
    let backs = uses.iter().map(|u| (u.back, false, u.by));
    let takes = uses.iter().map(|u| (u.taken, true, u.by));
    let mut events: Vec<(Nanos, bool, T)> = backs.chain(takes).collect();
    events.sort_by_key(|&(at, takes, _)| (at, takes));
    let mut sizes = size.iter().copied().peekable();
    let (mut size, mut in_use) = (0, 0i64);
    let mut ends = Vec::new();
    for (at, takes, by) in events {
        while let Some((_, next)) = sizes.next_if(|&(from, _)| from <= at) {
            size = next as i64;
        }
        if takes {
            in_use += 1;
            continue;
        }
        // A stock that was made smaller has more in use than it holds, and keeps what comes back.
        if in_use == size {
            ends.push((at, by));
        }
        in_use -= 1;
    }
    Timed(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(uses: &[(Nanos, Nanos)], size: Size) -> Vec<(Nanos, usize)> {
        let uses = uses.iter().enumerate().map(|(by, &(taken, back))| Use { taken, back, by });
        ends_of_shortage(&uses.collect::<Vec<_>>(), &size).0
    }

    #[test]
    fn a_shortage_ends_where_everything_was_in_use() {
        let uses = [(0, 10), (2, 12), (10, 20), (15, 21)];
        // Use 2 takes what use 0 gives back, at the same time.
        assert_eq!(ends(&uses, vec![(0, 2)]), [(10, 0), (12, 1), (20, 2)]);
        assert_eq!(ends(&uses, vec![(0, 3)]), []);
    }

    #[test]
    fn a_smaller_stock_keeps_what_comes_back() {
        let uses = [(0, 10), (0, 20), (0, 30)];
        assert_eq!(ends(&uses, vec![(0, 3), (5, 1)]), [(30, 2)]);
        // A larger one has something at once, and nobody gave it.
        assert_eq!(ends(&uses, vec![(0, 3), (5, 4)]), []);
    }

    #[test]
    fn the_latest_thing_up_to_a_time() {
        let timed = Timed::new(vec![(5, 'b'), (3, 'a'), (9, 'c')]);
        assert_eq!(
            [timed.latest(2), timed.latest(5), timed.latest(8)],
            [None, Some((5, 'b')), Some((5, 'b'))]
        );
        assert_eq!(timed.latest_but(5, 'b'), Some((3, 'a')));
    }
}
