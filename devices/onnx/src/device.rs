//! The device `cpu`: the host itself, one engine session per lane.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{
    Blocking, CallSpans, Compute, Device, DeviceCall, DeviceError, DeviceInfo, DeviceSpan, Engine,
    HostBuffer, HostMemory, InputSet, Lane, LaneOptions, Model, OutputSet, Program, Session,
};

const NAME: &str = "cpu";

/// The host's own cores as a device.
///
/// Its kernel is a session's run. It has no memory of its own, so nothing is written or read, and a lane has
/// nothing to overlap inside itself.
#[derive(Clone, Debug)]
pub struct CpuDevice {
    engine: Arc<dyn Engine>,
    threads_per_lane: usize,
}

impl CpuDevice {
    /// The host computing with `engine`, each lane on `threads_per_lane` threads (at least 1).
    ///
    /// One thread per lane gives the most items a second; more shorten the time of a single item.
    pub fn new(engine: Arc<dyn Engine>, threads_per_lane: usize) -> Self {
        CpuDevice { engine, threads_per_lane: threads_per_lane.max(1) }
    }
}

impl Device for CpuDevice {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            name: NAME.to_owned(),
            description: format!("this machine, computing with {}", self.engine.describe()),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            memory_bytes: None,
            double_buffer: false,
            queued: false,
            half_duplex: false,
        }
    }

    fn check(&self) -> Result<(), DeviceError> {
        Ok(()) // An engine is loaded before it is an engine.
    }

    fn prepare(&self, model: &Arc<Model>, _lanes: usize) -> Result<Arc<dyn Program>, DeviceError> {
        let compute = Compute::new(model, &self.engine)?;
        let model_bytes = model.model_bytes;
        Ok(Arc::new(CpuProgram { compute, model_bytes, threads_per_lane: self.threads_per_lane }))
    }
}

struct CpuProgram {
    compute: Compute,
    model_bytes: u64,
    threads_per_lane: usize,
}

impl Program for CpuProgram {
    fn inputs(&self) -> &[TensorInfo] {
        self.compute.inputs()
    }

    fn outputs(&self) -> &[TensorInfo] {
        self.compute.outputs()
    }

    fn engine(&self) -> Option<String> {
        Some(self.compute.describe())
    }

    fn model_bytes(&self) -> u64 {
        self.model_bytes
    }

    fn open_lane(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        if options.double_buffer {
            return Err(DeviceError::Unsupported {
                device: NAME.to_owned(),
                why: "double buffering overlaps transfers with the kernel, and the CPU has no transfers; leave it off"
                    .to_owned(),
            });
        }
        let session = self.compute.session(self.threads_per_lane)?;
        let memory = HostMemory { inputs: self.inputs().to_vec(), outputs: self.outputs().to_vec() };
        Ok(Lane::blocking(Blocking::new(CpuCall { session }), memory))
    }

    fn remarks(&self) -> Vec<String> {
        let plural = if self.threads_per_lane == 1 { "" } else { "s" };
        vec![format!("each lane computes on {} thread{plural}", self.threads_per_lane)]
    }
}

struct CpuCall {
    session: Box<dyn Session>,
}

impl DeviceCall for CpuCall {
    fn computes(&self) -> bool {
        true
    }

    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError> {
        let start = Instant::now();
        self.session.run(inputs, outputs)?;
        let kernel = DeviceSpan { start, end: Instant::now() };
        Ok(CallSpans { kernel: Some(kernel), ..CallSpans::default() })
    }
}
