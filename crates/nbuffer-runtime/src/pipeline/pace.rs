//! How quickly a pipeline moves: which items are timed, and what is too short to wake a thread for.

use nbuffer_core::measure::Nanos;

use super::sync::observed;
use super::{Kind, Options, Timing};

/// Work that takes less than this is not worth waking a thread for: a wake-up costs more.
const SHORT_NS: f64 = 3_000.0;

/// Results of items with less work than this are handed to a consumer a few at a time.
const QUICK_NS: f64 = 100_000.0;

/// Items that are timed before their work says anything: until then caches are cold.
const COLD: u64 = if cfg!(shuttle) { 1 } else { 16 };

pub(super) struct Pace {
    timing: Timing,
    timed_items: u64,
    /// Running mean of how long threads are busy with an item, blocking calls included, in nanoseconds.
    mean_work: f64,
    /// Running mean of how long each kind of task takes, in nanoseconds.
    means: [f64; 5],
}

impl Pace {
    pub(super) fn new(options: &Options) -> Self {
        Pace { timing: options.timing, timed_items: 0, mean_work: f64::INFINITY, means: [f64::INFINITY; 5] }
    }

    /// Whether the work of an item is too short to be worth a wake-up.
    pub(super) fn is_short(&self) -> bool {
        self.mean_work < SHORT_NS
    }

    /// Whether items follow each other so quickly that a result may wait for the next few.
    pub(super) fn is_quick(&self) -> bool {
        self.mean_work < QUICK_NS
    }

    /// Whether a task of this kind is usually over before anybody could be woken.
    pub(super) fn is_brief(&self, kind: Kind) -> bool {
        self.means[kind as usize] < SHORT_NS
    }

    /// Whether item number `taken` is to be timed.
    pub(super) fn times(&self, taken: u64) -> bool {
        self.timing == Timing::Every || !self.is_quick() || taken.is_multiple_of(64)
    }

    /// Takes note of how long a task took.
    pub(super) fn took(&mut self, kind: Kind, ns: Nanos) {
        follow(&mut self.means[kind as usize], ns as f64, 8.0);
    }

    /// Takes note of an item's work.
    pub(super) fn worked(&mut self, ns: Nanos) {
        self.timed_items += 1;
        if self.timed_items >= COLD {
            follow(&mut self.mean_work, ns as f64, 16.0);
        }
    }
}

/// Moves a running mean towards a value; the first value is taken as it is.
fn follow(mean: &mut f64, value: f64, memory: f64) {
    let (value, memory) = observed(value, memory);
    *mean = if mean.is_finite() { *mean + (value - *mean) / memory } else { value };
}
