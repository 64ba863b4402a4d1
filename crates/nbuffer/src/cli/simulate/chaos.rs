//! `--chaos`: random streams in which everything goes wrong, with every promise checked at every step.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nbuffer::virtual_time::{Chaos, Violation, chaos_stream};

use super::super::values::at_least_one;
use super::super::{Status, emit};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Chaos")]
pub(super) struct ChaosArgs {
    /// Simulate random configurations, faults, cancels and stalls instead, until so many items were taken
    /// (10000000 unless said otherwise), and check every promise of the schedule at every step
    #[arg(long, value_name = "ITEMS", value_parser = at_least_one, num_args = 0..=1)]
    #[arg(default_missing_value = "10000000", allow_negative_numbers = true)]
    #[arg(conflicts_with_all = ["items", "json", "sweep", "csv", "svg", "trace", "timeline", "width", "ascii", "color"])]
    #[arg(conflicts_with_all = ["fail", "stall", "lose_lane", "cancel_at", "host_change"])]
    pub(super) chaos: Option<u64>,
    /// Only this stream of the seed: to repeat one in which a promise did not hold
    #[arg(long, value_name = "NUMBER", requires = "chaos", allow_negative_numbers = true)]
    stream: Option<u64>,
}

pub(super) fn main(args: &ChaosArgs, items: u64, seed: u64) -> anyhow::Result<Status> {
    let began = Instant::now();
    let sum = match args.stream {
        Some(stream) => chaos_stream(seed, stream),
        None => until(seed, items),
    };
    match sum {
        Ok(Chaos { streams, items, steps }) => emit(&format!(
            "every promise held: {items} items in {streams} random streams of seed {seed}, {steps} steps, {:.1} s\n",
            began.elapsed().as_secs_f64()
        )),
        Err(violation) => {
            tell!("error: {}", violated(&violation));
            Ok(Status::SomeFailed)
        }
    }
}

/// What did not hold, and how to see it again.
fn violated(violation: &Violation) -> String {
    let Violation { seed, stream, .. } = violation;
    format!("{violation}\nto repeat it: nbuffer simulate --chaos --seed {seed} --stream {stream}")
}

/// As [`chaos`](nbuffer::virtual_time::chaos), which shows no progress.
fn until(seed: u64, items: u64) -> Result<Chaos, Box<Violation>> {
    let progress = progress(items);
    let mut sum = Chaos::default();
    while sum.items < items {
        let stream = chaos_stream(seed, sum.streams)?;
        sum.streams += 1;
        sum.items += stream.items;
        sum.steps += stream.steps;
        progress.set_position(sum.items.min(items));
    }
    progress.finish_and_clear();
    Ok(sum)
}

fn progress(items: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(items), ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} items  {eta} left");
    bar.set_style(style.expect("the template is valid"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use nbuffer::schedule::{Config, LaneConfig, Sets};
    use nbuffer::virtual_time::{DeviceModel, Setup, Times};

    use super::*;

    #[test]
    fn a_promise_that_does_not_hold_is_told_with_its_seed() {
        let lanes = vec![LaneConfig { sets: Sets::Joint(1), lag: 0 }];
        let setup = Setup::new(Config::new(lanes, 1), DeviceModel::Queued, Times::Fixed([1; 5]), 1);
        let told = violated(&Violation { seed: 7, stream: 12, what: "item 3 came twice".to_owned(), setup });
        assert!(told.starts_with("stream 12 of seed 7: item 3 came twice\n"), "{told}");
        assert!(told.ends_with("nbuffer simulate --chaos --seed 7 --stream 12"), "{told}");
    }
}
