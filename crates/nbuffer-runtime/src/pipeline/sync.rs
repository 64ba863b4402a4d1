//! Threads, locks and time, as the pipeline sees them: the standard library's, or with `--cfg shuttle` those of a
//! model that a checker steers.

#[cfg(shuttle)]
mod model;
#[cfg(shuttle)]
pub(super) use model::*;
#[cfg(not(shuttle))]
pub(super) use real::*;

#[cfg(not(shuttle))]
mod real {
    use std::time::{Duration, Instant};

    pub(in crate::pipeline) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
    pub(in crate::pipeline) use std::thread;

    /// A thread that waits without giving its core away, for so long at most.
    pub(in crate::pipeline) struct Spin {
        until: Instant,
    }

    impl Spin {
        pub(in crate::pipeline) fn new(time: Duration) -> Self {
            Spin { until: Instant::now() + time }
        }

        /// Lets a moment pass. False when the time is over.
        pub(in crate::pipeline) fn turn(&self) -> bool {
            for _ in 0..16 {
                std::hint::spin_loop();
            }
            Instant::now() < self.until
        }
    }

    /// What a running mean is told: a measured value, and over how many values it remembers.
    pub(in crate::pipeline) fn observed(value: f64, memory: f64) -> (f64, f64) {
        (value, memory)
    }
}
