//! The adaptor for devices whose call returns when its own result is there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{BlockingLane, Called, DeviceCall, Flight};
use crate::buffer::BufferSet;
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

impl<C: DeviceCall> BlockingLane<BufferSet> for Blocking<C> {
    fn computes(&self) -> bool {
        self.call.computes()
    }

    fn call(&mut self, flight: Option<Flight<BufferSet>>) -> Called<BufferSet> {
        let Some(mut flight) = flight else {
            return Called::Nothing;
        };
        let BufferSet { inputs, outputs } = &mut flight.set;
        match catch_unwind(AssertUnwindSafe(|| self.call.run(inputs, outputs))) {
            Ok(Ok(spans)) => Called::Landed(flight, spans.into()),
            Ok(Err(error @ DeviceError::Lost { .. })) => {
                // A device that is gone may still write to this memory: it is never freed.
                std::mem::forget(flight);
                Called::Lost(error.into())
            }
            Ok(Err(error)) => Called::Failed(flight, error.into()),
            Err(panic) => {
                Called::Failed(flight, DeviceError::Panicked { message: panic_message(&*panic) }.into())
            }
        }
    }
}
