//! What is simulated: the schedule's configuration, the devices, the source, and what goes wrong.

use super::times::{LONGEST, Times};
use crate::measure::{Nanos, Stage};
use crate::schedule::{Config, ConfigError, Duplex, LaneConfig, Sequence};
use crate::trace::{LanePlace, Topology};

/// The most buffer sets of all lanes together. No more items are ever on their way than the window has places, so
/// what lies beyond would never be used and only takes memory.
pub const SETS_MAX: usize = 1 << 20;

/// How a lane's device takes its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceModel {
    /// Calls return at once. The item is written over the link, computed on the lane's compute unit and read over
    /// the link; each of these serves its requests in the order they were made.
    Queued,
    /// The same stages, but the call returns when the item's result is there, so that a lane works on one item at
    /// a time.
    Blocking,
    /// Double buffering with lag 2: a call writes its own item, computes the one before and reads the one before
    /// that, side by side. Where nothing else uses the links and these are full duplex, it lasts as long as the
    /// longest of the three, and `call_cost` more.
    ///
    /// A stage without an item takes no time, since times belong to items. A real device moves a dummy instead, so
    /// the calls that fill and flush a lane are shorter here, and with them rings of up to three sets, which live on
    /// flush calls: for those the period is a lower bound of the device's.
    Lockstep {
        /// What every call costs beside its stages.
        call_cost: Nanos,
    },
}

impl DeviceModel {
    /// By how many calls results come late.
    pub fn lag(self) -> usize {
        match self {
            DeviceModel::Queued | DeviceModel::Blocking => 0,
            DeviceModel::Lockstep { .. } => 2,
        }
    }
}

/// What carries data between host and devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Whether the two directions share one channel.
    pub duplex: Duplex,
    /// Whether all lanes share one link; otherwise each has its own.
    pub shared: bool,
}

/// Where items come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// How many it gives.
    pub items: u64,
    /// Item `k` is there `k` intervals after the beginning, and from then on; 0 is a source that always has one.
    pub interval: Nanos,
    /// After how long a pause lanes with lag are told that the source is idle; `None` is never.
    pub idle_after: Option<Nanos>,
}

