//! What became of a stream, in words and as a summary.

use nbuffer::downtime::Downtime;
use nbuffer::measure::Stage;
use nbuffer::plan::{Overlap, Plan, Resource, Setting, Time};
use nbuffer::schedule::HostThreads;
use nbuffer::summary::{
    BufferChange, Buffers, Bytes, ChosenBy, FORMAT, KernelSummary, Latency, PlanSummary, Summary,
};
use nbuffer::trace::Trace;
use nbuffer::tune::Decision;

use super::super::plan::{number, row, sets, what};
use super::super::setting::Chosen;
use super::faults::FaultArgs;
use super::stream::{Steady, Streamed};
use super::{Args, plural};

/// A period this much above the planned one has a reason that a reader wants to know.
const TOLERANCE: f64 = 1.02;

/// In a line.
pub(super) fn headline(streamed: &Streamed) -> String {
    let run = &streamed.run;
    let seconds = run.end as f64 / 1e9;
    let rate = if seconds > 0.0 { run.totals.ok as f64 / seconds } else { 0.0 };
    let items = plural(run.totals.taken, "item");
    format!("{items} in {} of virtual time ({rate:.1} a second)\n", Time(seconds))
}

/// In 80 columns.
pub(super) fn described(args: &Args, chosen: &Chosen, streamed: &Streamed, summary: &Summary) -> String {
    let Streamed { run, plan, steady, .. } = streamed;
    let mut out = String::new();
    say!(out, "");
    if let Some(steady) = steady {
        in_use(&mut out, plan, steady);
        say!(out, "");
    }
    row(&mut out, "items", &ended(streamed));
    let threads = match plan.setting.host_threads {
        HostThreads::Shared(threads) => plural(threads as u64, "host thread"),
        HostThreads::Split { preprocess, postprocess } => {
            format!("{preprocess} + {postprocess} host threads")
        }
    };
    let double = if plan.setting.overlap == Overlap::InLane { ", double buffering" } else { "" };
    let lanes = plural(plan.setting.lanes as u64, "lane");
    row(&mut out, "ran with", &format!("{lanes}, {} each{double}, {threads}", sets(plan.setting.sets)));
    row(&mut out, "buffers", &why(chosen, streamed));
    if varies(&plan.setting) {
        row(&mut out, "times", &format!("drawn log-normally with seed {}", args.seed));
    }
    row(&mut out, "limit", what(plan.binding().resource));
    row(&mut out, "period", &period(streamed, &args.faults));
    if let Some(measured_s) = chosen.measured_period_s {
        row(&mut out, "measured", &format!("the run it is taken from reached {}", Time(measured_s)));
    }
    if let Some(kernel) = &summary.kernel {
        let [down, fill, drain] = [kernel.downtime_s, kernel.fill_s, kernel.drain_s].map(Time);
        let busy = 100.0 * (1.0 - kernel.downtime_fraction);
        let units = if plan.setting.lanes > 1 { " (all lanes together)" } else { "" };
        let text = format!(
            "the device computed {busy:.1} % of the time from its first kernel to its last; idle {down} between \
             them, fill {fill}, drain {drain}{units}"
        );
        row(&mut out, "busy", &text);
        if let Some(why) = &kernel.why {
            row(&mut out, "why", why);
        }
    }
    if let Some(latency) = Latency::of(run.measures.latencies()) {
        let [mean, p99, max] = [latency.mean, latency.p99, latency.max].map(Time);
        let planned = Time(plan.residence_s);
        row(
            &mut out,
            "latency",
            &format!("mean {mean}, 99 % within {p99}, longest {max}; {planned} planned once all is in use"),
        );
    }
    // What is said with the reason for downtime is not said again.
    let why = summary.kernel.as_ref().and_then(|kernel| kernel.why.as_deref()).unwrap_or_default();
    for advice in plan.advice().into_iter().filter(|advice| !why.contains(advice)) {
        row(&mut out, "advice", &advice);
    }
    out
}

/// How much of the steady state each resource was in use, as a bar too. The order is that of the plan.
fn in_use(out: &mut String, plan: &Plan, steady: &Steady) {
    const BAR: f64 = 24.0;
    let is_pool = |r| matches!(r, Resource::Buffers | Resource::Inputs | Resource::Outputs);
    for resource in plan.bounds.iter().map(|bound| bound.resource) {
        let used = steady.used.bounds.iter().find(|used| used.resource == resource);
        let Some(used) = used.filter(|used| !is_pool(resource) && used.period_s > 0.0) else { continue };
        // Over few items the first and the last count for a little more or less than their part.
        let share = (used.period_s / steady.period_s).min(1.0);
        let bar = "#".repeat((share * BAR).round() as usize);
        let used = Time(used.period_s).to_string();
        say!(out, "  {:<22}{used:>10}  {bar:<24}  {:.1} % busy", what(resource), 100.0 * share);
    }
}

fn ended(streamed: &Streamed) -> String {
    let totals = streamed.run.totals;
    let mut text = format!("{} ok", totals.ok);
    for (count, how) in [(totals.failed, "failed"), (totals.cancelled, "cancelled")] {
        if count > 0 {
            text += &format!(", {count} {how}");
        }
    }
    if streamed.cut_short {
        text += "; the others were never taken from the source";
    }
    text
}

