//! A job's report, put into the summary format.

use nbuffer_core::downtime::Downtime;
use nbuffer_core::measure::{Measures, Tallies};
use nbuffer_core::plan::{Limits, Plan, Setting};
use nbuffer_core::schedule::HostThreads;
use nbuffer_core::summary::{
    BufferChange, Buffers, Bytes, ChosenBy, DeviceSummary, Items, KernelSummary, Latency, PlanSummary,
    Summary,
};
use nbuffer_core::trace::Trace;
use nbuffer_runtime::{Report, SourceEnd};

use crate::job::Facts;

/// Kernels a lane must have run on average for a summary to carry a plan. In a shorter run, filling and
/// draining the rings and cold caches weigh more than the steady state, and the measured period means nothing.
const KERNELS_PER_LANE_MIN: u64 = 16;

pub(crate) fn summarise(
    facts: &Facts,
    report: &Report,
    trace: Option<&Trace>,
    items: Items,
    mut remarks: Vec<String>,
) -> Summary {
    let measures = &report.measures;
    let wall_s = report.wall as f64 / 1e9;
    let tallies = measures.tallies();
    // A run that chose its own N is judged from its last choice on, if it went on for long enough.
    let enough = KERNELS_PER_LANE_MIN * facts.lanes as u64;
    let whole = Measures::new(measures.units().len()).tallies();
    let is_long = |from: &&Tallies| tallies.kernels() - from.kernels() >= enough;
    let from = [&report.settled_from, &whole].into_iter().find(is_long);
    let period = from.and_then(|from| Some((from, tallies.period_since(from)?)));
    // A plan speaks of calls: with a batch, one call is several items.
    let planned = facts.setting.zip(period).and_then(|(setting, (from, period))| {
        let sets = report.sets;
        let host_threads = HostThreads::Shared(report.host_threads);
        let setting = Setting { sets, host_threads, ..setting };
        let setting = setting.with_measured(&tallies.since(from));
        // What was chosen within the limits ran within them.
        let setting = Setting { limits: Limits::default(), ..setting };
        match Plan::new(&setting) {
            Ok(plan) => Some((plan, period / 1e9)),
            Err(error) => {
                remarks.push(format!("no plan can be made from what was measured: {error}"));
                None
            }
        }
    });
    let likely_cause = planned.as_ref().and_then(|(plan, period_s)| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let computing = facts.computing_cores as f64 * plan.device_busy();
        plan.likely_cause(*period_s, cores, computing)
    });
    let kernel = if report.sampled { None } else { KernelSummary::of(measures, report.wall) };
    let kernel = kernel.map(|kernel| match trace {
        Some(trace) => kernel.with_causes(&Downtime::of(trace), planned.as_ref().map(|(plan, _)| plan)),
        None => kernel,
    });
    let plan = planned.map(|(plan, period_s)| PlanSummary::of(&plan, Some(period_s)));
    for (lane, error) in &report.lost {
        remarks.push(format!("lane {lane} was lost: {error}"));
    }
    if facts.batch > 1 {
        let batch = facts.batch;
        remarks.push(format!("stage times, latency and plan are those of calls of up to {batch} items"));
    }
    if let Some(why) = &facts.why_double_buffer {
        remarks.push(format!("double buffering is {why}"));
    }
    let bytes = |bytes: u64, sets: usize| bytes.saturating_mul(sets as u64);
    let host_bytes = bytes(facts.input_bytes, report.sets.inputs())
        .saturating_add(bytes(facts.output_bytes, report.sets.outputs()));
    Summary {
        format: nbuffer_core::summary::FORMAT,
        model: Some(facts.model.clone()),
        device: facts.devices.clone(),
        devices: devices(facts, report),
        engine: facts.engine.clone(),
        lanes: facts.lanes,
        buffers: buffers(facts, report),
        double_buffer: facts.double_buffer,
        host_threads: report.host_threads,
        items: Items { retried: report.totals.retried, ..items },
        accuracy: None,
        interrupted: report.source_end == SourceEnd::Cancelled,
        wall_s,
        items_per_s: if wall_s > 0.0 { items.ok as f64 / wall_s } else { 0.0 },
        latency_s: Latency::of(measures.latencies()),
        stages: measures.stage_summaries(),
        kernel,
        plan,
        likely_cause,
        bytes: Bytes {
            host: host_bytes,
            device: facts.model_bytes + if facts.sets_on_device { host_bytes } else { 0 },
        },
        remarks,
    }
}

/// Each device by itself, where there are several.
fn devices(facts: &Facts, report: &Report) -> Vec<DeviceSummary> {
    if facts.devices.len() < 2 {
        return Vec::new();
    }
    let units = report.measures.units();
    let mut first = 0;
    let of = |(name, (lanes, _)): (&String, &(usize, _))| {
        let own = first..first + lanes;
        first = own.end;
        let lost = report.lost.iter().filter(|(lane, _)| own.contains(lane)).count();
        DeviceSummary::of(name, &units[own], lost)
    };
    facts.devices.iter().zip(&facts.duplex).map(of).collect()
}

fn buffers(facts: &Facts, report: &Report) -> Buffers {
    let changes = report.decisions.iter().map(|decision| BufferChange {
        at_s: decision.at as f64 / 1e9,
        after_items: decision.items,
        inputs: decision.sets.inputs(),
        outputs: decision.sets.outputs(),
        host_threads: decision.host_threads,
        why: decision.why.clone(),
    });
    let why = match (facts.chosen_by, report.decisions.last()) {
        (ChosenBy::User, _) => "asked for".to_owned(),
        (ChosenBy::Auto, Some(last)) => last.why.clone(),
        (ChosenBy::Auto, None) if facts.devices.len() > 1 => {
            "a plain rule, as several devices share the run: one at work, one being prepared, two for what varies".to_owned()
        }
        (ChosenBy::Auto, None) => {
            "those to measure with: the run was too short to choose by what it measured".to_owned()
        }
    };
    Buffers { changes: changes.collect(), ..Buffers::of(report.sets, facts.chosen_by, why) }
}
