//! `move`

use half::f16;

use super::{Checked, Prepared, Task, hinted, small};
use crate::element::{DType, Element};
use crate::kernels::Move;
use crate::sim::GlobalMemory;

#[derive(Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    fn name(&self) -> &'static str {
        "move"
    }

    fn about(&self) -> &'static str {
        "y = x through one queue: copies alone"
    }

    fn dtypes(&self) -> &'static [DType] {
        &[DType::F16, DType::F32, DType::I32, DType::I8]
    }

    fn has_plan(&self) -> bool {
        // Its blocks are filled and emptied by copies, with no V between.
        false
    }

    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared {
        for_dtype!(task.dtype, move_tiles(task, memory): F16 => f16, F32 => f32, I32 => i32, I8 => i8)
    }
}

fn move_tiles<T: Element>(task: &Task, memory: &mut GlobalMemory) -> Prepared {
    let x_at = |index| small::<T>(index, 1, 128);
    let (x, y) = (memory.filled(task.elements, x_at), memory.zeros(task.elements));
    let (x, y) = (hinted(task, x), hinted(task, y));
    let kernel = Move { x, y, tile: task.tile, num: task.num };
    Prepared {
        program: Box::new(move |core| kernel.run(core)),
        check: Box::new(move |memory, _| Checked::exact(memory.read(y), x_at)),
    }
}
