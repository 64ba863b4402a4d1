//! `two_source`: the vendor's example of how to turn double buffering on, with one block a queue or with two. Written as a
//! [`Grid`](crate::Grid), without a flag.

use half::f16;

use super::add::{Sum, Summands};
use super::{Checked, Prepared, Setting, Task};
use crate::element::DType;
use crate::grid::{Grid, Operand};
use crate::sim::GlobalMemory;

#[derive(Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    fn name(&self) -> &'static str {
        "two_source"
    }

    fn about(&self) -> &'static str {
        "the same as a grid of tiles: the example for double buffering, --num 1 or 2"
    }

    fn dtypes(&self) -> &'static [DType] {
        &[DType::F16, DType::F32, DType::I32]
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting::RepeatOp]
    }

    fn check(&self, task: &Task) -> Result<(), String> {
        let row = u64::from(32 / task.dtype.size());
        for (flag, count) in [("--tile", u64::from(task.tile)), ("--elements", task.elements)] {
            if !count.is_multiple_of(row) {
                return Err(format!("{flag} {count}: a multiple of {row}, 32 bytes, is expected"));
            }
        }
        Ok(())
    }

    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared {
        for_dtype!(task.dtype, two_source(task, memory): F16 => f16, F32 => f32, I32 => i32)
    }
}

fn two_source<T: Sum>(task: &Task, memory: &mut GlobalMemory) -> Prepared {
    let Summands { x, y, z, expected } = Summands::<T>::of(task, memory);
    let Task { elements, tile, num, repeat_op, .. } = *task;
    Prepared {
        program: Box::new(move |core| {
            Grid::over(elements.div_ceil(tile.into()))
                .input(Operand::new(x, tile).buffered(num))
                .input(Operand::new(y, tile).buffered(num))
                .output(Operand::new(z, tile).buffered(num))
                .run(core, |tile| {
                    let (sum, y) = (tile.outputs[0], tile.inputs[1]);
                    core.add(sum, tile.inputs[0], y, tile.count)?;
                    (1..repeat_op).try_for_each(|_| core.add(sum, sum, y, tile.count))
                })
        }),
        check: Box::new(move |memory, _| Checked::exact(memory.read(z), &expected)),
    }
}
