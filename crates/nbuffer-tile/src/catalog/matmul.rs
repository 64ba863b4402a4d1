//! `matmul`

use half::f16;

use super::{Checked, Prepared, Setting, Task, hinted, small};
use crate::cube::{Factor, FromSum};
use crate::element::DType;
use crate::kernels::Matmul;
use crate::sim::GlobalMemory;

/// Rows and columns of the result that are worked on at once, and columns of the left matrix in a block of L0A: with two blocks
/// of each queue and f32 they just fit a 910B.
const SIDE: u16 = 128;
const STEP: u16 = 64;

/// The most rows that a copy takes.
const ROWS_MAX: u32 = 4095;

/// Products and sums that a check takes the time for; of more, it looks at some rows.
const CHECKED_MAX: u64 = 1 << 27;

#[derive(Debug)]
pub(super) struct Kernel;

impl super::Kernel for Kernel {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn about(&self) -> &'static str {
        "c = a x b over --inner, c with rows of --columns; --tile is of inner"
    }

    fn dtypes(&self) -> &'static [DType] {
        &[DType::F16, DType::F32, DType::I8]
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting::Columns, Setting::Inner]
    }

    fn usual_tile(&self) -> u32 {
        256
    }

    fn tile_step(&self, task: &Task) -> u32 {
        32 / task.dtype.size()
    }

    fn row(&self, task: &Task) -> u32 {
        task.columns
    }

    fn has_plan(&self) -> bool {
        false
    }

    fn check(&self, task: &Task) -> Result<(), String> {
        let Task { elements, tile, columns, .. } = *task;
        let step = self.tile_step(task);
        if tile > ROWS_MAX || !tile.is_multiple_of(step) {
            return Err(format!(
                "--tile {tile}: a multiple of {step} up to {ROWS_MAX} of --inner is expected"
            ));
        }
        if !elements.is_multiple_of(columns.into()) || elements / u64::from(columns) > u32::MAX.into() {
            return Err(format!("--elements {elements}: whole rows of --columns {columns} are expected"));
        }
        Ok(())
    }

    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared {
        match task.dtype {
            DType::F16 => matmul::<f16, f32>(task, memory),
            DType::F32 => matmul::<f32, f32>(task, memory),
            DType::I8 => matmul::<i8, i32>(task, memory),
            dtype => unreachable!("{dtype} is not among its types"),
        }
    }
}

fn matmul<T: Factor, U: FromSum<T::Sum>>(task: &Task, memory: &mut GlobalMemory) -> Prepared {
    let Task { elements, tile, num, columns: n, inner: k, .. } = *task;
    let m = (elements / u64::from(n)) as u32;
    let [m_long, n_long, k_long] = [m, n, k].map(u64::from);
    // Small whole numbers: no sum is rounded.
    let (a_at, b_at) = (|index| small::<T>(index, 1, 4), |index| small::<T>(index, 2, 4));
    let a = hinted(task, memory.filled(m_long * k_long, a_at));
    let b = hinted(task, memory.filled(k_long * n_long, b_at));
    let c = hinted(task, memory.zeros::<U>(m_long * n_long));
    let kernel = Matmul {
        a,
        b,
        c,
        m,
        n,
        k,
        tile_m: SIDE,
        tile_n: SIDE,
        tile_k: tile as u16,
        step_k: STEP.min(tile as u16),
        num_l1: num,
        num_l0: num,
    };
    let check = move |memory: &GlobalMemory, _| {
        let (a, b, c) = (memory.read(a), memory.read(b), memory.read(c));
        let one_of = (m_long * n_long * k_long).div_ceil(CHECKED_MAX).max(1);
        let row = |row: u64| {
            let left = &a[(row * k_long) as usize..][..k as usize];
            let products = Matmul::<T, U>::reference(left, b, [1, n as usize, k as usize]);
            let places = row * n_long..(row + 1) * n_long;
            places.zip(products).map(|(place, expected)| (place, (c[place as usize], expected)))
        };
        let checked = Checked::each((0..m_long).step_by(one_of as usize).flat_map(row));
        Checked { left_out: m_long * n_long - checked.compared, ..checked }
    };
    Prepared { program: Box::new(move |core| kernel.run(core)), check: Box::new(check) }
}
