//! A model prepared for a simulated device.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{
    Blocking, Compute, DeviceError, Engine, HostMemory, InputSet, Lagged, Lane, LaneOptions, Memory, Model,
    OutputSet, Program,
};

use crate::arithmetic::{Arithmetic, Monitor};
use crate::fault::FaultKind;
use crate::hardware::{Hardware, MemoryKind, MemoryLease};
use crate::lockstep::LockstepCall;
use crate::profile::{Class, Transfer};
use crate::queued::SimQueue;
use crate::times::CallTimes;

/// What the lanes of one program share.
pub(crate) struct Prepared {
    pub(crate) hardware: Arc<Hardware>,
    pub(crate) compute: Arc<Compute>,
    pub(crate) times: CallTimes,
    pub(crate) monitor: Arc<Monitor>,
    /// Set when the program is dropped; calls that hang then return.
    closed: AtomicBool,
}

impl Prepared {
    pub(crate) fn inputs(&self) -> &[TensorInfo] {
        self.compute.inputs()
    }

    pub(crate) fn outputs(&self) -> &[TensorInfo] {
        self.compute.outputs()
    }

    /// Values for one more lane.
    pub(crate) fn arithmetic(&self) -> Result<Arithmetic, DeviceError> {
        Arithmetic::new(&self.compute, self.times.kernel(), &self.monitor)
    }

    /// What goes wrong in a call, if anything; it is noted for the report.
    pub(crate) fn fault(&self, lane: usize, call: u64) -> Option<FaultKind> {
        let fault = self.hardware.profile.faults.strikes(lane, call)?;
        self.monitor.struck(fault);
        Some(fault)
    }

    /// Whether the program has been dropped.
    pub(crate) fn is_closed(&self) -> bool {
        // Acquire pairs with the Release in `SimProgram::drop`.
        self.closed.load(Ordering::Acquire)
    }
}

/// A model prepared for a simulated device, shared by its lanes.
///
/// Dropping it ends calls that hang.
pub(crate) struct SimProgram {
    prepared: Arc<Prepared>,
    model: Arc<Model>,
    /// The model, and with it the buffer sets of queued lanes.
    memory: Arc<Mutex<MemoryLease>>,
}

impl SimProgram {
    pub(crate) fn new(
        hardware: &Arc<Hardware>,
        engine: &Arc<dyn Engine>,
        model: &Arc<Model>,
        lanes: usize,
    ) -> Result<Self, DeviceError> {
        let profile = &hardware.profile;
        let mut memory = hardware.lease_memory(MemoryKind::Device);
        let compute = Arc::new(Compute::new(model, engine)?);
        let copies = match profile.class {
            Class::Lockstep { .. } => {
                check_cores(&hardware.name, profile.cores, lanes, compute.batch())?;
                lanes
            }
            Class::Queued { .. } => 1,
        };
        memory.grow(model.model_bytes.saturating_mul(copies as u64), || match copies {
            1 => format!("model `{}`", model.name),
            _ => format!("model `{}`, once per lane on {copies} lanes", model.name),
        })?;
        let times =
            CallTimes::new(&hardware.name, profile, model.kernel_s, compute.inputs(), compute.outputs())?;
        let prepared = Arc::new(Prepared {
            hardware: Arc::clone(hardware),
            compute,
            times,
            monitor: Arc::default(),
            closed: AtomicBool::new(false),
        });
        Ok(SimProgram { prepared, model: Arc::clone(model), memory: Arc::new(Mutex::new(memory)) })
    }

    /// Bytes of one call's inputs and outputs.
    fn set_bytes(&self) -> u64 {
        let tensors = self.inputs().iter().chain(self.outputs());
        tensors.map(|tensor| tensor.size() as u64).fold(0, u64::saturating_add)
    }

    fn host_memory(&self) -> HostMemory {
        HostMemory { inputs: self.inputs().to_vec(), outputs: self.outputs().to_vec() }
    }

