//! Calls a lane by hand, as it is: with its lag, without a schedule.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::{
    BlockingLane, Called, Calls, Completions, DeviceError, Ended, Flight, InputSet, Lane, Memory, OutputSet,
    QueuedLane, Transit,
};

use super::error::Error;

/// One lane and the few buffer sets that one call at a time needs.
///
/// Results carry identity here as everywhere: a lane gives back the outputs of the call they belong to. That they are
/// then copied to whoever calls at that moment is what makes this the raw form.
pub(super) struct RawCall {
    device: String,
    line: Line,
    memory: Box<dyn Memory<InputSet, OutputSet>>,
    lag: usize,
    /// Sets that are not inside the lane.
    inputs: Vec<InputSet>,
    outputs: Vec<OutputSet>,
    /// What a call writes while the lane fills up, one per output.
    dummies: Vec<Vec<u8>>,
    calls: u64,
    lost: Option<Arc<DeviceError>>,
}

enum Line {
    Blocking(Box<dyn BlockingLane<InputSet, OutputSet>>),
    Queued { lane: Box<dyn QueuedLane<InputSet, OutputSet>>, called: Receiver<Called<InputSet, OutputSet>> },
}

impl RawCall {
    pub(super) fn new(
        lane: Lane<InputSet, OutputSet>,
        device: &str,
        outputs: &[TensorInfo],
        poison: bool,
    ) -> Self {
        let lag = lane.lag();
        let line = match lane.calls {
            Calls::Blocking(lane) => Line::Blocking(lane),
            Calls::Queued(open) => {
                let (tell, called) = channel();
                // A lane that is going away may still tell, and nobody listens then.
                let completions = Completions::new(0, Arc::new(move |called, _| drop(tell.send(called))));
                Line::Queued { lane: open(completions), called }
            }
        };
        let dummies = if lag == 0 { Vec::new() } else { outputs.iter().map(|o| dummy(o, poison)).collect() };
        let (device, memory) = (device.to_owned(), lane.memory);
        let (inputs, outputs) = (Vec::new(), Vec::new());
        RawCall { device, line, memory, lag, inputs, outputs, dummies, calls: 0, lost: None }
    }

    pub(super) fn lag(&self) -> usize {
        self.lag
    }

    /// One call with buffers of the right number and sizes.
    pub(super) fn run(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), Error> {
        if let Some(lost) = &self.lost {
            return Err(Error::Device(Arc::clone(lost)));
        }
        let mut input = self.inputs.pop().map_or_else(|| self.memory.input(), Ok)?;
        let output = match self.outputs.pop().map_or_else(|| self.memory.output(), Ok) {
            Ok(output) => output,
            Err(error) => {
                self.inputs.push(input);
                return Err(error.into());
            }
        };
        for (buffer, given) in input.iter_mut().zip(inputs) {
            buffer.bytes_mut().copy_from_slice(given);
        }
        // One call at a time needs no numbers for sets.
        let flight = Flight { id: Transit::new(0, 0, 0, self.calls), input, output };
        match self.call(flight)? {
            Ended::Landed(_, output, _) => {
                for (buffer, wanted) in output.iter().zip(outputs) {
                    wanted.copy_from_slice(buffer.bytes());
                }
                self.outputs.push(output);
            }
            Ended::Nothing => {
                for (dummy, wanted) in self.dummies.iter().zip(outputs) {
                    wanted.copy_from_slice(dummy);
                }
            }
            Ended::Failed(_, output, error) => {
                self.outputs.push(output);
                return Err((*error).into());
            }
            Ended::Lost(error) => {
                let lost = Arc::from(error);
                self.lost = Some(Arc::clone(&lost));
                return Err(Error::Device(lost));
            }
        }
        self.calls += 1;
        Ok(())
    }

    /// Makes the call and keeps the input for the next one.
    fn call(&mut self, flight: Flight<InputSet, OutputSet>) -> Result<Ended<OutputSet>, Error> {
        match &mut self.line {
            Line::Blocking(lane) => {
                let Called { input, ended } = lane.call(Some(flight));
                self.inputs.extend(input.map(|(_, input)| input));
                Ok(ended)
            }
            Line::Queued { lane, called } => {
                lane.submit(flight);
                loop {
                    let Ok(Called { input, ended }) = called.recv() else {
                        let how = "a queue ended without telling of the item in it";
                        return Err(Error::Contract { device: self.device.clone(), how });
                    };
                    self.inputs.extend(input.map(|(_, input)| input));
                    if !matches!(ended, Ended::Nothing) {
                        return Ok(ended);
                    }
                }
            }
        }
    }
}

/// What belongs to no call: a poison pattern, or the tensor's zero.
fn dummy(tensor: &TensorInfo, poison: bool) -> Vec<u8> {
    let elements = tensor.elements();
    match tensor.dtype() {
        _ if poison => vec![0xa5; tensor.size()],
        DType::I8 => vec![tensor.pad_value().cast_unsigned(); elements],
        DType::U8 => vec![tensor.zero_point().clamp(0, 255) as u8; elements],
        DType::I32 => tensor.zero_point().to_ne_bytes().repeat(elements),
        DType::U32 => tensor.zero_point().max(0).cast_unsigned().to_ne_bytes().repeat(elements),
        DType::I64 => i64::from(tensor.zero_point()).to_ne_bytes().repeat(elements),
        DType::F32 => vec![0; tensor.size()],
    }
}
