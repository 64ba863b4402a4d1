//! Durations counted into a few fixed buckets, cheap to take out of a run that goes on.

use super::{Durations, Nanos};

/// The upper bounds of the buckets, in nanoseconds: from 1 us, each twice the one before, up to some 67 s.
pub const BOUNDS: [Nanos; 27] = {
    let mut bounds = [0; 27];
    let mut i = 0;
    while i < bounds.len() {
        bounds[i] = 1_000 << i;
        i += 1;
    }
    bounds
};

/// A distribution of durations in fixed buckets. What is longer than the last bound is in `count` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// How many were at most as long as each of the [`BOUNDS`], to 3 significant digits.
    pub up_to: [u64; BOUNDS.len()],
    /// How many there are.
    pub count: u64,
    /// Their sum, in nanoseconds.
    pub sum: u128,
}

impl Durations {
    /// The distribution in fixed buckets.
    ///
    /// Allocates nothing and looks only at what lies between the shortest and the longest, so that it can be done
    /// under a lock.
    pub fn buckets(&self) -> Buckets {
        let (mut up_to, mut counted) = ([0; BOUNDS.len()], 0);
        let mut low = 0;
        let high_max = self.histogram.max();
        for (up_to, bound) in up_to.iter_mut().zip(BOUNDS) {
            // Beyond the longest there is nothing to count, and perhaps no memory either.
            if low <= high_max {
                // No shorter ones than the shortest: those counts are all zero.
                let from = low.max(self.histogram.min());
                let to = bound.min(high_max);
                if from <= to {
                    counted += self.histogram.count_between(from, to);
                }
                low = self.histogram.next_non_equivalent(bound);
            }
            *up_to = counted;
        }
        Buckets { up_to, count: self.count(), sum: self.sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_in_no_bucket() {
        assert_eq!(Durations::default().buckets(), Buckets::default());
    }

    #[test]
    fn each_duration_is_counted_from_the_first_bound_that_is_not_shorter() {
        for one in [1, 999, 1_000, 1_500, 2_000, 5_000_000, 1_000 << 26, 100_000_000_000, Nanos::MAX] {
            let mut durations = Durations::default();
            durations.record(one);
            let expected = BOUNDS.map(|bound| u64::from(one <= bound));
            let buckets = durations.buckets();
            assert_eq!((buckets.up_to, buckets.count, buckets.sum), (expected, 1, one.into()), "{one} ns");
        }
    }

    #[test]
    fn buckets_agree_with_the_durations_themselves() {
        let mut durations = Durations::default();
        // A geometric series, away from the bounds by more than the 0.1 % that is kept.
        let all: Vec<Nanos> = (0..4_000)
            .map(|i| (300.0 * 1.0049_f64.powi(i)) as Nanos)
            .filter(|ns| is_clear_of_bounds(*ns))
            .collect();
        all.iter().for_each(|&ns| durations.record(ns));
        let buckets = durations.buckets();
        for (bound, up_to) in BOUNDS.into_iter().zip(buckets.up_to) {
            assert_eq!(up_to, all.iter().filter(|&&ns| ns <= bound).count() as u64, "up to {bound} ns");
        }
        assert_eq!(buckets.count, all.len() as u64);
        assert!(buckets.up_to[26] < buckets.count, "some are longer than the last bound");
    }

    fn is_clear_of_bounds(ns: Nanos) -> bool {
        BOUNDS.iter().all(|&bound| ns.abs_diff(bound) * 500 > bound)
    }
}
