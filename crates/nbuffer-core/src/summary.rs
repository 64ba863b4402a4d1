//! The summary every run reports in: one stable, versioned format.
//!
//! All times are seconds, all rates per second. What does not apply to a run is absent.

mod setting;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::downtime::Downtime;
use crate::measure::{ComputeUnit, Durations, Measures, Nanos, Stage};
use crate::plan::{Plan, Resource};
use crate::schedule::{HostThreads, Sets, Totals};

/// The version of this format. It changes when a field changes meaning or goes away.
pub const FORMAT: u32 = 1;

/// How a run went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Always [`FORMAT`].
    pub format: u32,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The devices that ran it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device: Vec<String>,
    /// Of each device, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceSummary>,
    /// What computed the values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// How many lanes ran.
    pub lanes: usize,
    /// The rings.
    pub buffers: Buffers,
    /// Whether lanes overlapped transfer and compute, their results two calls late.
    pub double_buffer: bool,
    /// Host threads (C).
    pub host_threads: usize,
    /// Items by how they ended.
    pub items: Items,
    /// Correct classes over items ok, where the right ones are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Whether the run was stopped before its source ended.
    pub interrupted: bool,
    /// From the first take to the last result.
    pub wall_s: f64,
    /// Items ok over `wall_s`.
    pub items_per_s: f64,
    /// From take to result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_s: Option<Latency>,
    /// Stage times, by the stage's name.
    pub stages: BTreeMap<Cow<'static, str>, StageSummary>,
    /// How busy the compute units were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelSummary>,
    /// What the measured stage times allow, beside what was reached.
    ///
    /// Left out of runs with fewer than 16 kernels per lane on average: their period means nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// Why the run was not as fast as planned, or faster, where it differs by more than 2 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likely_cause: Option<String>,
    /// Memory of all buffer sets, and of the model on the device. Absent where their size is not known.
    #[serde(default, skip_serializing_if = "Bytes::are_unknown")]
    pub bytes: Bytes,
    /// What a reader must know to trust the numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// One device of a run on several.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceSummary {
    /// Its name.
    pub name: String,
    /// Its lanes.
    pub lanes: usize,
    /// Those that were lost.
    pub lanes_lost: usize,
    /// Kernels it ran; with a batch each is several items.
    pub kernels: u64,
    /// Time its lanes computed.
    pub busy_s: f64,
    /// Time they sat idle between two kernels.
    pub downtime_s: f64,
    /// `downtime_s` over their steady-state time.
    pub downtime_fraction: f64,
}

impl DeviceSummary {
    /// Of the device whose lanes have these compute units.
    pub fn of(name: &str, units: &[ComputeUnit], lanes_lost: usize) -> Self {
        let sum = |of: fn(&ComputeUnit) -> Nanos| units.iter().map(of).sum::<Nanos>() as f64 / 1e9;
        let (downtime_s, steady_s) = (sum(ComputeUnit::downtime), sum(ComputeUnit::steady));
        DeviceSummary {
            name: name.to_owned(),
            lanes: units.len(),
            lanes_lost,
            kernels: units.iter().map(ComputeUnit::kernels).sum(),
            busy_s: sum(ComputeUnit::busy),
            downtime_s,
            downtime_fraction: if steady_s > 0.0 { downtime_s / steady_s } else { 0.0 },
        }
    }
}

/// The rings of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Buffers {
    /// Buffer sets per lane (N): the larger of inputs and outputs, where they are recycled apart.
    pub depth: usize,
    /// `joint` where sets travel whole, `split` where inputs and outputs are recycled apart.
    pub layout: Cow<'static, str>,
    /// Input sets per lane.
    pub inputs: usize,
    /// Output sets per lane.
    pub outputs: usize,
    /// Who chose it.
    pub chosen_by: ChosenBy,
    /// Why this number.
    pub why: String,
    /// What was chosen while the stream ran, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<BufferChange>,
}

/// A choice of buffer sets and host threads while a stream ran.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BufferChange {
    /// When, since the run began.
    pub at_s: f64,
    /// After so many items.
    pub after_items: u64,
    /// Input sets per lane from then on.
    pub inputs: usize,
    /// Output sets per lane from then on.
    pub outputs: usize,
    /// Host threads from then on.
    pub host_threads: usize,
    /// Why.
    pub why: String,
}

/// Who chose a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// nbuffer did.
    Auto,
    /// The user did.
    User,
}

/// Items by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// Given by the source.
    pub taken: u64,
    /// With a result.
    pub ok: u64,
    /// Failed.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// How often an item, or with a batch a call, began again because its lane was lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retried: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl From<Totals> for Items {
    fn from(t: Totals) -> Self {
        Items { taken: t.taken, ok: t.ok, failed: t.failed, cancelled: t.cancelled, retried: t.retried }
    }
}

