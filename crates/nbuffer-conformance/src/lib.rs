//! What every device must do, as one suite of cases that know no device.
//!
//! A [`Runner`] says how to open a device, what it can carry, and which cases are expected to fail and why. [`check`]
//! runs all [`cases`](CASES) on it: a case that fails is red, and so is one that was expected to fail and passes. What goes through
//! the devices are numbered items: every element of every tensor tells its item, so that a stale, swapped or unwritten
//! output cannot pass.
//!
//! `README.md` beside this crate says how a device gets its runner.

mod cases;
mod compiled;
mod models;
mod payload;
mod runner;
pub mod runners;
mod stream;
mod suite;
mod table;

pub use cases::{CASES, Case};
pub use runner::{Forms, Runner, Sizes};
pub use suite::{Column, Outcome, check, run_case};
pub use table::table;

/// Why a case failed.
pub type Problem = nbuffer_runtime::BoxError;
