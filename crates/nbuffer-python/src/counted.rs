//! How many pipelines and streams there are, for finding leaks: they hold devices, lanes and threads.

use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) static PIPELINES: AtomicUsize = AtomicUsize::new(0);
pub(crate) static STREAMS: AtomicUsize = AtomicUsize::new(0);

/// Counts one for as long as it is there.
pub(crate) struct Counted(&'static AtomicUsize);

impl Counted {
    pub(crate) fn new(count: &'static AtomicUsize) -> Self {
        // Relaxed: the counts order nothing.
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn count(of: &'static AtomicUsize) -> usize {
    of.load(Ordering::Relaxed)
}
