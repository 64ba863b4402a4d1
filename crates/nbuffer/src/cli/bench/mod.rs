//! `nbuffer bench`: the same items with buffering off, double, N and auto, in turn, side by side.

mod report;
mod rounds;

use clap::ValueEnum;
use nbuffer::machine::{CpuTimes, verdict};
use nbuffer::{Buffering, Device, Settings};

use self::report::{ModeReport, Report};
use self::rounds::{Bench, Ended};
use super::values::{count, rounds};
use super::workload::Workload;
use super::{Status, emit, interrupt};

#[derive(Debug, clap::Args)]
#[command(
    // Every run reads them again, so there is no stdin here.
    mut_arg("inputs", |inputs| inputs.help("Images (PNG or JPEG) or arrays (.npy), or folders of them")),
    after_help = "Each round runs every mode once over all items; one round before the first warms up and is \
    not counted. The answer to a file is compared with the first one it got, in every run: the first that differs \
    ends the benchmark with exit status 1, and no time is reported."
)]
pub(super) struct Args {
    #[command(flatten)]
    workload: Workload,
    /// What to compare; the first one is what the others are held against
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "MODE,...",
        default_value = "off,double,N,auto"
    )]
    modes: Vec<Mode>,
    /// Buffer sets per lane of mode N
    #[arg(long, value_name = "N", value_parser = count, default_value = "4")]
    buffers: usize,
    /// Rounds that count
    #[arg(long, value_name = "R", value_parser = rounds, default_value = "5")]
    rounds: usize,
    /// As JSON, with the summary of every run that counts
    #[arg(long)]
    json: bool,
    /// No words on stderr about the round that is going on
    #[arg(long, short)]
    quiet: bool,
}

/// A way to buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Mode {
    /// One buffer set a lane, no double buffering inside lanes
    Off,
    /// Double buffering inside lanes where the devices have it, else two buffer sets a lane
    Double,
    /// As many buffer sets a lane as --buffers says
    #[value(name = "N", alias = "n")]
    N,
    /// All left to nbuffer
    Auto,
}

impl Mode {
    /// How this mode changes the settings, and what that is in words.
    fn apply(self, settings: &Settings, buffers: usize, devices: &[Box<dyn Device>]) -> (Settings, String) {
        let inside = devices.iter().all(|device| device.info().double_buffer);
        let (buffering, double_buffer, what) = match self {
            Mode::Off => (Buffering::Depth(1), Some(false), "one buffer set".to_owned()),
            Mode::Double if inside => {
                let what = "double buffering inside lanes, with as many sets as that needs";
                (Buffering::Auto, Some(true), what.to_owned())
            }
            Mode::Double => {
                let what = "two buffer sets, for lack of double buffering inside lanes";
                (Buffering::Depth(2), Some(false), what.to_owned())
            }
            Mode::N => (Buffering::Depth(buffers), None, format!("{buffers} buffer sets")),
            Mode::Auto => (Buffering::Auto, None, "all left to nbuffer".to_owned()),
        };
        (Settings { buffering, double_buffer, ..settings.clone() }, what)
    }

    fn name(self, buffers: usize) -> String {
        match self {
            Mode::Off => "off".to_owned(),
            Mode::Double => "double".to_owned(),
            Mode::N => format!("N={buffers}"),
            Mode::Auto => "auto".to_owned(),
        }
    }
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    if args.workload.is_from_stdin() {
        anyhow::bail!("every run reads the inputs again; stdin (`-`) cannot be read again");
    }
    let mut modes = args.modes.clone();
    // The simplest way comes first: its answers are what the others are compared with.
    modes.sort_unstable();
    modes.dedup();

    let model = args.workload.model()?;
    let settings = args.workload.settings(&model)?;
    let images = args.workload.images()?;
    let devices = args.workload.devices()?;
    let mut ways: Vec<ModeReport> = Vec::new();
    for mode in modes {
        let (settings, what) = mode.apply(&settings, args.buffers, &devices);
        ways.push(ModeReport::new(mode.name(args.buffers), what, settings));
    }
    let mut bench = Bench::new(model, devices, images);
    let mut before = None;
    let mut is_whole = true;
    'rounds: for round in 0..=args.rounds {
        // The warm-up round is number 0.
        if round == 1 {
            before = CpuTimes::now();
        }
        if !args.quiet {
            match round {
                0 => tell!("warm-up round, not counted"),
                _ => tell!("round {round} of {}", args.rounds),
            }
        }
        for way in &mut ways {
            match bench.run(way.settings())? {
                Ended::Whole(summary) if round > 0 => way.runs.push(*summary),
                Ended::Whole(_) => {}
                Ended::Interrupted => {
                    is_whole = false;
                    break 'rounds;
                }
                Ended::Wrong(why) => {
                    let round =
                        if round == 0 { "the warm-up round".to_owned() } else { format!("round {round}") };
                    tell!("error: mode {}, {round}: {why}", way.name());
                    return Ok(Status::SomeFailed);
                }
            }
        }
    }
    let rounds = ways.iter().map(|way| way.runs.len()).min().unwrap_or(0);
    if rounds == 0 {
        tell!("note: interrupted before a round was complete; there is nothing to report");
        return Ok(Status::Interrupted);
    }
    ways.iter_mut().for_each(|way| way.runs.truncate(rounds));
    let report = Report::new(ways, &bench, !is_whole, verdict(before));
    emit(&if args.json { report.json()? } else { report.table() })?;
    Ok(if is_whole && !interrupt::came() { Status::Ok } else { Status::Interrupted })
}
