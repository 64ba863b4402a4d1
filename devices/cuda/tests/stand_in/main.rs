//! The CUDA device on the stand-in driver (`stand-in/`), which is no GPU: values, order, identity, errors, lifetimes.
//!
//! Each test is a process of its own, because the driver is found when a process first asks for it and an error that sticks
//! stays until its end.
#![cfg(target_os = "linux")]

mod errors;
mod fixture;
mod lanes;
mod pipelines;
mod suite;
