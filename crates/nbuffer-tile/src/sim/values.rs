//! What instructions do to data. Sources are read when an instruction begins, results are written when it ends.

use half::f16;

use super::hazard::Touch;
use super::memory::{CoreMemory, GlobalMemory};
use crate::element::{DType, Element};
use crate::instruction::{
    Comparison, Copy, Mmad, Op, Operand, Rounding, Route, Selection, Shape, Vector, VectorOp,
};
use crate::position::Space;

/// What an instruction will write when it ends: elements, or bytes of a copy, one after the other.
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<u8>);

/// The most operands that lie in a core's memories.
const OPERANDS: usize = 4;

const NOTHING: Touch = Touch { space: Space::Ub, start: 0, end: 0, writes: false };

/// The bytes of the core's memories that an instruction touches, from the first to the last of each operand.
pub(super) fn touches(op: &Op) -> ([Touch; OPERANDS], usize) {
    let mut touches = [NOTHING; OPERANDS];
    let mut n = 0;
    let mut add = |space, start: u32, len: u32, writes| {
        touches[n] = Touch { space, start, end: start + len, writes };
        n += 1;
    };
    match op {
        Op::Copy(copy) => {
            let near = copy.near_extent();
            match copy.route {
                Route::In(space) => add(space, copy.near, near, true),
                Route::Out => add(Space::Ub, copy.near, near, false),
                Route::Load(space) => {
                    add(space, copy.near, near, true);
                    add(Space::L1, copy.far as u32, copy.far_extent() as u32, false);
                }
                Route::Fixpipe(_) => add(Space::L0c, copy.near, near, false),
            }
        }
        Op::Vector(vector) => {
            add(Space::Ub, vector.dst.address, vector.dst_extent(), true);
            for index in 0..usize::from(vector.n_sources) {
                add(Space::Ub, vector.sources[index].address, vector.source_extent(index), false);
            }
        }
        Op::Mmad(mmad) => {
            let [a, b, c] = mmad.extents();
            add(Space::L0c, mmad.c, c, true);
            add(Space::L0a, mmad.a, a, false);
            add(Space::L0b, mmad.b, b, false);
        }
        _ => {}
    }
    (touches, n)
}

/// Reads an instruction's sources and computes what it will write.
pub(super) fn compute(op: &Op, memory: &CoreMemory, global: &GlobalMemory) -> Pending {
    match op {
        Op::Copy(copy) => read_copy(copy, memory, global),
        Op::Vector(vector) => compute_vector(vector, memory.of(Space::Ub)),
        Op::Mmad(mmad) => compute_mmad(mmad, memory),
        _ => Pending::default(),
    }
}

/// Writes what was computed.
pub(super) fn store(op: &Op, Pending(bytes): Pending, memory: &mut CoreMemory, global: &mut GlobalMemory) {
    match op {
        Op::Copy(copy) => write_copy(copy, &bytes, memory, global),
        Op::Vector(vector) => store_vector(vector, &bytes, memory.of_mut(Space::Ub)),
        Op::Mmad(mmad) => memory.of_mut(Space::L0c)[mmad.c as usize..][..bytes.len()].copy_from_slice(&bytes),
        _ => {}
    }
}

impl Copy {
    /// Bytes of a block on the side of the core, padding included.
    fn near_len(&self) -> u32 {
        let padded = self.len + u32::from(self.pad.0) + u32::from(self.pad.1);
        if matches!(self.route, Route::In(Space::Ub)) { padded.next_multiple_of(32) } else { padded }
    }

    pub(crate) fn near_extent(&self) -> u32 {
        match self.blocks {
            0 => 0,
            blocks => (u32::from(blocks) - 1) * self.near_stride + self.near_len(),
        }
    }

    pub(crate) fn far_extent(&self) -> u64 {
        match self.blocks {
            0 => 0,
            blocks => (u64::from(blocks) - 1) * self.far_stride + u64::from(self.len),
        }
    }
}

