//! The device `cpu`: the host itself, one engine session per lane.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{
    Blocking, CallSpans, Calls, Compute, Device, DeviceCall, DeviceError, DeviceInfo, DeviceSpan, Engine,
    HostBuffer, InputSet, Lane, LaneOptions, Model, OutputSet, Program, Session,
};

const NAME: &str = "cpu";

/// The host's own cores as a device.
///
/// Its kernel is a session's run, or a request in the queue of an engine that computes on threads of its own. It has no
/// memory of its own, so nothing is written or read, and a lane has nothing to overlap inside itself.
#[derive(Clone, Debug)]
pub struct CpuDevice {
    engine: Arc<dyn Engine>,
    threads_per_lane: usize,
}

impl CpuDevice {
    /// The host computing with `engine`, each lane on `threads_per_lane` threads (at least 1).
    ///
    /// One thread per lane gives the most items a second; more shorten the time of a single item. There are as many
    /// lanes as keep the cores busy, so that lanes never compute on more threads than there are cores.
    pub fn new(engine: Arc<dyn Engine>, threads_per_lane: usize) -> Self {
        CpuDevice { engine, threads_per_lane: threads_per_lane.max(1) }
    }
}

impl Device for CpuDevice {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            name: match self.threads_per_lane {
                1 => NAME.to_owned(),
                threads => format!("{NAME}:{threads}"),
            },
            description: format!("this machine, computing with {}", self.engine.describe()),
            cores: cores(),
            memory_bytes: None,
            double_buffer: false,
            queued: self.engine.is_queued(),
            half_duplex: false,
        }
    }

    fn check(&self) -> Result<(), DeviceError> {
        Ok(()) // An engine is loaded before it is an engine.
    }

    fn lanes(&self, _model: &Model, cores: usize) -> usize {
        cores / self.threads_per_lane
    }

    fn prepare(&self, model: &Arc<Model>, lanes: usize) -> Result<Arc<dyn Program>, DeviceError> {
        let compute = Compute::new(model, &self.engine)?;
        let threads_per_lane = self.threads_per_lane;
        let is_queued = self.engine.is_queued();
        Ok(Arc::new(CpuProgram {
            compute,
            model_bytes: model.model_bytes,
            threads_per_lane,
            lanes,
            is_queued,
        }))
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

struct CpuProgram {
    compute: Compute,
    model_bytes: u64,
    threads_per_lane: usize,
    lanes: usize,
    is_queued: bool,
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

    fn cores_per_lane(&self) -> usize {
        self.threads_per_lane
    }

    fn open_lane(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        if options.double_buffer {
            return Err(DeviceError::Unsupported {
                device: NAME.to_owned(),
                why: "double buffering overlaps transfers with the kernel, and the CPU has no transfers; leave it off"
                    .to_owned(),
            });
        }
        let calls = match self.compute.queue(self.threads_per_lane)? {
            Some(open) => Calls::Queued(open),
            None => {
                let session = self.compute.session(self.threads_per_lane)?;
                let cores = self.threads_per_lane;
                Calls::Blocking(Box::new(Blocking::new(CpuCall { session, cores })))
            }
        };
        Ok(Lane { calls, memory: self.compute.memory()? })
    }

    fn remarks(&self) -> Vec<String> {
        let CpuProgram { lanes, threads_per_lane: threads, is_queued, .. } = *self;
        let some = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let computing =
            format!("{} of {} on {}", some(lanes, "lane"), some(threads, "thread"), some(cores(), "core"));
        let host = if is_queued {
            "the engine's own threads, so that host threads share the cores with them as the system sees fit"
        } else {
            "host threads take turns with them, so that no more threads are at work than there are cores"
        };
        vec![format!("{computing}: {host}")]
    }
}

struct CpuCall {
    session: Box<dyn Session>,
    cores: usize,
}

impl DeviceCall for CpuCall {
    fn cores(&self) -> usize {
        self.cores
    }

    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError> {
        let start = Instant::now();
        self.session.run(inputs, outputs)?;
        let kernel = DeviceSpan { start, end: Instant::now() };
        Ok(CallSpans { kernel: Some(kernel), ..CallSpans::default() })
    }
}
