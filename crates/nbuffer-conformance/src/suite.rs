//! Runs cases on a device, each with an end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use crate::{CASES, Case, Problem, Runner, Sizes};

/// What came of a case on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The device does it.
    Passed,
    /// It does not, and should.
    Failed(String),
    /// It does not, as is known, for this reason.
    ExpectedFailure(&'static str),
    /// It was listed as failing, for this reason, and does it now: take it off the list.
    UnexpectedPass(&'static str),
    /// The device is not here, for this reason.
    NotHere(String),
}

impl Outcome {
    /// Whether something is to be done about it.
    pub fn is_red(&self) -> bool {
        matches!(self, Outcome::Failed(_) | Outcome::UnexpectedPass(_))
    }
}

/// A device's column of the table.
#[derive(Clone, Debug)]
pub struct Column {
    /// The runner's name.
    pub name: String,
    /// What came of each of [`CASES`].
    pub outcomes: Vec<Outcome>,
}

impl Column {
    /// What is red, a line a case.
    pub fn red(&self) -> Vec<String> {
        let all = CASES.iter().zip(&self.outcomes).filter(|(_, outcome)| outcome.is_red());
        all.map(|(case, outcome)| format!("{}, {}: {outcome:?}", self.name, case.name)).collect()
    }
}

/// Devices of a kind share cores and real time, so one case runs at a time, also where a test runner has threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs all cases on a device.
///
/// # Panics
///
/// If the runner lists a case that there is none of.
pub fn check(runner: Runner, sizes: &Sizes) -> Column {
    for (name, _) in &runner.expected_failures {
        assert!(
            CASES.iter().any(|case| case.name == *name),
            "`{}` lists `{name}`, which is no case",
            runner.name
        );
    }
    let name = runner.name.clone();
    let opened = (runner.open)().and_then(|device| Ok(device.check()?));
    if let Err(why) = opened {
        return Column { name, outcomes: vec![Outcome::NotHere(why.to_string()); CASES.len()] };
    }
    let runner = Arc::new(runner);
    let outcomes = CASES.iter().map(|case| {
        let result = run_case(case, &runner, sizes);
        let expected = runner.expected_failures.iter().find(|(name, _)| *name == case.name);
        match (result, expected) {
            (Ok(()), None) => Outcome::Passed,
            (Ok(()), Some((_, reason))) => Outcome::UnexpectedPass(reason),
            (Err(_), Some((_, reason))) => Outcome::ExpectedFailure(reason),
            (Err(why), None) => Outcome::Failed(why.to_string()),
        }
    });
    Column { name, outcomes: outcomes.collect() }
}

/// Runs one case on a device; one that panics or takes too long has failed.
///
/// # Errors
///
/// Why the device does not do it.
pub fn run_case(case: &Case, runner: &Arc<Runner>, sizes: &Sizes) -> Result<(), Problem> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (tell, told) = mpsc::channel();
    let (run, runner, sizes) = (case.run, Arc::clone(runner), *sizes);
    // A case that hangs keeps its thread: there is no safe way to end it.
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| {
            run(&runner, &sizes)?;
            runner.at_rest.as_ref().map_or(Ok(()), |at_rest| at_rest())
        }));
        // Nobody listens any more when it took too long.
        let _ = tell.send(result.unwrap_or_else(|panic| Err(format!("panicked: {}", said(&*panic)).into())));
    });
    told.recv_timeout(sizes.patience)
        .unwrap_or_else(|_| Err(format!("did not end within {:?}", sizes.patience).into()))
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
