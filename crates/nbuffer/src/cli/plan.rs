//! `nbuffer plan`: what period given stage times allow, what limits it, and how many buffer sets and host
//! threads are enough.

use std::collections::BTreeMap;

use nbuffer::measure::Stage;
use nbuffer::plan::{IntelRule, Overlap, Plan, Resource, Time, Verdict};
use nbuffer::schedule::{HostThreads, Sets};
use nbuffer::summary::{Buffers, Bytes, ChosenBy, FORMAT, PlanSummary};
use serde::Serialize;

use super::duration::bytes;
use super::setting::{Chosen, SettingArgs, named};
use super::sweep::{Outcome, Sweep, SweepArgs};
use super::values::at_least_one;
use super::{Status, emit};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: nbuffer plan --ip 4ms --w 500us --k 2ms --r 500us --op 1ms --host-threads 2"
)]
pub(super) struct Args {
    /// How long a stream of so many items takes
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "sweep")]
    items: Option<u64>,
    #[command(flatten)]
    sweep: SweepArgs,
    /// As JSON, in the format of a run's summary
    #[arg(long)]
    json: bool,
    // Last, since its heading holds for all that follows.
    #[command(flatten)]
    setting: SettingArgs,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let chosen = args.setting.setting()?;
    if let Some(sweep) = &args.sweep.sweep {
        return swept(args, sweep, &chosen);
    }
    if args.json {
        return emit(&(json(args)? + "\n"));
    }
    let plan = Plan::new(&chosen.setting).map_err(named)?;
    emit(&described(&plan, &chosen, args.items))
}

pub(super) fn json(args: &Args) -> anyhow::Result<String> {
    let chosen = args.setting.setting()?;
    let plan = Plan::new(&chosen.setting).map_err(named)?;
    Ok(serde_json::to_string_pretty(&Planned::of(&plan, &chosen, args.items))?)
}

fn swept(args: &Args, sweep: &Sweep, chosen: &Chosen) -> anyhow::Result<Status> {
    let swept = sweep.try_all(&chosen.setting, |setting| {
        let plan = Plan::new(setting).map_err(named)?;
        let limit = plan.binding().resource.name();
        Ok(Outcome { period_s: plan.period_s(), limit, residence_s: plan.residence_s })
    })?;
    args.sweep.write(&swept)?;
    emit(&swept.table())
}

/// A plan in the format of a run's summary; what only a run has is absent.
#[derive(Serialize)]
struct Planned {
    format: u32,
    lanes: usize,
    buffers: Buffers,
    double_buffer: bool,
    host_threads: usize,
    items_per_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_s: Option<f64>,
    stages: BTreeMap<&'static str, PlannedStage>,
    plan: PlanSummary,
    intel_rule: IntelRule,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Bytes>,
}

#[derive(Serialize)]
struct PlannedStage {
    mean_s: f64,
}

impl Planned {
    fn of(plan: &Plan, chosen: &Chosen, items: Option<u64>) -> Self {
        let setting = &plan.setting;
        let wall_s = items.map(|items| plan.time_for_s(items));
        let bytes = plan.memory_bytes();
        let stages = Stage::ALL.map(|stage| (stage.name(), PlannedStage { mean_s: setting.times.of(stage) }));
        Planned {
            format: FORMAT,
            lanes: setting.lanes,
            buffers: Buffers::of(
                setting.sets,
                chosen.buffers_by,
                match chosen.buffers_by {
                    ChosenBy::Auto => plan.buffers.why.clone(),
                    ChosenBy::User => "asked for".to_owned(),
                },
            ),
            double_buffer: setting.overlap == Overlap::InLane,
            host_threads: match setting.host_threads {
                HostThreads::Shared(threads) => threads,
                HostThreads::Split { preprocess, postprocess } => preprocess + postprocess,
            },
            items_per_s: items.zip(wall_s).map_or(1.0 / plan.period_s(), |(n, s)| n as f64 / s),
            wall_s,
            stages: stages.into_iter().filter(|(_, stage)| stage.mean_s > 0.0).collect(),
            plan: PlanSummary::of(plan, chosen.measured_period_s),
            intel_rule: plan.intel_rule(),
            bytes: (bytes > 0).then_some(Bytes { host: bytes, device: bytes }),
        }
    }
}

