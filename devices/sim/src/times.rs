//! How long the parts of one call take, and which of them wait for which.

use std::time::{Duration, Instant};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{DeviceError, DeviceSpan, DeviceSpans};

use crate::profile::{Class, Profile};
use crate::timeline::{Span, Step, Timeline, UnitId};

/// Above this a simulated call is a mistake in a profile or a model.
const LONGEST_S: f64 = 3600.0;

/// The units of a device.
#[derive(Debug)]
pub(crate) struct Units {
    pub(crate) write: UnitId,
    /// The write unit again where the link is half duplex.
    pub(crate) read: UnitId,
    /// The part of the host that serves one call at a time.
    pub(crate) host: UnitId,
    /// One per core (lockstep), or a single one that serves as many as there are cores (queued).
    pub(crate) kernels: Vec<UnitId>,
}

impl Units {
    pub(crate) fn new(timeline: &mut Timeline, profile: &Profile) -> Self {
        let write = timeline.add_unit(1);
        let read = if profile.link.half_duplex { write } else { timeline.add_unit(1) };
        let host = timeline.add_unit(1);
        let kernels = match profile.class {
            Class::Lockstep { .. } => (0..profile.cores).map(|_| timeline.add_unit(1)).collect(),
            Class::Queued { .. } => vec![timeline.add_unit(profile.cores)],
        };
        Units { write, read, host, kernels }
    }
}

/// What one call of a model takes on a device, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallTimes {
    pub(crate) write_ns: u64,
    pub(crate) kernel_ns: u64,
    pub(crate) read_ns: u64,
    /// The kernel engine idles this long before each kernel.
    launch_ns: u64,
    /// Host work only one lane can be in at a time.
    host_serial_ns: u64,
    /// Host work of the lane that nothing hides.
    host_alone_ns: u64,
    /// Host work that double buffering hides.
    host_overlap_ns: u64,
}

impl CallTimes {
    /// Times of a model whose kernel takes `kernel_s` where it says so, with these tensors.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Unsupported`] when a stage would take no time a simulation can pass.
    pub(crate) fn new(
        device: &str,
        profile: &Profile,
        kernel_s: Option<f64>,
        inputs: &[TensorInfo],
        outputs: &[TensorInfo],
    ) -> Result<Self, DeviceError> {
        let nanoseconds = |stage: &str, seconds: f64| {
            if (0.0..=LONGEST_S).contains(&seconds) {
                return Ok((seconds * 1e9).round() as u64);
            }
            let why = format!(
                "its {stage} would take {seconds} s a call; a simulation goes from 0 s to {LONGEST_S} s"
            );
            Err(DeviceError::Unsupported { device: device.into(), why })
        };
        let bytes =
            |tensors: &[TensorInfo]| tensors.iter().map(TensorInfo::size).fold(0, usize::saturating_add);
        let kernel_s = kernel_s.unwrap_or(profile.kernel_time.as_secs_f64());
        let mut times = CallTimes {
            write_ns: nanoseconds("write", profile.link.write.seconds(bytes(inputs)))?,
            kernel_ns: nanoseconds("kernel", kernel_s)?,
            read_ns: nanoseconds("read", profile.link.read.seconds(bytes(outputs)))?,
            launch_ns: 0,
            host_serial_ns: 0,
            host_alone_ns: 0,
            host_overlap_ns: 0,
        };
        match profile.class {
            Class::Lockstep { host, .. } => {
                let call_ns = host.call_time.as_nanos() as u64;
                times.host_serial_ns = (call_ns as f64 * host.serial_share).round() as u64;
                let overlap_ns = (call_ns as f64 * host.overlap_share).round() as u64;
                times.host_overlap_ns = overlap_ns.min(call_ns - times.host_serial_ns);
                times.host_alone_ns = call_ns - times.host_serial_ns - times.host_overlap_ns;
            }
            Class::Queued { launch_time } => times.launch_ns = launch_time.as_nanos() as u64,
        }
        Ok(times)
    }

    /// The kernel's time.
    pub(crate) fn kernel(&self) -> Duration {
        Duration::from_nanos(self.kernel_ns)
    }

    /// A blocking call: host, write, kernel and read one after another.
    pub(crate) fn blocking_call(&self, units: &Units, core: usize) -> Shape {
        let mut shape = Shape::default();
        shape.then(Some(units.host), self.host_serial_ns);
        shape.then(None, self.host_alone_ns + self.host_overlap_ns);
        shape.write = Some(shape.then(Some(units.write), self.write_ns));
        shape.kernel = Some(shape.then(Some(units.kernels[core]), self.kernel_ns));
        shape.read = Some(shape.then(Some(units.read), self.read_ns));
        shape
    }

    /// A call with double buffering: after the host's part, the input just given is written while the one
    /// before it is computed and the result before that read. While the instance fills up, after `moved`
    /// calls, there is nothing yet to compute or to read.
    pub(crate) fn double_buffered_call(&self, units: &Units, core: usize, moved: u64) -> Shape {
        let mut shape = Shape::default();
        shape.then(Some(units.host), self.host_serial_ns);
        let begin = shape.then(None, self.host_alone_ns);
        shape.after(begin, None, self.host_overlap_ns);
        shape.write = Some(shape.after(begin, Some(units.write), self.write_ns));
        if moved >= 1 {
            shape.kernel = Some(shape.after(begin, Some(units.kernels[core]), self.kernel_ns));
        }
        if moved >= 2 {
            shape.read = Some(shape.after(begin, Some(units.read), self.read_ns));
        }
        shape
    }

    /// A queued item: write, kernel and read, each when its engine is free.
    pub(crate) fn queued_item(&self, units: &Units) -> Shape {
        let mut shape = Shape { launch_ns: self.launch_ns, ..Shape::default() };
        shape.write = Some(shape.then(Some(units.write), self.write_ns));
        shape.kernel = Some(shape.then(Some(units.kernels[0]), self.launch_ns + self.kernel_ns));
        shape.read = Some(shape.then(Some(units.read), self.read_ns));
        shape
    }
}

/// The steps of one call, and which of them are the three stages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) steps: Vec<Step>,
    write: Option<usize>,
    kernel: Option<usize>,
    read: Option<usize>,
    launch_ns: u64,
}

impl Shape {
    fn then(&mut self, unit: Option<UnitId>, duration_ns: u64) -> usize {
        let after = self.steps.len().checked_sub(1);
        self.steps.push(Step { unit, duration_ns, after });
        self.steps.len() - 1
    }

    fn after(&mut self, after: usize, unit: Option<UnitId>, duration_ns: u64) -> usize {
        self.steps.push(Step { unit, duration_ns, after: Some(after) });
        self.steps.len() - 1
    }

    /// The stages' spans on the host's clock; `spans` are those of the steps, from `epoch`.
    pub(crate) fn device_spans(&self, spans: &[Span], epoch: Instant) -> DeviceSpans {
        let at = |ns| epoch + Duration::from_nanos(ns);
        let stage = |step: Option<usize>, lead_ns| {
            let span = spans[step?];
            Some(DeviceSpan { start: at(span.start_ns + lead_ns), end: at(span.end_ns) })
        };
        let start = spans.iter().map(|span| span.start_ns).min();
        let end = spans.iter().map(|span| span.end_ns).max();
        let whole = start.zip(end).map(|(start, end)| DeviceSpan { start: at(start), end: at(end) });
        DeviceSpans {
            write: stage(self.write, 0),
            kernel: stage(self.kernel, self.launch_ns),
            read: stage(self.read, 0),
            call: whole,
        }
    }
}

#[cfg(test)]
mod tests;
