//! `nbuffer simulate`: the schedule in virtual time, with jitter, faults, a timeline, and buffer sets chosen while
//! the stream runs.

mod chaos;
mod faults;
mod picture;
mod stream;
mod words;

use std::path::{Path, PathBuf};

use anyhow::bail;
use nbuffer::plan::{Plan, Setting};
use nbuffer::report::{JOURNEYS, RunReport};
use nbuffer::schedule::LIMIT;
use nbuffer::trace::Tracer;
use nbuffer::virtual_time::{Setup, SetupError};

use self::chaos::ChaosArgs;
use self::faults::FaultArgs;
use self::picture::PictureArgs;
use self::stream::{Stream, Streamed};
use super::plan::sets;
use super::setting::{Chosen, SettingArgs, named};
use super::sweep::{Outcome, Sweep, SweepArgs};
use super::values::at_least_one;
use super::{Status, emit, report};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: nbuffer simulate --ip 4ms --w 500us --k 2ms --r 500us --op 1ms --buffers 4 --timeline\n\n\
        Exit status: 0 whatever becomes of the items; 1 if a promise does not hold (--chaos); 2 if the command is wrong."
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
    /// Write a page to look at: what ran when, where the time went, what would help
    #[arg(long, value_name = "FILE.html", conflicts_with_all = ["sweep", "chaos"])]
    report: Option<PathBuf>,
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
    let streamed = match &args.report {
        None => stream.run(())?,
        Some(path) => reported(args, &chosen, &stream, path)?,
    };
    if args.json {
        let summary = words::summary(args, &chosen, &streamed);
        return emit(&(serde_json::to_string_pretty(&summary)? + "\n"));
    }
    let mut text = words::headline(&streamed);
    if args.picture.timeline {
        text += &format!("\n{}", args.picture.draw(&stream, &streamed)?);
    }
    emit(&(text + &words::described(args, &chosen, &streamed)))
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

/// Runs a stream and writes a page of it.
fn reported(args: &Args, chosen: &Chosen, stream: &Stream, path: &Path) -> anyhow::Result<Streamed> {
    let file = report::create(path, "--report")?;
    // Where sets are chosen on the way, the window grows with them.
    let window = if stream.tuned { LIMIT } else { stream.setup.schedule.window };
    let mut tracer = Tracer::new(JOURNEYS, window);
    let streamed = stream.run(&mut tracer)?;
    let trace = tracer.trace(stream.setup.topology());
    let summary = words::summary(args, chosen, &streamed);
    let latencies = streamed.run.measures.latencies();
    let of = RunReport { trace: Some(&trace), latencies: Some(latencies), ..RunReport::new(&summary) };
    report::write(&file, path, "--report", &report::page(|out| of.write(out)))?;
    Ok(streamed)
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
