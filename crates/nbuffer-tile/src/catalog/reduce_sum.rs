//! `reduce_sum`

use half::f16;

use super::{Checked, Prepared, Task, hinted, scattered};
use crate::element::{DType, Element};
use crate::kernels::{ReduceSum, tiling};
use crate::sim::GlobalMemory;

/// As many sums as a device may have cores.
const SUMS: u64 = 1024;

#[derive(Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    fn name(&self) -> &'static str {
        "reduce_sum"
    }

    fn about(&self) -> &'static str {
        "the sum of all elements of each core"
    }

    fn dtypes(&self) -> &'static [DType] {
        &[DType::F16, DType::F32]
    }

    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared {
        for_dtype!(task.dtype, reduce_sum(task, memory): F16 => f16, F32 => f32)
    }
}

/// Differences of neighbours of whole numbers up to 1023: the sum of any that follow each other is one of such numbers less
/// another, which f16 holds exactly. So no order of adding rounds, and an element more or less is seen.
fn element(index: u64) -> f64 {
    let whole = |index| f64::from(scattered(index, 1) % 1024);
    whole(index + 1) - whole(index)
}

fn reduce_sum<T: Element>(task: &Task, memory: &mut GlobalMemory) -> Prepared {
    let x = hinted(task, memory.filled(task.elements, |index| T::of_f64(element(index))));
    let sums = hinted(task, memory.zeros::<T>(SUMS));
    let Task { elements, tile, num, .. } = *task;
    let kernel = ReduceSum { x, sums, tile, num };
    let check = move |memory: &GlobalMemory, cores| {
        let expected = |core| {
            let (start, count) = tiling(elements, T::DTYPE.size(), core as usize, cores);
            T::of_f64((start..start + count).map(element).sum())
        };
        Checked::exact(memory.read(sums.first(cores as u64)), expected)
    };
    Prepared { program: Box::new(move |core| kernel.run(core)), check: Box::new(check) }
}
