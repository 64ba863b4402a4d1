//! Stocks of which there are so many, all alike: buffer sets, host threads, places of the reorder window.

use std::cell::Cell;

use crate::measure::Nanos;

/// Things in the order of a time each of them has.
#[derive(Clone, Debug)]
pub(super) struct Timed<T> {
    things: Vec<(Nanos, T)>,
    /// Where the last search ended: the next one mostly asks for a time close by.
    near: Cell<usize>,
}

impl<T: Copy + PartialEq> Timed<T> {
    pub(super) fn new(mut things: Vec<(Nanos, T)>) -> Self {
        things.sort_by_key(|&(at, _)| at);
        Timed { things, near: Cell::new(0) }
    }

    /// The last thing up to a time, other than `but`.
    pub(super) fn latest_but(&self, at: Nanos, but: T) -> Option<(Nanos, T)> {
        self.until(at).iter().rev().find(|&&(_, thing)| thing != but).copied()
    }

    /// The last thing up to a time.
    pub(super) fn latest(&self, at: Nanos) -> Option<(Nanos, T)> {
        self.until(at).last().copied()
    }

    fn until(&self, at: Nanos) -> &[(Nanos, T)] {
        let is_in = |place: usize| self.things[place].0 <= at;
        let near = self.near.get();
        // Twice as far each time, until the end lies between `low` and `high`.
        let (mut low, mut high, mut step) = (near, near, 1);
        while high < self.things.len() && is_in(high) {
            low = high + 1;
            high = (high + step).min(self.things.len());
            step *= 2;
        }
        while low > 0 && !is_in(low - 1) {
            high = low - 1;
            low = low.saturating_sub(step);
            step *= 2;
        }
        let end = low + self.things[low..high].partition_point(|&(time, _)| time <= at);
        self.near.set(end);
        &self.things[..end]
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
    Timed::new(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(uses: &[(Nanos, Nanos)], size: Size) -> Vec<(Nanos, usize)> {
        let uses = uses.iter().enumerate().map(|(by, &(taken, back))| Use { taken, back, by });
        ends_of_shortage(&uses.collect::<Vec<_>>(), &size).things
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

    #[test]
    fn a_search_ends_at_the_same_place_wherever_it_begins() {
        let things: Vec<(Nanos, usize)> = (0..60).map(|k| (k as Nanos / 3 * 10, k)).collect();
        let timed = Timed::new(things.clone());
        for near in 0..=60 {
            for at in 0..220 {
                timed.near.set(near);
                let all = things.iter().rev().find(|&&(time, _)| time <= at);
                assert_eq!(timed.latest(at), all.copied(), "{at} from {near}");
            }
        }
    }
}
