//! The flags that describe a pipeline: stage times, lanes, buffer sets, host threads, link, limits.
//!
//! `plan` and `simulate` flatten [`SettingArgs`]. A TOML file holds the same values under the same names, and
//! the summary of a run holds most of them; what a flag gives comes first, then the file, then the run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use nbuffer::measure::Stage;
use nbuffer::plan::{
    CV_MAX, Field, Limits, Link, Overlap, Plan, SetBytes, Setting, SettingError, StageCv, StageTimes,
};
use nbuffer::schedule::{Duplex, HostThreads, LIMIT, Sets};
use nbuffer::summary::{ChosenBy, FORMAT};
use serde::de::{Deserialize, Deserializer, Visitor};

use super::duration::{Bytes, Seconds, SomeSeconds};
use super::values::count;

/// Flags of a pipeline, and files that hold what no flag gives.
#[derive(Debug, clap::Args)]
pub(super) struct SettingArgs {
    #[command(flatten)]
    given: Given,
    /// Take what no flag gives from a TOML file: the same names without dashes in front, as in
    /// `host-threads = 2` and `ip = "4ms"`
    #[arg(long, value_name = "FILE.toml", help_heading = "Pipeline")]
    setting: Option<PathBuf>,
    /// Take what is given nowhere else from the summary of a run (`run --summary`)
    #[arg(long, value_name = "RUN.json", help_heading = "Pipeline")]
    from: Option<PathBuf>,
}

/// A setting, and who chose what is not a fact about the pipeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub(super) setting: Setting,
    pub(super) buffers_by: ChosenBy,
    pub(super) host_threads_by: ChosenBy,
    /// The period a run measured, if the setting is that of the run in all.
    pub(super) measured_period_s: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, clap::Args, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[command(next_help_heading = "Pipeline")]
struct Given {
    /// Preprocess: host work that prepares an input, as in 4ms or 1.5s
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    ip: Option<Seconds>,
    /// Write: copy to the device
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    w: Option<Seconds>,
    /// Kernel
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    k: Option<Seconds>,
    /// Read: copy from the device
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    r: Option<Seconds>,
    /// Postprocess: host work on an output
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    op: Option<Seconds>,
    /// Coefficient of variation of all stage times: standard deviation over mean [default: 0]
    #[arg(long, value_name = "CV", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    cv: Option<Ratio>,
    /// That of preprocess
    #[arg(long, value_name = "CV", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    ip_cv: Option<Ratio>,
    /// That of write
    #[arg(long, value_name = "CV", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    w_cv: Option<Ratio>,
    /// That of the kernel
    #[arg(long, value_name = "CV", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    k_cv: Option<Ratio>,
    /// That of read
    #[arg(long, value_name = "CV", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    r_cv: Option<Ratio>,
    /// That of postprocess
    #[arg(long, value_name = "CV", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    op_cv: Option<Ratio>,
    /// Buffer sets of each lane, or inputs + outputs as in 4+3 [default: as many as are advised]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    buffers: Option<OneOrTwo>,
    /// Threads for preprocess and postprocess, or for one each as in 3+1 [default: as many as are enough]
    #[arg(long, value_name = "C", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    host_threads: Option<OneOrTwo>,
    /// Lanes, each with a compute unit and a ring of its own [default: 1]
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    lanes: Option<Count>,
    /// Write, kernel and read of a lane: engines with queues, one after the other in a call, or all three in
    /// a call for three items [default: queued]
    #[arg(long, value_name = "queued|blocking|double-buffer")]
    #[serde(deserialize_with = "scalar")]
    overlap: Option<OverlapArg>,
    /// Sets that travel whole, or inputs and outputs recycled apart [default: joint]
    #[arg(long, value_name = "joint|split")]
    #[serde(deserialize_with = "scalar")]
    layout: Option<Layout>,
    /// Whether the two directions of a link share one channel (half) [default: full]
    #[arg(long, value_name = "full|half")]
    #[serde(deserialize_with = "scalar")]
    link: Option<DuplexArg>,
    /// One link for all lanes, or one for each [default: one]
    #[arg(long, value_name = "one|per-lane")]
    #[serde(deserialize_with = "scalar")]
    links: Option<Links>,
    /// What a launch costs that no queue hides; it counts as the kernel's [default: 0s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    launch_overhead: Option<Seconds>,
    /// What a call takes in all on a lane that blocks, if more than its stages
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    call: Option<Seconds>,
    /// Time between two items of the source [default: it always has one ready]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    source_interval: Option<SomeSeconds>,
    /// Input bytes of one buffer set, as in 640 or 1.5MiB
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    bytes_in: Option<Bytes>,
    /// Output bytes of one buffer set
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    bytes_out: Option<Bytes>,
    /// Host memory for buffer sets
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    memory_host: Option<Bytes>,
    /// Device memory for buffer sets
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    memory_device: Option<Bytes>,
    /// How long an item may stay, waiting included
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    latency_max: Option<SomeSeconds>,
}

