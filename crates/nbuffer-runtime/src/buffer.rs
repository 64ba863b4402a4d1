//! Host memory of a buffer set, the two halves of a set, and where they come from.

use std::any::Any;

use bytemuck::{Pod, Zeroable};
use nbuffer_core::tensor::TensorInfo;

use crate::device::DeviceError;

/// One cache line, so that every buffer starts on one and any element type is aligned in it.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct CacheLine([u8; 64]);

/// Host memory that a device brings: pinned, mapped, or reachable for it in another way.
///
/// The value may hold more than the bytes: the buffer on the device that mirrors them, the events of the last copy. The
/// device finds it again through [`HostBuffer::foreign_ref`] when the set is submitted.
pub trait HostBytes: Any + Send {
    /// The bytes: always as many, at the same place, aligned to 8 bytes.
    fn bytes(&self) -> &[u8];

    /// The bytes, to be written.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// Host memory for one tensor: plain and aligned to 64 bytes, or a device's own.
pub struct HostBuffer(Bytes);

enum Bytes {
    Plain { lines: Vec<CacheLine>, len_bytes: usize },
    Foreign(Box<dyn HostBytes>),
}

impl HostBuffer {
    /// `len_bytes` zero bytes of plain memory.
    pub fn zeroed(len_bytes: usize) -> Self {
        HostBuffer(Bytes::Plain { lines: vec![CacheLine::zeroed(); len_bytes.div_ceil(64)], len_bytes })
    }

    /// Memory that a device brings. The buffer owns it: dropped with the buffer, it is given back to the device.
    ///
    /// # Panics
    ///
    /// If the bytes are not aligned to 8 bytes, so that not every element type could lie there.
    pub fn foreign(bytes: impl HostBytes) -> Self {
        assert!(
            bytes.bytes().as_ptr().addr().is_multiple_of(8),
            "a device's host memory is aligned to 8 bytes"
        );
        HostBuffer(Bytes::Foreign(Box::new(bytes)))
    }

    /// What a device brought, if it is a `T`; `None` for plain memory and for that of another device.
    pub fn foreign_ref<T: HostBytes>(&self) -> Option<&T> {
        match &self.0 {
            Bytes::Plain { .. } => None,
            Bytes::Foreign(bytes) => (&**bytes as &dyn Any).downcast_ref(),
        }
    }

    /// What a device brought, to be changed.
    pub fn foreign_mut<T: HostBytes>(&mut self) -> Option<&mut T> {
        match &mut self.0 {
            Bytes::Plain { .. } => None,
            Bytes::Foreign(bytes) => (&mut **bytes as &mut dyn Any).downcast_mut(),
        }
    }

    /// Bytes of this buffer.
    pub fn len(&self) -> usize {
        match &self.0 {
            Bytes::Plain { len_bytes, .. } => *len_bytes,
            Bytes::Foreign(bytes) => bytes.bytes().len(),
        }
    }

    /// Whether the buffer has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Plain { lines, len_bytes } => &bytemuck::cast_slice(lines)[..*len_bytes],
            Bytes::Foreign(bytes) => bytes.bytes(),
        }
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Bytes::Plain { lines, len_bytes } => &mut bytemuck::cast_slice_mut(lines)[..*len_bytes],
            Bytes::Foreign(bytes) => bytes.bytes_mut(),
        }
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
        let whose = match self.0 {
            Bytes::Plain { .. } => "",
            Bytes::Foreign(_) => ", the device's own",
        };
        write!(f, "HostBuffer({} B{whose})", self.len())
    }
}

/// The input buffers one item needs, one per model input, in the model's order.
///
/// A buffer set has exactly one owner at a time: the ring, a host thread or a device. It is moved, never
/// shared, so writing an input that a device still reads does not compile:
///
/// ```compile_fail,E0382
/// use nbuffer_runtime::{Flight, InputSet, OutputSet, Transit};
/// fn submit(_: Flight<InputSet, OutputSet>) {}
///
/// let (mut input, output) = (InputSet::zeroed(&[]), OutputSet::zeroed(&[]));
/// submit(Flight { id: Transit::new(0, 0, 0, 0), input, output });
/// input[0].bytes_mut()[0] = 1; // the set has been moved to the device
/// ```
#[derive(Debug)]
pub struct InputSet(Vec<HostBuffer>);

