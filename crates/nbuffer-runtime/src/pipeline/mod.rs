//! The pipeline: a source of items in, their results out, N-way buffered over lanes.

mod monitor;
mod options;
mod report;
mod state;
mod step;
mod worker;

use std::collections::VecDeque;
use std::sync::Arc;

use nbuffer_core::schedule::{Config, ConfigError, Flush, LaneConfig, Schedule, Sequence};

use crate::item_error::{BoxError, ItemError};
use crate::lane::Lane;
pub use options::{Options, Timing};
pub use report::{Report, SourceEnd};
use state::State;
use worker::Shared;

/// What a thread may be busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Take,
    Preprocess,
    Call,
    Postprocess,
    Deliver,
}

/// The host's part in an item's way through a pipeline.
///
/// Both stages may run for several items at once, on any host thread.
pub trait HostStages: Send + Sync + 'static {
    /// What the source gives.
    type Item: Send + 'static;
    /// What goes round in the rings.
    type Set: Send + 'static;
    /// What preprocess leaves for postprocess beside the buffer set: a path, a size, a tag.
    type Carry: Send + 'static;
    /// A result.
    type Output: Send + 'static;

    /// Fills the inputs of `set` from `item`.
    ///
    /// # Errors
    ///
    /// Costs this item, and no other.
    fn preprocess(&self, item: Self::Item, set: &mut Self::Set) -> Result<Self::Carry, BoxError>;

    /// Makes a result from the outputs of `set`.
    ///
    /// # Errors
    ///
    /// Costs this item, and no other.
    fn postprocess(&self, carry: Self::Carry, set: &mut Self::Set) -> Result<Self::Output, BoxError>;
}

/// One result on its way out.
#[derive(Debug)]
pub struct Delivery<O> {
    /// The item's number, from 0 in the order the source gave them.
    pub sequence: Sequence,
    /// Its result, or why it has none.
    pub result: Result<O, ItemError>,
}

/// A running pipeline, and the iterator over its results.
///
/// Results come in order (or as they complete, by [`Options::order`]); a failed item is an `Err` in its place.
/// The pipeline starts working when it is built, on threads of its own, and stops taking items when its
/// reorder window is full. Dropping it early cancels what has not started, waits for what the devices still
/// hold, and joins its threads. It does not wait for a source that blocks in `next`, nor for a device call that the
/// watchdog gave up: those threads end by themselves when the call returns.
pub struct Pipeline<H: HostStages> {
    shared: Arc<Shared<H>>,
    /// Results fetched and not yet handed out, so that the lock is taken once for several.
    fetched: VecDeque<Delivery<H::Output>>,
}

impl<H: HostStages> Pipeline<H> {
    /// Starts a pipeline.
    ///
    /// `allocate` gives the buffer sets of a lane's ring, `options.depth` of them per lane.
    ///
    /// # Errors
    ///
    /// A count in `options` that is out of range, or what `allocate` says.
    pub fn start<E: From<ConfigError>>(
        source: impl Iterator<Item = H::Item> + Send + 'static,
        stages: H,
        lanes: Vec<Lane<H::Set>>,
        mut allocate: impl FnMut(usize) -> Result<H::Set, E>,
        options: &Options,
    ) -> Result<Self, E> {
        let lane_configs = lanes.iter().map(|lane| LaneConfig { depth: options.depth, lag: lane.lag() });
        let mut config = Config::new(lane_configs.collect(), options.host_threads);
        config.order = options.order;
        config.lane_choice = options.lane_choice;
        config.flush = if options.idle_flush.is_some() { Flush::AtEndOrIdle } else { Flush::AtEnd };
        if let Some(window) = options.window {
            config.window = window;
        }
        let window = config.window;
        let schedule = Schedule::new(config)?;
        let mut rings = Vec::with_capacity(lanes.len());
        for lane in 0..lanes.len() {
            let ring: Result<Vec<_>, E> = (0..options.depth).map(|_| allocate(lane)).collect();
            rings.push(ring?);
        }
        let state = State::new(schedule, Box::new(source), rings, window, options);
        let shared = Shared::start(state, stages, lanes, options);
        Ok(Pipeline { shared, fetched: VecDeque::new() })
    }

    /// The next result with its item's number; `None` when the stream has ended.
    pub fn next_delivery(&mut self) -> Option<Delivery<H::Output>> {
        if self.fetched.is_empty() {
            self.shared.fetch(&mut self.fetched);
        }
        self.fetched.pop_front()
    }

    /// Runs the stream to its end, handing each result to `each` on the pipeline's own threads, one at a time
    /// and in order. Gives back `each`, and how the run went.
    ///
    /// This saves the hand-off to a consuming thread: with stages of a few microseconds it is the fast way.
    /// `each` is one more serial stage, so it should be short. A panic in it cancels the stream and goes on in the caller.
    pub fn run_into<F>(mut self, mut each: F) -> (F, Report)
    where
        F: FnMut(Delivery<H::Output>) + Send + 'static,
    {
        self.fetched.drain(..).for_each(&mut each);
        let each = self.shared.run_into(each);
        let report = self.shared.report();
        (each, report)
    }

    /// A handle that cancels this pipeline from anywhere, for instance from a signal handler's thread.
    pub fn canceller(&self) -> Canceller {
        let shared = Arc::downgrade(&self.shared);
        Canceller(Arc::new(move || {
            if let Some(shared) = shared.upgrade() {
                shared.cancel();
            }
        }))
    }

    /// How the run has gone so far. Complete once the iterator has ended.
    pub fn report(&self) -> Report {
        self.shared.report()
    }
}

impl<H: HostStages> Iterator for Pipeline<H> {
    type Item = Result<H::Output, ItemError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_delivery().map(|delivery| delivery.result)
    }
}

impl<H: HostStages> std::iter::FusedIterator for Pipeline<H> {}

impl<H: HostStages> Drop for Pipeline<H> {
    fn drop(&mut self) {
        self.shared.shut_down();
    }
}

impl<H: HostStages> std::fmt::Debug for Pipeline<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("totals", &self.report().totals).finish_non_exhaustive()
    }
}

/// Cancels a pipeline: nothing new starts, what the devices hold is drained, and every item taken is still
/// delivered, as [`ItemError::Cancelled`] where it was not done.
#[derive(Clone)]
pub struct Canceller(Arc<dyn Fn() + Send + Sync>);

impl Canceller {
    /// Cancels the pipeline. Does nothing when it has ended or is gone.
    pub fn cancel(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Canceller")
    }
}
