//! `nbuffer run`: a model over images.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nbuffer::schedule::Order;
use nbuffer::summary::Summary;
use nbuffer::{Buffering, Failure, Finished, Job, Model, Running, Settings, class_of_folder, inputs};

use super::duration::SomeSeconds;
use super::sink::{self, Pace, Reach, Sink};
use super::values::{AutoOr, OrderArg, Switch, TimeOrNone, at_least_one, count, three};
use super::{Status, table};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A model directory with model.json and manifest.json, or a plain .onnx file
    model: PathBuf,
    /// Images (PNG or JPEG), folders of images, or `-` for one path a line on stdin
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Device to run on: cpu, sim:metis, sim:fpga, sim:gpu or sim:FILE.toml; may repeat
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: Vec<String>,
    /// What computes values on the CPU
    #[arg(long, value_parser = nbuffer_onnx::ENGINES, default_value = "rten")]
    engine: String,
    /// ONNX Runtime library for `--engine ort` [default: $ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    ort_library: Option<PathBuf>,
    /// Cores of each device to use [default: all]
    #[arg(long, value_name = "N", value_parser = count)]
    cores: Option<usize>,
    /// Buffer sets per lane
    #[arg(long, value_name = "auto|N", default_value = "auto")]
    buffers: AutoOr,
    /// Overlap transfer and compute inside each lane, results coming two calls late
    #[arg(long, value_enum, default_value = "auto")]
    double_buffer: Switch,
    /// The same as --double-buffer off
    #[arg(long, conflicts_with = "double_buffer")]
    no_double_buffer: bool,
    /// Threads that prepare inputs and read outputs
    #[arg(long, value_name = "auto|C", default_value = "auto")]
    host_threads: AutoOr,
    /// The longest an item may stay on average, waiting included: the fastest number of buffers within it is chosen
    #[arg(long, value_name = "TIME")]
    latency_max: Option<SomeSeconds>,
    /// Run over the inputs so many times
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "1")]
    repeat: u64,
    /// Stop after so many items
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    limit: Option<u64>,
    /// Order of results
    #[arg(long, value_enum, default_value = "in-order")]
    order: OrderArg,
    /// Give a lane up when a device call takes longer
    #[arg(long, value_name = "TIME|none", default_value = "30s")]
    watchdog: TimeOrNone,
    /// Class names, one a line [default: the model's]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Mean per channel, subtracted after x/255 [default: the model's, or 0,0,0]
    #[arg(long, value_name = "R,G,B", value_parser = three, allow_hyphen_values = true)]
    mean: Option<[f32; 3]>,
    /// Standard deviation per channel, divided by [default: the model's, or 1,1,1]
    #[arg(long, value_name = "R,G,B", value_parser = three)]
    std: Option<[f32; 3]>,
    /// Write a line of JSON per item
    #[arg(long, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// Write the summary as JSON
    #[arg(long, value_name = "FILE.json")]
    summary: Option<PathBuf>,
    /// No results on stdout, no progress bar, no closing table
    #[arg(long, short)]
    quiet: bool,
}

/// Set by the first Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let model = Arc::new(Model::open(&args.model)?);
    let settings = settings(args, &model)?;
    let images = images(args)?;
    let engine = nbuffer_onnx::engine(&args.engine, args.ort_library.as_deref())?;
    let devices: Result<Vec<_>, _> = args.device.iter().map(|name| nbuffer::device(name, &engine)).collect();
    let job = Job::new(&model, &devices?, &settings)?;
    // Files are opened before anything runs: a path that cannot be written must not cost a run.
    let sink = Sink::open(args.output.as_deref(), args.quiet, images.pace())?;
    let summary_file = args.summary.as_deref().map(|path| create(path, "--summary")).transpose()?;
    let progress = progress(images.count, args.quiet);
    let labels = settings.labels.or_else(|| model.labels.clone()).unwrap_or_default();

    let running = job.run(images.source)?;
    sink.begin()?;
    stop_on_interrupt(&running)?;
    let finished = collect(running, sink, &progress, &labels)?;
    progress.finish_and_clear();

    if let (Some(mut file), Some(path)) = (summary_file, &args.summary) {
        sink::begin(&file)
            .and_then(|()| Ok(serde_json::to_writer_pretty(&mut file, &finished.summary)?))
            .and_then(|()| file.write_all(b"\n"))
            .with_context(|| format!("cannot write --summary `{}`", path.display()))?;
    }
    if !args.quiet {
        tell!("{}", table::closing(&finished.summary).trim_end());
    }
    let unread = images.unread.get().map(|error| format!("cannot read stdin: {error}"));
    let cut_short = finished.cut_short.or(unread);
    if let Some(why) = &cut_short {
        tell!("error: the run ended early: {why}");
    }
    if finished.unlisted > 0 {
        tell!("note: {} more items failed and are not listed; --output lists all", finished.unlisted);
    }
    let items = finished.summary.items;
    assert_eq!(items.taken, items.ok + items.failed + items.cancelled, "every item ends exactly once");
    Ok(if finished.refused {
        Status::Refused
    } else if finished.interrupted {
        Status::Interrupted
    } else if items.failed > 0 || cut_short.is_some() {
        Status::SomeFailed
    } else {
        Status::Ok
    })
}

