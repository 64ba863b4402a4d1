//! Host memory that the device copies from and to, and the device's side of each buffer set.

use std::ptr::NonNull;
use std::slice;
use std::sync::{Arc, Mutex, PoisonError};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{DeviceError, HostBuffer, HostBytes, InputSet, Memory, OutputSet};

use crate::cl::Buffer;
use crate::hardware::{DeviceBuffer, Hardware, Lease};

/// Host memory of one tensor, allocated by OpenCL and mapped for as long as it lives: pinned, where the device copies
/// faster from such memory.
struct Mapped {
    address: NonNull<u8>,
    buffer: Buffer,
    hardware: Arc<Hardware>,
    /// On a device that shares the host's memory.
    _lease: Option<Lease>,
}

// SAFETY: the mapping belongs to this value alone, whatever thread it is on, and is reached through it only.
unsafe impl Send for Mapped {}

impl Mapped {
    fn zeroed(hardware: &Arc<Hardware>, len_bytes: usize, what: &str) -> Result<Self, DeviceError> {
        let lease = match hardware.found.shares_memory {
            true => Some(hardware.lease(len_bytes as u64, what)?),
            false => None,
        };
        let refused = |error| hardware.refused(error, len_bytes, what);
        let buffer = Buffer::on_host(&hardware.context, len_bytes).map_err(refused)?;
        let address = hardware.housekeeping().map(&buffer).map_err(refused)?;
        // SAFETY: `map` gave as many writable bytes, which nothing else uses yet.
        unsafe { address.write_bytes(0, len_bytes) };
        Ok(Mapped { address, buffer, hardware: Arc::clone(hardware), _lease: lease })
    }
}

impl HostBytes for Mapped {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has as many readable bytes, initialised in `zeroed`, until `drop`; who writes them has
        // `&mut self` or, as a queued copy does, owns the set that this is part of.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.buffer.len()) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and writable; nobody else has a reference, by `&mut self`.
        unsafe { slice::from_raw_parts_mut(self.address.as_ptr(), self.buffer.len()) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the address is that of this buffer's only mapping, and `self` is gone afterwards. A failure leaves
        // nothing to be done: the buffer's release ends what there is.
        let _ = unsafe { self.hardware.housekeeping().unmap(&self.buffer, self.address) };
    }
}

/// The device's side of one item: what its inputs are copied to and its outputs from.
#[derive(Debug)]
pub(crate) struct DeviceSet {
    pub(crate) inputs: Vec<DeviceBuffer>,
    pub(crate) outputs: Vec<DeviceBuffer>,
}

/// The device sets of a lane that no item uses.
///
/// There is one for each output set. An item has its output set from submit to end, so there is always one left for the
/// next item, while its input set is free again as soon as it has been written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<DeviceSet>>>);

impl Pool {
    pub(crate) fn take(&self) -> Option<DeviceSet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(crate) fn give_back(&self, set: DeviceSet) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(set);
    }
}

/// Where a lane's buffer sets come from.
pub(crate) struct LaneMemory {
    pub(crate) hardware: Arc<Hardware>,
    pub(crate) inputs: Vec<TensorInfo>,
    pub(crate) outputs: Vec<TensorInfo>,
    pub(crate) pool: Pool,
    /// Whose sets these are, for an error.
    pub(crate) what: String,
}

impl LaneMemory {
    fn on_host(&self, tensors: &[TensorInfo]) -> Result<Vec<HostBuffer>, DeviceError> {
        let one = |tensor: &TensorInfo| match tensor.size() {
            0 => Ok(HostBuffer::zeroed(0)),
            bytes => Ok(HostBuffer::foreign(Mapped::zeroed(&self.hardware, bytes, &self.what)?)),
        };
        tensors.iter().map(one).collect()
    }

    fn on_device(&self, tensors: &[TensorInfo]) -> Result<Vec<DeviceBuffer>, DeviceError> {
        let one = |tensor: &TensorInfo| self.hardware.device_buffer(tensor.size(), &self.what);
        tensors.iter().map(one).collect()
    }
}

impl Memory<InputSet, OutputSet> for LaneMemory {
    fn input(&mut self) -> Result<InputSet, DeviceError> {
        Ok(InputSet::new(self.on_host(&self.inputs)?))
    }

    fn output(&mut self) -> Result<OutputSet, DeviceError> {
        let host = self.on_host(&self.outputs)?;
        self.pool.give_back(DeviceSet {
            inputs: self.on_device(&self.inputs)?,
            outputs: self.on_device(&self.outputs)?,
        });
        Ok(OutputSet::new(host))
    }
}
