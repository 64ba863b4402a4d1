//! Buffer sets: pinned memory of the host, and for each tensor as much on the device.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{DeviceError, HostBuffer, HostBytes, InputSet, Memory, OutputSet};

use crate::driver::{Context, DeviceMemory, Event, Failure, PinnedMemory, Stream, Use};

/// One tensor of a set.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) host: PinnedMemory,
    /// Shared with an item that the device has been given: the set may come back, and be dropped, before its kernel has run.
    pub(crate) device: Arc<DeviceMemory>,
    /// The set it is of.
    pub(crate) set: Arc<SetMarks>,
}

/// What the buffers of one set share.
#[derive(Debug)]
pub(crate) struct SetMarks {
    /// Unlike an address, never used again.
    pub(crate) number: u64,
    /// Of an input set: the last kernel that reads its device memory is over, so it may be written again. The set's
    /// host memory is given back before that.
    pub(crate) consumed: Event,
}

impl SetMarks {
    fn new(context: &Arc<Context>) -> Result<Arc<Self>, Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only that no two are the same counts.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(SetMarks { number, consumed: Event::untimed(context)? }))
    }
}

impl HostBytes for Buffer {
    fn bytes(&self) -> &[u8] {
        self.host.bytes()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.host.bytes_mut()
    }
}

/// This device's own buffers in a set.
///
/// # Errors
///
/// When the set is not one of [`CudaMemory`].
pub(crate) fn own(set: &[HostBuffer]) -> Result<Vec<&Buffer>, DeviceError> {
    let own: Option<Vec<&Buffer>> = set.iter().map(HostBuffer::foreign_ref).collect();
    own.ok_or_else(|| DeviceError::Call {
        why: "the buffer set is plain memory; a CUDA lane takes sets that its own memory gave".into(),
    })
}

/// Where a lane's sets come from.
pub(crate) struct CudaMemory {
    device: String,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    /// Clears new device memory; nothing else is done on it.
    stream: Stream,
}

impl CudaMemory {
    pub(crate) fn new(
        device: String,
        context: &Arc<Context>,
        inputs: &[TensorInfo],
        outputs: &[TensorInfo],
    ) -> Result<Self, Failure> {
        let stream = Stream::new(context)?;
        Ok(CudaMemory { device, inputs: inputs.to_vec(), outputs: outputs.to_vec(), stream })
    }

    fn set(&self, tensors: &[TensorInfo], used: Use) -> Result<Vec<HostBuffer>, DeviceError> {
        let context = self.stream.context();
        let marks = SetMarks::new(context).map_err(|failure| self.refused(failure, "an event"))?;
        let buffer = |tensor: &TensorInfo| {
            let len = tensor.size();
            let device =
                DeviceMemory::zeroed(&self.stream, len).map_err(|failure| self.full(failure, tensors))?;
            let host = PinnedMemory::zeroed(context, len, used)
                .map_err(|failure| self.refused(failure, &format!("{len} B of pinned host memory")))?;
            Ok(HostBuffer::foreign(Buffer { host, device: Arc::new(device), set: Arc::clone(&marks) }))
        };
        tensors.iter().map(buffer).collect()
    }

    /// Device memory could not be had.
    fn full(&self, failure: Failure, tensors: &[TensorInfo]) -> DeviceError {
        let what = "one more buffer set";
        match self.stream.context().free_bytes() {
            Ok(available_bytes) if failure.is_out_of_memory() => DeviceError::Memory {
                device: self.device.clone(),
                needed_bytes: tensors.iter().map(|tensor| tensor.size() as u64).sum(),
                available_bytes,
                what: what.into(),
            },
            _ => self.refused(failure, what),
        }
    }

    fn refused(&self, failure: Failure, what: &str) -> DeviceError {
        DeviceError::Unsupported {
            device: self.device.clone(),
            why: format!("it does not give {what}: {failure}; try fewer buffer sets"),
        }
    }
}

impl Memory<InputSet, OutputSet> for CudaMemory {
    fn input(&mut self) -> Result<InputSet, DeviceError> {
        Ok(InputSet::new(self.set(&self.inputs, Use::Fill)?))
    }

    fn output(&mut self) -> Result<OutputSet, DeviceError> {
        Ok(OutputSet::new(self.set(&self.outputs, Use::Read)?))
    }
}