impl SettingArgs {
    /// The setting they come to. N and C that are not given are those that the plan advises.
    pub(super) fn setting(&self) -> anyhow::Result<Chosen> {
        let from = self.from.as_deref().map(Run::read).transpose()?;
        let file = self.setting.as_deref().map(read_toml).transpose()?.unwrap_or_default();
        let given = self.given.clone().or(file);
        let measured_period_s = from
            .as_ref()
            .and_then(|run| run.plan.as_ref()?.measured_period_s)
            .filter(|_| given == Given::default());
        let given = match &from {
            Some(run) => given.or(run.given()?),
            None => given,
        };
        given.chosen(measured_period_s)
    }
}

/// An error of the core, with the flag that can mend it in front.
pub(super) fn named(error: SettingError) -> anyhow::Error {
    let flag = match error.field() {
        Field::Times => "--ip, --w, --k, --r, --op",
        Field::Time(Stage::Preprocess) => "--ip",
        Field::Time(Stage::Write) => "--w",
        Field::Time(Stage::Kernel) => "--k",
        Field::Time(Stage::Read) => "--r",
        Field::Time(Stage::Postprocess) => "--op",
        Field::Cv(Stage::Preprocess) => "--ip-cv",
        Field::Cv(Stage::Write) => "--w-cv",
        Field::Cv(Stage::Kernel) => "--k-cv",
        Field::Cv(Stage::Read) => "--r-cv",
        Field::Cv(Stage::Postprocess) => "--op-cv",
        Field::Call => "--call",
        Field::LaunchOverhead => "--launch-overhead",
        Field::SourceInterval => "--source-interval",
        Field::Lanes => "--lanes",
        Field::Buffers => "--buffers",
        Field::HostThreads => "--host-threads",
        Field::HostMemory => "--memory-host",
        Field::DeviceMemory => "--memory-device",
        Field::Latency => "--latency-max",
    };
    let hint = match error {
        SettingError::NoBytes { .. } => "; give --bytes-in and --bytes-out",
        _ => "",
    };
    anyhow::anyhow!("{flag}: {error}{hint}")
}

impl Given {
    /// These, and from `other` what is not among them.
    fn or(self, other: Given) -> Given {
        Given {
            ip: self.ip.or(other.ip),
            w: self.w.or(other.w),
            k: self.k.or(other.k),
            r: self.r.or(other.r),
            op: self.op.or(other.op),
            cv: self.cv.or(other.cv),
            ip_cv: self.ip_cv.or(other.ip_cv),
            w_cv: self.w_cv.or(other.w_cv),
            k_cv: self.k_cv.or(other.k_cv),
            r_cv: self.r_cv.or(other.r_cv),
            op_cv: self.op_cv.or(other.op_cv),
            buffers: self.buffers.or(other.buffers),
            host_threads: self.host_threads.or(other.host_threads),
            lanes: self.lanes.or(other.lanes),
            overlap: self.overlap.or(other.overlap),
            layout: self.layout.or(other.layout),
            link: self.link.or(other.link),
            links: self.links.or(other.links),
            launch_overhead: self.launch_overhead.or(other.launch_overhead),
            call: self.call.or(other.call),
            source_interval: self.source_interval.or(other.source_interval),
            bytes_in: self.bytes_in.or(other.bytes_in),
            bytes_out: self.bytes_out.or(other.bytes_out),
            memory_host: self.memory_host.or(other.memory_host),
            memory_device: self.memory_device.or(other.memory_device),
            latency_max: self.latency_max.or(other.latency_max),
        }
    }

