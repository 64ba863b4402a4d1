//! The pure heart of nbuffer: what happens when, and what the bytes of a tensor mean.
//!
//! - [`schedule`] is the N-way buffering state machine: events in, commands out. The real-time runtime and
//!   the virtual-time simulator drive this same code.
//! - [`tensor`] describes int8 tensors (shape, padding, quantisation) and converts to and from them.
//!
//! Nothing here starts a thread, reads a clock, opens a file or touches a device. There is no `unsafe`.

pub mod schedule;
pub mod tensor;
