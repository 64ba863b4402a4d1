//! Sums of all elements: one for each core. Run once more over these, on one core, it gives the sum of all.

use super::tiles::{copy_in, copy_out, tiles, tiling};
use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::position::{VecCalc, VecIn, VecOut};
use crate::queue::{TBuf, TPipe, TQue};
use crate::tensor::GlobalTensor;

/// What the kernel is launched with.
#[derive(Clone, Copy, Debug)]
pub struct ReduceSum<T> {
    /// What is added up.
    pub x: GlobalTensor<T>,
    /// The sums: as many elements as there are cores.
    pub sums: GlobalTensor<T>,
    /// Elements of a tile.
    pub tile: u32,
    /// Blocks of the input queue: 1, or 2 for double buffering.
    pub num: u32,
}

impl<T: Element> ReduceSum<T> {
    /// The program of one core.
    ///
    /// # Errors
    ///
    /// A tile that does not fit, or fewer sums than cores.
    pub fn run(&self, core: &Core) -> Result<(), KernelError> {
        let ReduceSum { x, sums, tile, num } = *self;
        let bytes = u64::from(tile) * u64::from(T::DTYPE.size());
        let part = tiling(x.count(), T::DTYPE.size(), core.block_idx(), core.block_num());
        let pipe = TPipe::new(core)?;
        let in_x: TQue<'_, VecIn> = pipe.init_buffer(num, bytes)?;
        let out_sum: TQue<'_, VecOut> = pipe.init_buffer(1, 32)?;
        let of_tile: TBuf<'_, VecCalc> = pipe.init_tbuf(32)?;

        let sum = out_sum.alloc_tensor::<T>()?;
        core.duplicate(sum.view(), T::default(), 1)?;
        for (at, n) in tiles(part, tile) {
            let local_x = in_x.alloc_tensor::<T>()?;
            copy_in(core, local_x.view(), x.at(at), n)?;
            in_x.enque(local_x)?;

            let local_x = in_x.deque::<T>()?;
            core.reduce_sum(of_tile.get(), local_x.view(), n)?;
            core.add(sum.view(), sum.view(), of_tile.get(), 1)?;
            in_x.free_tensor(local_x)?;
        }
        out_sum.enque(sum)?;

        let sum = out_sum.deque::<T>()?;
        copy_out(core, sums.at(core.block_idx() as u64), sum.view(), 1)?;
        out_sum.free_tensor(sum)
    }

    /// The sum of each core, without any rounding but that of f64.
    pub fn reference(x: &[T], cores: usize) -> Vec<f64> {
        let part = |core| {
            let (start, count) = tiling(x.len() as u64, T::DTYPE.size(), core, cores);
            x[start as usize..][..count as usize].iter().map(|x| x.to_f64()).sum()
        };
        (0..cores).map(part).collect()
    }
}
