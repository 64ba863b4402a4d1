//! What a schedule is told before it starts: lanes, host threads and the named policies.

/// The most lanes, buffer sets of one lane, host threads or window places a schedule accepts.
///
/// Far beyond any machine, near enough that a mistyped number is an error and not an allocation.
pub const LIMIT: usize = 65_536;

/// The buffer sets of one lane's ring, and how they are recycled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sets {
    /// N sets that travel whole, from preprocess to the end of postprocess.
    Joint(usize),
    /// Inputs and outputs recycled apart: an input is free again when its kernel has ended, and an output is taken
    /// when its item is handed to the device. The same period needs fewer sets.
    Split {
        /// Input sets.
        inputs: usize,
        /// Output sets.
        outputs: usize,
    },
}

/// Threads for host steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostThreads {
    /// C threads, each for whatever is to be done.
    Shared(usize),
    /// Threads for one stage only.
    Split {
        /// For preprocess.
        preprocess: usize,
        /// For postprocess.
        postprocess: usize,
    },
}

/// Whether the two directions of a link share one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Duplex {
    /// Each direction has a channel of its own.
    #[default]
    Full,
    /// One channel for both.
    Half,
}

/// One lane: a prepared model instance and its ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneConfig {
    /// Buffer sets in the ring (N).
    pub depth: usize,
    /// By how many calls results come late: 0, or 2 with double buffering.
    pub lag: usize,
}

/// In which order results are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the items were taken from the source.
    #[default]
    InOrder,
    /// As they end.
    Completed,
}

/// Which lane the next item goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LaneChoice {
    /// The lane with the fewest occupied buffer sets; of equals, the one longest not chosen.
    #[default]
    LeastLoaded,
    /// One lane after the other; an item waits for its lane even if another one has room.
    RoundRobin,
}

/// When flush calls push results out of lanes with lag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flush {
    /// When the stream has ended, or nothing else can move.
    AtEnd,
    /// Also when [`Event::Idle`](super::Event::Idle) says that the source has paused, so that a live source
    /// does not hold finished results back.
    #[default]
    AtEndOrIdle,
}

/// Everything a [`Schedule`](super::Schedule) is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The lanes, at least one.
    pub lanes: Vec<LaneConfig>,
    /// How many preprocess and postprocess steps may run at once (C), at least 1.
    pub host_threads: usize,
    /// How many items may lie between take and delivery: the bound of the reorder window.
    pub window: usize,
    /// Delivery order.
    pub order: Order,
    /// Lane choice.
    pub lane_choice: LaneChoice,
    /// When flush calls are made.
    pub flush: Flush,
}

impl Config {
    /// The usual case: results in order, least-loaded lanes, and a window twice as large as the rings hold,
    /// so that one slow item does not stop the other lanes at once.
    pub fn new(lanes: Vec<LaneConfig>, host_threads: usize) -> Self {
        let sets: usize = lanes.iter().map(|lane| lane.depth).fold(0, usize::saturating_add);
        Config {
            window: sets.saturating_mul(2).clamp(1, LIMIT),
            lanes,
            host_threads,
            order: Order::default(),
            lane_choice: LaneChoice::default(),
            flush: Flush::default(),
        }
    }

    /// Whether every count is in range.
    ///
    /// # Errors
    ///
    /// The first count that is 0 or beyond [`LIMIT`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |what: &'static str, value: usize| match value {
            1..=LIMIT => Ok(()),
            _ => Err(ConfigError { what, value }),
        };
        check("lanes", self.lanes.len())?;
        check("host threads", self.host_threads)?;
        check("window places", self.window)?;
        for lane in &self.lanes {
            check("buffer sets of a lane", lane.depth)?;
            check("calls of lag", lane.lag.max(1))?;
        }
        Ok(())
    }
}

/// A number in a [`Config`] that is 0 or beyond [`LIMIT`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value} {what}: from 1 to {LIMIT} are possible")]
pub struct ConfigError {
    /// What there is too much or too little of.
    pub what: &'static str,
    /// The number given.
    pub value: usize,
}
