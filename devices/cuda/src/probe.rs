//! What a GPU gives by itself, to measure a pipeline against: copies alone and together, the kernel alone, and a plain loop
//! on one stream.

use std::sync::Arc;
use std::time::Instant;

use nbuffer_runtime::model::Model;
use nbuffer_runtime::{DeviceError, InputSet, Memory, OutputSet};

use crate::buffers::{CudaMemory, own};
use crate::device::CudaDevice;
use crate::driver::{Context, Event, Failure, Stream};
use crate::work::Work;

/// Seconds an item takes, each measured by itself over many in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Its inputs to the device.
    pub write_s: f64,
    /// Its outputs to the host.
    pub read_s: f64,
    /// Both at once, on two streams: until the slower one is done.
    pub both_s: f64,
    /// Its kernel.
    pub kernel_s: f64,
}

/// A model on a GPU, without lanes and buffer rings.
pub struct Probe {
    context: Arc<Context>,
    work: Work,
    streams: [Stream; 2],
    input: InputSet,
    output: OutputSet,
}

impl Probe {
    /// Prepares `model`, with one buffer set.
    ///
    /// # Errors
    ///
    /// As [`Device::prepare`](nbuffer_runtime::Device::prepare), and when there is no memory for the set.
    pub fn new(device: &CudaDevice, model: &Model) -> Result<Self, DeviceError> {
        let (context, work) = device.load(model)?;
        let streams = || -> Result<_, Failure> {
            let memory = CudaMemory::new("probe".into(), &context, &model.inputs, &model.outputs)?;
            Ok((memory, [Stream::new(&context)?, Stream::new(&context)?]))
        };
        let (mut memory, streams) = streams().map_err(call)?;
        let (input, output) = (memory.input()?, memory.output()?);
        Ok(Probe { context, work, streams, input, output })
    }

    /// Measures `rounds` of each.
    ///
    /// # Errors
    ///
    /// When a call of the driver fails.
    pub fn rates(&mut self, rounds: u32) -> Result<Rates, DeviceError> {
        self.context.bind().map_err(call)?;
        let [a, b] = [0, 1];
        Ok(Rates {
            write_s: self.time(rounds, &[(a, Part::Write)])?,
            read_s: self.time(rounds, &[(a, Part::Read)])?,
            both_s: self.time(rounds, &[(a, Part::Write), (b, Part::Read)])?,
            kernel_s: self.time(rounds, &[(a, Part::Kernel)])?,
        })
    }

    /// The loop one would write first: for each item, fill the inputs, copy, launch, copy back, wait, look at the outputs. The
    /// seconds an item takes.
    ///
    /// # Errors
    ///
    /// When a call of the driver fails, or what `look` says.
    pub fn plain_loop(
        &mut self,
        items: u64,
        fill: impl Fn(u64, &mut InputSet),
        look: impl Fn(u64, &OutputSet) -> Result<(), String>,
    ) -> Result<f64, DeviceError> {
        self.context.bind().map_err(call)?;
        let begun = Instant::now();
        for item in 0..items {
            fill(item, &mut self.input);
            for part in [Part::Write, Part::Kernel, Part::Read] {
                self.issue(0, part)?;
            }
            self.streams[0].synchronise().map_err(call)?;
            look(item, &self.output).map_err(|why| DeviceError::Call { why })?;
        }
        Ok(begun.elapsed().as_secs_f64() / items as f64)
    }

    /// Seconds of a round of these parts, each on its stream, all begun together.
    fn time(&self, rounds: u32, parts: &[(usize, Part)]) -> Result<f64, DeviceError> {
        // What is done for the first time takes longer.
        for &(stream, part) in parts {
            self.issue(stream, part)?;
        }
        self.wait()?;
        let start = Event::timed(&self.context).map_err(call)?;
        let ends =
            parts.iter().map(|_| Event::timed(&self.context)).collect::<Result<Vec<_>, _>>().map_err(call)?;
        start.record(&self.streams[0]).map_err(call)?;
        self.streams[1].wait(&start).map_err(call)?;
        for _ in 0..rounds {
            for &(stream, part) in parts {
                self.issue(stream, part)?;
            }
        }
        for (&(stream, _), end) in parts.iter().zip(&ends) {
            end.record(&self.streams[stream]).map_err(call)?;
        }
        self.wait()?;
        let seconds =
            ends.iter().map(|end| end.seconds_since(&start)).collect::<Result<Vec<_>, _>>().map_err(call)?;
        Ok(seconds.into_iter().fold(0.0, f64::max) / f64::from(rounds))
    }

    fn issue(&self, stream: usize, part: Part) -> Result<(), DeviceError> {
        let (inputs, outputs) = (own(&self.input)?, own(&self.output)?);
        let stream = &self.streams[stream];
        let issue = || -> Result<(), Failure> {
            match part {
                Part::Write => inputs.iter().try_for_each(|input| {
                    // SAFETY: the set is kept until `wait`, and not touched before. Other work on its device memory is on the same
                    // stream: `Read`, the only part on another, is of the outputs.
                    unsafe { stream.write(&input.device, &input.host) }
                }),
                // SAFETY: as above.
                Part::Kernel => unsafe { self.work.issue(stream, &inputs, &outputs) },
                Part::Read => outputs.iter().try_for_each(|output| {
                    // SAFETY: as above.
                    unsafe { stream.read(&output.host, &output.device) }
                }),
            }
        };
        issue().map_err(|failure| {
            // What was given before may still use the set.
            let _ = self.wait();
            call(failure)
        })
    }

    fn wait(&self) -> Result<(), DeviceError> {
        self.streams.iter().try_for_each(Stream::synchronise).map_err(call)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // The set is freed next.
        let _ = self.context.bind().map_err(call).and_then(|()| self.wait());
    }
}

#[derive(Clone, Copy)]
enum Part {
    Write,
    Kernel,
    Read,
}

fn call(failure: Failure) -> DeviceError {
    DeviceError::Call { why: failure.to_string() }
}
