//! Waiting for device time, or for news, without using the CPU and without oversleeping much.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long before a deadline a sleep ends and spinning begins.
///
/// A sleep ends late by what the kernel needs to wake a thread. The example `oversleep` measures what is left
/// of that; spinning for longer would hide more of it and take the CPU from the host's work.
const SPIN_TAIL: Duration = Duration::from_micros(30);

/// What one waiting thread listens to. A ring is kept until somebody waits.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    news: Condvar,
}

impl Bell {
    /// Ends the present wait, or the next one.
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.news.notify_one();
    }

    /// Waits until the deadline or a ring, whichever comes first; `None` waits for a ring alone.
    pub(crate) fn wait_until(&self, deadline: Option<Instant>) {
        reduce_timer_slack();
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let Some(deadline) = deadline else {
                rung = self.news.wait(rung).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let sleep = deadline.saturating_duration_since(Instant::now()).saturating_sub(SPIN_TAIL);
            if sleep.is_zero() {
                drop(rung);
                while Instant::now() < deadline {
                    std::hint::spin_loop();
                }
                return;
            }
            rung = self.news.wait_timeout(rung, sleep).unwrap_or_else(PoisonError::into_inner).0;
        }
        *rung = false;
    }
}

/// Asks the kernel to end this thread's sleeps on time; the default lets them end up to 50 us late.
#[cfg(target_os = "linux")]
fn reduce_timer_slack() {
    use std::cell::Cell;
    use std::num::NonZeroU64;

    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    if !DONE.replace(true) {
        // A sandbox may forbid it. Waits then end later, which the summary shows as a longer period.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    }
}

#[cfg(not(target_os = "linux"))]
fn reduce_timer_slack() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_never_ends_before_its_deadline() {
        let bell = Bell::default();
        for micros in [0, 1, 20, 100, 2_000] {
            let deadline = Instant::now() + Duration::from_micros(micros);
            bell.wait_until(Some(deadline));
            assert!(Instant::now() >= deadline);
        }
    }

    #[test]
    fn a_ring_is_kept_for_the_next_wait_and_used_up_by_it() {
        let bell = Bell::default();
        bell.ring();
        let far = Instant::now() + Duration::from_secs(600);
        bell.wait_until(Some(far));
        assert!(Instant::now() < far);
        let near = Instant::now() + Duration::from_millis(1);
        bell.wait_until(Some(near));
        assert!(Instant::now() >= near);
    }

    #[test]
    fn a_ring_from_another_thread_ends_a_wait_without_deadline() {
        let bell = Bell::default();
        std::thread::scope(|scope| {
            scope.spawn(|| bell.ring());
            bell.wait_until(None);
        });
    }
}
