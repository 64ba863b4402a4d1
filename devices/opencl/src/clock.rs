//! The device's clock, mapped to the host's monotonic one.
//!
//! OpenCL tells when a command was queued, began and ended in nanoseconds of a counter whose zero is anybody's guess
//! and whose rate is nearly that of the host's clock. What ties the two together is what happened on both sides:
//! a command was queued after the host began to ask for it and before the call returned, and had ended before
//! the host was told. So each command bounds the distance between the clocks from both sides.
//!
//! The distance is first taken from the narrowest of a few small copies. From then on it moves only when an item's own
//! times prove it wrong, and then by as little as they allow, which also follows a drift. Whatever the counter
//! says, no span leaves the time between its item's submit and its end.

use std::time::{Duration, Instant};

use crate::cl::Times;

/// When the host saw what happened to a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Before the command was queued.
    pub(crate) before: Instant,
    /// When it was known to have ended.
    pub(crate) after: Instant,
}

/// A device's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Time 0 of the host's side.
    epoch: Instant,
    /// Host time less device time, in nanoseconds.
    distance_ns: i128,
    /// By how much the distance may be wrong at first.
    uncertainty: Duration,
}

impl Clock {
    /// The clock that these commands tell of: when each was asked for, when that call returned, when it was known to
    /// have ended, and its times. Without any, device times are taken as of `epoch`.
    pub(crate) fn new(epoch: Instant, commands: &[(Instant, Instant, Instant, Times)]) -> Self {
        let mut clock = Clock { epoch, distance_ns: 0, uncertainty: Duration::ZERO };
        let bounds = commands.iter().map(|&(before, queued, after, times)| {
            let low = clock.host_ns(before) - i128::from(times.queued);
            let by_queue = clock.host_ns(queued) - i128::from(times.queued);
            (low, by_queue.min(clock.host_ns(after) - i128::from(times.end)))
        });
        // Bounds the wrong way round are a driver's that stamps commands by another clock.
        let narrowest = bounds.filter(|(low, high)| low <= high).min_by_key(|(low, high)| high - low);
        if let Some((low, high)) = narrowest {
            clock.distance_ns = (low + high) / 2;
            clock.uncertainty = Duration::from_nanos(u64::try_from((high - low + 1) / 2).unwrap_or(u64::MAX));
        }
        clock
    }

    /// By how much the distance may have been wrong at first.
    pub(crate) fn uncertainty(&self) -> Duration {
        self.uncertainty
    }

    /// Learns from an item: its first command was queued at `queued` and its last ended at `end`.
    pub(crate) fn learn(&mut self, seen: Seen, queued: u64, end: u64) {
        let low = self.host_ns(seen.before) - i128::from(queued);
        let high = self.host_ns(seen.after) - i128::from(end);
        if low <= high {
            self.distance_ns = self.distance_ns.clamp(low, high);
        }
    }

    /// A device's time on the host's clock, within what was seen of its item.
    pub(crate) fn instant(&self, device_ns: u64, seen: Seen) -> Instant {
        let (low, high) = (self.host_ns(seen.before), self.host_ns(seen.after));
        let host_ns = (i128::from(device_ns) + self.distance_ns).clamp(low, high.max(low));
        self.epoch + Duration::from_nanos(u64::try_from(host_ns).unwrap_or(0))
    }

    fn host_ns(&self, at: Instant) -> i128 {
        at.saturating_duration_since(self.epoch).as_nanos() as i128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE_AHEAD_NS: u64 = 7_000_000_000;

    fn at(epoch: Instant, us: u64) -> Instant {
        epoch + Duration::from_micros(us)
    }

    /// Times of a command on a device whose clock is ahead by [`DEVICE_AHEAD_NS`].
    fn times(us: [u64; 4]) -> Times {
        let [queued, submitted, start, end] = us.map(|us| DEVICE_AHEAD_NS + us * 1000);
        Times { queued, submitted, start, end }
    }

    #[test]
    fn the_narrowest_command_sets_the_distance() {
        let epoch = Instant::now();
        let wide = (at(epoch, 0), at(epoch, 90), at(epoch, 100), times([50, 60, 70, 80]));
        let narrow = (at(epoch, 200), at(epoch, 204), at(epoch, 300), times([202, 250, 260, 280]));
        let clock = Clock::new(epoch, &[wide, narrow]);
        let seen = Seen { before: epoch, after: at(epoch, 1000) };
        assert_eq!(clock.instant(DEVICE_AHEAD_NS + 500_000, seen), at(epoch, 500));
        assert_eq!(clock.uncertainty(), Duration::from_micros(2));
    }

    #[test]
    fn an_item_moves_the_distance_only_when_it_proves_it_wrong() {
        let epoch = Instant::now();
        let first = (at(epoch, 0), at(epoch, 0), at(epoch, 0), times([0, 0, 0, 0]));
        let mut clock = Clock::new(epoch, &[first]);
        let all = Seen { before: epoch, after: at(epoch, 10_000) };
        let device = |us: u64| DEVICE_AHEAD_NS + us * 1000;

        clock.learn(Seen { before: at(epoch, 90), after: at(epoch, 250) }, device(100), device(200));
        assert_eq!(clock.instant(device(100), all), at(epoch, 100), "it agrees");
        // The device's clock has fallen behind: what it stamped 990 was not asked for before 1010.
        clock.learn(Seen { before: at(epoch, 1010), after: at(epoch, 1100) }, device(990), device(1000));
        assert_eq!(clock.instant(device(1000), all), at(epoch, 1020), "as little as the item allows");
    }

    #[test]
    fn no_span_leaves_its_item_whatever_the_counter_says() {
        let epoch = Instant::now();
        let clock = Clock::new(epoch, &[]);
        let seen = Seen { before: at(epoch, 5), after: at(epoch, 8) };
        assert_eq!(clock.instant(0, seen), at(epoch, 5));
        assert_eq!(clock.instant(u64::MAX, seen), at(epoch, 8));
    }
}