    /// One instance on cores of its own.
    pub(crate) fn lockstep_call(&self, options: LaneOptions) -> Result<LockstepCall, DeviceError> {
        let hardware = &self.prepared.hardware;
        let cores = hardware.take_cores(self.prepared.compute.batch().max(1), options.lane)?;
        let mut l2 = hardware.lease_memory(MemoryKind::L2);
        // Double buffering has one input in transfer and one in use, and as many outputs.
        let copies = if options.double_buffer { 2 } else { 1 };
        l2.grow(self.set_bytes().saturating_mul(copies), || {
            format!("the transfer buffers of all lanes up to lane {} in L2", options.lane)
        })?;
        LockstepCall::new(&self.prepared, options, cores, l2)
    }

    fn open_lockstep(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        let call = self.lockstep_call(options)?;
        // An instance has transfer buffers of its own.
        let memory = self.host_memory();
        Ok(match options.double_buffer {
            true => Lane::blocking(Lagged::new(call, self.inputs(), self.outputs()), memory),
            false => Lane::blocking(Blocking::new(call), memory),
        })
    }

    fn open_queued(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        let queue = SimQueue::new(&self.prepared, options.lane)?;
        let memory = QueuedMemory {
            host: self.host_memory(),
            device: Arc::clone(&self.memory),
            what: format!("model `{}` and its buffer sets", self.model.name),
        };
        Ok(Lane::queued(move |completions| queue.open(completions), memory))
    }
}

/// A queued device keeps a copy of every set.
struct QueuedMemory {
    host: HostMemory,
    device: Arc<Mutex<MemoryLease>>,
    what: String,
}

impl QueuedMemory {
    fn grow(&self, tensors: &[TensorInfo]) -> Result<(), DeviceError> {
        let bytes = tensors.iter().map(|tensor| tensor.size() as u64).fold(0, u64::saturating_add);
        let mut device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        device.grow(bytes, || self.what.clone())
    }
}

impl Memory<InputSet, OutputSet> for QueuedMemory {
    fn input(&mut self) -> Result<InputSet, DeviceError> {
        self.grow(&self.host.inputs)?;
        self.host.input()
    }

    fn output(&mut self) -> Result<OutputSet, DeviceError> {
        self.grow(&self.host.outputs)?;
        self.host.output()
    }
}

impl Program for SimProgram {
    fn inputs(&self) -> &[TensorInfo] {
        self.prepared.inputs()
    }

    fn outputs(&self) -> &[TensorInfo] {
        self.prepared.outputs()
    }

    fn engine(&self) -> Option<String> {
        Some(self.prepared.compute.describe())
    }

    fn model_bytes(&self) -> u64 {
        self.model.model_bytes
    }

    fn open_lane(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        let hardware = &self.prepared.hardware;
        match hardware.profile.class {
            Class::Lockstep { double_buffer, .. } if double_buffer || !options.double_buffer => {
                self.open_lockstep(options)
            }
            Class::Queued { .. } if !options.double_buffer => self.open_queued(options),
            _ => Err(DeviceError::Unsupported {
                device: hardware.name.clone(),
                why: "it has no double buffering; turn that off".into(),
            }),
        }
    }

    fn remarks(&self) -> Vec<String> {
        let (profile, kernel) = (&self.prepared.hardware.profile, self.prepared.times.kernel());
        let mut remarks = Vec::new();
        if self.model.kernel_s.is_none() {
            remarks.push(format!("kernel time {kernel:?} is the profile's, the model declares none"));
        }
        if let (Transfer::Fixed(write), Transfer::Fixed(read)) = (profile.link.write, profile.link.read) {
            remarks.push(format!(
                "write {write:?} and read {read:?} are fixed by the profile, whatever the sizes"
            ));
        }
        remarks.extend(self.prepared.monitor.remarks(kernel));
        remarks
    }
}

impl Drop for SimProgram {
    fn drop(&mut self) {
        // Release pairs with the Acquire in `Prepared::is_closed`, which woken lanes read.
        self.prepared.closed.store(true, Ordering::Release);
        self.prepared.hardware.ring_all();
    }
}

fn check_cores(device: &str, cores: usize, lanes: usize, batch: usize) -> Result<(), DeviceError> {
    let needed = lanes.saturating_mul(batch.max(1));
    if needed <= cores {
        return Ok(());
    }
    let why = format!(
        "{lanes} lanes of batch {batch} need {needed} cores, it has {cores}; use fewer lanes or a smaller batch"
    );
    Err(DeviceError::Unsupported { device: device.into(), why })
}