fn read_copy(copy: &Copy, memory: &CoreMemory, global: &GlobalMemory) -> Pending {
    let mut read = Vec::with_capacity(copy.bytes() as usize);
    for block in 0..u64::from(copy.blocks) {
        let from: &[u8] = match copy.route {
            Route::In(_) => {
                &global.tensors[copy.buffer as usize].bytes()[(copy.far + block * copy.far_stride) as usize..]
            }
            Route::Load(_) => &memory.of(Space::L1)[(copy.far + block * copy.far_stride) as usize..],
            Route::Out => {
                &memory.of(Space::Ub)[copy.near as usize + block as usize * copy.near_stride as usize..]
            }
            Route::Fixpipe(_) => {
                &memory.of(Space::L0c)[copy.near as usize + block as usize * copy.near_stride as usize..]
            }
        };
        read.extend_from_slice(&from[..copy.len as usize]);
    }
    Pending(read)
}

fn write_copy(copy: &Copy, bytes: &[u8], memory: &mut CoreMemory, global: &mut GlobalMemory) {
    let size = copy.dtype.size() as usize;
    for (block, data) in bytes.chunks_exact(copy.len.max(1) as usize).enumerate() {
        match copy.route {
            Route::In(space) | Route::Load(space) => {
                let start = copy.near as usize + block * copy.near_stride as usize;
                let to = &mut memory.of_mut(space)[start..start + copy.near_len() as usize];
                let (left, right) = (usize::from(copy.pad.0), usize::from(copy.pad.0) + data.len());
                // What a copy of less than whole rows leaves is the first element, unless it is told what.
                let filler = copy.filler.map_or(&data[..size.min(data.len())], |_| &[]);
                let given = copy.filler.unwrap_or_default();
                let filler = if filler.is_empty() { &given[..size] } else { filler };
                for (index, byte) in to.iter_mut().enumerate() {
                    *byte = if (left..right).contains(&index) {
                        data[index - left]
                    } else {
                        filler[index % size]
                    };
                }
            }
            Route::Out | Route::Fixpipe(_) => {
                let start = (copy.far + block as u64 * copy.far_stride) as usize;
                let to = global.tensors[copy.buffer as usize].bytes_mut();
                match copy.route {
                    Route::Fixpipe(DType::F16) => {
                        for (index, value) in data.chunks_exact(4).enumerate() {
                            let value = f16::from_f32(f32::from_le_bytes(value.try_into().expect("4 bytes")));
                            to[start + 2 * index..][..2].copy_from_slice(&value.to_le_bytes());
                        }
                    }
                    _ => to[start..start + data.len()].copy_from_slice(data),
                }
            }
        }
    }
}

impl Vector {
    /// Elements of a repeat.
    fn per_repeat(&self) -> u32 {
        256 / self.element_bytes()
    }

    fn is_reduction(&self) -> bool {
        matches!(self.op, VectorOp::ReduceSum | VectorOp::ReduceMax | VectorOp::ReduceMin)
    }

    fn is_repeat_reduction(&self) -> bool {
        matches!(self.op, VectorOp::RepeatReduceSum | VectorOp::RepeatReduceMax | VectorOp::RepeatReduceMin)
    }

    /// Elements, strides and masks left aside.
    fn elements(&self) -> u32 {
        match self.shape {
            Shape::Count(count) => count,
            Shape::Masked { repeats, .. } => u32::from(repeats) * self.per_repeat(),
        }
    }

    /// Bytes from an operand's first to its last.
    fn extent(&self, operand: &Operand, element_bytes: u32) -> u32 {
        match self.shape {
            Shape::Count(count) => count * element_bytes,
            Shape::Masked { repeats: 0, .. } => 0,
            Shape::Masked { repeats, .. } => {
                let rows = 8 * element_bytes / self.element_bytes().max(1);
                let last_row = rows.max(1) - 1;
                32 * ((u32::from(repeats) - 1) * u32::from(operand.repeat_stride)
                    + last_row * u32::from(operand.block_stride)
                    + 1)
            }
        }
    }

    pub(crate) fn dst_extent(&self) -> u32 {
        let size = self.dst_dtype.size();
        if self.is_reduction() {
            size
        } else if self.is_repeat_reduction() {
            self.repeats() * size
        } else if matches!(self.op, VectorOp::Compare(_)) {
            self.elements().div_ceil(8)
        } else {
            self.extent(&self.dst, size)
        }
    }

    pub(crate) fn source_extent(&self, index: usize) -> u32 {
        match self.op {
            VectorOp::Select(_) if index == 0 => self.elements().div_ceil(8),
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
                mask[(within / 64) as usize] >> (within % 64) & 1 == 1
            }
        }
    }

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
                    if self.takes(element) {
                        bytemuck::pod_read_unaligned(
                            &ub[self.place(operand, element, size)..][..size as usize],
                        )
                    } else {
                        T::default()
                    }
                };
                (0..self.elements()).map(read).collect()
            }
        }
    }
}