/// Why there were so many buffer sets.
fn why(chosen: &Chosen, streamed: &Streamed) -> String {
    match streamed.decisions.last() {
        Some(_) => chosen_on_the_way(&streamed.decisions) + &streamed.plan.buffers.why,
        None if chosen.buffers_auto => {
            "those to measure with: the stream was too short to choose by what it measured".to_owned()
        }
        None => match chosen.buffers_by {
            ChosenBy::User => "asked for".to_owned(),
            ChosenBy::Auto => format!("by the plan: {}", streamed.plan.buffers.why),
        },
    }
}

/// The most choices that are told.
const TOLD: usize = 6;

fn chosen_on_the_way(decisions: &[Decision]) -> String {
    let mut text = "chosen while the stream ran: ".to_owned();
    if decisions.len() > TOLD {
        text += &format!("{} earlier ones, then ", decisions.len() - TOLD);
    }
    for Decision { at, items, sets, .. } in &decisions[decisions.len().saturating_sub(TOLD)..] {
        let (n, at) = (number(*sets), Time(*at as f64 / 1e9));
        text += &format!("{n} at {at}, after {}; ", plural(*items, "item"));
    }
    text
}

/// The period measured beside the one planned, and where the difference comes from.
fn period(streamed: &Streamed, faults: &FaultArgs) -> String {
    let Streamed { plan, steady, .. } = streamed;
    let planned_s = plan.period_s();
    let Some(Steady { period_s, .. }) = *steady else {
        return format!("{} planned; the stream is too short to measure it", Time(planned_s));
    };
    let difference = match 100.0 * (period_s / planned_s - 1.0) {
        percent if percent.abs() < 0.05 => "as planned".to_owned(),
        percent => format!("{:.1} % {}", percent.abs(), if percent > 0.0 { "longer" } else { "shorter" }),
    };
    let mut text =
        format!("{} measured in steady state, {} planned: {difference}", Time(period_s), Time(planned_s));
    text.extend(likely_cause(streamed, faults).map(|cause| format!("; {cause}")));
    text
}

/// Why the period is longer than planned, if it is. Nothing takes time in virtual time but what was asked for, so
/// that it can only be this.
fn likely_cause(streamed: &Streamed, faults: &FaultArgs) -> Option<String> {
    let Streamed { plan, steady, .. } = streamed;
    if steady.as_ref()?.period_s <= TOLERANCE * plan.period_s() {
        return None;
    }
    let (now, advised) = (plan.setting.sets, plan.buffers.advised);
    if faults.any() {
        return Some("what went wrong is in it".to_owned());
    }
    if now.inputs() < advised.inputs() || now.outputs() < advised.outputs() {
        return Some(format!("{} are advised: {}", sets(advised), plan.buffers.why));
    }
    varies(&plan.setting).then(|| "the plan speaks of mean times, and these vary".to_owned())
}

fn varies(setting: &Setting) -> bool {
    Stage::ALL.into_iter().any(|stage| setting.cv.of(stage) > 0.0)
}

/// As a run's summary. What only a real run has is absent.
pub(super) fn summary(args: &Args, chosen: &Chosen, streamed: &Streamed, trace: &Trace) -> Summary {
    let Streamed { run, plan, steady, decisions, cut_short } = streamed;
    let setting = &plan.setting;
    let wall_s = run.end as f64 / 1e9;
    let changes = decisions.iter().map(|decision| BufferChange {
        at_s: decision.at as f64 / 1e9,
        after_items: decision.items,
        inputs: decision.sets.inputs(),
        outputs: decision.sets.outputs(),
        host_threads: decision.host_threads,
        why: decision.why.clone(),
    });
    let why = decisions.last().map_or_else(|| why(chosen, streamed), |last| last.why.clone());
    let bytes = plan.memory_bytes();
    Summary {
        format: FORMAT,
        model: None,
        device: Vec::new(),
        devices: Vec::new(),
        engine: None,
        lanes: setting.lanes,
        buffers: Buffers { changes: changes.collect(), ..Buffers::of(setting.sets, chosen.buffers_by, why) },
        double_buffer: setting.overlap == Overlap::InLane,
        host_threads: setting.host_threads.total(),
        items: run.totals.into(),
        accuracy: None,
        interrupted: *cut_short,
        wall_s,
        items_per_s: if wall_s > 0.0 { run.totals.ok as f64 / wall_s } else { 0.0 },
        latency_s: Latency::of(run.measures.latencies()),
        stages: run.measures.stage_summaries(),
        kernel: KernelSummary::of(&run.measures, run.end)
            .map(|kernel| kernel.with_causes(&Downtime::of(trace), Some(plan))),
        likely_cause: likely_cause(streamed, &args.faults),
        plan: Some(PlanSummary::of(plan, steady.as_ref().map(|steady| steady.period_s))),
        bytes: Bytes { host: bytes, device: bytes },
        remarks: vec![format!("simulated in virtual time, seed {}", args.seed)],
    }
}