/// The output buffers one item needs, one per model output, in the model's order.
///
/// Owned like an [`InputSet`], and apart from it: an input can be filled for the next item while the output of the
/// last one is still being read.
#[derive(Debug)]
pub struct OutputSet(Vec<HostBuffer>);

/// What inputs and outputs have in common; which is which is in the type.
macro_rules! buffers {
    ($set:ident) => {
        impl $set {
            /// These buffers, one per tensor.
            pub fn new(buffers: Vec<HostBuffer>) -> Self {
                $set(buffers)
            }

            /// Plain host memory for these tensors.
            pub fn zeroed(tensors: &[TensorInfo]) -> Self {
                $set(tensors.iter().map(|tensor| HostBuffer::zeroed(tensor.size())).collect())
            }
        }

        impl std::ops::Deref for $set {
            type Target = [HostBuffer];

            fn deref(&self) -> &[HostBuffer] {
                &self.0
            }
        }

        impl std::ops::DerefMut for $set {
            fn deref_mut(&mut self) -> &mut [HostBuffer] {
                &mut self.0
            }
        }
    };
}

buffers!(InputSet);
buffers!(OutputSet);

/// Where a lane's buffer sets come from: memory its device can reach.
pub trait Memory<I, O>: Send {
    /// One more input set.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`] when there is no room.
    fn input(&mut self) -> Result<I, DeviceError>;

    /// One more output set.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`] when there is no room.
    fn output(&mut self) -> Result<O, DeviceError>;
}

/// Plain host memory for the tensors of a model.
#[derive(Clone, Debug)]
pub struct HostMemory {
    /// Inputs of one call.
    pub inputs: Vec<TensorInfo>,
    /// Outputs of one call.
    pub outputs: Vec<TensorInfo>,
}

impl Memory<InputSet, OutputSet> for HostMemory {
    fn input(&mut self) -> Result<InputSet, DeviceError> {
        Ok(InputSet::zeroed(&self.inputs))
    }

    fn output(&mut self) -> Result<OutputSet, DeviceError> {
        Ok(OutputSet::zeroed(&self.outputs))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Memory as a device would bring it, with something of the device's own.
    struct Pinned {
        words: [u64; 2],
        device: Arc<String>,
    }

    impl HostBytes for Pinned {
        fn bytes(&self) -> &[u8] {
            &bytemuck::bytes_of(&self.words)[..12]
        }

        fn bytes_mut(&mut self) -> &mut [u8] {
            &mut bytemuck::bytes_of_mut(&mut self.words)[..12]
        }
    }

    /// Another device's.
    struct Mapped([u64; 1]);

    impl HostBytes for Mapped {
        fn bytes(&self) -> &[u8] {
            bytemuck::bytes_of(&self.0)
        }

        fn bytes_mut(&mut self) -> &mut [u8] {
            bytemuck::bytes_of_mut(&mut self.0)
        }
    }

    #[test]
    fn a_device_finds_its_own_memory_again() {
        let device = Arc::new("card 0".to_owned());
        let mut buffer = HostBuffer::foreign(Pinned { words: [0; 2], device: Arc::clone(&device) });
        buffer.as_mut_slice::<u32>()[2] = 7;
        let mut set = InputSet::new(vec![buffer, HostBuffer::zeroed(3)]);

        assert_eq!((set[0].len(), set[0].as_slice::<u32>()), (12, &[0, 0, 7][..]));
        assert_eq!(set[0].foreign_ref::<Pinned>().map(|pinned| pinned.device.as_str()), Some("card 0"));
        set[0].foreign_mut::<Pinned>().unwrap().words[0] = 5;
        assert_eq!(set[0].as_slice::<u32>(), [5, 0, 7]);
        assert!(set[0].foreign_ref::<Mapped>().is_none() && set[1].foreign_ref::<Pinned>().is_none());
        assert_eq!(format!("{set:?}"), "InputSet([HostBuffer(12 B, the device's own), HostBuffer(3 B)])");

        drop(set);
        assert_eq!(Arc::strong_count(&device), 1, "the device gets its memory back");
    }

    #[test]
    #[should_panic(expected = "aligned to 8 bytes")]
    fn memory_that_could_not_hold_every_type_is_refused() {
        struct Odd(Mapped);
        impl HostBytes for Odd {
            fn bytes(&self) -> &[u8] {
                &self.0.bytes()[1..]
            }

            fn bytes_mut(&mut self) -> &mut [u8] {
                &mut self.0.bytes_mut()[1..]
            }
        }
        HostBuffer::foreign(Odd(Mapped([0])));
    }
}
