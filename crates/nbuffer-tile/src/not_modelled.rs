//! Calls of Ascend C that this model does not have. Each says so at the call, and what to do instead, so that no kernel runs
//! as if it had been heard.

use std::panic::Location;

use crate::core::Core;
use crate::error::{ErrorKind, KernelError};
use crate::pipe::Pipe;

/// Cores meet in global memory alone.
const CORES_APART: &str = "cores do not wait for each other within a launch; give each its own part of the output, and launch \
                           once more on what they left";

#[track_caller]
fn not_modelled<R>(call: &'static str, instead: &'static str) -> Result<R, KernelError> {
    Err(KernelError::new(ErrorKind::NotModelled { call, instead }, Location::caller()))
}

impl Core {
    /// Sets a flag for other cores (`CrossCoreSetFlag`).
    ///
    /// # Errors
    ///
    /// Always: it is not modelled.
    #[track_caller]
    pub fn cross_core_set_flag(&self, _pipe: Pipe, _id: u8) -> Result<(), KernelError> {
        not_modelled("cross_core_set_flag", CORES_APART)
    }

    /// Waits for a flag of other cores (`CrossCoreWaitFlag`).
    ///
    /// # Errors
    ///
    /// Always: it is not modelled.
    #[track_caller]
    pub fn cross_core_wait_flag(&self, _id: u8) -> Result<(), KernelError> {
        not_modelled("cross_core_wait_flag", CORES_APART)
    }

    /// Waits for all cores (`SyncAll`).
    ///
    /// # Errors
    ///
    /// Always: it is not modelled.
    #[track_caller]
    pub fn sync_all(&self) -> Result<(), KernelError> {
        not_modelled("sync_all", CORES_APART)
    }
}
