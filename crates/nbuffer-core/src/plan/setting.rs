//! What a plan is made for: stage times, lanes, buffer sets, host threads, link and limits.

use super::{Field, SettingError};
use crate::measure::Stage;
use crate::schedule::{Duplex, HostThreads, LIMIT, Sets};

/// The longest time of a stage, of a launch and between two items: one hour. Longer is a mistyped unit.
pub const LONGEST_S: f64 = 3600.0;

/// The largest coefficient of variation.
pub const CV_MAX: f64 = 10.0;

/// Mean stage times of one item, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// Ip, on a host thread.
    pub preprocess_s: f64,
    /// W.
    pub write_s: f64,
    /// K.
    pub kernel_s: f64,
    /// R.
    pub read_s: f64,
    /// Op, on a host thread.
    pub postprocess_s: f64,
    /// What a call takes in all on a lane that blocks, with what is neither transfer nor kernel; 0 when that
    /// is not known, and for a queued lane.
    pub call_s: f64,
}

impl StageTimes {
    /// The mean time of one stage, in seconds.
    pub fn of(&self, stage: Stage) -> f64 {
        match stage {
            Stage::Preprocess => self.preprocess_s,
            Stage::Write => self.write_s,
            Stage::Kernel => self.kernel_s,
            Stage::Read => self.read_s,
            Stage::Postprocess => self.postprocess_s,
        }
    }

    /// Ip + Op, in seconds.
    pub fn host_s(&self) -> f64 {
        self.preprocess_s + self.postprocess_s
    }
}

/// Coefficients of variation of the stage times: standard deviation over mean, 0 for times that never vary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageCv {
    /// Of preprocess.
    pub preprocess: f64,
    /// Of write.
    pub write: f64,
    /// Of the kernel.
    pub kernel: f64,
    /// Of read.
    pub read: f64,
    /// Of postprocess.
    pub postprocess: f64,
}

impl StageCv {
    /// The same for all stages.
    pub fn all(cv: f64) -> Self {
        StageCv { preprocess: cv, write: cv, kernel: cv, read: cv, postprocess: cv }
    }

    /// That of one stage.
    pub fn of(&self, stage: Stage) -> f64 {
        match stage {
            Stage::Preprocess => self.preprocess,
            Stage::Write => self.write,
            Stage::Kernel => self.kernel,
            Stage::Read => self.read,
            Stage::Postprocess => self.postprocess,
        }
    }
}

/// How a lane's transfers and kernels share its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// A call does write, kernel and read one after the other.
    None,
    /// A call does all three at once, for three items: it lasts as long as the longest (double buffering).
    /// Results come two calls late.
    InLane,
    /// Write, kernel and read are engines of their own, each with a queue.
    #[default]
    Queued,
}

impl Overlap {
    /// The lower-case name of a lane that does so.
    pub const fn name(self) -> &'static str {
        match self {
            Overlap::None => "blocking",
            Overlap::InLane => "double_buffered",
            Overlap::Queued => "queued",
        }
    }
}

/// The link between host and devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Whether both directions share one channel.
    pub duplex: Duplex,
    /// Whether all lanes share it. If not, each has one of its own.
    pub shared: bool,
}

impl Link {
    /// `full` or `half`.
    pub const fn name(self) -> &'static str {
        match self.duplex {
            Duplex::Full => "full",
            Duplex::Half => "half",
        }
    }
}

impl Default for Link {
    /// Full duplex, shared by all lanes.
    fn default() -> Self {
        Link { duplex: Duplex::Full, shared: true }
    }
}

/// Bytes of one buffer set, which it takes on the host and again on the device; 0 where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetBytes {
    /// Its inputs.
    pub input: u64,
    /// Its outputs.
    pub output: u64,
}

