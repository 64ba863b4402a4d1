//! `c = a x b`: tiles through L1 into L0A and L0B, each with blocks of its own, sums in L0C.

use crate::core::Core;
use crate::cube::{Factor, FixpipeParams, FromSum, LoadDataParams, MmadParams, Nd2NzParams, room};
use crate::error::KernelError;
use crate::position::{A1, A2, B1, B2, Co1};
use crate::queue::{TPipe, TQue};
use crate::tensor::GlobalTensor;

/// What the kernel is launched with. Matrices lie row after row.
#[derive(Clone, Copy, Debug)]
pub struct Matmul<T, U> {
    /// m x k
    pub a: GlobalTensor<T>,
    /// k x n
    pub b: GlobalTensor<T>,
    /// m x n
    pub c: GlobalTensor<U>,
    /// Rows of `a` and `c`.
    pub m: u32,
    /// Columns of `b` and `c`.
    pub n: u32,
    /// Columns of `a`, rows of `b`.
    pub k: u32,
    /// Rows of `c` that are worked on at once.
    pub tile_m: u16,
    /// Columns of `c` that are worked on at once.
    pub tile_n: u16,
    /// Columns of `a` in a block of L1.
    pub tile_k: u16,
    /// Columns of `a` in a block of L0A, a multiple of 32 bytes.
    pub step_k: u16,
    /// Blocks of each queue in L1: 1, or 2 for double buffering.
    pub num_l1: u32,
    /// Blocks of each queue in L0A and L0B.
    pub num_l0: u32,
}

impl<T: Factor, U: FromSum<T::Sum>> Matmul<T, U> {
    /// The program of one core. Cores take the tiles of `c` in turn.
    ///
    /// # Errors
    ///
    /// Tiles that do not fit, or an architecture without pipe FIX.
    pub fn run(&self, core: &Core) -> Result<(), KernelError> {
        let Matmul { a, b, c, m, n, k, tile_m, tile_n, tile_k, step_k, num_l1, num_l0 } = *self;
        let bytes = |rows: u16, columns: u16| {
            u64::from(T::DTYPE.size()) * room(rows.into(), columns.into(), T::DTYPE)
        };
        let pipe = TPipe::new(core)?;
        let l1_a: TQue<'_, A1> = pipe.init_buffer(num_l1, bytes(tile_m, tile_k))?;
        let l1_b: TQue<'_, B1> = pipe.init_buffer(num_l1, bytes(tile_k, tile_n))?;
        let l0_a: TQue<'_, A2> = pipe.init_buffer(num_l0, bytes(tile_m, step_k))?;
        let l0_b: TQue<'_, B2> = pipe.init_buffer(num_l0, bytes(step_k, tile_n))?;
        let sums = u64::from(tile_m.next_multiple_of(16)) * u64::from(tile_n.next_multiple_of(16));
        let l0_c: TQue<'_, Co1> = pipe.init_buffer(1, 4 * sums)?;

        let of_row = 32 / T::DTYPE.size();
        let tiles = parts(m, tile_m).flat_map(|rows| parts(n, tile_n).map(move |columns| (rows, columns)));
        for ((row, tm), (column, tn)) in tiles.skip(core.block_idx()).step_by(core.block_num()) {
            let sum = l0_c.alloc_tensor::<T::Sum>()?;
            for (k0, tk) in parts(k, tile_k) {
                let (local_a, local_b) = (l1_a.alloc_tensor::<T>()?, l1_b.alloc_tensor::<T>()?);
                let part = Nd2NzParams { rows: tm, columns: tk.into(), src_stride: k };
                core.data_copy_nd2nz(local_a.view(), a.at(place(row, k, k0)), part)?;
                let part = Nd2NzParams { rows: tk, columns: tn.into(), src_stride: n };
                core.data_copy_nd2nz(local_b.view(), b.at(place(k0, n, column)), part)?;
                l1_a.enque(local_a)?;
                l1_b.enque(local_b)?;

                let (local_a, local_b) = (l1_a.deque::<T>()?, l1_b.deque::<T>()?);
                let pitches = [tk, tn].map(|columns| u32::from(columns).next_multiple_of(of_row));
                for (k1, sk) in parts(tk.into(), step_k) {
                    let (left, right) = (l0_a.alloc_tensor::<T>()?, l0_b.alloc_tensor::<T>()?);
                    let part = LoadDataParams { rows: tm, columns: sk, src_stride: pitches[0] };
                    core.load_data(left.view(), local_a.at(k1)?, part)?;
                    let part = LoadDataParams { rows: sk, columns: tn, src_stride: pitches[1] };
                    core.load_data(right.view(), local_b.at(k1 * pitches[1])?, part)?;
                    l0_a.enque(left)?;
                    l0_b.enque(right)?;

                    let (left, right) = (l0_a.deque::<T>()?, l0_b.deque::<T>()?);
                    let size = MmadParams { m: tm, n: tn, k: sk, accumulates: k0 + k1 > 0 };
                    core.mmad(sum.view(), left.view(), right.view(), size)?;
                    l0_a.free_tensor(left)?;
                    l0_b.free_tensor(right)?;
                }
                l1_a.free_tensor(local_a)?;
                l1_b.free_tensor(local_b)?;
            }
            l0_c.enque(sum)?;

            let sum = l0_c.deque::<T::Sum>()?;
            let part = FixpipeParams { m: tm, n: tn, dst_stride: n };
            core.fixpipe(c.at(place(row, n, column)), sum.view(), part)?;
            l0_c.free_tensor(sum)?;
        }
        Ok(())
    }

    /// The product, each sum in f64 in the order of k, rounded at the end.
    pub fn reference(a: &[T], b: &[T], [m, n, k]: [usize; 3]) -> Vec<U> {
        let sum = |row: usize, column: usize| {
            let products = (0..k).map(|i| a[row * k + i].to_f64() * b[i * n + column].to_f64());
            U::of_f64(products.sum())
        };
        (0..m * n).map(|index| sum(index / n, index % n)).collect()
    }
}

/// `size` in parts of `part`: where each begins, and how large it is.
fn parts(size: u32, part: u16) -> impl Iterator<Item = (u32, u16)> {
    let step = usize::from(part.max(1));
    (0..size).step_by(step).map(move |start| (start, (size - start).min(part.into()) as u16))
}

/// The element of a row and column.
fn place(row: u32, columns: u32, column: u32) -> u64 {
    u64::from(row) * u64::from(columns) + u64::from(column)
}
