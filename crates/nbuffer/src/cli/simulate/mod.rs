//! `nbuffer simulate`: the schedule in virtual time, with jitter, faults, a timeline, and buffer sets chosen while
//! the stream runs.

mod chaos;
mod faults;
mod stream;
mod words;

use anyhow::bail;
use nbuffer::plan::{Plan, Setting};
use nbuffer::report::RunReport;
use nbuffer::summary::Summary;
use nbuffer::trace::Trace;
use nbuffer::virtual_time::{Setup, SetupError};

use self::chaos::ChaosArgs;
use self::faults::FaultArgs;
use self::stream::{Stream, Streamed};
use super::files::FileArgs;
use super::picture::{Out, PictureArgs};
use super::plan::sets;
use super::setting::{Chosen, SettingArgs, named};
use super::sweep::{Outcome, Sweep, SweepArgs};
use super::values::at_least_one;
use super::{Simulated, Status, emit};

#[derive(Debug, clap::Args)]
#[command(
    mut_arg("timeline", |timeline| timeline.conflicts_with("sweep")),
    mut_arg("trace", |trace| trace.conflicts_with("sweep")),
    mut_arg("report", |report| report.conflicts_with("sweep")),
    after_help = "Example: nbuffer simulate --ip 4ms --w 500us --k 2ms --r 500us --op 1ms --buffers 4 --timeline\n\n\
        Exit status: 0 whatever becomes of the items; 1 if a promise does not hold (--chaos), or the trace could not be \
        written (all else is there); 2 if the command is wrong."
)]
pub(super) struct Args {
    /// How many items the source gives [default: 100, and 1000 in each setting of a sweep]
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    items: Option<u64>,
    /// What repeats a simulation: with the same seed the same happens
    #[arg(long, value_name = "SEED", default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    #[command(flatten)]
    sweep: SweepArgs,
    /// As JSON, in the format of a run's summary
    #[arg(long, conflicts_with = "timeline")]
    json: bool,
    #[command(flatten)]
    files: FileArgs,
    // Their headings hold for all that follows, so that flags without one come first.
    #[command(flatten)]
    picture: PictureArgs,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    chaos: ChaosArgs,
    #[command(flatten)]
    setting: SettingArgs,
}

/// A stream may take this long, in virtual time: beyond, the clock would come near its end.
const LONGEST_S: f64 = 100.0 * 365.0 * 86400.0;

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    if let Some(items) = args.chaos.chaos {
        if args.setting.is_given() {
            bail!(
                "--chaos: pipelines are drawn at random, and the flags that describe one do not go with it"
            );
        }
        return chaos::main(&args.chaos, items, args.seed);
    }
    let chosen = args.setting.setting()?;
    args.faults.check_items(args.n_items())?;
    if let Some(sweep) = &args.sweep.sweep {
        return swept(args, sweep, &chosen);
    }
    let stream = stream(args, &chosen.setting, chosen.buffers_auto)?;
    let files = args.files.open()?;
    let (streamed, trace) = stream.traced(args.files.journeys())?;
    let summary = words::summary(args, &chosen, &streamed, &trace);
    emit(&said(args, &chosen, &streamed, &trace, &summary)?)?;
    let latencies = Some(streamed.run.measures.latencies());
    Ok(files.write(&trace, &RunReport { trace: Some(&trace), latencies, ..RunReport::new(&summary) }))
}

/// What became of the stream, in numbers.
pub(super) fn simulated(args: &Args) -> anyhow::Result<Simulated> {
    let chosen = args.setting.setting()?;
    args.faults.check_items(args.n_items())?;
    let stream = stream(args, &chosen.setting, chosen.buffers_auto)?;
    let (streamed, trace) = stream.traced(args.files.journeys())?;
    let summary = words::summary(args, &chosen, &streamed, &trace);
    Ok(Simulated { summary, trace, latencies: streamed.run.measures.latencies().clone() })
}

/// What became of the stream, in the form that is asked for.
fn said(
    args: &Args,
    chosen: &Chosen,
    streamed: &Streamed,
    trace: &Trace,
    summary: &Summary,
) -> anyhow::Result<String> {
    if args.json {
        return Ok(serde_json::to_string_pretty(summary)? + "\n");
    }
    let mut text = words::headline(streamed);
    if args.picture.timeline {
        text += &format!("\n{}", args.picture.draw(trace, Out::Stdout));
    }
    Ok(text + &words::described(args, chosen, streamed, summary))
}

impl Args {
    fn n_items(&self) -> u64 {
        self.items.unwrap_or(if self.sweep.sweep.is_some() { 1000 } else { 100 })
    }
}

/// What is to be simulated, checked.
fn stream(args: &Args, setting: &Setting, tuned: bool) -> anyhow::Result<Stream> {
    let items = args.n_items();
    let setting = if tuned { stream::at_first(setting)? } else { *setting };
    // What the period is to be compared with, once host stages take as long as they will.
    let changed = args.faults.after_change(&setting);
    let planned = Plan::new(&setting).map_err(named)?;
    let planned_changed = Plan::new(&changed).map_err(|error| named(error).context("--host-change"))?;
    let length_s = planned.time_for_s(items).max(planned_changed.time_for_s(items));
    if length_s > LONGEST_S {
        bail!("--items: {items} items take {length_s:.2e} s: up to a century of virtual time is possible");
    }
    let mut setup = Setup::from_setting(&setting, items, args.seed).map_err(named)?;
    args.faults.put_into(&mut setup);
    Ok(Stream { setup, setting, changed, changes_at: args.faults.changes_at(), tuned })
}

fn swept(args: &Args, sweep: &Sweep, chosen: &Chosen) -> anyhow::Result<Status> {
    if chosen.buffers_auto {
        bail!("--sweep: each setting has the buffers it is given, and --buffers auto chooses them");
    }
    let swept = sweep.try_all(&chosen.setting, |setting| {
        let Streamed { plan, run, steady, .. } = stream(args, setting, false)?.run(())?;
        let Some(steady) = steady else {
            let (items, lanes) = (run.totals.taken, plural(setting.lanes as u64, "lane"));
            bail!("--items: {items} are too few for a steady state on {lanes} with {}", sets(setting.sets));
        };
        Ok(Outcome {
            period_s: steady.period_s,
            limit: plan.binding().resource.name(),
            residence_s: run.measures.latencies().mean() / 1e9,
        })
    })?;
    args.sweep.write(&swept)?;
    emit(&swept.table())
}

/// An error of the set-up, with the flag that can mend it in front.
fn named_setup(error: SetupError) -> anyhow::Error {
    let flag = match error {
        SetupError::FaultLane { .. } => "--lose-lane",
        SetupError::FaultStage { .. } => "--fail",
        SetupError::Factor { .. } => "--host-change",
        SetupError::Sets { .. } => "--buffers, --lanes",
        // The setting was checked before.
        _ => return error.into(),
    };
    anyhow::anyhow!("{flag}: {error}")
}

fn plural(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
