//! Links and compute units: each serves one job at a time, first come, first served.

use std::collections::VecDeque;

use crate::measure::Stage;
use crate::schedule::Transit;

/// A stage of an item that needs a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) transit: Transit,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    /// What it works on now.
    current: Option<Job>,
    /// What asked meanwhile, in that order.
    queue: VecDeque<Job>,
}

impl Server {
    /// A job asks. Whether it begins now.
    pub(super) fn request(&mut self, job: Job) -> bool {
        if self.current.is_some() {
            self.queue.push_back(job);
            return false;
        }
        self.current = Some(job);
        true
    }

    /// Its job is done; the one that waits longest, and still counts, begins. Both, if there are any.
    pub(super) fn done(&mut self, counts: impl Fn(&Job) -> bool) -> (Option<Job>, Option<Job>) {
        let done = self.current.take();
        while let Some(job) = self.queue.pop_front() {
            if counts(&job) {
                self.current = Some(job);
                break;
            }
        }
        (done, self.current)
    }

    /// What it works on and what waits for it.
    pub(super) fn jobs(&self) -> impl Iterator<Item = Job> {
        self.current.iter().chain(&self.queue).copied()
    }
}
