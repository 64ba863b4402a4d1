//! The adaptor for devices whose results come calls late, as with double buffering.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nbuffer_core::schedule::Transit;
use nbuffer_core::tensor::TensorInfo;

use super::{BlockingLane, Called, DeviceCall, DeviceSpans, Ended, Flight};
use crate::buffer::{InputSet, OutputSet};
use crate::device::DeviceError;
use crate::item_error::panic_message;

/// Makes a lane of a [`DeviceCall`] with lag.
///
/// Call k writes the result of call k - lag. This adaptor keeps the outputs in flight in the order of their
/// calls and hands each call those of the item whose result it brings, so that a result lands in its own
/// item's set. An input goes back after its own call, which has captured it. While the device fills up, and in flush calls, the missing side is scratch memory: primers
/// and dummies never leave this file.
#[derive(Debug)]
pub struct Lagged<C> {
    call: C,
    lag: usize,
    /// The last `lag` calls, oldest first. `None` is a flush call, whose result nobody wants.
    inside: VecDeque<Option<Inside>>,
    scratch: (InputSet, OutputSet),
}

#[derive(Debug)]
struct Inside {
    id: Transit,
    output: OutputSet,
    spans: DeviceSpans,
    /// Why its result is lost: the device was started afresh meanwhile. It keeps its place, since the calls that would
    /// have brought it now bring dummies.
    lost: Option<String>,
}

impl<C: DeviceCall> Lagged<C> {
    /// A lane that makes `call` for each set of these tensors.
    pub fn new(call: C, inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Self {
        let lag = call.lag();
        let scratch = (InputSet::zeroed(inputs), OutputSet::zeroed(outputs));
        Lagged { call, lag, inside: VecDeque::new(), scratch }
    }
}

impl<C: DeviceCall> BlockingLane<InputSet, OutputSet> for Lagged<C> {
    fn lag(&self) -> usize {
        self.lag
    }

    fn cores(&self) -> usize {
        self.call.cores()
    }

    fn call(&mut self, flight: Option<Flight<InputSet, OutputSet>>) -> Called<InputSet, OutputSet> {
        let (mut submitted, input) = match flight {
            Some(Flight { id, input, output }) => {
                (Some(Inside { id, output, spans: DeviceSpans::default(), lost: None }), Some((id, input)))
            }
            None => (None, None),
        };
        let is_full = self.inside.len() == self.lag;
        let mut landing = if is_full { self.inside.pop_front().flatten() } else { None };

        let inputs = input.as_ref().map_or(&self.scratch.0, |(_, input)| input);
        let outputs = landing.as_mut().map_or(&mut self.scratch.1, |landing| &mut landing.output);
        let (error, is_lost) = match catch_unwind(AssertUnwindSafe(|| self.call.run(inputs, outputs))) {
            Ok(Ok(spans)) => return self.moved(submitted, landing, input, &spans),
            Ok(Err(error)) => {
                let is_lost = matches!(error, DeviceError::Lost { .. });
                (error, is_lost)
            }
            // Whether anything moved is unknown, so what the next call would bring is too.
            Err(panic) => (DeviceError::Panicked { message: panic_message(&*panic) }, true),
        };
        if is_lost {
            // A device that is gone may still reach this memory: it is never freed.
            std::mem::forget((submitted, landing, input, std::mem::take(&mut self.inside)));
            return Called::lost(error);
        }
        if let DeviceError::Reset { why } = &error {
            for inside in self.inside.iter_mut().flatten().chain(&mut landing) {
                inside.lost.get_or_insert_with(|| why.clone());
            }
        }
        // The call costs its own item, and everything inside stays in its place.
        if let Some(Inside { id, output, .. }) = submitted.take() {
            if is_full {
                self.inside.push_front(landing);
            }
            return Called { input, ended: Ended::Failed(id, output, error.into()) };
        }
        // A flush call has no item of its own. It costs the oldest, so that a device that fails every call
        // cannot hold the stream for ever.
        let Some(Inside { id, output, .. }) = landing.or_else(|| self.take_oldest()) else {
            return Called::NOTHING;
        };
        if is_full {
            self.inside.push_front(None);
        }
        Called { input: None, ended: Ended::Failed(id, output, error.into()) }
    }
}

impl<C> Lagged<C> {
    /// A call succeeded: everything inside is one place further.
    fn moved(
        &mut self,
        mut submitted: Option<Inside>,
        mut landing: Option<Inside>,
        input: Option<(Transit, InputSet)>,
        spans: &DeviceSpans,
    ) -> Called<InputSet, OutputSet> {
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
        let ended = match landing {
            Some(Inside { id, output, lost: Some(why), .. }) => {
                Ended::Failed(id, output, DeviceError::Reset { why }.into())
            }
            Some(Inside { id, output, spans: DeviceSpans { write, kernel, call, .. }, lost: None }) => {
                let spans = DeviceSpans { write, kernel, read: spans.read, call };
                Ended::Landed(id, output, spans.into())
            }
            None => Ended::Nothing,
        };
        Called { input, ended }
    }

    /// The oldest item inside; its place stays, since its call was made.
    fn take_oldest(&mut self) -> Option<Inside> {
        self.inside.iter_mut().find_map(Option::take)
    }
}