fn settings(args: &Args, model: &Model) -> anyhow::Result<Settings> {
    let declared = model.preprocess.as_ref().map(|p| (p.mean, p.std)).unwrap_or(([0.0; 3], [1.0; 3]));
    let normalise = (args.mean.is_some() || args.std.is_some())
        .then(|| (args.mean.unwrap_or(declared.0), args.std.unwrap_or(declared.1)));
    Ok(Settings {
        cores: args.cores,
        buffering: match args.buffers {
            AutoOr::Auto => Buffering::Auto,
            AutoOr::Count(depth) => Buffering::Depth(depth),
        },
        double_buffer: if args.no_double_buffer { Some(false) } else { args.double_buffer.forced() },
        host_threads: match args.host_threads {
            AutoOr::Auto => None,
            AutoOr::Count(threads) => Some(threads),
        },
        latency_max: args.latency_max.map(|SomeSeconds(limit_s)| Duration::from_secs_f64(limit_s)),
        order: match args.order {
            OrderArg::InOrder => Order::InOrder,
            OrderArg::Completed => Order::Completed,
        },
        watchdog: args.watchdog.0,
        normalise,
        labels: args.labels.as_deref().map(nbuffer::model::read_labels).transpose()?,
    })
}

struct Images {
    source: Box<dyn Iterator<Item = Arc<Path>> + Send>,
    /// How many there are, unless they come in on stdin.
    count: Option<u64>,
    /// Why stdin ended before its end, if it did.
    unread: Arc<OnceLock<std::io::Error>>,
}

impl Images {
    fn pace(&self) -> Pace {
        if self.count.is_some() { Pace::Stored } else { Pace::Live }
    }
}

fn images(args: &Args) -> anyhow::Result<Images> {
    let from_stdin = args.inputs.iter().any(|input| input.as_os_str() == "-");
    let unread = Arc::new(OnceLock::new());
    if from_stdin {
        if args.inputs.len() > 1 {
            bail!("`-` reads paths from stdin and stands alone; {} inputs were given", args.inputs.len());
        }
        if args.repeat > 1 {
            bail!("--repeat needs inputs that can be read again; stdin cannot");
        }
        let noted = Arc::clone(&unread);
        let lines = inputs::lines(std::io::BufReader::new(std::io::stdin()));
        // The first error is the only one: the lines end with it.
        let lines = lines.map_while(move |line| line.map_err(|error| noted.set(error)).ok());
        let source: Box<dyn Iterator<Item = _> + Send> = match args.limit {
            Some(limit) => Box::new(lines.take(limit.try_into().unwrap_or(usize::MAX))),
            None => Box::new(lines),
        };
        return Ok(Images { source, count: None, unread });
    }
    let mut files = Vec::new();
    for input in &args.inputs {
        files.extend(inputs::expand(input)?);
    }
    let all = (files.len() as u64).saturating_mul(args.repeat);
    let count = args.limit.map_or(all, |limit| limit.min(all));
    let source = (0..count).map(move |i| Arc::clone(&files[(i % files.len() as u64) as usize]));
    Ok(Images { source: Box::new(source), count: Some(count), unread })
}

fn create(path: &Path, option: &str) -> anyhow::Result<File> {
    sink::open_to_write(path).with_context(|| format!("cannot write {option} `{}`", path.display()))
}

fn progress(count: Option<u64>, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
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

/// The first interrupt stops taking items; the second ends the process at once.
fn stop_on_interrupt(running: &Running) -> anyhow::Result<()> {
    let canceller = running.canceller();
    ctrlc::set_handler(move || {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        tell!("interrupted: finishing what is on the device; once more to stop at once");
        canceller.cancel();
    })
    .context("cannot watch for Ctrl-C")
}

struct Collected {
    summary: Summary,
    cut_short: Option<String>,
    interrupted: bool,
    refused: bool,
    /// Failures beyond those that were printed.
    unlisted: u64,
}

/// The most failures listed one by one.
const LISTED: u64 = 20;

fn collect(
    mut running: Running,
    mut sink: Sink,
    progress: &ProgressBar,
    labels: &[String],
) -> anyhow::Result<Collected> {
    let (mut right, mut labelled, mut failures) = (0_u64, 0_u64, 0_u64);
    let mut no_reader = false;
    while let Some(item) = running.next() {
        if let Err(Failure::Failed(why)) = &item.result {
            failures += 1;
            if failures <= LISTED {
                let Finished { sequence, path, .. } = &item;
                progress.suspend(|| tell!("error: item {sequence} (`{}`): {why}", path.display()));
            }
        }
        if let (Ok(nbuffer::Answer::Class(class)), Some(truth)) =
            (&item.result, class_of_folder(&item.path, labels))
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
        interrupted: no_reader || INTERRUPTED.load(Ordering::SeqCst),
        unlisted: failures.saturating_sub(LISTED),
        summary,
    })
}
