//! The blocking call of an instance, with and without double buffering.

use std::time::Instant;

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{CallSpans, DeviceCall, DeviceError, DeviceSpan, HostBuffer, InputSet};

use crate::instance::Instance;
use crate::sys::Argument;

/// By how many calls a double-buffered instance is late.
const LAG: usize = 2;

/// An instance whose calls return when the device is done with them, or with those of two calls before.
pub(crate) struct AxCall {
    instance: Instance,
    /// With double buffering, inputs of the calls that may still be inside: the vendor does not say until when it reads
    /// an input, and a caller may overwrite its own as soon as the call returns.
    captured: Vec<InputSet>,
    calls: usize,
    arguments: Arguments,
}

/// Memory for the arguments of a call. Between calls they point to nothing that is used.
#[derive(Default)]
struct Arguments(Vec<Argument>);

// SAFETY: the pointers in it are written and used within one call only, and that by one thread.
unsafe impl Send for Arguments {}

impl AxCall {
    /// Calls of `instance`, which takes these inputs.
    pub(crate) fn new(instance: Instance, double_buffer: bool, inputs: &[TensorInfo]) -> Self {
        let captures = if double_buffer { LAG + 1 } else { 0 };
        let captured = (0..captures).map(|_| InputSet::zeroed(inputs)).collect();
        AxCall { instance, captured, calls: 0, arguments: Arguments::default() }
    }

    fn is_late(&self) -> bool {
        !self.captured.is_empty()
    }
}

impl DeviceCall for AxCall {
    fn lag(&self) -> usize {
        if self.is_late() { LAG } else { 0 }
    }

    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError> {
        let start = Instant::now();
        let is_late = self.is_late();
        let given = if is_late {
            let idx = self.calls % self.captured.len();
            let captured = &mut self.captured[idx];
            for (captured, input) in captured.iter_mut().zip(inputs) {
                captured.bytes_mut().copy_from_slice(input.bytes());
            }
            self.calls += 1;
            &self.captured[idx]
        } else {
            inputs
        };
        if let Err(failure) = self.instance.run(&mut self.arguments.0, given, outputs) {
            if failure.is_loss() || !is_late {
                return Err(failure.in_run());
            }
            // Whether the call moved what is inside is not documented, so nothing inside can be told apart any more.
            let why = failure.to_string();
            return Err(match self.instance.reload() {
                Ok(()) => DeviceError::Reset { why },
                Err(error) => DeviceError::Lost { why: format!("{why}; then {error}") },
            });
        }
        // The library does not tell write, kernel and read apart.
        let call = DeviceSpan { start, end: Instant::now() };
        Ok(CallSpans { kernel: Some(call), call: Some(call), ..CallSpans::default() })
    }
}
