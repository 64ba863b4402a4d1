//! How a pipeline is to run.

use std::time::Duration;

use nbuffer_core::schedule::{LaneChoice, Order, Retry, Sets};
use nbuffer_core::tune::Goals;

/// How a pipeline is to run. [`Options::new`] is the usual case.
#[derive(Clone, Debug)]
pub struct Options {
    /// Buffer sets per lane.
    pub sets: Sets,
    /// How many preprocess and postprocess steps may run at once (C).
    pub host_threads: usize,
    /// How many items may lie between take and delivery; `None` is twice what the rings hold.
    pub window: Option<usize>,
    /// Delivery order.
    pub order: Order,
    /// Lane choice.
    pub lane_choice: LaneChoice,
    /// Flush calls also when the source has paused for this long; `None` only at the end.
    pub idle_flush: Option<Duration>,
    /// What becomes of the items that a lost lane held. To begin again they must be
    /// [kept](super::HostStages::keep).
    pub retry: Retry,
    /// A lane whose device call takes longer than this is lost; `None` waits for ever.
    pub watchdog: Option<Duration>,
    /// Which items are timed.
    pub timing: Timing,
    /// Choose buffer sets or host threads while the stream runs; `None` leaves them as they are.
    pub tune: Option<Goals>,
    /// Keep what so many items did when, for [`Pipeline::trace`](super::Pipeline::trace): of a longer stream those of
    /// its beginning and of its end. An item takes [`JOURNEY_BYTES`](nbuffer_core::trace::JOURNEY_BYTES).
    pub trace: Option<usize>,
}

impl Options {
    /// `depth` buffer sets per lane, their inputs and outputs recycled apart, and `host_threads` host threads; results in order, least-loaded lanes,
    /// flush calls 20 ms into a pause of the source, no watchdog, every item timed.
    pub fn new(depth: usize, host_threads: usize) -> Self {
        Options {
            sets: Sets::Split { inputs: depth, outputs: depth },
            host_threads,
            window: None,
            order: Order::default(),
            lane_choice: LaneChoice::default(),
            idle_flush: Some(Duration::from_millis(20)),
            retry: Retry::default(),
            watchdog: None,
            timing: Timing::Every,
            tune: None,
            trace: None,
        }
    }
}

/// Which items are timed. Reading the clock costs some 20 to 40 ns, up to eight times an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// Every item.
    #[default]
    Every,
    /// Every item while items take more than 100 us of work, one in 64 while they take less. The report says
    /// so, and then knows stage times but no downtime.
    Sampled,
}
