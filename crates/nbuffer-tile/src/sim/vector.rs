//! What vector instructions do to data.

use half::f16;

use super::arithmetic::{Number, tree_sum};
use crate::element::{DType, Element};
use crate::instruction::{Comparison, Operand, Rounding, Selection, Shape, Vector, VectorOp};
use crate::vector::mask_bits;

/// Bytes that a repeat works on.
const REPEAT: u32 = 256;

/// Elements that a repeat of `brcb` takes, one for each block of 32 bytes that it fills.
const BLOCKS: u32 = 8;

impl Vector {
    /// Bytes of the element that sets how many elements a repeat has: the larger one.
    fn element_bytes(&self) -> u32 {
        self.dtype.size().max(self.dst_dtype.size())
    }

    /// Elements of a repeat.
    pub(crate) fn per_repeat(&self) -> u32 {
        REPEAT / self.element_bytes()
    }

    /// Repeats that it takes.
    pub(super) fn repeats(&self) -> u64 {
        match self.shape {
            Shape::Count(count) => {
                (u64::from(count) * u64::from(self.element_bytes())).div_ceil(REPEAT.into())
            }
            Shape::Masked { repeats, .. } => repeats.into(),
        }
    }

    fn is_reduction(&self) -> bool {
        matches!(self.op, VectorOp::ReduceSum | VectorOp::ReduceMax | VectorOp::ReduceMin)
    }

    /// Whether it leaves one element for each repeat.
    pub(crate) fn is_repeat_reduction(&self) -> bool {
        matches!(self.op, VectorOp::RepeatReduceSum | VectorOp::RepeatReduceMax | VectorOp::RepeatReduceMin)
    }

    /// Elements, strides and masks left aside.
    fn elements(&self) -> u64 {
        match self.shape {
            Shape::Count(count) => count.into(),
            Shape::Masked { repeats, .. } => u64::from(repeats) * u64::from(self.per_repeat()),
        }
    }

    /// Bytes from an operand's first to the end of its last block of 32 bytes, or to its last element where they are counted.
    fn extent(&self, operand: &Operand, element_bytes: u32) -> u64 {
        match self.shape {
            Shape::Count(count) => u64::from(count) * u64::from(element_bytes),
            Shape::Masked { mask, repeats, .. } => {
                let Some(last) = mask_bits(mask).checked_ilog2().filter(|_| repeats > 0) else { return 0 };
                let row = u64::from(last * element_bytes / 32);
                let repeat = u64::from(repeats) - 1;
                32 * (repeat * u64::from(operand.repeat_stride) + row * u64::from(operand.block_stride) + 1)
            }
        }
    }

    /// From one result of a repeat to the next, in elements.
    fn result_stride(&self) -> u64 {
        match self.shape {
            Shape::Count(_) => 1,
            Shape::Masked { .. } => self.dst.repeat_stride.into(),
        }
    }

    /// Bytes of the destination from the first to the last.
    pub(crate) fn dst_extent(&self) -> u64 {
        let size = u64::from(self.dst_dtype.size());
        if self.is_reduction() {
            size
        } else if self.is_repeat_reduction() {
            match self.repeats() {
                0 => 0,
                repeats => ((repeats - 1) * self.result_stride() + 1) * size,
            }
        } else if matches!(self.op, VectorOp::Compare(_)) {
            self.elements().div_ceil(8)
        } else {
            self.extent(&self.dst, self.dst_dtype.size())
        }
    }

    /// Bytes of a source from the first to the last.
    pub(crate) fn source_extent(&self, index: usize) -> u64 {
        match self.op {
            VectorOp::Select(_) if index == 0 => self.elements().div_ceil(8),
            VectorOp::Brcb => self.repeats() * u64::from(BLOCKS * self.dtype.size()),
            _ => self.extent(&self.sources[index], self.dtype.size()),
        }
    }

    /// Byte offset of an element of an operand.
    fn place(&self, operand: &Operand, element: u32, size: u32) -> usize {
        match self.shape {
            Shape::Count(_) => (operand.address + element * size) as usize,
            Shape::Masked { .. } => {
                let (repeat, within) = (element / self.per_repeat(), element % self.per_repeat());
                let (row, byte) = (within * size / 32, within * size % 32);
                let rows = repeat * u32::from(operand.repeat_stride) + row * u32::from(operand.block_stride);
                (operand.address + 32 * rows + byte) as usize
            }
        }
    }

