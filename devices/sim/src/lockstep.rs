//! A lane of a lockstep device: one instance on cores of its own, whose call blocks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::{CallSpans, DeviceCall, DeviceError, HostBuffer, LaneOptions};

use crate::arithmetic::Arithmetic;
use crate::bell::Bell;
use crate::fault::{FaultKind, corrupted_byte};
use crate::hardware::{CoreLease, MemoryLease};
use crate::program::Prepared;
use crate::timeline::{JobId, Progress, Span};
use crate::times::Shape;

/// One instance.
///
/// Values are computed from the inputs as they are during the call that gives them, on the calling thread,
/// while that call's device time passes.
pub(crate) struct LockstepCall {
    prepared: Arc<Prepared>,
    lane: usize,
    cores: CoreLease,
    _l2: MemoryLease,
    arithmetic: Arithmetic,
    pipeline: Option<Pipeline>,
    bell: Arc<Bell>,
    calls: u64,
    lost: Option<String>,
}

/// The results inside a double-buffered instance: of the last call that moved, and of the one before it.
struct Pipeline {
    results: [Vec<HostBuffer>; 2],
    moved: u64,
}

impl Pipeline {
    /// Two dummies, which the first two calls return.
    fn new(outputs: &[TensorInfo]) -> Self {
        Pipeline {
            results: [(); 2]
                .map(|()| outputs.iter().map(|output| dummy(output, cfg!(debug_assertions))).collect()),
            moved: 0,
        }
    }

    /// Takes the result just computed in `outputs` and gives that of two calls before in its place.
    fn exchange(&mut self, outputs: &mut [HostBuffer]) {
        let oldest = &mut self.results[(self.moved % 2) as usize];
        for (result, output) in oldest.iter_mut().zip(outputs) {
            result.bytes_mut().swap_with_slice(output.bytes_mut());
        }
        self.moved += 1;
    }
}

impl LockstepCall {
    pub(crate) fn new(
        prepared: &Arc<Prepared>,
        options: LaneOptions,
        cores: CoreLease,
        l2: MemoryLease,
    ) -> Result<Self, DeviceError> {
        Ok(LockstepCall {
            prepared: Arc::clone(prepared),
            lane: options.lane,
            cores,
            _l2: l2,
            arithmetic: prepared.arithmetic()?,
            pipeline: options.double_buffer.then(|| Pipeline::new(prepared.outputs())),
            bell: prepared.hardware.new_bell(),
            calls: 0,
            lost: None,
        })
    }

    fn shape(&self) -> Shape {
        let (times, units) = (&self.prepared.times, &self.prepared.hardware.units);
        match &self.pipeline {
            Some(pipeline) => times.double_buffered_call(units, self.cores.first(), pipeline.moved),
            None => times.blocking_call(units, self.cores.first()),
        }
    }

    /// Waits until the job has ended and the extra time has passed as well.
    fn wait(&self, job: JobId, late_by: Duration) -> Result<Vec<Span>, DeviceError> {
        let hardware = &self.prepared.hardware;
        let spans = loop {
            if let Err(lost) = self.check_present() {
                hardware.abandon(job);
                return Err(lost);
            }
            match hardware.progress(job) {
                Progress::NotBefore(ns) => self.bell.wait_until(Some(hardware.instant(ns))),
                Progress::Ended(spans) => break spans,
            }
        };
        let end_ns = spans.iter().map(|span| span.end_ns).max().unwrap_or(0);
        let deadline = hardware.instant(end_ns) + late_by;
        while !late_by.is_zero() && Instant::now() < deadline {
            self.check_present()?;
            self.bell.wait_until(Some(deadline));
        }
        Ok(spans)
    }

    /// Does not return before the program is dropped, the device is gone, or the limit has passed.
    fn hang(&mut self, call: u64, limit: Option<Duration>) -> DeviceError {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let why = loop {
            if let Err(lost) = self.check_present() {
                return lost;
            }
            if self.prepared.is_closed() {
                break format!("call {call} of lane {} hung until the program was dropped", self.lane);
            }
            if let Some(limit) = limit.filter(|_| deadline.is_some_and(|deadline| Instant::now() >= deadline))
            {
                break format!("call {call} of lane {} hung for {limit:?}", self.lane);
            }
            self.bell.wait_until(deadline);
        };
        self.lose(why)
    }

    fn lose(&mut self, why: String) -> DeviceError {
        self.lost = Some(why.clone());
        DeviceError::Lost { why }
    }

    fn check_present(&self) -> Result<(), DeviceError> {
        match self.lost.as_deref().or_else(|| self.prepared.hardware.gone()) {
            Some(why) => Err(DeviceError::Lost { why: why.to_owned() }),
            None => Ok(()),
        }
    }
}

impl DeviceCall for LockstepCall {
    fn lag(&self) -> usize {
        if self.pipeline.is_some() { 2 } else { 0 }
    }

    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError> {
        self.check_present()?;
        let call = self.calls;
        self.calls += 1;
        let fault = self.prepared.fault(self.lane, call);
        let late_by = match fault {
            Some(FaultKind::Fail) => {
                return Err(DeviceError::Call {
                    why: format!("planned fault in call {call} of lane {}", self.lane),
                });
            }
            Some(FaultKind::Hang { limit }) => return Err(self.hang(call, limit)),
            Some(FaultKind::Disappear { device }) => {
                let why = format!("lane {} disappeared in call {call}", self.lane);
                if device {
                    self.prepared.hardware.disappear(why.clone());
                }
                return Err(self.lose(why));
            }
            Some(FaultKind::Late { by }) => by,
            Some(FaultKind::Corrupt) | None => Duration::ZERO,
        };
        let hardware = &self.prepared.hardware;
        let shape = self.shape();
        let job = hardware.submit(shape.steps.clone());
        let computed = self.arithmetic.run(inputs, outputs);
        let spans = self.wait(job, late_by)?;
        computed?;
        if fault == Some(FaultKind::Corrupt) {
            corrupt(self.lane, call, outputs);
        }
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.exchange(outputs);
        }
        Ok(shape.device_spans(&spans, self.prepared.hardware.epoch))
    }
}

/// Inverts one byte of a result.
pub(crate) fn corrupt(lane: usize, call: u64, outputs: &mut [HostBuffer]) {
    let total = outputs.iter().map(HostBuffer::len).sum();
    if let Some(mut byte) = corrupted_byte(lane, call, total) {
        for output in outputs {
            if byte < output.len() {
                output.bytes_mut()[byte] ^= 0xff;
                return;
            }
            byte -= output.len();
        }
    }
}

/// What the first calls of a double-buffered instance return: a poison pattern, so that nobody takes it
/// for a result, or the tensor's zero.
fn dummy(tensor: &TensorInfo, poison: bool) -> HostBuffer {
    let mut buffer = HostBuffer::zeroed(tensor.size());
    if poison {
        buffer.bytes_mut().fill(0xa5);
        return buffer;
    }
    match tensor.dtype() {
        DType::I8 => buffer.as_mut_slice::<i8>().fill(tensor.pad_value()),
        DType::U8 => buffer.bytes_mut().fill(tensor.zero_point().clamp(0, 255) as u8),
        DType::I32 => buffer.as_mut_slice::<i32>().fill(tensor.zero_point()),
        DType::U32 => buffer.as_mut_slice::<u32>().fill(tensor.zero_point().max(0) as u32),
        DType::I64 => buffer.as_mut_slice::<i64>().fill(tensor.zero_point().into()),
        DType::F32 => {}
    }
    buffer
}

#[cfg(test)]
mod tests;
