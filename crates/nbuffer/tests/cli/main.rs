//! The command line, run as a user runs it: what it prints and writes, what it refuses, how it ends.

mod accuracy;
mod bench;
mod ends;
mod failures;
mod files;
mod fixtures;
mod inspects;
mod kernels;
mod logs;
#[cfg(feature = "metis")]
mod metis;
mod metrics;
mod mixed;
#[cfg(feature = "otel")]
mod otel;
mod plan;
mod process;
mod refusals;
mod report;
mod simulate;
mod stdin;
mod tile;
mod trace;