    /// Whether an element takes part.
    fn takes(&self, element: u32) -> bool {
        match self.shape {
            Shape::Count(_) => true,
            Shape::Masked { mask, .. } => {
                let within = element % self.per_repeat();
                // 256 elements of a byte: the mask has a bit for each of the first 128.
                within < 128 && mask[(within / 64) as usize] >> (within % 64) & 1 == 1
            }
        }
    }

    /// A source's elements; one that the mask leaves out is the default and not read.
    fn gather<T: Element>(&self, ub: &[u8], index: usize) -> Vec<T> {
        let operand = &self.sources[index];
        let size = T::DTYPE.size();
        match self.shape {
            Shape::Count(count) => {
                let bytes = &ub[operand.address as usize..][..(count * size) as usize];
                bytemuck::allocation::pod_collect_to_vec(bytes)
            }
            Shape::Masked { .. } => {
                let read = |element| {
                    if !self.takes(element) {
                        return T::default();
                    }
                    let at = self.place(operand, element, size);
                    bytemuck::pod_read_unaligned(&ub[at..][..size as usize])
                };
                (0..self.elements() as u32).map(read).collect()
            }
        }
    }
}

/// The bytes that an instruction will write.
pub(super) fn compute(vector: &Vector, scalar: [u8; 4], ub: &[u8]) -> Vec<u8> {
    match vector.dtype {
        DType::F16 => compute_as::<f16>(vector, scalar, ub),
        DType::F32 => compute_as::<f32>(vector, scalar, ub),
        DType::I32 => compute_as::<i32>(vector, scalar, ub),
        DType::I8 => compute_as::<i8>(vector, scalar, ub),
        DType::U8 => unreachable!("refused at the call"),
    }
}

fn compute_as<T: Number>(vector: &Vector, scalar: [u8; 4], ub: &[u8]) -> Vec<u8> {
    let a = || vector.gather::<T>(ub, 0);
    let b = || vector.gather::<T>(ub, 1);
    let scalar: T = bytemuck::pod_read_unaligned(&scalar[..T::DTYPE.size() as usize]);
    let op = vector.op;
    let elements: Vec<T> = match op {
        VectorOp::Add
        | VectorOp::Sub
        | VectorOp::Mul
        | VectorOp::Div
        | VectorOp::Max
        | VectorOp::Min
        | VectorOp::And
        | VectorOp::Or => a().into_iter().zip(b()).map(|(a, b)| T::binary(op, a, b)).collect(),
        VectorOp::MulAddDst => {
            let before = vector.gather::<T>(ub, 2);
            a().into_iter().zip(b()).zip(before).map(|((a, b), c)| T::fused(a, b, c)).collect()
        }
        VectorOp::Adds | VectorOp::Muls | VectorOp::Maxs | VectorOp::Mins | VectorOp::LeakyRelu => {
            a().into_iter().map(|a| T::binary(op, a, scalar)).collect()
        }
        VectorOp::Abs
        | VectorOp::Exp
        | VectorOp::Ln
        | VectorOp::Sqrt
        | VectorOp::Rsqrt
        | VectorOp::Reciprocal
        | VectorOp::Relu
        | VectorOp::Not => a().into_iter().map(|a| T::unary(op, a)).collect(),
        VectorOp::Copy => a(),
        VectorOp::Duplicate => vec![scalar; vector.elements() as usize],
        VectorOp::Brcb => broadcast(vector, ub),
        VectorOp::Cast(rounding) => return cast(vector, rounding, &a()),
        VectorOp::Compare(comparison) => return compare(comparison, &a(), &b()),
        VectorOp::Select(selection) => select(vector, selection, ub, scalar),
        VectorOp::ReduceSum | VectorOp::ReduceMax | VectorOp::ReduceMin => vec![reduce(op, &a())],
        VectorOp::RepeatReduceSum | VectorOp::RepeatReduceMax | VectorOp::RepeatReduceMin => {
            let per_repeat = vector.per_repeat() as usize;
            let reduce_taken = |(repeat, elements): (usize, &[T])| {
                let first = repeat * per_repeat;
                let taken = elements.iter().enumerate().filter(|(i, _)| vector.takes((first + i) as u32));
                reduce(op, &taken.map(|(_, element)| *element).collect::<Vec<T>>())
            };
            a().chunks(per_repeat).enumerate().map(reduce_taken).collect()
        }
    };
    bytemuck::allocation::pod_collect_to_vec(&elements)
}