/// From take to result.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90 % were not slower.
    pub p90: f64,
    /// 99 % were not slower.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// Durations of one stage.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StageSummary {
    /// Mean.
    pub mean_s: f64,
    /// Median.
    pub p50_s: f64,
    /// 99 % were not longer.
    pub p99_s: f64,
    /// Their sum.
    pub busy_s: f64,
}

/// How busy the compute units were, summed over them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KernelSummary {
    /// Time they computed.
    pub busy_s: f64,
    /// Time they sat idle between their first and their last kernel.
    pub downtime_s: f64,
    /// `downtime_s` over the time between first and last kernel.
    pub downtime_fraction: f64,
    /// From the run's beginning to their first kernel.
    pub fill_s: f64,
    /// From their last kernel to the run's end.
    pub drain_s: f64,
    /// What the downtime that was traced was spent waiting for, by the cause's name, in seconds. Empty where nothing
    /// was traced.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub causes_s: BTreeMap<Cow<'static, str>, f64>,
    /// The same in a sentence, with what would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What the stage times allow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanSummary {
    /// The smallest possible period, in seconds per item of all lanes.
    pub period_s: f64,
    /// The resource that sets it.
    pub binding: Cow<'static, str>,
    /// How much longer an item could use each other resource before it sets the period, as a fraction of the
    /// period.
    pub slack: BTreeMap<Cow<'static, str>, f64>,
    /// Buffer sets over all lanes that are enough. With split sets so many inputs, and so many outputs.
    pub buffers_enough: usize,
    /// The same with what shared servers and jitter ask for, as far as limits allow.
    pub buffers_advised: usize,
    /// Why so many, for each lane.
    pub buffers_why: String,
    /// Host threads that are enough.
    pub host_threads_enough: usize,
    /// What a run reached.
    #[serde(flatten)]
    pub reached: Option<Reached>,
    /// The stage times it was made from: of a run that chose its own N, those since its last choice.
    pub stages: BTreeMap<Cow<'static, str>, StageTime>,
    /// Time to the first result.
    pub latency_s: f64,
    /// How long an item stays on average when the source is never waited for.
    pub residence_s: f64,
    /// Host threads at work on average.
    pub cores_busy: f64,
    /// The fraction of time each compute unit computes.
    pub device_busy: f64,
    /// What the lanes were taken for: `blocking`, `double_buffered` or `queued`.
    pub lane: Cow<'static, str>,
    /// What the link was taken for: `full` or `half` duplex.
    pub link: Cow<'static, str>,
    /// The cores that lanes compute on beside the host threads, where they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    /// What a call takes in all on a lane that blocks, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_s: Option<f64>,
    /// Time between two items of the source, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_s: Option<f64>,
    /// What limits the period, what would help, what is superfluous.
    pub advice: Vec<String>,
}

/// What a run reached of its plan.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Reached {
    /// The period, from the starts of kernels in steady state.
    pub measured_period_s: f64,
    /// The planned period over it.
    pub efficiency: f64,
}

/// Memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// On the host.
    pub host: u64,
    /// On the device.
    pub device: u64,
}

impl Bytes {
    /// Whether nothing is known of them: a buffer set has at least a byte.
    fn are_unknown(&self) -> bool {
        *self == Bytes::default()
    }
}

impl StageSummary {
    /// The durations of one stage, or `None` when it never ran.
    pub fn of(durations: &Durations) -> Option<Self> {
        (durations.count() > 0).then(|| StageSummary {
            mean_s: durations.mean() / 1e9,
            p50_s: seconds(durations.quantile(0.5)),
            p99_s: seconds(durations.quantile(0.99)),
            busy_s: durations.sum() as f64 / 1e9,
        })
    }
}

impl Latency {
    /// The latencies, or `None` when there are none.
    pub fn of(durations: &Durations) -> Option<Self> {
        (durations.count() > 0).then(|| Latency {
            mean: durations.mean() / 1e9,
            p50: seconds(durations.quantile(0.5)),
            p90: seconds(durations.quantile(0.9)),
            p99: seconds(durations.quantile(0.99)),
            max: seconds(durations.max()),
        })
    }
}

