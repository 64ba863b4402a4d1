//! The device over the stand-in library: every call, every error code, every lifetime.

mod failures;
mod layouts;
mod lifetimes;
mod opens;
mod queue;
mod stand_in;
mod stream;
mod values;