impl Source {
    /// A source that always has an item, until there were so many.
    pub fn of(items: u64) -> Self {
        Source { items, interval: 0, idle_after: None }
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A stage of an item fails after it took its time: preprocess, kernel or postprocess. A lockstep call with
    /// such an item moves nothing.
    Stage(Stage, Sequence),
    /// The source pauses before it has this item.
    Stall {
        /// The item that comes late, and with it all after it.
        before: Sequence,
        /// By how much.
        lasts: Nanos,
    },
    /// A lane's device is gone.
    LaneLost {
        /// The lane.
        lane: usize,
        /// When.
        at: Nanos,
    },
    /// The stream is cancelled.
    Cancel {
        /// When.
        at: Nanos,
    },
}

/// Everything a [`Simulation`](super::Simulation) is told before it starts.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The schedule's own configuration.
    pub schedule: Config,
    /// One device model for each lane; their lags agree with the lanes'.
    pub devices: Vec<DeviceModel>,
    /// The links between.
    pub links: Links,
    /// How many host stages and calls are under way at once, where lanes compute on the cores of the host threads;
    /// `None` where the device has its own.
    pub seats: Option<usize>,
    /// What starting a kernel costs its compute unit before the kernel runs.
    pub launch_overhead: Nanos,
    /// The source.
    pub source: Source,
    /// Stage times.
    pub times: Times,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Setup {
    /// A stream of `items` with these stage times, over lanes of one device model: each lane with its own link in
    /// full duplex, no launch overhead, a source that always has an item, and nothing going wrong.
    pub fn new(schedule: Config, device: DeviceModel, times: Times, items: u64) -> Self {
        Setup {
            devices: vec![device; schedule.lanes.len()],
            schedule,
            links: Links::default(),
            seats: None,
            launch_overhead: 0,
            source: Source::of(items),
            times,
            faults: Vec::new(),
        }
    }

    /// What it runs on, as traces have it.
    pub fn topology(&self) -> Topology {
        let lanes = self.schedule.lanes.iter().zip(&self.devices).enumerate();
        let place = |(lane, (config, device)): (usize, (&LaneConfig, &DeviceModel))| LanePlace {
            device: 0,
            link: if self.links.shared { 0 } else { lane },
            duplex: self.links.duplex,
            lag: config.lag,
            blocking: *device != DeviceModel::Queued,
            sets: config.sets,
        };
        Topology {
            devices: vec!["virtual device".to_owned()],
            lanes: lanes.map(place).collect(),
            host_threads: self.schedule.host_threads.total(),
        }
    }

    /// Whether a simulation can be made of it; stage times are looked at apart.
    pub(super) fn validate(&self) -> Result<(), SetupError> {
        self.schedule.validate()?;
        let lanes = self.schedule.lanes.len();
        if self.devices.len() != lanes {
            return Err(SetupError::Devices { devices: self.devices.len(), lanes });
        }
        for (lane, (device, config)) in self.devices.iter().zip(&self.schedule.lanes).enumerate() {
            short(
                "call cost",
                if let DeviceModel::Lockstep { call_cost } = *device { call_cost } else { 0 },
            )?;
            if device.lag() != config.lag {
                return Err(SetupError::Lag { lane, lag: config.lag, device: device.lag() });
            }
        }
        let of_lane = |lane: &LaneConfig| lane.sets.items_max();
        let sets = self.schedule.lanes.iter().map(of_lane).fold(0, usize::saturating_add);
        if sets > SETS_MAX {
            return Err(SetupError::Sets { sets });
        }
        if self.seats == Some(0) {
            return Err(SetupError::Seats);
        }
        short("launch overhead", self.launch_overhead)?;
        short("source interval", self.source.interval)?;
        short("idle time", self.source.idle_after.unwrap_or(0))?;
        for fault in &self.faults {
            match *fault {
                Fault::Stage(stage @ (Stage::Write | Stage::Read), _) => {
                    return Err(SetupError::FaultStage { stage });
                }
                Fault::Stall { lasts, .. } => short("stall", lasts)?,
                Fault::LaneLost { lane, .. } if lane >= lanes => {
                    return Err(SetupError::FaultLane { lane, lanes });
                }
                Fault::Stage(..) | Fault::LaneLost { .. } | Fault::Cancel { .. } => {}
            }
        }
        Ok(())
    }
}

fn short(what: &'static str, value: Nanos) -> Result<(), SetupError> {
    if value > LONGEST { Err(SetupError::TooLong { what, value }) } else { Ok(()) }
}

/// Why there can be no such simulation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SetupError {
    /// The schedule refuses its configuration.
    #[error(transparent)]
    Schedule(#[from] ConfigError),
    /// No host stage and no call could ever begin.
    #[error("0 seats: at least one host stage or call must be able to run")]
    Seats,
    /// Not one device model for each lane.
    #[error("{devices} device models for {lanes} lanes: give one for each")]
    Devices {
        /// Device models given.
        devices: usize,
        /// Lanes configured.
        lanes: usize,
    },
    /// A lane's results cannot come as late as it is configured to bring them.
    #[error("lane {lane} is configured with lag {lag}, and its device has lag {device}")]
    Lag {
        /// The lane.
        lane: usize,
        /// What the lane's configuration says.
        lag: usize,
        /// What its device does.
        device: usize,
    },
    /// A stage that cannot fail apart.
    #[error("{stage} cannot fail apart: preprocess, kernel and postprocess can")]
    FaultStage {
        /// The stage.
        stage: Stage,
    },
    /// A fault on a lane that is not there.
    #[error("lane {lane} is to be lost, and there are {lanes} lanes, numbered from 0")]
    FaultLane {
        /// The lane.
        lane: usize,
        /// Lanes configured.
        lanes: usize,
    },
    /// More buffer sets than [`SETS_MAX`].
    #[error("{sets} buffer sets in all lanes: a simulation takes up to {SETS_MAX}")]
    Sets {
        /// Buffer sets of all lanes.
        sets: usize,
    },
    /// A time beyond [`LONGEST`].
    #[error("{what}: {value} ns: a set-up takes at most {LONGEST} ns (one hour)")]
    TooLong {
        /// What takes so long.
        what: &'static str,
        /// The time.
        value: Nanos,
    },
    /// A factor or coefficient of variation out of range.
    #[error("{value} as {what} of {stage}: from 0 to 1000000 is possible")]
    Factor {
        /// Which number.
        what: &'static str,
        /// Of which stage.
        stage: Stage,
        /// The number.
        value: f64,
    },
    /// [`Times::Replayed`] without an entry.
    #[error("no stage times to replay: give at least one item's")]
    NothingToReplay,
}
