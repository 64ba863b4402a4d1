//! The adaptor for devices whose results come calls late, as with double buffering.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nbuffer_core::tensor::TensorInfo;

use super::{BlockingLane, Called, DeviceCall, DeviceSpans, Flight};
use crate::buffer::BufferSet;
use crate::device::DeviceError;
use crate::item_error::panic_message;

/// Makes a lane of a [`DeviceCall`] with lag.
///
/// Call k writes the result of call k - lag. This adaptor keeps the sets in flight in the order of their
/// calls and hands each call the outputs of the item whose result it brings, so that a result lands in its
/// own item's set. While the device fills up, and in flush calls, the missing side is scratch memory: primers
/// and dummies never leave this file.
#[derive(Debug)]
pub struct Lagged<C> {
    call: C,
    lag: usize,
    /// The last `lag` calls, oldest first. `None` is a flush call, whose result nobody wants.
    inside: VecDeque<Option<Inside>>,
    scratch: BufferSet,
}

#[derive(Debug)]
struct Inside {
    flight: Flight<BufferSet>,
    spans: DeviceSpans,
}

impl<C: DeviceCall> Lagged<C> {
    /// A lane that makes `call` for each set of these tensors.
    pub fn new(call: C, inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Self {
        let lag = call.lag();
        Lagged { call, lag, inside: VecDeque::new(), scratch: BufferSet::zeroed(inputs, outputs) }
    }

    /// A device that is gone may still write to this memory: it is never freed.
    fn lose(&mut self, others: [Option<Inside>; 2], error: DeviceError) -> Called<BufferSet> {
        std::mem::forget((others, std::mem::take(&mut self.inside)));
        Called::Lost(error.into())
    }
}

impl<C: DeviceCall> BlockingLane<BufferSet> for Lagged<C> {
    fn lag(&self) -> usize {
        self.lag
    }

    fn computes(&self) -> bool {
        self.call.computes()
    }

    fn call(&mut self, flight: Option<Flight<BufferSet>>) -> Called<BufferSet> {
        let mut submitted = flight.map(|flight| Inside { flight, spans: DeviceSpans::default() });
        let is_full = self.inside.len() == self.lag;
        let mut landing = if is_full { self.inside.pop_front().flatten() } else { None };

        let inputs = submitted.as_ref().map_or(&self.scratch.inputs, |s| &s.flight.set.inputs);
        let outputs = match &mut landing {
            Some(landing) => &mut landing.flight.set.outputs,
            None => &mut self.scratch.outputs,
        };
        let spans = match catch_unwind(AssertUnwindSafe(|| self.call.run(inputs, outputs))) {
            Ok(Ok(spans)) => spans,
            Ok(Err(error @ DeviceError::Lost { .. })) => return self.lose([submitted, landing], error),
            // Whether anything moved is unknown, so what the next call would bring is too.
            Err(panic) => {
                let error = DeviceError::Panicked { message: panic_message(&*panic) };
                return self.lose([submitted, landing], error);
            }
            // Nothing moved: the call costs its own item, and everything inside stays in its place.
            Ok(Err(error)) => {
                if let Some(submitted) = submitted {
                    if is_full {
                        self.inside.push_front(landing);
                    }
                    return Called::Failed(submitted.flight, error.into());
                }
                // A flush call has no item of its own. It costs the oldest, so that a device that fails every
                // call cannot hold the stream for ever.
                let Some(oldest) = landing.or_else(|| self.take_oldest()) else {
                    return Called::Nothing;
                };
                if is_full {
                    self.inside.push_front(None);
                }
                return Called::Failed(oldest.flight, error.into());
            }
        };

        if let Some(submitted) = &mut submitted {
            submitted.spans.write = spans.write;
            submitted.spans.call = spans.call;
        }
        // The item of the call before this one was computed meanwhile.
        let computed = self.inside.back_mut().and_then(Option::as_mut).or(match self.lag {
            1 => landing.as_mut(),
            _ => None,
        });
        if let Some(computed) = computed {
            computed.spans.kernel = spans.kernel;
        }
        self.inside.push_back(submitted);
        match landing {
            Some(Inside { flight, spans: DeviceSpans { write, kernel, call, .. } }) => {
                Called::Landed(flight, DeviceSpans { write, kernel, read: spans.read, call }.into())
            }
            None => Called::Nothing,
        }
    }
}

impl<C> Lagged<C> {
    /// The oldest item inside; its place stays, since its call was made.
    fn take_oldest(&mut self) -> Option<Inside> {
        self.inside.iter_mut().find_map(Option::take)
    }
}
