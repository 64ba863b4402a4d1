//! A model on a device, called by hand.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{LaneOptions, Program};

use super::call::RawCall;
use super::card::Card;
use super::context::Context;
use super::error::{Error, Object, Side};
use super::life::Counted;
use super::options::InstanceOptions;

/// A model on cores of its own. One thread at a time may [`run`](ModelInstance::run) it.
#[derive(Clone)]
pub struct ModelInstance {
    context: Context,
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    model: String,
    cores: usize,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    lag: usize,
    remarks: Vec<String>,
    released: AtomicBool,
    /// Apart from the call, since dropping it is what ends a simulated call that hangs.
    program: Mutex<Option<Arc<dyn Program>>>,
    call: Mutex<Option<(RawCall, Counted)>>,
}

impl ModelInstance {
    pub(super) fn new(context: &Context, shared: Arc<Shared>) -> Self {
        ModelInstance { context: context.clone(), shared }
    }

    /// The Context that owns it.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Inputs of one call; where a graph computes them, with the graph's names.
    pub fn inputs(&self) -> &[TensorInfo] {
        &self.shared.inputs
    }

    /// Outputs of one call; where a graph computes them, with the graph's names.
    pub fn outputs(&self) -> &[TensorInfo] {
        &self.shared.outputs
    }

    /// By how many calls results come late: 0, or 2 with double buffering.
    pub fn lag(&self) -> usize {
        self.shared.lag
    }

    /// What to know about how it was loaded: options that mean nothing to this device.
    pub fn remarks(&self) -> &[String] {
        &self.shared.remarks
    }

    /// One call: blocks until the device is done with it.
    ///
    /// Each input is copied into memory that the device can reach before anything else happens, and is the caller's
    /// again when this returns, lag or not. Buffers are checked by their size in bytes, which is that of the padded
    /// tensor; their shapes are the caller's affair.
    ///
    /// With lag, call k fills `outputs` with the result of call k - 2. The first two fill them with the tensor's zero
    /// point ([`Settings::poison`](super::Settings::poison)); they belong to no call. Two more calls, with any inputs, push
    /// the last two results out.
    ///
    /// # Errors
    ///
    /// [`Error::BufferCount`] and [`Error::BufferSize`]; [`Error::Busy`] while another thread is in here;
    /// [`Error::Released`]; [`Error::Device`] when the call fails. After any of them `outputs` are as they were,
    /// and the next call goes on as if this one had not been made. A device that is lost stays so.
    pub fn run(&self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), Error> {
        let shared = &*self.shared;
        let released = Error::Released { object: Object::ModelInstance };
        check_sizes(Side::Input, &shared.inputs, inputs.iter().map(|buffer| buffer.len()))?;
        check_sizes(Side::Output, &shared.outputs, outputs.iter().map(|buffer| buffer.len()))?;
        if shared.is_released() {
            return Err(released);
        }
        let mut call = match shared.call.try_lock() {
            Ok(call) => call,
            Err(TryLockError::Poisoned(call)) => call.into_inner(),
            Err(TryLockError::WouldBlock) if shared.is_released() => return Err(released),
            Err(TryLockError::WouldBlock) => return Err(Error::Busy),
        };
        let (call, _) = call.as_mut().ok_or(released)?;
        call.run(inputs, outputs)
    }

    /// Whether it has been released.
    pub fn is_released(&self) -> bool {
        self.shared.is_released()
    }

    /// Waits for the call that is active, if one is, and frees the cores.
    pub fn release(&self) {
        self.shared.release();
    }
}

impl Shared {
    pub(super) fn new(
        card: &Card,
        model: &Arc<nbuffer_runtime::Model>,
        cores: usize,
        options: &InstanceOptions,
        poison: bool,
    ) -> Result<Self, Error> {
        let missing = |feature, advice| Error::NotImplemented { feature, device: card.name.clone(), advice };
        if options.double_buffer && !card.device.info().double_buffer {
            return Err(missing("double_buffer", "load the instance without it, or use another device"));
        }
        if options.dma_buf {
            return Err(missing("input_dmabuf and output_dmabuf", "pass arrays"));
        }
        if options.async_mode {
            return Err(missing("async_mode", "call `run` from several threads, or use nbuffer's Pipeline"));
        }
        let program = card.device.prepare(model, 1)?;
        let lane = program.open_lane(LaneOptions { lane: 0, double_buffer: options.double_buffer })?;
        let call = RawCall::new(lane, &card.name, program.outputs(), poison);
        Ok(Shared {
            model: model.name.clone(),
            cores,
            inputs: program.inputs().to_vec(),
            outputs: program.outputs().to_vec(),
            lag: call.lag(),
            remarks: remarks(options, cores),
            released: AtomicBool::new(false),
            program: Mutex::new(Some(program)),
            call: Mutex::new(Some((call, Counted::new(Object::ModelInstance)))),
        })
    }

    /// Cores it is on.
    pub(super) fn cores(&self) -> usize {
        self.cores
    }

    pub(super) fn is_released(&self) -> bool {
        // Acquire pairs with the Release in `release`.
        self.released.load(Ordering::Acquire)
    }

    /// A second release waits for the first one.
    pub(super) fn release(&self) {
        // First, so that no further call gets in while this one waits.
        self.released.store(true, Ordering::Release);
        drop(self.program.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.call.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Options without effect, in words.
fn remarks(options: &InstanceOptions, cores: usize) -> Vec<String> {
    let mut remarks = Vec::new();
    if ![0, cores].contains(&options.num_sub_devices) {
        remarks.push(format!(
            "num_sub_devices={} changes nothing: the model's batch decides, and takes {cores}",
            options.num_sub_devices
        ));
    }
    remarks.extend(options.without_effect.iter().map(|key| format!("{key} has no effect here")));
    remarks
}

fn check_sizes(
    side: Side,
    tensors: &[TensorInfo],
    sizes: impl ExactSizeIterator<Item = usize>,
) -> Result<(), Error> {
    if sizes.len() != tensors.len() {
        return Err(Error::BufferCount { side, given: sizes.len(), expected: tensors.len() });
    }
    for (idx, (tensor, given)) in tensors.iter().zip(sizes).enumerate() {
        if given != tensor.size() {
            return Err(Error::BufferSize {
                side,
                idx,
                name: tensor.name().to_owned(),
                given,
                expected: tensor.size(),
                dtype: tensor.dtype(),
                shape: tensor.shape().to_vec(),
            });
        }
    }
    Ok(())
}

impl fmt::Debug for ModelInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { model, cores, lag, .. } = &*self.shared;
        let mut f = f.debug_struct("ModelInstance");
        f.field("model", model)
            .field("cores", cores)
            .field("lag", lag)
            .field("released", &self.is_released());
        f.finish()
    }
}