impl KernelSummary {
    /// The compute units over a run that ended at `run_end`, or `None` when no kernel was seen.
    pub fn of(measures: &Measures, run_end: Nanos) -> Option<Self> {
        let units = || measures.units().iter().filter(|unit| unit.kernels() > 0);
        let steady: Nanos = units().map(|unit| unit.steady()).sum();
        (steady > 0).then(|| {
            let downtime: Nanos = units().map(|unit| unit.downtime()).sum();
            KernelSummary {
                busy_s: seconds(units().map(|unit| unit.busy()).sum()),
                downtime_s: seconds(downtime),
                downtime_fraction: downtime as f64 / steady as f64,
                fill_s: seconds(units().map(|unit| unit.fill()).sum()),
                drain_s: seconds(units().map(|unit| unit.drain(run_end)).sum()),
                causes_s: BTreeMap::new(),
                why: None,
            }
        })
    }

    /// The same with what the downtime that was traced was spent waiting for, beside what a plan says.
    pub fn with_causes(mut self, downtime: &Downtime, plan: Option<&Plan>) -> Self {
        let causes = downtime.by_cause.iter().filter(|&(_, time)| time > 0);
        self.causes_s = causes.map(|(cause, time)| (cause.name().into(), seconds(time))).collect();
        self.why = (downtime.steady > 0).then(|| downtime.sentence(plan));
        self
    }
}

/// The time of a stage, as a plan takes it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StageTime {
    /// Mean.
    pub mean_s: f64,
    /// Standard deviation over mean.
    pub cv: f64,
}

impl PlanSummary {
    /// A plan, beside the period that was measured, if one was.
    pub fn of(plan: &Plan, measured_period_s: Option<f64>) -> Self {
        let setting = &plan.setting;
        let mut slack: BTreeMap<Cow<'static, str>, f64> = BTreeMap::new();
        for resource in plan.bounds[1..].iter().map(|bound| bound.resource) {
            let least = slack.entry(name(resource).into()).or_insert(f64::INFINITY);
            *least = least.min(plan.slack(resource).unwrap_or(0.0));
        }
        let times = Stage::ALL.into_iter().map(|stage| {
            let time = StageTime { mean_s: setting.times.of(stage), cv: setting.cv.of(stage) };
            (stage.name().into(), time)
        });
        let in_all = |sets| {
            let of_lane: usize = match sets {
                Sets::Joint(n) => n,
                Sets::Split { inputs, outputs } => inputs.max(outputs),
            };
            of_lane.saturating_mul(setting.lanes)
        };
        let known = |seconds: f64| (seconds > 0.0).then_some(seconds);
        PlanSummary {
            period_s: plan.period_s(),
            binding: name(plan.binding().resource).into(),
            slack,
            stages: times.filter(|(_, time)| time.mean_s > 0.0).collect(),
            buffers_enough: in_all(plan.buffers.enough),
            buffers_advised: in_all(plan.buffers.advised),
            buffers_why: plan.buffers.why.clone(),
            host_threads_enough: match plan.host_threads_enough {
                HostThreads::Shared(threads) => threads,
                HostThreads::Split { preprocess, postprocess } => preprocess.saturating_add(postprocess),
            },
            reached: measured_period_s.map(|measured_period_s| Reached {
                measured_period_s,
                efficiency: if measured_period_s > 0.0 { plan.period_s() / measured_period_s } else { 0.0 },
            }),
            latency_s: plan.latency_s,
            residence_s: plan.residence_s,
            cores_busy: plan.cores_busy(),
            device_busy: plan.device_busy(),
            lane: setting.overlap.name().into(),
            link: setting.link.name().into(),
            cores: setting.cores,
            call_s: known(setting.times.call_s),
            source_s: known(setting.source_s),
            advice: plan.advice(),
        }
    }
}

impl Measures {
    /// The stages that ran, by name.
    pub fn stage_summaries(&self) -> BTreeMap<Cow<'static, str>, StageSummary> {
        Stage::ALL
            .into_iter()
            .filter_map(|stage| Some((stage.name().into(), StageSummary::of(self.of(stage))?)))
            .collect()
    }
}

/// The name of a resource in a summary, which does not tell inputs from outputs, or threads of one stage from
/// threads of the other.
fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Inputs | Resource::Outputs => Resource::Buffers.name(),
        Resource::PreprocessThreads | Resource::PostprocessThreads => Resource::Host.name(),
        other => other.name(),
    }
}

impl Buffers {
    /// So many sets per lane, and nothing chosen while the stream ran.
    pub fn of(sets: Sets, chosen_by: ChosenBy, why: String) -> Self {
        let layout = match sets {
            Sets::Joint(_) => "joint",
            Sets::Split { .. } => "split",
        };
        let (inputs, outputs) = (sets.inputs(), sets.outputs());
        Buffers {
            depth: inputs.max(outputs),
            layout: layout.into(),
            inputs,
            outputs,
            chosen_by,
            why,
            changes: Vec::new(),
        }
    }
}

fn seconds(ns: Nanos) -> f64 {
    ns as f64 / 1e9
}
