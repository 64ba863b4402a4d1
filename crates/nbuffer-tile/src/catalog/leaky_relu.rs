//! `leaky_relu`

use half::f16;

use super::{Checked, Prepared, Task, hinted, small};
use crate::element::{DType, Element};
use crate::kernels::LeakyRelu;
use crate::sim::GlobalMemory;

#[derive(Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    fn name(&self) -> &'static str {
        "leaky_relu"
    }

    fn about(&self) -> &'static str {
        "y = x where x >= 0, else x / 10"
    }

    fn dtypes(&self) -> &'static [DType] {
        &[DType::F16, DType::F32]
    }

    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared {
        for_dtype!(task.dtype, leaky_relu(task, memory): F16 => f16, F32 => f32)
    }
}

fn leaky_relu<T: Element>(task: &Task, memory: &mut GlobalMemory) -> Prepared {
    let x_at = |index| small::<T>(index, 1, 1000);
    let (x, y) = (memory.filled(task.elements, x_at), memory.zeros(task.elements));
    let (x, y) = (hinted(task, x), hinted(task, y));
    let Task { tile, num, .. } = *task;
    let slope = T::of_f64(0.1);
    let kernel = LeakyRelu { x, y, slope, tile, num };
    let expected = move |index| LeakyRelu::reference(x_at(index), slope);
    Prepared {
        program: Box::new(move |core| kernel.run(core)),
        check: Box::new(move |memory, _| Checked::exact(memory.read(y), expected)),
    }
}
