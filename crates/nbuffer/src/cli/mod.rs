//! Arguments, and what they come to: an exit status.

/// Adds a line to a text.
macro_rules! say {
    ($out:expr, $($arg:tt)*) => {{
        use std::fmt::Write as _;
        writeln!($out, $($arg)*).expect("a string takes what is written");
    }};
}

/// Says something on stderr: see [`log::tell`].
macro_rules! tell {
    ($($arg:tt)*) => {
        crate::cli::log::tell(format_args!($($arg)*))
    };
}

mod bench;
mod chart;
mod devices;
mod duration;
mod engine;
mod files;
mod inspect;
mod interrupt;
mod log;
mod picture;
mod plan;
mod report;
mod run;
mod setting;
mod simulate;
mod sink;
mod sweep;
mod table;
mod tile;
mod values;
mod workload;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Runs a model over a stream of items on an accelerator, N-way buffered: host work, transfers and kernels of
/// successive items overlap, results come in order, and the run says how busy the device was.
#[derive(Debug, Parser)]
#[command(name = "nbuffer", version, max_term_width = 100)]
#[command(
    after_help = "Exit status: 0 all items ok; 1 some items failed, or a file beside the results could \
    not be written (all else is there); 2 the command or the set-up is wrong; 130 interrupted (finished results are written)."
)]
struct Cli {
    #[command(flatten)]
    log: log::Args,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a model over images; results come in order
    Run(Box<run::Args>),
    /// Run a model with buffering off, double, N and auto in turn, and compare
    Bench(Box<bench::Args>),
    /// Say what period given stage times allow, what limits it, and how many buffers and threads are enough
    Plan(Box<plan::Args>),
    /// Run the same schedule in virtual time: jitter, faults, a timeline, and N chosen while the stream runs
    Simulate(Box<simulate::Args>),
    /// Make a page of a run's summary, or of two side by side: what limited it, where the time went, what would help
    Report(report::Args),
    /// Show a model: tensors, quantisation, padding, and the memory of each number of buffer sets
    Inspect(inspect::Args),
    /// List devices and engines: what is here, what is not and why
    Devices(devices::Args),
    /// Run tile kernels on a simulated AI Core: values, time, what bounds them
    #[command(subcommand)]
    Tile(tile::Command),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    SomeFailed,
    Interrupted,
    /// What was asked for turned out to be impossible.
    Refused,
}

impl Status {
    /// The first of two that is not good.
    fn and(self, next: Status) -> Status {
        if self == Status::Ok { next } else { self }
    }
}

/// Prints a text. A reader that has gone has seen what it wanted.
fn emit(text: &str) -> anyhow::Result<Status> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(Status::Ok),
    }
}

/// Runs the command line. Errors of the command or the set-up are printed here, and nowhere else.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unread(&error),
    };
    let status = cli.log.begin().and_then(|()| run(cli.command));
    match status {
        Ok(Status::Ok) => ExitCode::SUCCESS,
        Ok(Status::SomeFailed) => ExitCode::from(1),
        Ok(Status::Interrupted) => ExitCode::from(130),
        Ok(Status::Refused) => ExitCode::from(2),
        Err(error) => {
            tell!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// What there is to say to a command line that is no command.
fn unread(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Help and version are data, and a reader may have closed stdout: nothing to be done about that.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if log::begin_unread().is_ok() && log::is_on() {
        tell!("{}", error.to_string().trim_end());
    } else {
        let _ = error.print();
    }
    ExitCode::from(2)
}

fn run(command: Command) -> anyhow::Result<Status> {
    match command {
        Command::Run(args) => run::main(&args),
        Command::Bench(args) => bench::main(&args),
        Command::Plan(args) => plan::main(&args),
        Command::Simulate(args) => simulate::main(&args),
        Command::Report(args) => report::main(&args),
        Command::Inspect(args) => inspect::main(&args),
        Command::Devices(args) => devices::main(&args),
        Command::Tile(command) => tile::main(&command),
    }
}