fn reduce<T: Number>(op: VectorOp, elements: &[T]) -> T {
    let fold = |op| elements.iter().copied().reduce(|a, b| T::binary(op, a, b)).unwrap_or_default();
    match op {
        VectorOp::ReduceSum | VectorOp::RepeatReduceSum => tree_sum(elements),
        VectorOp::ReduceMax | VectorOp::RepeatReduceMax => fold(VectorOp::Max),
        _ => fold(VectorOp::Min),
    }
}

fn broadcast<T: Element>(vector: &Vector, ub: &[u8]) -> Vec<T> {
    let bytes = &ub[vector.sources[0].address as usize..][..vector.source_lens[0] as usize];
    let of_block = 32 / T::DTYPE.size() as usize;
    let each = bytes.chunks_exact(T::DTYPE.size() as usize).map(bytemuck::pod_read_unaligned::<T>);
    each.flat_map(|element| std::iter::repeat_n(element, of_block)).collect()
}

fn cast<T: Number>(vector: &Vector, rounding: Rounding, elements: &[T]) -> Vec<u8> {
    let is_same = vector.dtype == vector.dst_dtype;
    let is_float = matches!(vector.dtype, DType::F16 | DType::F32);
    if is_same && (rounding == Rounding::None || !is_float) {
        return bytemuck::allocation::pod_collect_to_vec(elements);
    }
    if is_same {
        return bytes_of(elements, |a| T::of_f64(rounding.to_integer(a)));
    }
    match vector.dst_dtype {
        DType::F16 => bytes_of(elements, |a| rounding.to_grid::<f16>(a)),
        DType::F32 => bytes_of(elements, |a| rounding.to_grid::<f32>(a)),
        DType::I32 => bytes_of(elements, |a| i32::of_f64(rounding.to_integer(a))),
        DType::I8 => bytes_of(elements, |a| i8::of_f64(rounding.to_integer(a))),
        DType::U8 => bytes_of(elements, |a| u8::of_f64(rounding.to_integer(a))),
    }
}

fn bytes_of<T: Number, U: Element>(elements: &[T], of: impl Fn(f64) -> U) -> Vec<u8> {
    let elements: Vec<U> = elements.iter().map(|a| of(a.to_f64())).collect();
    bytemuck::allocation::pod_collect_to_vec(&elements)
}

fn compare<T: Number>(comparison: Comparison, a: &[T], b: &[T]) -> Vec<u8> {
    let mut bits = vec![0_u8; a.len().div_ceil(8)];
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        bits[index / 8] |= u8::from(comparison.holds(a, b)) << (index % 8);
    }
    bits
}

fn select<T: Number>(vector: &Vector, selection: Selection, ub: &[u8], scalar: T) -> Vec<T> {
    let bits = &ub[vector.sources[0].address as usize..];
    let a = vector.gather::<T>(ub, 1);
    let b = if selection == Selection::Tensors { vector.gather::<T>(ub, 2) } else { vec![scalar; a.len()] };
    let chosen =
        |(index, (a, b)): (usize, (T, T))| if bits[index / 8] >> (index % 8) & 1 == 1 { a } else { b };
    a.into_iter().zip(b).enumerate().map(chosen).collect()
}

/// Writes what was computed.
pub(super) fn store(vector: &Vector, bytes: &[u8], ub: &mut [u8]) {
    let size = vector.dst_dtype.size() as usize;
    let to = &mut ub[vector.dst.address as usize..];
    if vector.is_repeat_reduction() {
        let stride = size * vector.result_stride() as usize;
        for (index, result) in bytes.chunks_exact(size).enumerate() {
            to[index * stride..][..size].copy_from_slice(result);
        }
        return;
    }
    let is_dense = vector.is_reduction() || matches!(vector.op, VectorOp::Compare(_));
    if is_dense || matches!(vector.shape, Shape::Count(_)) {
        to[..bytes.len()].copy_from_slice(bytes);
        return;
    }
    for (element, value) in bytes.chunks_exact(size).enumerate() {
        let element = element as u32;
        if vector.takes(element) {
            ub[vector.place(&vector.dst, element, size as u32)..][..size].copy_from_slice(value);
        }
    }
}
