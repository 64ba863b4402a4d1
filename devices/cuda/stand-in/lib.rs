//! A stand-in for the CUDA driver, for tests on machines without a GPU. It is no GPU, and says nothing about one's speed.
//!
//! It has the entry points that nbuffer-cuda calls, with the driver's rules as far as they matter there: each stream has a
//! thread and runs behind the calls, copies take time and move their two halves at different moments, so that a missing wait
//! gives wrong values; memory is checked when work runs, so that freeing too early is an illegal access; calls without a current
//! context fail, errors of work stick, and what a graph records can be waited for only afterwards. Kernels are known by name.
//!
//! `NBUFFER_STAND_IN_FAULTS` makes calls and work fail: `cuLaunchKernel@3=701` the third launch, `kernel@3=700` the third kernel
//! when it runs, `kernel@3=hang` makes it stay. Several are separated by commas.

#![allow(non_snake_case, missing_docs, unreachable_pub, clippy::missing_safety_doc)] // the driver's ABI

mod api;
mod faults;
mod handles;
mod kernels;
mod machine;
mod memory;
