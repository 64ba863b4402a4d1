//! Memories: those of a core, and the global one.

use std::collections::HashMap;

use crate::element::Element;
use crate::position::Space;
use crate::profile::Profile;
use crate::tensor::GlobalTensor;

/// Bytes that can be read as any element type from any multiple of its size on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytes {
    words: Vec<u64>,
    len: usize,
}

impl Bytes {
    pub(crate) fn zeroed(len: usize) -> Self {
        Bytes { words: vec![0; len.div_ceil(8)], len }
    }

    /// Has a size only.
    fn hollow(len: usize) -> Self {
        Bytes { words: Vec::new(), len }
    }

    /// How many there are, or would be.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}

/// The memories of one core. What was never written reads as the pattern of a memory nobody filled.
#[derive(Debug)]
pub(crate) struct CoreMemory {
    spaces: HashMap<Space, Bytes>,
}

/// What memory holds that was never written: no value that a test would expect.
const UNWRITTEN: u8 = 0xA5;

impl CoreMemory {
    pub(crate) fn new(profile: &Profile) -> Self {
        let space = |space| {
            let mut bytes = Bytes::zeroed(profile.size(space) as usize);
            bytes.bytes_mut().fill(UNWRITTEN);
            (space, bytes)
        };
        CoreMemory { spaces: Space::ALL.map(space).into_iter().collect() }
    }

    pub(crate) fn of(&self, space: Space) -> &[u8] {
        self.spaces[&space].bytes()
    }

    pub(crate) fn of_mut(&mut self, space: Space) -> &mut [u8] {
        self.spaces.get_mut(&space).expect("every space is there").bytes_mut()
    }
}

/// Global memory: the tensors that kernels read and write.
#[derive(Debug, Default)]
pub struct GlobalMemory {
    pub(crate) tensors: Vec<Bytes>,
    /// Tensors have sizes only.
    is_hollow: bool,
}

impl GlobalMemory {
    /// No tensors yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// No tensors yet, and none that will hold anything: for launches of which only the time matters, on tensors of any size. A
    /// launch on it computes no values.
    pub fn hollow() -> Self {
        GlobalMemory { is_hollow: true, ..Self::default() }
    }

    /// Whether tensors hold values.
    pub fn holds_values(&self) -> bool {
        !self.is_hollow
    }

    /// A tensor that holds these elements.
    pub fn tensor<T: Element>(&mut self, elements: &[T]) -> GlobalTensor<T> {
        self.filled(elements.len() as u64, |index| elements[index as usize])
    }

    /// A tensor of so many elements, each of which is what `element` gives for its index.
    pub fn filled<T: Element>(&mut self, count: u64, element: impl Fn(u64) -> T) -> GlobalTensor<T> {
        let tensor = self.zeros(count);
        let last = self.tensors.last_mut().expect("it was just added");
        if !self.is_hollow {
            let elements: &mut [T] = bytemuck::cast_slice_mut(last.bytes_mut());
            elements.iter_mut().zip(0..).for_each(|(place, index)| *place = element(index));
        }
        tensor
    }

    /// A tensor of so many zeros.
    pub fn zeros<T: Element>(&mut self, count: u64) -> GlobalTensor<T> {
        let len = count as usize * T::DTYPE.size() as usize;
        self.tensors.push(if self.is_hollow { Bytes::hollow(len) } else { Bytes::zeroed(len) });
        GlobalTensor::new(self.tensors.len() as u32 - 1, count)
    }

    /// What a tensor, or a part of one, holds.
    ///
    /// # Panics
    ///
    /// On [hollow](GlobalMemory::hollow) memory, and beyond the tensor's end.
    pub fn read<T: Element>(&self, tensor: GlobalTensor<T>) -> &[T] {
        let all: &[T] = bytemuck::cast_slice(self.tensors[tensor.buffer as usize].bytes());
        &all[tensor.offset as usize..][..tensor.count as usize]
    }

    /// Bytes of all tensors.
    pub fn len_bytes(&self) -> u64 {
        self.tensors.iter().map(|bytes| bytes.len as u64).sum()
    }
}
