//! Threads, locks and time under the checker shuttle.
//!
//! Shuttle decides which thread runs next at every operation on a lock, an atomic or a thread. It knows no time,
//! so everything that depends on time is a choice here, made by shuttle's random numbers and repeated with its
//! schedules: whether a wait times out and when, how long a spin lasts, how long a step seems to have taken, how
//! many cores there are. A wait may also end for no reason, as the standard library allows.
//!
//! What this does not show: effects of weak memory order, since shuttle runs every atomic as if it were sequentially
//! consistent. The one atomic is `Hint`; a spin that misses its change is the same as one that ends early.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, PoisonError};
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
pub(in crate::pipeline) use shuttle::sync::atomic;

/// Threads, on a machine with few cores.
pub(in crate::pipeline) mod thread {
    use std::num::NonZeroUsize;

    pub(in crate::pipeline) use shuttle::thread::*;

    pub(in crate::pipeline) fn available_parallelism() -> std::io::Result<NonZeroUsize> {
        Ok(if super::one_in(2) { NonZeroUsize::MIN } else { NonZeroUsize::MIN.saturating_add(1) })
    }
}

/// Whether a wait with a timeout ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Timeouts {
    /// Some do, at any time, and some never do: what needs one to go on is stuck.
    Unreliable,
    /// All do in the end.
    Reliable,
}

thread_local! {
    static TIMEOUTS: Cell<Timeouts> = const { Cell::new(Timeouts::Unreliable) };
}

impl Timeouts {
    /// Makes it so for the checks that this thread of the test runs.
    pub(in crate::pipeline) fn set(self) {
        TIMEOUTS.set(self);
    }

    fn this_one_ends() -> bool {
        TIMEOUTS.get() == Timeouts::Reliable || one_in(2)
    }
}

fn one_in(n: u32) -> bool {
    thread_rng().gen_ratio(1, n)
}

pub(in crate::pipeline) struct Mutex<T>(shuttle::sync::Mutex<T>);

/// Knows its mutex, so that a wait can lock it again.
pub(in crate::pipeline) struct MutexGuard<'a, T> {
    guard: shuttle::sync::MutexGuard<'a, T>,
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub(in crate::pipeline) fn new(value: T) -> Self {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    pub(in crate::pipeline) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.0.lock() {
            Ok(guard) => Ok(MutexGuard { guard, mutex: self }),
            Err(error) => Err(PoisonError::new(MutexGuard { guard: error.into_inner(), mutex: self })),
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A condition variable whose waits can time out and can end for no reason. Shuttle's own do neither.
pub(in crate::pipeline) struct Condvar {
    /// Whoever waits and was not notified yet. Never locked across a step of the model.
    waiters: std::sync::Mutex<Vec<Arc<Waiter>>>,
}

struct Waiter {
    thread: thread::Thread,
    notified: std::sync::atomic::AtomicBool,
}

impl Waiter {
    fn notify(&self) {
        self.notified.store(true, atomic::Ordering::Relaxed);
        self.thread.unpark();
    }

    fn is_notified(&self) -> bool {
        self.notified.load(atomic::Ordering::Relaxed)
    }
}

impl Condvar {
    pub(in crate::pipeline) fn new() -> Self {
        Condvar { waiters: std::sync::Mutex::default() }
    }

    pub(in crate::pipeline) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, one_in(8))
    }

    /// Gives the lock, and whether the time was over.
    pub(in crate::pipeline) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, bool)> {
        let ends = Timeouts::this_one_ends();
        match self.wait_until(guard, ends) {
            Ok(guard) => Ok((guard, ends)),
            Err(error) => Err(PoisonError::new((error.into_inner(), ends))),
        }
    }

    /// Waits for a notification, or until it ends by itself at some time if it does.
    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        ends_by_itself: bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        let mutex = guard.mutex;
        let me = Arc::new(Waiter { thread: thread::current(), notified: false.into() });
        self.waiters.lock().unwrap().push(Arc::clone(&me));
        drop(guard);
        while !me.is_notified() {
            if !ends_by_itself {
                thread::park();
            } else if one_in(4) {
                self.waiters.lock().unwrap().retain(|waiter| !Arc::ptr_eq(waiter, &me));
                break;
            } else {
                thread::yield_now();
            }
        }
        mutex.lock()
    }

    pub(in crate::pipeline) fn notify_one(&self) {
        let mut waiters = self.waiters.lock().unwrap();
        if waiters.is_empty() {
            return;
        }
        let chosen = thread_rng().gen_range(0..waiters.len());
        let chosen = waiters.remove(chosen);
        drop(waiters);
        chosen.notify();
    }

    pub(in crate::pipeline) fn notify_all(&self) {
        let waiters = std::mem::take(&mut *self.waiters.lock().unwrap());
        waiters.iter().for_each(|waiter| waiter.notify());
    }
}

/// A spin of any length.
pub(in crate::pipeline) struct Spin;

impl Spin {
    pub(in crate::pipeline) fn new(_: Duration) -> Self {
        Spin
    }

    pub(in crate::pipeline) fn turn(&self) -> bool {
        thread::yield_now();
        !one_in(4)
    }
}

/// What a running mean is told: any value, and to believe it at once.
pub(in crate::pipeline) fn observed(_: f64, _: f64) -> (f64, f64) {
    let brief_quick_or_long_ns = [1e3, 1e4, 1e6];
    (brief_quick_or_long_ns[thread_rng().gen_range(0..3)], 1.0)
}