/// What must not be exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes of all buffer sets on the host.
    pub host_bytes: Option<u64>,
    /// Bytes of all buffer sets on the devices.
    pub device_bytes: Option<u64>,
    /// Seconds from the start of an item's preprocess to the end of its postprocess, waiting included.
    pub latency_s: Option<f64>,
}

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Mean stage times.
    pub times: StageTimes,
    /// How much they vary.
    pub cv: StageCv,
    /// Lanes, each with a compute unit and a ring of its own (D).
    pub lanes: usize,
    /// Buffer sets of each lane (N).
    pub sets: Sets,
    /// Host threads (C).
    pub host_threads: HostThreads,
    /// Cores that lanes and host threads share, where lanes compute on this machine, each on one core: no more calls and
    /// host stages are under way at once than there are cores. `None` where the device has its own.
    pub cores: Option<usize>,
    /// How a lane's stages overlap.
    pub overlap: Overlap,
    /// The link.
    pub link: Link,
    /// Seconds of a launch that no queue hides (o); they count as the kernel's.
    pub launch_s: f64,
    /// Seconds between two items of the source (A); 0 when it always has one ready.
    pub source_s: f64,
    /// Size of one buffer set.
    pub set_bytes: SetBytes,
    /// Limits.
    pub limits: Limits,
}

impl Setting {
    /// The usual case: queued lanes on one full-duplex link, a source that is never waited for, no jitter, no
    /// limits.
    pub fn new(times: StageTimes, lanes: usize, sets: Sets, host_threads: HostThreads) -> Self {
        Setting {
            times,
            cv: StageCv::default(),
            lanes,
            sets,
            host_threads,
            cores: None,
            overlap: Overlap::default(),
            link: Link::default(),
            launch_s: 0.0,
            source_s: 0.0,
            set_bytes: SetBytes::default(),
            limits: Limits::default(),
        }
    }

    /// Whether every value is in range.
    ///
    /// # Errors
    ///
    /// The first one that is not. A latency limit is checked by [`Plan::new`](super::Plan::new), which knows
    /// the latency.
    pub fn validate(&self) -> Result<(), SettingError> {
        for stage in Stage::ALL {
            check_time(Field::Time(stage), self.times.of(stage))?;
        }
        check_time(Field::Call, self.times.call_s)?;
        check_time(Field::LaunchOverhead, self.launch_s)?;
        check_time(Field::SourceInterval, self.source_s)?;
        if Stage::ALL.into_iter().all(|stage| self.times.of(stage) == 0.0) {
            return Err(SettingError::NoTimes);
        }
        for stage in Stage::ALL {
            let (field, value) = (Field::Cv(stage), self.cv.of(stage));
            if !(0.0..=CV_MAX).contains(&value) {
                return Err(SettingError::Cv { field, value });
            }
        }
        check_count(Field::Lanes, self.lanes)?;
        match self.sets {
            Sets::Joint(n) => check_count(Field::Buffers, n)?,
            Sets::Split { inputs, outputs } => {
                check_count(Field::Buffers, inputs)?;
                check_count(Field::Buffers, outputs)?;
            }
        }
        match self.host_threads {
            HostThreads::Shared(threads) => check_count(Field::HostThreads, threads)?,
            HostThreads::Split { preprocess, postprocess } => {
                check_count(Field::HostThreads, preprocess)?;
                check_count(Field::HostThreads, postprocess)?;
            }
        }
        if let Some(cores) = self.cores {
            check_count(Field::Cores, cores)?;
            if self.overlap != Overlap::None {
                return Err(SettingError::Cores { cores, overlap: self.overlap });
            }
        }
        let needed_bytes = self.with_sets(1).memory_bytes();
        for (field, limit) in
            [(Field::HostMemory, self.limits.host_bytes), (Field::DeviceMemory, self.limits.device_bytes)]
        {
            match limit {
                Some(_) if needed_bytes == 0 => return Err(SettingError::NoBytes { field }),
                Some(limit_bytes) if limit_bytes < needed_bytes => {
                    return Err(SettingError::Memory { field, limit_bytes, needed_bytes, lanes: self.lanes });
                }
                _ => {}
            }
        }
        match self.limits.latency_s {
            Some(limit_s) if !(limit_s > 0.0 && limit_s.is_finite()) => {
                Err(SettingError::Limit { field: Field::Latency, limit_s })
            }
            _ => Ok(()),
        }
    }

