//! Which host steps run, and whether one more may.

use super::HostThreads;

#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    threads: HostThreads,
    preprocessing: usize,
    postprocessing: usize,
    // Shared and split threads are the same three limits.
    preprocessing_max: usize,
    postprocessing_max: usize,
    busy_max: usize,
}

impl Host {
    pub(super) fn new(threads: HostThreads) -> Self {
        let mut host = Host {
            threads,
            preprocessing: 0,
            postprocessing: 0,
            preprocessing_max: 0,
            postprocessing_max: 0,
            busy_max: 0,
        };
        host.set_threads(threads);
        host
    }

    /// Steps that run beyond the new limits run to their end.
    pub(super) fn set_threads(&mut self, threads: HostThreads) {
        self.threads = threads;
        self.busy_max = threads.total();
        (self.preprocessing_max, self.postprocessing_max) = match threads {
            HostThreads::Shared(threads) => (threads, threads),
            HostThreads::Split { preprocess, postprocess } => (preprocess, postprocess),
        };
    }

    pub(super) fn threads(&self) -> HostThreads {
        self.threads
    }

    pub(super) fn busy(&self) -> usize {
        self.preprocessing + self.postprocessing
    }

    pub(super) fn can_preprocess(&self) -> bool {
        self.preprocessing < self.preprocessing_max && self.busy() < self.busy_max
    }

    pub(super) fn can_postprocess(&self) -> bool {
        self.postprocessing < self.postprocessing_max && self.busy() < self.busy_max
    }

    pub(super) fn begin_preprocess(&mut self) {
        self.preprocessing += 1;
    }

    pub(super) fn end_preprocess(&mut self) {
        self.preprocessing -= 1;
    }

    pub(super) fn begin_postprocess(&mut self) {
        self.postprocessing += 1;
    }

    pub(super) fn end_postprocess(&mut self) {
        self.postprocessing -= 1;
    }
}
