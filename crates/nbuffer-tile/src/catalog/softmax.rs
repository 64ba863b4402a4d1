//! `softmax`

use half::f16;

use super::{Checked, Prepared, Setting, Task, hinted, small};
use crate::element::{DType, Element};
use crate::kernels::Softmax;
use crate::sim::GlobalMemory;

/// The most rows that a copy takes.
const ROWS_MAX: u32 = 4095;

#[derive(Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn about(&self) -> &'static str {
        "y = e^x / sum e^x of each row of --columns elements"
    }

    fn dtypes(&self) -> &'static [DType] {
        &[DType::F16, DType::F32]
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting::Columns]
    }

    fn tile_step(&self, task: &Task) -> u32 {
        task.columns
    }

    fn row(&self, task: &Task) -> u32 {
        task.columns
    }

    fn check(&self, task: &Task) -> Result<(), String> {
        let Task { elements, tile, columns, .. } = *task;
        if !tile.is_multiple_of(columns) || tile / columns > ROWS_MAX {
            return Err(format!(
                "--tile {tile}: from 1 to {ROWS_MAX} rows of --columns {columns} are expected"
            ));
        }
        if !elements.is_multiple_of(columns.into()) {
            return Err(format!("--elements {elements}: whole rows of --columns {columns} are expected"));
        }
        Ok(())
    }

    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared {
        for_dtype!(task.dtype, softmax(task, memory): F16 => f16, F32 => f32)
    }
}

fn softmax<T: Element>(task: &Task, memory: &mut GlobalMemory) -> Prepared {
    let x_at = |index| T::of_f64(small::<f32>(index, 1, 64).to_f64() / 16.0);
    let (x, y) = (memory.filled(task.elements, x_at), memory.zeros(task.elements));
    let (x, y) = (hinted(task, x), hinted(task, y));
    let Task { elements, tile, num, columns, .. } = *task;
    let kernel = Softmax { x, y, columns, rows: (tile / columns) as u16, num };
    // Every operation on the way is rounded to the type of the elements.
    let part = if T::DTYPE == DType::F16 { 1e-2 } else { 1e-5 };
    let row = u64::from(columns);
    let expected = move |first: u64| {
        let xs: Vec<T> = (first * row..(first + 1) * row).map(x_at).collect();
        Softmax::reference(&xs, columns as usize)
    };
    Prepared {
        program: Box::new(move |core| kernel.run(core)),
        check: Box::new(move |memory, _| {
            Checked::near(memory.read(y), (0..elements / row).flat_map(expected), part)
        }),
    }
}
