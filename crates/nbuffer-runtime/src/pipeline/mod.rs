//! The pipeline: a source of items in, their results out, N-way buffered over lanes.

mod monitor;
mod options;
mod pace;
mod passage;
mod report;
mod snapshot;
mod state;
mod step;
mod sync;
mod tuning;
mod worker;

#[cfg(all(test, shuttle))]
mod interleavings;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nbuffer_core::schedule::{Config, ConfigError, Flush, LaneConfig, Schedule, Sequence, Sets};
use nbuffer_core::trace::{Topology, Trace};

use crate::device::DeviceError;
use crate::item_error::{BoxError, ItemError};
use crate::lane::{Calls, Lane};
pub use options::{Options, Timing};
pub use report::{Report, SourceEnd};
pub use snapshot::{LaneSnapshot, Observer, Places, SetCounts, Snapshot};
use state::{Ring, State};
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
    /// What goes round filled with inputs.
    type InputSet: Send + 'static;
    /// What goes round filled with outputs.
    type OutputSet: Send + 'static;
    /// What preprocess leaves for postprocess beside the buffer sets: a path, a size, a tag.
    type Carry: Send + 'static;
    /// A result.
    type Output: Send + 'static;

    /// Fills `input` from `item`.
    ///
    /// # Errors
    ///
    /// Costs this item, and no other.
    fn preprocess(&self, item: Self::Item, input: &mut Self::InputSet) -> Result<Self::Carry, BoxError>;

    /// A copy of an item, kept until its lane has brought it back, so that another lane can have it if that one is lost.
    /// Asked for with [`Options::retry`] only. An item of which there is no copy fails with its lane.
    fn keep(&self, item: &Self::Item) -> Option<Self::Item> {
        let _ = item;
        None
    }

    /// Runs `work`, which is all that one of the pipeline's threads does, from its start to its end. For stages that need
    /// something there that lasts as long as the thread: its state in an interpreter, a context of a library.
    fn around_thread(&self, work: &mut (dyn FnMut() + Send)) {
        work();
    }

    /// Makes a result from `output`.
    ///
    /// # Errors
    ///
    /// Costs this item, and no other.
    fn postprocess(&self, carry: Self::Carry, output: &mut Self::OutputSet)
    -> Result<Self::Output, BoxError>;
}

/// One result on its way out.
#[derive(Debug)]
pub struct Delivery<O> {
    /// The item's number, from 0 in the order the source gave them.
    pub sequence: Sequence,
    /// Its result, or why it has none.
    pub result: Result<O, ItemError>,
}

/// No result came in the time given; the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no result came in the time given")]
pub struct TimedOut;

/// Why a pipeline cannot be started. No item has been taken then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A count is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A lane has no room for its buffer sets.
    #[error(transparent)]
    Memory(#[from] DeviceError),
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
    topology: Topology,
    /// Results fetched and not yet handed out, so that the lock is taken once for several.
    fetched: VecDeque<Delivery<H::Output>>,
}

impl<H: HostStages> Pipeline<H> {
    /// Starts a pipeline. Each lane's memory gives the buffer sets of its ring, `options.sets` of them.
    ///
    /// # Errors
    ///
    /// A count in `options` that is out of range, or a lane without room for its sets.
    pub fn start(
        source: impl Iterator<Item = H::Item> + Send + 'static,
        stages: H,
        mut lanes: Vec<Lane<H::InputSet, H::OutputSet>>,
        options: &Options,
    ) -> Result<Self, StartError> {
        let lane_configs = lanes.iter().map(|lane| LaneConfig { sets: options.sets, lag: lane.lag() });
        let mut config = Config::new(lane_configs.collect(), options.host_threads);
        let mut topology = Topology::new("device", &config.lanes, options.host_threads);
        for (place, lane) in topology.lanes.iter_mut().zip(&lanes) {
            place.blocking = matches!(lane.calls, Calls::Blocking(_));
        }
        config.order = options.order;
        config.lane_choice = options.lane_choice;
        config.retry = options.retry;
        config.flush = if options.idle_flush.is_some() { Flush::AtEndOrIdle } else { Flush::AtEnd };
        if let Some(window) = options.window {
            config.window = window;
        }
        // Counts are refused before memory is asked for by them.
        let schedule = Schedule::new(config)?;
        let mut rings = Vec::with_capacity(lanes.len());
        for lane in &mut lanes {
            let inputs = (0..options.sets.inputs()).map(|_| lane.memory.input().map(Some));
            let inputs = inputs.collect::<Result<_, _>>()?;
            let outputs = (0..options.sets.outputs()).map(|_| lane.memory.output().map(Some));
            rings.push(Ring { inputs, outputs: outputs.collect::<Result<_, _>>()? });
        }
        let state = State::new(schedule, Box::new(source), rings, options);
        let shared = Shared::start(state, stages, lanes, options);
        Ok(Pipeline { shared, topology, fetched: VecDeque::new() })
    }

    /// The next result with its item's number; `None` when the stream has ended.
    pub fn next_delivery(&mut self) -> Option<Delivery<H::Output>> {
        if self.fetched.is_empty() {
            self.shared.fetch(&mut self.fetched, None);
        }
        self.fetched.pop_front()
    }

    /// The next result if it has been fetched already, with others before it: without waiting, and without any lock.
    pub fn next_fetched(&mut self) -> Option<Delivery<H::Output>> {
        self.fetched.pop_front()
    }

    /// [`next_delivery`](Self::next_delivery) for a caller that has other things to look after, such as signals: it waits
    /// no longer than this.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when there is no result yet; nothing is lost, and the next call gives it.
    pub fn next_delivery_within(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<Delivery<H::Output>>, TimedOut> {
        if self.fetched.is_empty() && !self.shared.fetch(&mut self.fetched, Some(Instant::now() + timeout)) {
            return Err(TimedOut);
        }
        Ok(self.fetched.pop_front())
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

    /// Gives every lane's ring another size while the stream runs. Nothing stops, and nothing is lost: sets are added
    /// at once, and sets too many are laid aside as they come free.
    ///
    /// # Errors
    ///
    /// A number that is out of range, another layout than the rings have, or a lane without room for more sets; lanes
    /// before that one have their new size then.
    pub fn resize(&self, sets: Sets) -> Result<(), StartError> {
        self.shared.resize(sets)
    }

    /// Changes how many preprocess and postprocess steps may run at once, while the stream runs.
    ///
    /// # Errors
    ///
    /// A number that is out of range.
    pub fn set_host_threads(&self, threads: usize) -> Result<(), ConfigError> {
        self.shared.set_host_threads(threads)
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

    /// A handle that looks at this pipeline from anywhere, for instance to export metrics.
    pub fn observer(&self) -> Observer {
        Observer::of(&self.shared)
    }

    /// How the run stands at this moment. Cheap: nothing is copied that grows with the run.
    ///
    /// # Panics
    ///
    /// If a thread of this pipeline hit a bug in nbuffer.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot().expect(worker::BUG)
    }

    /// What each item did when, as far as [`Options::trace`] keeps it. Each lane counts as a compute unit with a
    /// full-duplex link of its own: who knows better changes that in the trace.
    ///
    /// It is copied while the pipeline stands still, so better once the iterator has ended.
    pub fn trace(&self) -> Option<Trace> {
        self.shared.trace(&self.topology)
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