    fn chosen(&self, measured_period_s: Option<f64>) -> anyhow::Result<Chosen> {
        if [self.ip, self.w, self.k, self.r, self.op].iter().all(Option::is_none) {
            bail!(
                "no stage times are given: give --ip, --w, --k, --r and --op, --setting FILE.toml or --from RUN.json"
            );
        }
        let mut setting =
            Setting::new(self.times(), self.lanes.map_or(1, |n| n.0), self.sets(1)?, self.threads(1));
        setting.cv = self.stage_cv();
        setting.overlap = self.overlap.map_or(Overlap::Queued, |overlap| overlap.0);
        setting.link = Link {
            duplex: self.link.map_or(Duplex::Full, |link| link.0),
            shared: self.links.is_none_or(|links| links == Links::One),
        };
        setting.launch_s = self.launch_overhead.map_or(0.0, |time| time.0);
        setting.source_s = self.source_interval.map_or(0.0, |time| time.0);
        let bytes = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.0);
        setting.set_bytes =
            SetBytes { input: bytes(self.bytes_in).unwrap_or(0), output: bytes(self.bytes_out).unwrap_or(0) };
        setting.limits = Limits {
            host_bytes: bytes(self.memory_host),
            device_bytes: bytes(self.memory_device),
            latency_s: self.latency_max.map(|time| time.0),
        };
        let chosen_by = |given: bool| if given { ChosenBy::User } else { ChosenBy::Auto };
        if self.host_threads.is_none() {
            let unlimited = Setting { limits: Limits::default(), ..setting };
            setting.host_threads = match Plan::new(&unlimited).map_err(named)?.host_threads_enough {
                HostThreads::Shared(threads) => HostThreads::Shared(threads.min(LIMIT)),
                split => split,
            };
        }
        if self.buffers.is_none() {
            setting.sets = Plan::new(&setting).map_err(named)?.buffers.advised;
        }
        Ok(Chosen {
            setting,
            buffers_by: chosen_by(self.buffers.is_some()),
            host_threads_by: chosen_by(self.host_threads.is_some()),
            measured_period_s,
        })
    }

    fn times(&self) -> StageTimes {
        let seconds = |time: Option<Seconds>| time.map_or(0.0, |time| time.0);
        StageTimes {
            preprocess_s: seconds(self.ip),
            write_s: seconds(self.w),
            kernel_s: seconds(self.k),
            read_s: seconds(self.r),
            postprocess_s: seconds(self.op),
            call_s: seconds(self.call),
        }
    }

    fn stage_cv(&self) -> StageCv {
        let cv = |of_stage: Option<Ratio>| of_stage.or(self.cv).map_or(0.0, |cv| cv.0);
        StageCv {
            preprocess: cv(self.ip_cv),
            write: cv(self.w_cv),
            kernel: cv(self.k_cv),
            read: cv(self.r_cv),
            postprocess: cv(self.op_cv),
        }
    }

    fn sets(&self, default: usize) -> anyhow::Result<Sets> {
        let n = self.buffers.unwrap_or(OneOrTwo::One(default));
        Ok(match (self.layout, n) {
            (Some(Layout::Joint), OneOrTwo::Two(..)) => {
                bail!("--buffers {n}: inputs and outputs are counted apart with --layout split only")
            }
            (None | Some(Layout::Joint), OneOrTwo::One(n)) => Sets::Joint(n),
            (Some(Layout::Split), OneOrTwo::One(n)) => Sets::Split { inputs: n, outputs: n },
            (None | Some(Layout::Split), OneOrTwo::Two(inputs, outputs)) => Sets::Split { inputs, outputs },
        })
    }

    fn threads(&self, default: usize) -> HostThreads {
        match self.host_threads.unwrap_or(OneOrTwo::One(default)) {
            OneOrTwo::One(threads) => HostThreads::Shared(threads),
            OneOrTwo::Two(preprocess, postprocess) => HostThreads::Split { preprocess, postprocess },
        }
    }
}

fn read_toml(path: &Path) -> anyhow::Result<Given> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read --setting `{}`", path.display()))?;
    toml::from_str(&text).with_context(|| format!("--setting `{}`", path.display()))
}

/// What a plan needs of a run's summary.
#[derive(Debug, serde::Deserialize)]
struct Run {
    format: u32,
    lanes: usize,
    buffers: RunBuffers,
    double_buffer: bool,
    host_threads: usize,
    stages: BTreeMap<String, RunStage>,
    plan: Option<RunPlan>,
}

#[derive(Debug, serde::Deserialize)]
struct RunBuffers {
    depth: usize,
}

#[derive(Debug, serde::Deserialize)]
struct RunStage {
    mean_s: f64,
}

#[derive(Debug, serde::Deserialize)]
struct RunPlan {
    measured_period_s: Option<f64>,
    lane: Option<String>,
    link: Option<DuplexArg>,
    call_s: Option<f64>,
    source_s: Option<f64>,
}

