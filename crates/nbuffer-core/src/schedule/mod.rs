//! The N-way buffering schedule: a pure state machine, events in, commands out.
//!
//! A buffer set goes *free → preprocessing → ready → in flight → landed → postprocessing → free*. With
//! [`Sets::Split`] that way has two halves: an input set goes to *in flight* and is free again when the device has
//! read it, an output set comes in there and goes on. Whoever drives the schedule, with real threads or in virtual time, asks for the [next command](Schedule::next),
//! carries it out and [reports](Schedule::report) what happened; results are [delivered](Schedule::deliver)
//! in order. No decision is taken anywhere else.
//!
//! Promises, for any order of events that answers its commands:
//!
//! - a buffer set holds at most one item, and no item begins anything without the set it needs;
//! - every item taken ends exactly once, as ok, failed or cancelled, and is delivered exactly once;
//! - at most [`Config::window`] items lie between take and delivery;
//! - a stream of any length ends, and with it every flush call a lane with lag still needs.
//!
//! Rings can be [resized](Schedule::resize) and host threads [changed](Schedule::set_host_threads) at any moment.
//! It does not say how long anything takes, and it never sees an item's data.
//!
//! # One item through one lane
//!
//! ```
//! use nbuffer_core::schedule::*;
//!
//! let lane = LaneConfig { sets: Sets::Joint(1), lag: 0 };
//! let mut schedule = Schedule::new(Config::new(vec![lane], 1))?;
//!
//! assert_eq!(schedule.next(), Some(Command::Take));
//! schedule.report(Event::Taken);
//! let Some(Command::Preprocess(slot)) = schedule.next() else { panic!() };
//! schedule.report(Event::Preprocessed(slot, Step::Done));
//! let Some(Command::Submit(transit)) = schedule.next() else { panic!() };
//! assert_eq!(transit.input_slot(), slot);
//! schedule.report(Event::Landed(transit));
//! schedule.report(Event::CallReturned(transit.lane()));
//! let Some(Command::Postprocess(slot)) = schedule.next() else { panic!() };
//! assert_eq!(transit.output_slot(), slot);
//! schedule.report(Event::Postprocessed(slot, Step::Done));
//!
//! assert_eq!(schedule.deliver(), Some((0, Outcome::Ok)));
//! assert_eq!(schedule.next(), Some(Command::Take));
//! schedule.report(Event::SourceEnded);
//! assert!(schedule.is_ended());
//! # Ok::<(), ConfigError>(())
//! ```

mod config;
mod flush;
mod host;
mod machine;
mod pool;
mod protocol;
mod questions;
mod ring;
mod sizes;
mod window;

pub use config::{
    Config, ConfigError, Duplex, Flush, HostThreads, LIMIT, LaneChoice, LaneConfig, Order, Retry, Sets,
};
pub use machine::Schedule;
pub use pool::SetState;
pub use protocol::{Command, Event, Outcome, Sequence, Slot, Step, Totals, Transit};
