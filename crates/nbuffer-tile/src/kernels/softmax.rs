//! `y = e^x / sum e^x` of every row of a matrix, from `x` less its greatest, so that nothing overflows.

use super::tiles::{share, tiles};
use crate::copy::DataCopyPadParams;
use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::position::{VecCalc, VecIn, VecOut};
use crate::queue::{TBuf, TPipe, TQue};
use crate::tensor::{GlobalTensor, Local};
use crate::vector::{Extent, Strides};

/// What the kernel is launched with.
#[derive(Clone, Copy, Debug)]
pub struct Softmax<T> {
    /// A matrix, row after row.
    pub x: GlobalTensor<T>,
    /// The result, as large.
    pub y: GlobalTensor<T>,
    /// Elements of a row.
    pub columns: u32,
    /// Rows of a tile.
    pub rows: u16,
    /// Blocks of each queue: 1, or 2 for double buffering.
    pub num: u32,
}

/// Repeats that one instruction can have.
const REPEATS_MAX: u32 = 255;

impl<T: Element> Softmax<T> {
    /// The program of one core.
    ///
    /// # Errors
    ///
    /// Rows that do not fit, or elements that are integers.
    pub fn run(&self, core: &Core) -> Result<(), KernelError> {
        let Softmax { x, y, columns, rows, num } = *self;
        let size = T::DTYPE.size();
        let row_bytes = u64::from(columns) * u64::from(size);
        let bytes = u64::from(rows) * row_bytes.next_multiple_of(32);
        let pipe = TPipe::new(core)?;
        let in_x: TQue<'_, VecIn> = pipe.init_buffer(num, bytes)?;
        let out_y: TQue<'_, VecOut> = pipe.init_buffer(num, bytes)?;
        let of_row: TBuf<'_, VecCalc> = pipe.init_tbuf(32)?;
        let wide: TBuf<'_, VecCalc> = pipe.init_tbuf(256)?;

        // Rows that fit are rows whose bytes u32 holds.
        let (row_bytes, pitch) = (row_bytes as u32, row_bytes.next_multiple_of(32) as u32 / size);
        let part = share(x.count() / u64::from(columns), core.block_idx(), core.block_num());
        for (first, n) in tiles(part, rows.into()) {
            let at = first * u64::from(columns);
            let block_count = n as u16;
            let params = DataCopyPadParams { block_count, block_len: row_bytes, ..Default::default() };
            let local_x = in_x.alloc_tensor::<T>()?;
            core.data_copy_pad_in(local_x.view(), x.at(at), params, None)?;
            in_x.enque(local_x)?;

            let (local_x, local_y) = (in_x.deque::<T>()?, out_y.alloc_tensor::<T>()?);
            for row in 0..n {
                let (x, y) = (local_x.at(row * pitch)?, local_y.at(row * pitch)?);
                let (of_row, wide) = (of_row.get::<T>(), wide.get::<T>());
                core.reduce_max(of_row, x, columns)?;
                core.brcb(wide, of_row, 1, Strides::default())?;
                for_row(x, y, columns, |y, x, extent| core.sub(y, x, wide, extent))?;
                core.exp(y, y, columns)?;
                core.reduce_sum(of_row, y, columns)?;
                core.brcb(wide, of_row, 1, Strides::default())?;
                for_row(y, y, columns, |y, x, extent| core.div(y, x, wide, extent))?;
            }
            out_y.enque(local_y)?;
            in_x.free_tensor(local_x)?;

            let local_y = out_y.deque::<T>()?;
            core.data_copy_pad_out(y.at(at), local_y.view(), params)?;
            out_y.free_tensor(local_y)?;
        }
        Ok(())
    }

    /// The rows of the result, in f64.
    pub fn reference(x: &[T], columns: usize) -> Vec<f64> {
        let of_row = |row: &[T]| {
            let greatest = row.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = row.iter().map(|x| (x.to_f64() - greatest).exp()).collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(move |power| power / sum)
        };
        x.chunks(columns).flat_map(of_row).collect()
    }
}

/// An operation of each element of a row with a block that is the same for all of them.
fn for_row<'t, T: Element>(
    src: Local<'t, T>,
    dst: Local<'t, T>,
    columns: u32,
    op: impl Fn(Local<'t, T>, Local<'t, T>, Extent) -> Result<(), KernelError>,
) -> Result<(), KernelError> {
    let strides = Strides { block: [1, 1, 0], repeat: [8, 8, 0] };
    let per_repeat = 256 / T::DTYPE.size();
    let whole = columns / per_repeat;
    let mut done = 0;
    while done < whole {
        let repeat = (whole - done).min(REPEATS_MAX);
        let at = done * per_repeat;
        op(dst.at(at)?, src.at(at)?, Extent::first(per_repeat, repeat as u8, strides))?;
        done += repeat;
    }
    match columns % per_repeat {
        0 => Ok(()),
        rest => {
            let at = whole * per_repeat;
            op(dst.at(at)?, src.at(at)?, Extent::first(rest, 1, strides))
        }
    }
}
