//! The adaptor for devices whose call returns when its own result is there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{BlockingLane, Called, DeviceCall, Flight};
use crate::buffer::{InputSet, OutputSet};
use crate::device::DeviceError;
use crate::item_error::panic_message;

/// Makes a lane of a [`DeviceCall`] without lag.
///
/// A call that panics costs its item; the lane goes on.
#[derive(Debug)]
pub struct Blocking<C> {
    call: C,
}

impl<C: DeviceCall> Blocking<C> {
    /// A lane that makes `call` for each set.
    ///
    /// # Panics
    ///
    /// If the call has lag: that is for [`Lagged`](super::Lagged).
    pub fn new(call: C) -> Self {
        assert_eq!(call.lag(), 0, "a call with lag needs the adaptor `Lagged`");
        Blocking { call }
    }
}

impl<C: DeviceCall> BlockingLane<InputSet, OutputSet> for Blocking<C> {
    fn cores(&self) -> usize {
        self.call.cores()
    }

    fn call(&mut self, flight: Option<Flight<InputSet, OutputSet>>) -> Called<InputSet, OutputSet> {
        let Some(mut flight) = flight else {
            return Called::NOTHING;
        };
        match catch_unwind(AssertUnwindSafe(|| self.call.run(&flight.input, &mut flight.output))) {
            Ok(Ok(spans)) => Called::landed(flight, spans.into()),
            Ok(Err(error @ DeviceError::Lost { .. })) => {
                // A device that is gone may still write to this memory: it is never freed.
                std::mem::forget(flight);
                Called::lost(error)
            }
            Ok(Err(error)) => Called::failed(flight, error),
            Err(panic) => Called::failed(flight, DeviceError::Panicked { message: panic_message(&*panic) }),
        }
    }
}
