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

impl Sets {
    /// Input sets: how many items can wait for their device or be read by it.
    pub fn inputs(self) -> usize {
        match self {
            Sets::Joint(sets) => sets,
            Sets::Split { inputs, .. } => inputs,
        }
    }

    /// Output sets: how many items can be written by their device or wait for a host thread.
    pub fn outputs(self) -> usize {
        match self {
            Sets::Joint(sets) => sets,
            Sets::Split { outputs, .. } => outputs,
        }
    }

    /// The most items that can hold a set at once.
    pub fn items_max(self) -> usize {
        match self {
            Sets::Joint(sets) => sets,
            Sets::Split { inputs, outputs } => inputs.saturating_add(outputs),
        }
    }

    fn validate(self) -> Result<(), ConfigError> {
        match self {
            Sets::Joint(sets) => in_range("buffer sets of a lane", sets),
            Sets::Split { inputs, outputs } => {
                in_range("input sets of a lane", inputs)?;
                in_range("output sets of a lane", outputs)
            }
        }
    }
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

impl HostThreads {
    /// All threads together (C).
    pub fn total(self) -> usize {
        match self {
            HostThreads::Shared(threads) => threads,
            HostThreads::Split { preprocess, postprocess } => preprocess.saturating_add(postprocess),
        }
    }

    pub(super) fn validate(self) -> Result<(), ConfigError> {
        match self {
            HostThreads::Shared(threads) => in_range("host threads", threads),
            HostThreads::Split { preprocess, postprocess } => {
                in_range("preprocess threads", preprocess)?;
                in_range("postprocess threads", postprocess)
            }
        }
    }
}

impl From<usize> for HostThreads {
    fn from(threads: usize) -> Self {
        HostThreads::Shared(threads)
    }
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
    /// The buffer sets of the ring.
    pub sets: Sets,
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
    /// The lane with the fewest items; of equals, the one longest not chosen.
    #[default]
    LeastLoaded,
    /// One lane after the other; an item waits for its lane even if another one has room.
    RoundRobin,
}

/// What becomes of the items that a lost lane held and had not brought to an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// They fail.
    #[default]
    Never,
    /// They are preprocessed once more, for a lane that is left, before any further item is taken. They fail when none
    /// is left.
    OtherLane,
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
    /// How many preprocess and postprocess steps may run at once.
    pub host_threads: HostThreads,
    /// How many items may lie between take and delivery: the bound of the reorder window.
    pub window: usize,
    /// Delivery order.
    pub order: Order,
    /// Lane choice.
    pub lane_choice: LaneChoice,
    /// When flush calls are made.
    pub flush: Flush,
    /// What becomes of a lost lane's items.
    pub retry: Retry,
}

impl Config {
    /// The usual case: results in order, least-loaded lanes, and a window twice as large as the rings hold,
    /// so that one slow item does not stop the other lanes at once.
    pub fn new(lanes: Vec<LaneConfig>, host_threads: impl Into<HostThreads>) -> Self {
        let items = lanes.iter().map(|lane| lane.sets.items_max()).fold(0, usize::saturating_add);
        Config {
            window: items.saturating_mul(2).clamp(1, LIMIT),
            lanes,
            host_threads: host_threads.into(),
            order: Order::default(),
            lane_choice: LaneChoice::default(),
            flush: Flush::default(),
            retry: Retry::default(),
        }
    }

    /// Whether every count is in range.
    ///
    /// # Errors
    ///
    /// The first count that is 0 or beyond [`LIMIT`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        in_range("lanes", self.lanes.len())?;
        self.host_threads.validate()?;
        in_range("window places", self.window)?;
        for lane in &self.lanes {
            lane.validate()?;
        }
        Ok(())
    }
}

impl LaneConfig {
    pub(super) fn validate(self) -> Result<(), ConfigError> {
        self.sets.validate()?;
        in_range("calls of lag", self.lag.max(1))
    }
}

/// What a schedule cannot be, or cannot become.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number that is 0 or beyond [`LIMIT`].
    #[error("{value} {what}: from 1 to {LIMIT} are possible")]
    OutOfRange {
        /// What there is too much or too little of.
        what: &'static str,
        /// The number given.
        value: usize,
    },
    /// A ring that recycles its sets whole was given inputs and outputs apart, or the other way round.
    #[error("lane {lane} cannot change from {from:?} to {to:?}: a running ring keeps its layout")]
    Layout {
        /// The lane.
        lane: usize,
        /// What its ring has.
        from: Sets,
        /// What it was to have.
        to: Sets,
    },
}

pub(super) fn in_range(what: &'static str, value: usize) -> Result<(), ConfigError> {
    match value {
        1..=LIMIT => Ok(()),
        _ => Err(ConfigError::OutOfRange { what, value }),
    }
}