/// A plan for people, in 80 columns.
fn described(plan: &Plan, chosen: &Chosen, items: Option<u64>) -> String {
    let mut out = String::new();
    let setting = &plan.setting;
    let period_s = plan.period_s();
    say!(
        out,
        "an item every {} ({:.1} a second), limited by {}\n",
        Time(period_s),
        1.0 / period_s,
        what(plan.binding().resource)
    );
    bounds(&mut out, plan);
    say!(out, "");
    let buffers = format!(
        "{} a lane{}; {} advised: {}",
        sets(setting.sets),
        by(chosen.buffers_by),
        number(plan.buffers.advised),
        plan.buffers.why
    );
    row(&mut out, "buffers", &buffers);
    let now = match setting.host_threads {
        HostThreads::Shared(threads) => threads.to_string(),
        HostThreads::Split { preprocess, postprocess } => format!("{preprocess} + {postprocess}"),
    };
    let enough = match plan.host_threads_enough {
        HostThreads::Shared(threads) => threads.to_string(),
        HostThreads::Split { preprocess, postprocess } => format!("{preprocess} + {postprocess}"),
    };
    let threads = format!(
        "{now}{}; {enough} enough to hold nothing else back; {:.2} at work on average",
        by(chosen.host_threads_by),
        plan.cores_busy()
    );
    row(&mut out, "threads", &threads);
    row(
        &mut out,
        "busy",
        &format!("the device computes {:.1} % of its steady time", 100.0 * plan.device_busy()),
    );
    let latency = format!(
        "{} when nothing is waited for; an item stays {} once all is in use",
        Time(plan.latency_s),
        Time(plan.residence_s)
    );
    row(&mut out, "latency", &latency);
    if plan.memory_bytes() > 0 {
        row(
            &mut out,
            "memory",
            &format!("{} on the host, as much on the device", bytes(plan.memory_bytes())),
        );
    }
    if let Some(items) = items {
        row(&mut out, "stream", &format!("{items} items in {}", Time(plan.time_for_s(items))));
    }
    if let Some(measured_s) = chosen.measured_period_s {
        let reached =
            format!("the run reached {} ({:.1} %)", Time(measured_s), 100.0 * period_s / measured_s);
        row(&mut out, "measured", &reached);
    }
    row(&mut out, "Intel's rule", &intel(plan));
    for advice in plan.advice() {
        row(&mut out, "advice", &advice);
    }
    out
}

/// Every bound with its slack, as a bar too.
fn bounds(out: &mut String, plan: &Plan) {
    const BAR: f64 = 24.0;
    for bound in &plan.bounds {
        let share = bound.period_s / plan.period_s();
        let slack = if bound.resource == plan.binding().resource {
            "binding".to_owned()
        } else {
            format!("{:.1} % slack", 100.0 * (1.0 - share))
        };
        let bar = "#".repeat((share * BAR).round() as usize);
        let period = Time(bound.period_s).to_string();
        say!(out, "  {:<22}{period:>10}  {bar:<24}  {slack}", what(bound.resource));
    }
}

fn intel(plan: &Plan) -> String {
    let rule = plan.intel_rule();
    let asks = match (rule.buffers, rule.cores) {
        (Some(n), Some(cores)) => format!("N = {n} with {cores} cores"),
        _ => "no N will do".to_owned(),
    };
    let cores = match rule.cores_verdict {
        Verdict::Silent => String::new(),
        verdict => format!("; its cores: {}", verdict.name()),
    };
    let silent_on = match &rule.silent_on[..] {
        [] => String::new(),
        all => format!("; silent on {}", all.join(", ")),
    };
    match rule.verdict {
        Verdict::Silent => format!("silent: {}", rule.why),
        verdict => format!("{asks}: {}, {}{cores}{silent_on}", verdict.name(), rule.why),
    }
}

fn by(chosen_by: ChosenBy) -> &'static str {
    match chosen_by {
        ChosenBy::Auto => " (by this plan)",
        ChosenBy::User => "",
    }
}

pub(super) fn what(resource: Resource) -> &'static str {
    match resource {
        Resource::Device => "the device",
        Resource::Write => "the link, writes",
        Resource::Read => "the link, reads",
        Resource::Link => "the link, both ways",
        Resource::Source => "the source",
        Resource::Host => "the host threads",
        Resource::PreprocessThreads => "preprocess threads",
        Resource::PostprocessThreads => "postprocess threads",
        Resource::Cores => "the cores of this machine",
        Resource::Buffers => "the buffer sets",
        Resource::Inputs => "the input sets",
        Resource::Outputs => "the output sets",
    }
}

pub(super) fn sets(sets: Sets) -> String {
    match sets {
        Sets::Joint(1) => "1 buffer set".to_owned(),
        Sets::Joint(n) => format!("{n} buffer sets"),
        Sets::Split { inputs, outputs } => format!("{inputs} input and {outputs} output sets"),
    }
}

pub(super) fn number(sets: Sets) -> String {
    match sets {
        Sets::Joint(n) => n.to_string(),
        Sets::Split { inputs, outputs } => format!("{inputs} + {outputs}"),
    }
}

/// A row of a table in words, its words kept within 80 columns.
pub(super) fn row(out: &mut String, name: &str, text: &str) {
    const WIDTH: usize = 80;
    const INDENT: usize = 15;
    let mut line = format!("  {name:<13}");
    for word in text.split_whitespace() {
        if line.trim_end().len() > INDENT && line.len() + word.len() > WIDTH {
            say!(out, "{}", line.trim_end());
            line = " ".repeat(INDENT);
        }
        line += word;
        line.push(' ');
    }
    say!(out, "{}", line.trim_end());
}
