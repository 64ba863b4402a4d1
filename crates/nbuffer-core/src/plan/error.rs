//! Why nothing can be planned for a setting, and which part of it is to blame.

use super::{CV_MAX, LONGEST_S, Overlap, Time};
use crate::measure::Stage;
use crate::schedule::LIMIT;

/// A part of a [`Setting`](super::Setting) that an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The stage times taken together.
    Times,
    /// The mean time of a stage.
    Time(Stage),
    /// The coefficient of variation of a stage.
    Cv(Stage),
    /// What a call takes in all.
    Call,
    /// What a launch costs.
    LaunchOverhead,
    /// The time between two items of the source.
    SourceInterval,
    /// Lanes.
    Lanes,
    /// Buffer sets.
    Buffers,
    /// Host threads.
    HostThreads,
    /// Cores that lanes compute on.
    Cores,
    /// The limit of host memory.
    HostMemory,
    /// The limit of device memory.
    DeviceMemory,
    /// The limit of latency.
    Latency,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Field::Times => "stage times",
            Field::Time(stage) => return write!(f, "{stage} time"),
            Field::Cv(stage) => return write!(f, "coefficient of variation of {stage}"),
            Field::Call => "call time",
            Field::LaunchOverhead => "launch overhead",
            Field::SourceInterval => "source interval",
            Field::Lanes => "lanes",
            Field::Buffers => "buffer sets",
            Field::HostThreads => "host threads",
            Field::Cores => "cores",
            Field::HostMemory => "host memory limit",
            Field::DeviceMemory => "device memory limit",
            Field::Latency => "latency limit",
        };
        f.write_str(name)
    }
}

/// Why nothing can be planned for a [`Setting`](super::Setting).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// A time that is negative, no number, or too long.
    #[error("{field} is {value_s} s: from 0 to {LONGEST_S} s are possible")]
    Time {
        /// Which.
        field: Field,
        /// The value given.
        value_s: f64,
    },
    /// A coefficient of variation that is negative, no number, or too large.
    #[error("{field} is {value}: from 0 to {CV_MAX} are possible")]
    Cv {
        /// Which.
        field: Field,
        /// The value given.
        value: f64,
    },
    /// A count that is 0 or beyond [`LIMIT`].
    #[error("{value} {field}: from 1 to {LIMIT} are possible")]
    Count {
        /// Of what.
        field: Field,
        /// The value given.
        value: usize,
    },
    /// All stage times are 0.
    #[error("all stage times are 0: at least one stage must take time")]
    NoTimes,
    /// A latency limit that is 0, negative or no number.
    #[error("{field} is {limit_s} s: more than 0 s is expected")]
    Limit {
        /// Which.
        field: Field,
        /// The value given.
        limit_s: f64,
    },
    /// A memory limit for buffer sets whose size is not known.
    #[error("{field} needs the bytes of a buffer set, which are not given")]
    NoBytes {
        /// Which.
        field: Field,
    },
    /// A memory limit that does not hold one buffer set for each lane.
    #[error("{field} is {limit_bytes} B: one buffer set for each lane ({lanes}) takes {needed_bytes} B")]
    Memory {
        /// Which.
        field: Field,
        /// The limit.
        limit_bytes: u64,
        /// Bytes of one buffer set per lane.
        needed_bytes: u64,
        /// Lanes.
        lanes: usize,
    },
    /// Cores that are shared by lanes which do not compute on this machine.
    #[error("{cores} cores for lanes that are {}: only calls of a lane that blocks compute on the host's cores", overlap.name())]
    Cores {
        /// The cores.
        cores: usize,
        /// How the lanes overlap.
        overlap: Overlap,
    },
    /// A latency limit that no number of buffer sets meets.
    #[error("latency limit is {}: an item takes {} at least, whatever N", Time(*.limit_s), Time(*.least_s))]
    Latency {
        /// The limit.
        limit_s: f64,
        /// The shortest possible time.
        least_s: f64,
    },
}

impl SettingError {
    /// The part of the setting it speaks of.
    pub fn field(&self) -> Field {
        match self {
            SettingError::Time { field, .. }
            | SettingError::Cv { field, .. }
            | SettingError::Count { field, .. }
            | SettingError::Limit { field, .. }
            | SettingError::NoBytes { field }
            | SettingError::Memory { field, .. } => *field,
            SettingError::NoTimes => Field::Times,
            SettingError::Cores { .. } => Field::Cores,
            SettingError::Latency { .. } => Field::Latency,
        }
    }
}
