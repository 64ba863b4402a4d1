//! A stand-in for the vendor's `libaxruntime.so`, for tests: the same C interface over a simulated device.
//!
//! It was written from the documentation, as the code that calls it was, and shares none of its declarations. Values are
//! real: a model's `model.json` says with `"stand_in"` what computes them (see `compiled.rs`). It is told what should go
//! wrong, and it counts what is alive, called and misused: see `control.rs`. [`StandIn`] is how tests load, tell and ask it.
//!
//! Handles are numbers in a table and no addresses, so that a stale or foreign one is found out and not followed.

mod abi;
mod asynchronous;
mod compiled;
mod control;
mod copy;
mod instance;
mod world;

pub use copy::{StandIn, library};
