//! What the scalar core does to data.

use half::f16;

use super::arithmetic::Number as Arithmetic;
use super::memory::{CoreMemory, GlobalMemory};
use crate::element::DType;
use crate::instruction::{Number, Spot, VectorOp};
use crate::position::Space;

/// The registers of a scalar core: as many as its kernel has values in hand.
#[derive(Debug, Default)]
pub(super) struct Registers(Vec<[u8; 4]>);

impl Registers {
    pub(super) fn of(&self, number: Number) -> [u8; 4] {
        match number {
            Number::Known(bytes) => bytes,
            Number::Register(register) => self.0.get(register as usize).copied().unwrap_or_default(),
        }
    }

    /// What an operation on two numbers comes to.
    pub(super) fn computed(&self, op: VectorOp, dtype: DType, a: Number, b: Number) -> Vec<u8> {
        let (a, b) = (self.of(a), self.of(b));
        match dtype {
            DType::F16 => binary::<f16>(op, a, b),
            DType::F32 => binary::<f32>(op, a, b),
            DType::I32 => binary::<i32>(op, a, b),
            DType::I8 => binary::<i8>(op, a, b),
            DType::U8 => unreachable!("there is no operator for bytes"),
        }
    }

    /// Sets one to the first bytes of these.
    pub(super) fn set(&mut self, register: u32, bytes: &[u8]) {
        let register = register as usize;
        if self.0.len() <= register {
            self.0.resize(register + 1, [0; 4]);
        }
        self.0[register][..bytes.len()].copy_from_slice(bytes);
    }
}

fn binary<T: Arithmetic>(op: VectorOp, a: [u8; 4], b: [u8; 4]) -> Vec<u8> {
    let number = |bytes: [u8; 4]| bytemuck::pod_read_unaligned(&bytes[..T::DTYPE.size() as usize]);
    bytemuck::bytes_of(&T::binary(op, number(a), number(b))).to_vec()
}

pub(super) fn load(from: Spot, dtype: DType, memory: &CoreMemory, global: &GlobalMemory) -> Vec<u8> {
    let (bytes, at) = match from {
        Spot::Local(address) => (memory.of(Space::Ub), address as usize),
        Spot::Global(tensor, at) => (global.tensors[tensor as usize].bytes(), at as usize),
    };
    bytes[at..][..dtype.size() as usize].to_vec()
}

pub(super) fn store(
    to: Spot,
    dtype: DType,
    bytes: &[u8],
    memory: &mut CoreMemory,
    global: &mut GlobalMemory,
) {
    let (place, at) = match to {
        Spot::Local(address) => (memory.of_mut(Space::Ub), address as usize),
        Spot::Global(tensor, at) => (global.tensors[tensor as usize].bytes_mut(), at as usize),
    };
    let size = dtype.size() as usize;
    place[at..][..size].copy_from_slice(&bytes[..size]);
}
