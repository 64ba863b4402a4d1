//! The conformance suite of all devices.

use nbuffer_conformance::{Outcome, Sizes, check, runners, table};

use crate::fixture::with_stand_in;

fn passes(name: &str) {
    let runner = runners::all().into_iter().find(|runner| runner.name == name).expect("it is in the table");
    // The long stream has a test of its own here.
    let column = check(runner, &Sizes { items_long: 2_000, ..Sizes::default() });
    let is_here = !column.outcomes.iter().any(|outcome| matches!(outcome, Outcome::NotHere(_)));
    assert!(is_here && column.red().is_empty(), "{}", table(&[column]));
}

#[test]
fn streams_pass() {
    with_stand_in("suite::streams_pass", &[], || passes("cuda"));
}

#[test]
fn graphs_pass() {
    with_stand_in("suite::graphs_pass", &[], || passes("cuda,graph"));
}
