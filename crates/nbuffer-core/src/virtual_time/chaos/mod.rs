//! Random streams through random set-ups, with everything going wrong at once and every promise checked at every
//! step.

mod case;
mod checker;
mod owner;

use std::panic::{AssertUnwindSafe, catch_unwind};

use case::Case;
use checker::Checker;

use super::{Setup, Simulation};

/// What [`chaos`] went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chaos {
    /// Streams simulated.
    pub streams: u64,
    /// Items taken in all of them.
    pub items: u64,
    /// Steps after which every promise was checked.
    pub steps: u64,
}

/// A promise broken, and what repeats it: [`chaos_stream`] with `seed` and `stream`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("stream {stream} of seed {seed}: {what}\n{setup:#?}")]
pub struct Violation {
    /// The seed given to [`chaos`].
    pub seed: u64,
    /// The number of the stream, from 0.
    pub stream: u64,
    /// Which promise, and what was found instead.
    pub what: String,
    /// The set-up as the stream began.
    pub setup: Setup,
}

/// Simulates random streams until at least `items` items were taken.
///
/// Layouts, lanes, device models, threads, policies, stage times, faults, stalls and cancels are drawn anew for
/// each stream, and rings, threads and window change while it runs. After each step everything is compared with
/// what the schedule promises: one owner for each buffer set, each item once and in order, no more than ring,
/// window and threads hold, and an end.
///
/// # Errors
///
/// The first promise broken, with what repeats it.
pub fn chaos(seed: u64, items: u64) -> Result<Chaos, Box<Violation>> {
    let mut sum = Chaos::default();
    while sum.items < items {
        let stream = chaos_stream(seed, sum.streams)?;
        sum.streams += 1;
        sum.items += stream.items;
        sum.steps += stream.steps;
    }
    Ok(sum)
}

/// Simulates one stream of [`chaos`].
///
/// # Errors
///
/// The first promise broken.
pub fn chaos_stream(seed: u64, stream: u64) -> Result<Chaos, Box<Violation>> {
    let mut case = Case::draw(seed, stream);
    let setup = case.setup.clone();
    // The schedule asserts what it promises too: that is a violation like any other, and must name its seed.
    let run = catch_unwind(AssertUnwindSafe(|| run(&mut case)));
    let run = run.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        Err(message.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned())
    });
    run.map_err(|what| Box::new(Violation { seed, stream, what, setup }))
}

fn run(case: &mut Case) -> Result<Chaos, String> {
    let checker = Checker::new(&case.setup);
    let mut simulation = Simulation::watched(&case.setup, checker).map_err(|error| error.to_string())?;
    // Each item takes a bounded number of steps, so a stream beyond this bound goes in circles.
    let steps_max = 1_000 + 100 * case.setup.source.items;
    let mut steps = 0;
    while simulation.step().is_some() {
        steps += 1;
        if steps > steps_max {
            return Err(format!("no end after {steps} steps"));
        }
        checker::check(&mut simulation)?;
        if case.change(&mut simulation).map_err(|error| error.to_string())? {
            checker::check(&mut simulation)?;
        }
    }
    checker::check_end(&simulation)?;
    Ok(Chaos { streams: 1, items: simulation.schedule().totals().taken, steps })
}
