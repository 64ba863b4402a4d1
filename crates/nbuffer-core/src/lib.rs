//! The pure heart of nbuffer: what happens when, and what the bytes of a tensor mean.
//!
//! - [`schedule`] is the N-way buffering state machine: events in, commands out. The real-time runtime and
//!   the virtual-time simulator drive this same code.
//! - [`measure`] collects what a run measures, on whichever clock it ran.
//! - [`plan`] says from stage times which period is possible and which resource sets it.
//! - [`tune`] chooses buffer sets and host threads while a stream runs.
//! - [`summary`] puts both into the one format every run reports in.
//! - [`trace`] holds the spans of a run and draws them.
//! - [`downtime`] says from a trace what compute units waited for.
//! - [`virtual_time`] drives that schedule with stage times instead of devices, millions of items a second.
//! - [`tensor`] describes int8 tensors (shape, padding, quantisation) and converts to and from them.
//!
//! Nothing here starts a thread, reads a clock, opens a file or touches a device. There is no `unsafe`.

pub mod downtime;
pub mod measure;
pub mod plan;
pub mod schedule;
pub mod summary;
pub mod tensor;
pub mod trace;
pub mod tune;
pub mod virtual_time;