/// Elements that arithmetic works on. What f16 cannot hold is rounded as f16 rounds: a sum, difference, product or quotient of two
/// f16 in f32 has enough digits that rounding it again is the same as rounding once.
trait Number: Element {
    fn to_f32(self) -> f32;
    fn of_f32(value: f32) -> Self;
    fn binary(op: VectorOp, a: Self, b: Self) -> Self;
}

fn float(op: VectorOp, a: f32, b: f32) -> f32 {
    match op {
        VectorOp::Add | VectorOp::Adds => a + b,
        VectorOp::Sub => a - b,
        VectorOp::Mul | VectorOp::Muls => a * b,
        VectorOp::Div => a / b,
        VectorOp::Max | VectorOp::Maxs => a.max(b),
        VectorOp::Min | VectorOp::Mins => a.min(b),
        VectorOp::LeakyRelu => {
            if a >= 0.0 {
                a
            } else {
                a * b
            }
        }
        _ => unreachable!("not an operation of two numbers"),
    }
}

fn integer(op: VectorOp, a: i32, b: i32) -> i32 {
    match op {
        VectorOp::Add | VectorOp::Adds => a.wrapping_add(b),
        VectorOp::Sub => a.wrapping_sub(b),
        VectorOp::Mul | VectorOp::Muls => a.wrapping_mul(b),
        VectorOp::Div => {
            if b == 0 {
                0
            } else {
                a.wrapping_div(b)
            }
        }
        VectorOp::Max | VectorOp::Maxs => a.max(b),
        VectorOp::Min | VectorOp::Mins => a.min(b),
        VectorOp::And => a & b,
        VectorOp::Or => a | b,
        VectorOp::LeakyRelu => {
            if a >= 0 {
                a
            } else {
                a.wrapping_mul(b)
            }
        }
        _ => unreachable!("not an operation of two numbers"),
    }
}

impl Number for f16 {
    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
    fn of_f32(value: f32) -> Self {
        f16::from_f32(value)
    }
    fn binary(op: VectorOp, a: Self, b: Self) -> Self {
        match op {
            VectorOp::And => f16::from_bits(a.to_bits() & b.to_bits()),
            VectorOp::Or => f16::from_bits(a.to_bits() | b.to_bits()),
            _ => f16::from_f32(float(op, a.to_f32(), b.to_f32())),
        }
    }
}

impl Number for f32 {
    fn to_f32(self) -> f32 {
        self
    }
    fn of_f32(value: f32) -> Self {
        value
    }
    fn binary(op: VectorOp, a: Self, b: Self) -> Self {
        match op {
            VectorOp::And => f32::from_bits(a.to_bits() & b.to_bits()),
            VectorOp::Or => f32::from_bits(a.to_bits() | b.to_bits()),
            _ => float(op, a, b),
        }
    }
}

impl Number for i32 {
    fn to_f32(self) -> f32 {
        self as f32
    }
    fn of_f32(value: f32) -> Self {
        value as i32
    }
    fn binary(op: VectorOp, a: Self, b: Self) -> Self {
        integer(op, a, b)
    }
}

impl Number for i8 {
    fn to_f32(self) -> f32 {
        self.into()
    }
    fn of_f32(value: f32) -> Self {
        value as i8
    }
    fn binary(op: VectorOp, a: Self, b: Self) -> Self {
        integer(op, a.into(), b.into()) as i8
    }
}

fn compute_vector(vector: &Vector, ub: &[u8]) -> Pending {
    match vector.dtype {
        DType::F16 => compute_as::<f16>(vector, ub),
        DType::F32 => compute_as::<f32>(vector, ub),
        DType::I32 => compute_as::<i32>(vector, ub),
        DType::I8 => compute_as::<i8>(vector, ub),
        DType::U8 => Pending::default(),
    }
}

fn unary(op: VectorOp, a: f32) -> f32 {
    match op {
        VectorOp::Abs => a.abs(),
        VectorOp::Exp => a.exp(),
        VectorOp::Ln => a.ln(),
        VectorOp::Sqrt => a.sqrt(),
        VectorOp::Rsqrt => 1.0 / a.sqrt(),
        VectorOp::Reciprocal => 1.0 / a,
        VectorOp::Relu => a.max(0.0),
        _ => unreachable!("not an operation of one number"),
    }
}

