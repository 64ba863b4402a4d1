//! `nbuffer tile`: tile kernels on a simulated AI Core.

mod amount;
mod devices;
mod published;
mod run;
mod sweep;
mod task;

use super::Status;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Run a kernel: values, time, what bounds it, and its mistakes
    Run(Box<run::Args>),
    /// Run a kernel with other numbers of blocks and tiles, side by side
    Sweep(Box<sweep::Args>),
    /// Show the AI Cores that are known, every number with its source
    Devices(devices::Args),
    /// Simulate the vendor's sample for double buffering, beside what was measured
    ComparePublished(published::Args),
}

pub(super) fn main(command: &Command) -> anyhow::Result<Status> {
    match command {
        Command::Run(args) => run::main(args),
        Command::Sweep(args) => sweep::main(args),
        Command::Devices(args) => devices::main(args),
        Command::ComparePublished(args) => published::main(args),
    }
}
