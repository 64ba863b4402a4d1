//! `add`: the vendor's first sample, and its sample for double buffering.

use half::f16;

use super::{Checked, Prepared, Setting, Task, hinted};
use crate::element::{DType, Element};
use crate::kernels::Add;
use crate::sim::GlobalMemory;
use crate::tensor::GlobalTensor;

#[derive(Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    fn name(&self) -> &'static str {
        "add"
    }

    fn about(&self) -> &'static str {
        "z = x + y, with y added --repeat-op times"
    }

    fn dtypes(&self) -> &'static [DType] {
        &[DType::F16, DType::F32, DType::I32]
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting::RepeatOp]
    }

    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared {
        for_dtype!(task.dtype, add(task, memory): F16 => f16, F32 => f32, I32 => i32)
    }
}

fn add<T: Sum>(task: &Task, memory: &mut GlobalMemory) -> Prepared {
    let Summands { x, y, z, expected } = Summands::<T>::of(task, memory);
    let Task { tile, num, repeat_op, .. } = *task;
    let kernel = Add { x, y, z, tile, num, repeat_op };
    Prepared {
        program: Box::new(move |core| kernel.run(core)),
        check: Box::new(move |memory, _| Checked::exact(memory.read(z), &expected)),
    }
}

/// Two sources, and what their sum is to be.
pub(super) struct Summands<T> {
    pub(super) x: GlobalTensor<T>,
    pub(super) y: GlobalTensor<T>,
    pub(super) z: GlobalTensor<T>,
    pub(super) expected: Box<dyn Fn(u64) -> T + Send + Sync>,
}

impl<T: Sum> Summands<T> {
    pub(super) fn of(task: &Task, memory: &mut GlobalMemory) -> Self {
        // Neighbours and tiles differ, and sums are rounded.
        let x_at = |index: u64| T::of((index % 4093) as i16 - 2000);
        let y_at = |index: u64| T::of((index.wrapping_mul(7) % 1021) as i16);
        let repeat_op = task.repeat_op;
        let expected = move |index| (0..repeat_op).fold(x_at(index), |sum, _| sum.plus(y_at(index)));
        Summands {
            x: hinted(task, memory.filled(task.elements, x_at)),
            y: hinted(task, memory.filled(task.elements, y_at)),
            z: hinted(task, memory.zeros(task.elements)),
            expected: Box::new(expected),
        }
    }
}

/// An element type with a sum, rounded as the type rounds.
pub(super) trait Sum: Element {
    fn of(small: i16) -> Self;
    fn plus(self, other: Self) -> Self;
}

impl Sum for f16 {
    fn of(small: i16) -> Self {
        f16::from_f32(f32::from(small) / 16.0)
    }

    fn plus(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() + other.to_f32())
    }
}

impl Sum for f32 {
    fn of(small: i16) -> Self {
        f32::from(small) / 3.0
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Sum for i32 {
    fn of(small: i16) -> Self {
        i32::from(small) << 12
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}