fn compute_as<T: Number>(vector: &Vector, ub: &[u8]) -> Pending {
    let a = || vector.gather::<T>(ub, 0);
    let b = || vector.gather::<T>(ub, 1);
    let scalar = T::of_f32(vector.scalar);
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
            let sum = |((a, b), c): ((T, T), T)| T::of_f32(a.to_f32().mul_add(b.to_f32(), c.to_f32()));
            a().into_iter().zip(b()).zip(vector.gather::<T>(ub, 2)).map(sum).collect()
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
        | VectorOp::Relu => a().into_iter().map(|a| T::of_f32(unary(op, a.to_f32()))).collect(),
        VectorOp::Not => {
            let mut elements = a();
            bytemuck::cast_slice_mut::<T, u8>(&mut elements).iter_mut().for_each(|byte| *byte = !*byte);
            elements
        }
        VectorOp::Copy => a(),
        VectorOp::Duplicate => vec![scalar; vector.elements() as usize],
        VectorOp::Cast(rounding) => return cast(vector, rounding, &a()),
        VectorOp::Compare(comparison) => return compare(comparison, &a(), &b()),
        VectorOp::Select(selection) => select(vector, selection, ub, scalar),
        VectorOp::ReduceSum => vec![T::of_f32(tree_sum(&a()))],
        VectorOp::ReduceMax => vec![fold(&a(), VectorOp::Max)],
        VectorOp::ReduceMin => vec![fold(&a(), VectorOp::Min)],
        VectorOp::RepeatReduceSum | VectorOp::RepeatReduceMax | VectorOp::RepeatReduceMin => {
            let reduce = |repeat: &[T]| match op {
                VectorOp::RepeatReduceSum => T::of_f32(tree_sum(repeat)),
                VectorOp::RepeatReduceMax => fold(repeat, VectorOp::Max),
                _ => fold(repeat, VectorOp::Min),
            };
            a().chunks(vector.per_repeat() as usize).map(reduce).collect()
        }
    };
    Pending(bytemuck::allocation::pod_collect_to_vec(&elements))
}

/// A sum as a tree of pairs, each rounded to the element type.
fn tree_sum<T: Number>(elements: &[T]) -> f32 {
    match elements {
        [] => 0.0,
        [one] => one.to_f32(),
        _ => {
            let (left, right) = elements.split_at(elements.len().next_power_of_two() / 2);
            T::of_f32(tree_sum(left) + tree_sum(right)).to_f32()
        }
    }
}

fn fold<T: Number>(elements: &[T], op: VectorOp) -> T {
    elements.iter().copied().reduce(|a, b| T::binary(op, a, b)).unwrap_or_default()
}

fn round(rounding: Rounding, value: f32) -> f32 {
    match rounding {
        Rounding::None | Rounding::Rint => value.round_ties_even(),
        Rounding::Floor => value.floor(),
        Rounding::Ceil => value.ceil(),
        Rounding::Round => value.round(),
        Rounding::Trunc => value.trunc(),
    }
}

fn cast<T: Number>(vector: &Vector, rounding: Rounding, elements: &[T]) -> Pending {
    let bytes = match vector.dst_dtype {
        DType::F16 => bytes_of(elements, |a| f16::from_f32(a.to_f32())),
        DType::F32 => bytes_of(elements, |a| a.to_f32()),
        // Beyond f32's digits an integer is passed on as it is.
        DType::I32 if T::DTYPE == DType::I32 => bytemuck::cast_slice(elements).to_vec(),
        DType::I32 => bytes_of(elements, |a| round(rounding, a.to_f32()) as i32),
        DType::I8 | DType::U8 => bytes_of(elements, |a| round(rounding, a.to_f32()) as i8),
    };
    Pending(bytes)
}

fn bytes_of<T: Number, U: Element>(elements: &[T], of: impl Fn(T) -> U) -> Vec<u8> {
    let elements: Vec<U> = elements.iter().map(|&a| of(a)).collect();
    bytemuck::allocation::pod_collect_to_vec(&elements)
}

