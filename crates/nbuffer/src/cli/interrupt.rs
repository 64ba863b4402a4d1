//! Ctrl-C: the first one cancels the run that is going on, the second ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use nbuffer::Canceller;

static CAME: AtomicBool = AtomicBool::new(false);
/// The run that is going on, once there was one.
static RUN: Mutex<Option<Canceller>> = Mutex::new(None);

/// From now on an interrupt cancels this run, and no earlier one. It is cancelled now if one came already.
pub(super) fn cancels(run: Canceller) -> anyhow::Result<()> {
    let is_first = RUN.lock().unwrap_or_else(PoisonError::into_inner).replace(run).is_none();
    if is_first {
        ctrlc::set_handler(interrupted).context("cannot watch for Ctrl-C")?;
    }
    // Whichever comes last, the run or the interrupt, finds the other one.
    if came() {
        cancel();
    }
    Ok(())
}

/// Whether there was an interrupt.
pub(super) fn came() -> bool {
    CAME.load(Ordering::SeqCst)
}

fn interrupted() {
    if CAME.swap(true, Ordering::SeqCst) {
        std::process::exit(130);
    }
    tell!("interrupted: finishing what is on the device; once more to stop at once");
    cancel();
}

fn cancel() {
    let run = RUN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(run) = run {
        run.cancel();
    }
}
