//! The schedule in virtual time: what a run would do, without a device and without waiting.
//!
//! A [`Simulation`] drives [`Schedule`](crate::schedule::Schedule) itself. It takes no decision: it gives the
//! commands a length and reports their ends in the order of time, in whole nanoseconds. What it predicts is
//! what the real scheduler does when stages take that long.
//!
//! Host steps, links and compute units take the times of [`Times`]. Links and compute units serve one job at a
//! time, first come, first served; commands themselves, asking the source and handing results out take no time.
//! Things that happen at one time happen in the order in which they were foreseen, so a [`Setup`] always gives
//! the same run.
//!
//! ```
//! use nbuffer_core::schedule::{Config, LaneConfig, Sets};
//! use nbuffer_core::virtual_time::{DeviceModel, Setup, Simulation, Times};
//!
//! // The kernel takes 4 us, longer than everything else: with enough sets it never waits.
//! let lanes = vec![LaneConfig { sets: Sets::Joint(4), lag: 0 }];
//! let times = Times::Fixed([1_000, 2_000, 4_000, 2_000, 1_000]);
//! let setup = Setup::new(Config::new(lanes, 2), DeviceModel::Queued, times, 100);
//! let run = Simulation::new(&setup)?.run();
//! assert_eq!(run.totals.ok, 100);
//! assert_eq!(run.measures.period(), Some(4_000.0));
//! assert_eq!(run.end, 10_000 + 99 * 4_000);
//! # Ok::<(), nbuffer_core::virtual_time::SetupError>(())
//! ```

mod agenda;
mod chaos;
mod device;
mod feed;
mod items;
mod server;
mod setting;
mod setup;
mod simulation;
mod threads;
mod times;
mod watch;

pub use chaos::{Chaos, Violation, chaos, chaos_stream};
pub use setup::{DeviceModel, Fault, Links, SETS_MAX, Setup, SetupError, Source};
pub use simulation::{Run, Simulation};
pub use times::{LONGEST, StageTimes, Times};
pub use watch::{Delivery, Recording, Spans, Watch};
