//! Prints the table of cases and devices; exit status 1 if anything in it is red.

use std::process::ExitCode;

use clap::Parser;
use nbuffer_conformance::{Sizes, check, runners, table};

/// What every device does of what it must.
#[derive(Parser)]
struct Args {
    /// Columns to run, by a part of their names [default: all]
    devices: Vec<String>,
    /// Elements of a tensor
    #[arg(long, default_value_t = Sizes::default().elements)]
    elements: usize,
    /// Items of an ordinary stream
    #[arg(long, default_value_t = Sizes::default().items)]
    items: u64,
    /// Items of the long stream
    #[arg(long, default_value_t = Sizes::default().items_long)]
    long: u64,
}

fn main() -> ExitCode {
    hush_planned_panics();
    let Args { devices, elements, items, long } = Args::parse();
    let sizes = Sizes { elements, items, items_long: long, ..Sizes::default() };
    let is_asked_for =
        |name: &str| devices.is_empty() || devices.iter().any(|device| name.contains(device.as_str()));
    let mut columns = Vec::new();
    for runner in runners::all() {
        if is_asked_for(&runner.name) {
            eprintln!("{} ..", runner.name);
            columns.push(check(runner, &sizes));
        }
    }
    print!("{}", table(&columns));
    let is_red = columns.iter().flat_map(|column| &column.outcomes).any(|outcome| outcome.is_red());
    ExitCode::from(u8::from(is_red))
}

/// Some items panic on purpose; that is no news.
fn hush_planned_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("planned") {
            tell(panic);
        }
    }));
}
