//! The flags that describe a pipeline: stage times, lanes, buffer sets, host threads, link, limits.
//!
//! `plan` and `simulate` flatten [`SettingArgs`]. A TOML file holds the same values under the same names, and
//! the summary of a run holds most of them; what a flag gives comes first, then the file, then the run.

mod run;
mod values;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nbuffer::measure::Stage;
use nbuffer::plan::{
    Field, Limits, Link, Overlap, Plan, SetBytes, Setting, SettingError, StageCv, StageTimes,
};
use nbuffer::schedule::{Duplex, HostThreads, LIMIT, Sets};
use nbuffer::summary::ChosenBy;

use self::run::Run;
use self::values::{BuffersArg, Count, DuplexArg, Layout, Links, OneOrTwo, OverlapArg, Ratio, scalar};
use super::duration::{Bytes, Seconds, SomeSeconds};

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
    /// Whether `--buffers auto` was asked for in so many words: where a stream runs, while it runs.
    pub(super) buffers_auto: bool,
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
    /// Buffer sets of each lane, or inputs + outputs as in 4+3; with auto, `simulate` starts with few and
    /// chooses while the stream runs, as `run` does [default: as many as are advised]
    #[arg(long, value_name = "auto|N", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    buffers: Option<BuffersArg>,
    /// Threads for preprocess and postprocess, or for one each as in 3+1 [default: as many as are enough]
    #[arg(long, value_name = "C", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    host_threads: Option<OneOrTwo>,
    /// Lanes, each with a compute unit and a ring of its own [default: 1]
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    lanes: Option<Count>,
    /// Cores of this machine, where lanes compute on them beside the host threads: then no more host stages and calls are
    /// under way than there are cores [default: the device has its own]
    #[arg(long, value_name = "CORES", allow_hyphen_values = true)]
    #[serde(deserialize_with = "scalar")]
    cores: Option<Count>,
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
    /// Whether there is any of them.
    pub(super) fn is_given(&self) -> bool {
        self.given != Given::default() || self.setting.is_some() || self.from.is_some()
    }

    /// The setting they come to. N and C that are not given are those that the plan advises.
    pub(super) fn setting(&self) -> anyhow::Result<Chosen> {
        let from = self.from.as_deref().map(Run::read).transpose()?;
        let file = self.setting.as_deref().map(read_toml).transpose()?.unwrap_or_default();
        let given = self.given.clone().or(file);
        let measured_period_s =
            from.as_ref().and_then(Run::measured_period_s).filter(|_| given == Given::default());
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
        Field::Cores => "--cores",
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
            cores: self.cores.or(other.cores),
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
        setting.cores = self.cores.map(|cores| cores.0);
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
        let is_given = matches!(self.buffers, Some(BuffersArg::Sets(_)));
        if !is_given {
            setting.sets = Plan::new(&setting).map_err(named)?.buffers.advised;
        }
        Ok(Chosen {
            setting,
            buffers_by: chosen_by(is_given),
            buffers_auto: self.buffers == Some(BuffersArg::Auto),
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
        let n = match self.buffers {
            Some(BuffersArg::Sets(n)) => n,
            Some(BuffersArg::Auto) | None => OneOrTwo::One(default),
        };
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
