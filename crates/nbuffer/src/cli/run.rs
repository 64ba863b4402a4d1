//! `nbuffer run`: a model over images.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nbuffer::machine;
use nbuffer::metrics::{Listener, Server};
#[cfg(feature = "otel")]
use nbuffer::otel::Collector;
use nbuffer::report::RunReport;
use nbuffer::schedule::{Order, Retry};
use nbuffer::summary::Summary;
use nbuffer::trace::Trace;
use nbuffer::{Buffering, Failure, Finished, Job, Model, Running, Settings, class_of_folder, inputs};

use super::duration::SomeSeconds;
use super::files::{FileArgs, SideFile};
use super::picture::{Out, PictureArgs};
use super::sink::{Pace, Reach, Sink};
use super::values::{AutoOr, OrderArg, RetryArg, Switch};
use super::workload::Workload;
use super::{Status, interrupt, log, table};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    workload: Workload,
    /// Buffer sets per lane
    #[arg(long, value_name = "auto|N", default_value = "auto")]
    buffers: AutoOr,
    /// Overlap transfer and compute inside each lane, results coming two calls late
    #[arg(long, value_enum, default_value = "auto")]
    double_buffer: Switch,
    /// The same as --double-buffer off
    #[arg(long, conflicts_with = "double_buffer")]
    no_double_buffer: bool,
    /// The longest an item may stay on average, waiting included: the fastest number of buffers within it is chosen
    #[arg(long, value_name = "TIME")]
    latency_max: Option<SomeSeconds>,
    /// Order of results
    #[arg(long, value_enum, default_value = "in-order")]
    order: OrderArg,
    /// What becomes of the items that a lost device held: they fail, or begin again on a lane that is left
    #[arg(long, value_enum, default_value = "never")]
    retry: RetryArg,
    /// Write a line of JSON per item
    #[arg(long, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// Write the summary as JSON
    #[arg(long, value_name = "FILE.json")]
    summary: Option<PathBuf>,
    /// Serve live figures for Prometheus at http://HOST:PORT/metrics while the run goes on; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// Send spans and metrics of the run to the OpenTelemetry collector at http://HOST:PORT, over OTLP/HTTP
    #[cfg(feature = "otel")]
    #[arg(long, value_name = "ENDPOINT")]
    otel: Option<String>,
    /// No results on stdout, no progress bar, no closing table
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    files: FileArgs,
    // Its heading holds for all that follows, so that flags without one come first.
    #[command(flatten)]
    picture: PictureArgs,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let model = args.workload.model()?;
    let settings = settings(args, &model)?;
    let source = source(&args.workload)?;
    let job = Job::new(&model, &args.workload.devices()?, &settings)?;
    // Files are opened before anything runs: a path that cannot be written must not cost a run.
    let sink = Sink::open(args.output.as_deref(), args.quiet, source.pace())?;
    let summary_file = args.summary.as_deref().map(|path| SideFile::open(path, "--summary")).transpose()?;
    let files = args.files.open()?;
    let metrics = args.metrics.as_deref().map(Listener::bind).transpose().context("--metrics")?;
    #[cfg(feature = "otel")]
    let collector = args.otel.as_deref().map(Collector::new).transpose().context("--otel")?;
    let progress = progress(source.count, args.quiet);
    let labels = settings.labels.or_else(|| model.labels.clone()).unwrap_or_default();

    let mut running = job.run(source.images)?;
    sink.begin()?;
    interrupt::cancels(running.canceller())?;
    let served = metrics.map(|listener| serve(listener, &running)).transpose()?;
    #[cfg(feature = "otel")]
    let export = collector.map(|collector| collector.watch(&running));
    let finished = collect(&mut running, sink, &progress, &labels)?;
    progress.finish_and_clear();
    drop(served);

    let trace = &finished.trace;
    if args.picture.timeline {
        tell!("{}", args.picture.draw(trace, Out::Stderr));
    }
    if !args.quiet && !log::is_on() {
        tell!("{}", table::closing(&finished.summary).trim_end());
    }
    let unread = source.unread.get().map(|error| format!("cannot read stdin: {error}"));
    let cut_short = finished.cut_short.or(unread);
    if let Some(why) = &cut_short {
        tell!("error: the run ended early: {why}");
    }
    if finished.unlisted > 0 && !log::is_on() {
        tell!("note: {} more items failed and are not listed; --output lists all", finished.unlisted);
    }
    let summary = &finished.summary;
    let mut status = Status::Ok;
    if let Some(file) = summary_file {
        status = file.write(|out| {
            serde_json::to_writer_pretty(&mut *out, summary)?;
            out.write_all(b"\n")
        });
    }
    let (latencies, machine) = (running.latencies(), machine::machine());
    let report = RunReport {
        trace: Some(trace),
        latencies: Some(&latencies),
        machine: Some(&machine),
        ..RunReport::new(summary)
    };
    status = status.and(files.write(trace, &report));
    // After all else: a collector that does not answer keeps no result waiting.
    #[cfg(feature = "otel")]
    if let Some(Err(why)) = export.map(|export| export.finish(summary, Some(trace))) {
        tell!("note: --otel: {why}");
    }
    drop(running);
    let items = finished.summary.items;
    assert_eq!(items.taken, items.ok + items.failed + items.cancelled, "every item ends exactly once");
    Ok(if finished.refused {
        Status::Refused
    } else if finished.interrupted {
        Status::Interrupted
    } else if items.failed > 0 || cut_short.is_some() {
        Status::SomeFailed
    } else {
        status
    })
}

