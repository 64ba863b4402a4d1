//! Host memory of a buffer set, and the buffer set itself.

use bytemuck::{Pod, Zeroable};
use nbuffer_core::tensor::TensorInfo;

/// One cache line, so that every buffer starts on one and any element type is aligned in it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct CacheLine([u8; 64]);

/// Zeroed host memory for one tensor, aligned to 64 bytes.
pub struct HostBuffer {
    lines: Vec<CacheLine>,
    len_bytes: usize,
}

impl HostBuffer {
    /// `len_bytes` zero bytes.
    pub fn zeroed(len_bytes: usize) -> Self {
        HostBuffer { lines: vec![CacheLine::zeroed(); len_bytes.div_ceil(64)], len_bytes }
    }

    /// Bytes of this buffer.
    pub fn len(&self) -> usize {
        self.len_bytes
    }

    /// Whether the buffer has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.len_bytes]
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len_bytes]
    }

    /// The bytes as elements of `T`.
    ///
    /// # Panics
    ///
    /// If the length is no multiple of the size of `T`.
    pub fn as_slice<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(self.bytes())
    }

    /// The bytes as elements of `T`, to be written.
    ///
    /// # Panics
    ///
    /// If the length is no multiple of the size of `T`.
    pub fn as_mut_slice<T: Pod>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(self.bytes_mut())
    }
}

impl std::fmt::Debug for HostBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostBuffer({} B)", self.len_bytes)
    }
}

/// The input and output buffers one item needs.
///
/// A buffer set has exactly one owner at a time: the ring, a host thread or a device. It is moved, never
/// shared, so writing an input that a device still reads does not compile:
///
/// ```compile_fail,E0382
/// use nbuffer_runtime::{BufferSet, Flight, Slot};
/// fn submit(_: Flight<BufferSet>) {}
///
/// let mut set = BufferSet::zeroed(&[], &[]);
/// submit(Flight { id: Slot { lane: 0, set: 0, sequence: 0 }, set });
/// set.inputs[0].bytes_mut()[0] = 1; // the set has been moved to the device
/// ```
#[derive(Debug)]
pub struct BufferSet {
    /// One buffer per model input, in the model's order.
    pub inputs: Vec<HostBuffer>,
    /// One buffer per model output, in the model's order.
    pub outputs: Vec<HostBuffer>,
}

impl BufferSet {
    /// Plain host memory for the given tensors.
    pub fn zeroed(inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Self {
        let buffers = |tensors: &[TensorInfo]| tensors.iter().map(|t| HostBuffer::zeroed(t.size())).collect();
        BufferSet { inputs: buffers(inputs), outputs: buffers(outputs) }
    }
}
