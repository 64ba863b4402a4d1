//! Simulated devices: real values, real time, planned faults.
//!
//! A [`SimDevice`] is made from a [`Profile`], which says how many cores it has, how fast its link is, how
//! long a kernel takes and what goes wrong. Values come from an engine on the CPU, or from a built-in kernel.
//! Device time passes on the device's own timeline without using the CPU: what is queued starts when its
//! engine is free, however late the host wakes up.
//!
//! There are two classes. A *lockstep* device (`metis`) has blocking calls on cores reserved per lane; with
//! double buffering a call lasts as long as its longest stage and returns the result of two calls before. A
//! *queued* device (`fpga`, `gpu`) takes items at once and has separate write, kernel and read engines.
//!
//! What it does not promise: an engine that needs more time than the kernel it stands for makes the timing
//! void, which [`Program::remarks`](nbuffer_runtime::Program::remarks) says.

mod arithmetic;
mod bell;
mod device;
mod fault;
mod hardware;
mod lockstep;
mod profile;
mod program;
mod queued;
#[cfg(test)]
mod testing;
mod timeline;
mod times;

pub use device::{SimDevice, open};
pub use fault::{Fault, FaultKind, FaultPlan, Trigger};
pub use profile::{Class, HostCost, Link, Profile, ProfileError, Transfer, built_in};