fn compare<T: Number>(comparison: Comparison, a: &[T], b: &[T]) -> Pending {
    let mut bits = vec![0_u8; a.len().div_ceil(8)];
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        let (a, b) = (a.to_f32(), b.to_f32());
        let holds = match comparison {
            Comparison::Lt => a < b,
            Comparison::Gt => a > b,
            Comparison::Le => a <= b,
            Comparison::Ge => a >= b,
            Comparison::Eq => a == b,
            Comparison::Ne => a != b,
        };
        bits[index / 8] |= u8::from(holds) << (index % 8);
    }
    Pending(bits)
}

fn select<T: Number>(vector: &Vector, selection: Selection, ub: &[u8], scalar: T) -> Vec<T> {
    let bits = &ub[vector.sources[0].address as usize..];
    let a = vector.gather::<T>(ub, 1);
    let b = if selection == Selection::Tensors { vector.gather::<T>(ub, 2) } else { vec![scalar; a.len()] };
    let chosen =
        |(index, (a, b)): (usize, (T, T))| if bits[index / 8] >> (index % 8) & 1 == 1 { a } else { b };
    a.into_iter().zip(b).enumerate().map(chosen).collect()
}

fn store_vector(vector: &Vector, bytes: &[u8], ub: &mut [u8]) {
    let is_dense =
        vector.is_reduction() || vector.is_repeat_reduction() || matches!(vector.op, VectorOp::Compare(_));
    if is_dense || matches!(vector.shape, Shape::Count(_)) {
        ub[vector.dst.address as usize..][..bytes.len()].copy_from_slice(bytes);
        return;
    }
    let size = vector.dst_dtype.size();
    for (element, value) in bytes.chunks_exact(size as usize).enumerate() {
        let element = element as u32;
        if vector.takes(element) {
            ub[vector.place(&vector.dst, element, size)..][..size as usize].copy_from_slice(value);
        }
    }
}

impl Mmad {
    /// Bytes of a, b and c: rows of fractals, one after the other.
    pub(crate) fn extents(&self) -> [u32; 3] {
        let size = self.dtype.size();
        let (m, n, k) = (u32::from(self.m), u32::from(self.n), u32::from(self.k));
        [m * k * size, k * n * size, m * n * 4]
    }
}

fn compute_mmad(mmad: &Mmad, memory: &CoreMemory) -> Pending {
    match mmad.dtype {
        DType::F16 => product::<f16>(mmad, memory),
        DType::F32 => product::<f32>(mmad, memory),
        _ => integer_product(mmad, memory),
    }
}

fn operands<'a, T: Element>(mmad: &Mmad, memory: &'a CoreMemory) -> (Vec<T>, Vec<T>, &'a [u8]) {
    let [a, b, c] = mmad.extents();
    let read = |space, start: u32, len: u32| {
        bytemuck::allocation::pod_collect_to_vec(&memory.of(space)[start as usize..][..len as usize])
    };
    (
        read(Space::L0a, mmad.a, a),
        read(Space::L0b, mmad.b, b),
        &memory.of(Space::L0c)[mmad.c as usize..][..c as usize],
    )
}

/// Floating-point products are summed in f32, in the order of k.
fn product<T: Number>(mmad: &Mmad, memory: &CoreMemory) -> Pending {
    let (a, b, before) = operands::<T>(mmad, memory);
    let (n, k) = (usize::from(mmad.n), usize::from(mmad.k));
    let mut c: Vec<f32> = bytemuck::allocation::pod_collect_to_vec(before);
    for (index, c) in c.iter_mut().enumerate() {
        let (row, column) = (index / n, index % n);
        let start = if mmad.accumulates { *c } else { 0.0 };
        *c = (0..k).fold(start, |sum, i| sum + a[row * k + i].to_f32() * b[i * n + column].to_f32());
    }
    Pending(bytemuck::allocation::pod_collect_to_vec(&c))
}

fn integer_product(mmad: &Mmad, memory: &CoreMemory) -> Pending {
    let (a, b, before) = operands::<i8>(mmad, memory);
    let (n, k) = (usize::from(mmad.n), usize::from(mmad.k));
    let mut c: Vec<i32> = bytemuck::allocation::pod_collect_to_vec(before);
    for (index, c) in c.iter_mut().enumerate() {
        let (row, column) = (index / n, index % n);
        let start = if mmad.accumulates { *c } else { 0 };
        *c = (0..k).fold(start, |sum: i32, i| {
            sum.wrapping_add(i32::from(a[row * k + i]) * i32::from(b[i * n + column]))
        });
    }
    Pending(bytemuck::allocation::pod_collect_to_vec(&c))
}