    /// The same with `n` buffer sets, or `n` inputs and `n` outputs.
    pub fn with_sets(&self, n: usize) -> Setting {
        let sets = match self.sets {
            Sets::Joint(_) => Sets::Joint(n),
            Sets::Split { .. } => Sets::Split { inputs: n, outputs: n },
        };
        Setting { sets, ..*self }
    }

    /// Bytes of all buffer sets of all lanes, on the host and again on the devices.
    pub fn memory_bytes(&self) -> u64 {
        let (inputs, outputs) = match self.sets {
            Sets::Joint(n) => (n, n),
            Sets::Split { inputs, outputs } => (inputs, outputs),
        };
        let bytes = |n: usize, bytes: u64| (n as u64).saturating_mul(bytes);
        bytes(inputs, self.set_bytes.input)
            .saturating_add(bytes(outputs, self.set_bytes.output))
            .saturating_mul(self.lanes as u64)
    }

    /// How many steps of host threads and calls of lanes are under way at once, where they share cores. More host threads
    /// than cores are taken at their word.
    pub(crate) fn seats(&self) -> Option<usize> {
        self.cores.map(|cores| cores.max(self.host_threads.total()))
    }

    /// Whether each core always has something to do with a single set a lane: as many lanes and host threads as cores, so
    /// that an item that waits, waits for a core.
    pub(super) fn keeps_cores_busy(&self) -> bool {
        let any_stage = matches!(self.host_threads, HostThreads::Shared(_));
        self.seats()
            .is_some_and(|seats| any_stage && self.lanes >= seats && self.host_threads.total() >= seats)
    }

    /// Seconds a kernel occupies its unit: K and what its launch costs.
    pub(super) fn kernel_s(&self) -> f64 {
        self.times.kernel_s + self.launch_s
    }

    /// Seconds one item occupies a lane that blocks, or the compute unit of one that queues.
    pub(super) fn call_s(&self) -> f64 {
        match self.overlap {
            Overlap::None | Overlap::InLane => self.in_call_s().max(self.times.call_s),
            Overlap::Queued => self.kernel_s(),
        }
    }

    /// The same by the stages of a call, without what it costs beside them.
    pub(crate) fn in_call_s(&self) -> f64 {
        let t = &self.times;
        match (self.overlap, self.link.duplex) {
            (Overlap::None, _) => t.write_s + self.kernel_s() + t.read_s,
            (Overlap::InLane, Duplex::Full) => t.write_s.max(t.read_s).max(self.kernel_s()),
            (Overlap::InLane, Duplex::Half) => (t.write_s + t.read_s).max(self.kernel_s()),
            (Overlap::Queued, _) => self.kernel_s(),
        }
    }

    /// Seconds from the start of an item's write to the end of its read, when nothing is waited for.
    pub(super) fn in_lane_s(&self) -> f64 {
        match self.overlap {
            Overlap::None => self.call_s(),
            Overlap::InLane => 3.0 * self.call_s(),
            Overlap::Queued => self.times.write_s + self.kernel_s() + self.times.read_s,
        }
    }
}

fn check_time(field: Field, value_s: f64) -> Result<(), SettingError> {
    // Not a number is in no range.
    if (0.0..=LONGEST_S).contains(&value_s) { Ok(()) } else { Err(SettingError::Time { field, value_s }) }
}

fn check_count(field: Field, value: usize) -> Result<(), SettingError> {
    if (1..=LIMIT).contains(&value) { Ok(()) } else { Err(SettingError::Count { field, value }) }
}
