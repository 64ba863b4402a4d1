//! How one item failed.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use nbuffer_core::schedule::Sequence;

use crate::device::DeviceError;

/// Any error a user's stage may return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where an item was when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The source was asked for it.
    Source,
    /// Its inputs were being filled.
    Preprocess,
    /// It was with its lane.
    Device,
    /// Its outputs were being read.
    Postprocess,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Source => "source",
            Step::Preprocess => "preprocess",
            Step::Device => "device call",
            Step::Postprocess => "postprocess",
        })
    }
}

/// Why one item has no result. All other items are unaffected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// The user's stage returned an error.
    #[error("{step} failed on item {sequence}")]
    Stage {
        /// Where the item was.
        step: Step,
        /// The item.
        sequence: Sequence,
        /// What the stage said.
        source: BoxError,
    },
    /// The user's stage or source panicked.
    #[error("{step} panicked on item {sequence}: {message}")]
    Panicked {
        /// Where the item was.
        step: Step,
        /// The item.
        sequence: Sequence,
        /// What the panic said.
        message: String,
    },
    /// The device call of this item failed, or its lane was lost.
    #[error("lane {lane} failed on item {sequence}")]
    Device {
        /// The item.
        sequence: Sequence,
        /// The lane it was on.
        lane: usize,
        /// What the device said; shared by all items a lost lane takes with it.
        source: Arc<DeviceError>,
    },
    /// No lane was left to run it.
    #[error("item {sequence} found no lane: all are lost")]
    NoLane {
        /// The item.
        sequence: Sequence,
    },
    /// The stream was cancelled before the item was done.
    #[error("item {sequence} was cancelled")]
    Cancelled {
        /// The item.
        sequence: Sequence,
    },
}

impl ItemError {
    /// The item.
    pub fn sequence(&self) -> Sequence {
        match *self {
            ItemError::Stage { sequence, .. }
            | ItemError::Panicked { sequence, .. }
            | ItemError::Device { sequence, .. }
            | ItemError::NoLane { sequence }
            | ItemError::Cancelled { sequence } => sequence,
        }
    }

    /// The error and everything it came from, in one line.
    pub fn chain(&self) -> String {
        with_sources(self.to_string(), std::error::Error::source(self))
    }

    /// What went wrong and everything it came from, in one line, without the item's number: for a report
    /// that names the item in its own way.
    pub fn cause(&self) -> String {
        match self {
            ItemError::Stage { step, source, .. } => {
                with_sources(format!("{step} failed"), Some(source.as_ref() as _))
            }
            ItemError::Panicked { step, message, .. } => format!("{step} panicked: {message}"),
            ItemError::Device { lane, source, .. } => {
                with_sources(format!("lane {lane} failed"), Some(source.as_ref() as _))
            }
            ItemError::NoLane { .. } => "no lane was left: all are lost".to_owned(),
            ItemError::Cancelled { .. } => "cancelled".to_owned(),
        }
    }
}

/// One line of an error and all its sources.
fn with_sources(mut text: String, mut source: Option<&(dyn std::error::Error + 'static)>) -> String {
    while let Some(error) = source {
        let said = error.to_string();
        // A transparent error repeats what its source says.
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = error.source();
    }
    text
}

/// What a panic said, as far as it said anything.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    said.unwrap_or("(no message)").to_owned()
}
