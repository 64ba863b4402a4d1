//! A model instance: a lane of the simulated device, driven call by call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{
    BlockingLane, Calls, Ended, Flight, InputSet, LaneOptions, Memory, OutputSet, Program, Transit,
};

use crate::asynchronous::Queue;
use crate::compiled::Compiled;
use crate::control::Control;
use crate::world::{CONNECTION_ERROR, Failed, INVALID_ARGUMENT, NOT_IMPLEMENTED, RUNTIME_ERROR};

/// What a double-buffered call writes while there is no result yet.
const POISON: u8 = 0xa5;

pub(crate) struct Instance {
    model: Arc<Compiled>,
    lane: Arc<Mutex<SimLane>>,
    queue: Option<Queue>,
    /// Calls that hang end when this is gone.
    program: Mutex<Option<Arc<dyn Program>>>,
}

/// The simulated lane, and the sets it may be given.
pub(crate) struct SimLane {
    model: Arc<Compiled>,
    calls: Box<dyn BlockingLane<InputSet, OutputSet>>,
    memory: Box<dyn Memory<InputSet, OutputSet>>,
    inputs: Vec<InputSet>,
    outputs: Vec<OutputSet>,
    made: u64,
    /// With double buffering, what was in the inputs of the last two calls: a device may read them until then.
    read: Option<VecDeque<Read>>,
}

/// What was in the inputs of a call: where they are, and their bytes.
type Read = (Vec<Region>, Vec<Vec<u8>>);

/// Memory of the caller, by address and size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) address: usize,
    pub(crate) size: usize,
}

impl Instance {
    pub(crate) fn new(
        program: Arc<dyn Program>,
        model: &Arc<Compiled>,
        lane: usize,
        double_buffer: bool,
        places: Option<usize>,
    ) -> Result<Self, Failed> {
        let opened = program.open_lane(LaneOptions { lane, double_buffer });
        let opened = opened.map_err(|error| (RUNTIME_ERROR, error.to_string()))?;
        let Calls::Blocking(calls) = opened.calls else {
            return Err((RUNTIME_ERROR, "the simulated device is not lockstep".to_owned()));
        };
        let (inputs, outputs) = (Vec::new(), Vec::new());
        let read = double_buffer.then(VecDeque::new);
        let model = Arc::clone(model);
        let (of_lane, memory) = (Arc::clone(&model), opened.memory);
        let lane = SimLane { model: of_lane, calls, memory, inputs, outputs, made: 0, read };
        let lane = Arc::new(Mutex::new(lane));
        let queue = places.map(|places| Queue::new(Arc::clone(&lane), places));
        Ok(Instance { model, lane, queue, program: Mutex::new(Some(program)) })
    }

    /// Whether the arguments are one per tensor and of its size; a size of 0 is not looked at.
    pub(crate) fn check(&self, regions: [&[Region]; 2]) -> Result<(), Failed> {
        let Compiled { inputs, outputs, .. } = &*self.model;
        for (what, tensors, regions) in [("input", inputs, regions[0]), ("output", outputs, regions[1])] {
            if regions.len() != tensors.len() {
                let why = format!("{} {what}s for a model with {}", regions.len(), tensors.len());
                return Err((INVALID_ARGUMENT, why));
            }
            let differs =
                |(region, tensor): (&Region, &TensorInfo)| region.size != 0 && region.size != tensor.size();
            if let Some(idx) = regions.iter().zip(tensors).position(differs) {
                let (has, needs) = (regions[idx].size, tensors[idx].size());
                return Err((INVALID_ARGUMENT, format!("{what} {idx} has {has} B, the model {needs} B")));
            }
        }
        Ok(())
    }