fn settings(args: &Args, model: &Model) -> anyhow::Result<Settings> {
    Ok(Settings {
        buffering: match args.buffers {
            AutoOr::Auto => Buffering::Auto,
            AutoOr::Count(depth) => Buffering::Depth(depth),
        },
        double_buffer: if args.no_double_buffer { Some(false) } else { args.double_buffer.forced() },
        latency_max: args.latency_max.map(|SomeSeconds(limit_s)| Duration::from_secs_f64(limit_s)),
        order: match args.order {
            OrderArg::InOrder => Order::InOrder,
            OrderArg::Completed => Order::Completed,
        },
        retry: match args.retry {
            RetryArg::Never => Retry::Never,
            RetryArg::OtherLane => Retry::OtherLane,
        },
        trace: Some(args.files.journeys()),
        ..args.workload.settings(model)?
    })
}

struct Source {
    images: Box<dyn Iterator<Item = Arc<Path>> + Send>,
    /// How many there are, unless they come in on stdin.
    count: Option<u64>,
    /// Why stdin ended before its end, if it did.
    unread: Arc<OnceLock<std::io::Error>>,
}

impl Source {
    fn pace(&self) -> Pace {
        if self.count.is_some() { Pace::Stored } else { Pace::Live }
    }
}

fn source(workload: &Workload) -> anyhow::Result<Source> {
    let unread = Arc::new(OnceLock::new());
    if !workload.is_from_stdin() {
        let images = workload.images()?;
        return Ok(Source { images: Box::new(images.items()), count: Some(images.count), unread });
    }
    if workload.n_inputs() > 1 {
        bail!("`-` reads paths from stdin and stands alone; {} inputs were given", workload.n_inputs());
    }
    if workload.repeat > 1 {
        bail!("--repeat needs inputs that can be read again; stdin cannot");
    }
    let noted = Arc::clone(&unread);
    let lines = inputs::lines(std::io::BufReader::new(std::io::stdin()));
    // The first error is the only one: the lines end with it.
    let lines = lines.map_while(move |line| line.map_err(|error| noted.set(error)).ok());
    let images: Box<dyn Iterator<Item = _> + Send> = match workload.limit {
        Some(limit) => Box::new(lines.take(limit.try_into().unwrap_or(usize::MAX))),
        None => Box::new(lines),
    };
    Ok(Source { images, count: None, unread })
}

fn progress(count: Option<u64>, quiet: bool) -> ProgressBar {
    if quiet || log::is_on() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = match count {
        Some(_) => "{bar:30} {pos}/{len}  {per_sec}  {eta} left",
        None => "{spinner} {pos}  {per_sec}",
    };
    let bar = ProgressBar::with_draw_target(count, ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(ProgressStyle::with_template(style).expect("the template is valid"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn serve(listener: Listener, running: &Running) -> anyhow::Result<Server> {
    tell!("metrics are at {}", listener.url());
    listener.serve(running.metrics()).context("--metrics: no thread can be started")
}

struct Collected {
    summary: Summary,
    trace: Trace,
    cut_short: Option<String>,
    interrupted: bool,
    refused: bool,
    /// Failures beyond those that were printed.
    unlisted: u64,
}

/// The most failures listed one by one.
const LISTED: u64 = 20;

fn collect(
    running: &mut Running,
    mut sink: Sink,
    progress: &ProgressBar,
    labels: &[String],
) -> anyhow::Result<Collected> {
    let (mut right, mut labelled, mut failures) = (0_u64, 0_u64, 0_u64);
    let mut no_reader = false;
    while let Some(item) = running.next() {
        if let Err(Failure::Failed(why)) = &item.result {
            failures += 1;
            if failures <= LISTED && !log::is_on() {
                let Finished { sequence, item: path, .. } = &item;
                progress.suspend(|| tell!("error: item {sequence} (`{}`): {why}", path.display()));
            }
        }
        if let (Ok(nbuffer::Answer::Class(class)), Some(truth)) =
            (&item.result, class_of_folder(&item.item, labels))
        {
            labelled += 1;
            right += u64::from(class.class == truth);
        }
        if sink.write(&item)? == Reach::NoReader && !no_reader {
            no_reader = true;
            running.canceller().cancel();
        }
        progress.inc(1);
    }
    no_reader |= sink.finish()? == Reach::NoReader;
    let mut summary = running.summary();
    // Only a set that is labelled throughout has an accuracy.
    if labelled > 0 && labelled == summary.items.ok {
        summary.accuracy = Some(right as f64 / labelled as f64);
    }
    Ok(Collected {
        cut_short: running.cut_short(),
        refused: running.is_refused(),
        interrupted: no_reader || interrupt::came(),
        unlisted: failures.saturating_sub(LISTED),
        trace: running.trace().expect("it was asked for"),
        summary,
    })
}