impl Run {
    fn read(path: &Path) -> anyhow::Result<Run> {
        let named = || format!("--from `{}`", path.display());
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", named()))?;
        let run: Run = serde_json::from_str(&text)
            .with_context(|| format!("{}: this is not the summary of a run", named()))?;
        if run.format != FORMAT {
            bail!("{}: summary format {} is not known, only {FORMAT}", named(), run.format);
        }
        if run.stages.is_empty() {
            bail!("{}: the summary holds no stage times", named());
        }
        Ok(run)
    }

    fn given(&self) -> anyhow::Result<Given> {
        let mean = |stage: Stage| self.stages.get(stage.name()).map(|stage| Seconds(stage.mean_s));
        let plan = self.plan.as_ref();
        let overlap = match plan.and_then(|plan| plan.lane.as_deref()) {
            Some(lane) => {
                Some(lane.parse().map_err(|error| anyhow::anyhow!("--from: `plan.lane`: {error}"))?)
            }
            None if self.double_buffer => Some(OverlapArg(Overlap::InLane)),
            None => {
                tell!(
                    "note: the run does not say how its lanes overlap: queued unless --overlap says otherwise"
                );
                None
            }
        };
        Ok(Given {
            ip: mean(Stage::Preprocess),
            w: mean(Stage::Write),
            k: mean(Stage::Kernel),
            r: mean(Stage::Read),
            op: mean(Stage::Postprocess),
            buffers: Some(OneOrTwo::One(self.buffers.depth)),
            host_threads: Some(OneOrTwo::One(self.host_threads)),
            lanes: Some(Count(self.lanes)),
            // What the calls of a run share is in what they took.
            links: overlap.is_some_and(|o| o != OverlapArg(Overlap::Queued)).then_some(Links::PerLane),
            overlap,
            link: plan.and_then(|plan| plan.link),
            call: plan.and_then(|plan| plan.call_s).map(Seconds),
            source_interval: plan.and_then(|plan| plan.source_s).map(SomeSeconds),
            ..Given::default()
        })
    }
}

/// Reads what a flag would read, from a text or a number.
fn scalar<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(from: D) -> Result<Option<T>, D::Error> {
    struct Scalar;
    impl Visitor<'_> for Scalar {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_u64<E>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_f64<E>(self, number: f64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    let text = from.deserialize_any(Scalar)?;
    text.parse().map(Some).map_err(|error| serde::de::Error::custom(format!("`{text}`: {error}")))
}

/// A coefficient of variation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ratio(f64);

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            Ok(ratio) if (0.0..=CV_MAX).contains(&ratio) => Ok(Ratio(ratio)),
            _ => Err(format!("a number from 0 to {CV_MAX} is expected, as in 0.3")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Count(usize);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        count(text).map(Count)
    }
}

/// `3` for both, or `2+1` for one and the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum OneOrTwo {
    One(usize),
    Two(usize, usize),
}

impl FromStr for OneOrTwo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('+') {
            Some((a, b)) => Ok(OneOrTwo::Two(count(a.trim())?, count(b.trim())?)),
            None => Ok(OneOrTwo::One(count(text)?)),
        }
    }
}

impl fmt::Display for OneOrTwo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OneOrTwo::One(n) => write!(f, "{n}"),
            OneOrTwo::Two(a, b) => write!(f, "{a}+{b}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct OverlapArg(Overlap);

impl FromStr for OverlapArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "queued" => Ok(OverlapArg(Overlap::Queued)),
            "blocking" => Ok(OverlapArg(Overlap::None)),
            // As a flag, and as in a summary.
            "double-buffer" | "double_buffered" => Ok(OverlapArg(Overlap::InLane)),
            _ => Err("queued, blocking or double-buffer is expected".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct DuplexArg(Duplex);

impl FromStr for DuplexArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "full" => Ok(DuplexArg(Duplex::Full)),
            "half" => Ok(DuplexArg(Duplex::Half)),
            _ => Err("full or half is expected".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for DuplexArg {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    Joint,
    Split,
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "joint" => Ok(Layout::Joint),
            "split" => Ok(Layout::Split),
            _ => Err("joint or split is expected".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Links {
    One,
    PerLane,
}

impl FromStr for Links {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "one" => Ok(Links::One),
            "per-lane" => Ok(Links::PerLane),
            _ => Err("one or per-lane is expected".to_owned()),
        }
    }
}