    /// One blocking call, by one thread at a time.
    ///
    /// # Safety
    ///
    /// The regions are the caller's to read and to write, and no other thread uses them.
    pub(crate) unsafe fn run(&self, inputs: &[Region], outputs: &[Region]) -> Result<(), Failed> {
        let mut lane = match self.lane.try_lock() {
            Ok(lane) => lane,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                Control::misused("two threads ran one instance");
                return Err((RUNTIME_ERROR, "two threads ran one instance".to_owned()));
            }
        };
        // SAFETY: the caller states it.
        unsafe { lane.run(inputs, outputs) }
    }

    /// The asynchronous end, where the instance was loaded for it.
    pub(crate) fn queue(&self) -> Result<&Queue, Failed> {
        self.queue.as_ref().ok_or_else(|| (NOT_IMPLEMENTED, "loaded without async_mode".to_owned()))
    }

    /// Ends its threads and its calls.
    pub(crate) fn end(&self) {
        if let Some(queue) = &self.queue
            && queue.unended() > 0
        {
            Control::misused("an instance was destroyed while calls were inside");
        }
        drop(self.program.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(queue) = &self.queue {
            queue.end();
        }
    }
}

impl SimLane {
    /// # Safety
    ///
    /// As for [`Instance::run`].
    pub(crate) unsafe fn run(&mut self, inputs: &[Region], outputs: &[Region]) -> Result<(), Failed> {
        let no_room = |error: nbuffer_runtime::DeviceError| (RUNTIME_ERROR, error.to_string());
        let mut input = match self.inputs.pop() {
            Some(input) => input,
            None => self.memory.input().map_err(no_room)?,
        };
        let output = match self.outputs.pop() {
            Some(output) => output,
            None => self.memory.output().map_err(no_room)?,
        };
        // SAFETY: the caller lets this thread read the regions, and with double buffering those of two calls before.
        unsafe { self.check_read() };
        let mut given = Vec::new();
        for (idx, (buffer, region)) in input.iter_mut().zip(inputs).enumerate() {
            // SAFETY: the sizes were checked, and the caller lets this thread read the region.
            let bytes = unsafe { region.bytes(self.model.inputs[idx].size()) };
            self.model.take_in(idx, bytes, buffer)?;
            given.push(bytes);
        }
        if let Some(read) = &mut self.read {
            read.push_back((inputs.to_vec(), given.into_iter().map(<[u8]>::to_vec).collect()));
            if read.len() > 2 {
                read.pop_front();
            }
        }
        let id = Transit::new(0, 0, 0, self.made);
        self.made += 1;
        let called = self.calls.call(Some(Flight { id, input, output }));
        self.inputs.extend(called.input.map(|(_, input)| input));
        let result = match called.ended {
            Ended::Landed(_, output, _) => Some(output),
            Ended::Nothing => None,
            Ended::Failed(_, output, error) => {
                self.outputs.push(output);
                return Err((RUNTIME_ERROR, error.to_string()));
            }
            Ended::Lost(error) => return Err((CONNECTION_ERROR, error.to_string())),
        };
        for (idx, region) in outputs.iter().enumerate() {
            let to: *mut u8 = std::ptr::with_exposed_provenance_mut(region.address);
            match &result {
                Some(result) => {
                    let bytes = self.model.give_out(idx, &result[idx])?;
                    // SAFETY: the sizes were checked, and the caller lets this thread write the region.
                    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
                }
                // SAFETY: as above.
                None => unsafe { std::ptr::write_bytes(to, POISON, region.size) },
            }
        }
        self.outputs.extend(result);
        Ok(())
    }

    /// Notes an input that was overwritten while the device may still read it.
    ///
    /// # Safety
    ///
    /// Inputs of the last two calls can be read.
    unsafe fn check_read(&self) {
        for (regions, bytes) in self.read.iter().flatten() {
            // SAFETY: the caller states it.
            let is_same =
                |(region, bytes): (&Region, &Vec<u8>)| unsafe { region.bytes(bytes.len()) == &bytes[..] };
            if !regions.iter().zip(bytes).all(is_same) {
                Control::misused("an input was overwritten within two calls");
            }
        }
    }
}

impl Region {
    /// # Safety
    ///
    /// There are `len` bytes to read, which nobody writes meanwhile.
    unsafe fn bytes(&self, len: usize) -> &[u8] {
        // SAFETY: the caller states it.
        unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance(self.address), len) }
    }
}
