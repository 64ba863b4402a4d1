//! `y = x` where `x >= 0`, else `x * slope`.

use super::tiles::{copy_in, copy_out, tiles, tiling};
use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::position::{VecIn, VecOut};
use crate::queue::{TPipe, TQue};
use crate::tensor::GlobalTensor;

/// What the kernel is launched with.
#[derive(Clone, Copy, Debug)]
pub struct LeakyRelu<T> {
    /// What it is of.
    pub x: GlobalTensor<T>,
    /// The result.
    pub y: GlobalTensor<T>,
    /// What negative elements are multiplied by.
    pub slope: T,
    /// Elements of a tile.
    pub tile: u32,
    /// Blocks of each queue: 1, or 2 for double buffering.
    pub num: u32,
}

impl<T: Element> LeakyRelu<T> {
    /// The program of one core.
    ///
    /// # Errors
    ///
    /// A tile that does not fit, or elements that are integers.
    pub fn run(&self, core: &Core) -> Result<(), KernelError> {
        let LeakyRelu { x, y, slope, tile, num } = *self;
        let bytes = u64::from(tile) * u64::from(T::DTYPE.size());
        let part = tiling(x.count(), T::DTYPE.size(), core.block_idx(), core.block_num());
        let pipe = TPipe::new(core)?;
        let in_x: TQue<'_, VecIn> = pipe.init_buffer(num, bytes)?;
        let out_y: TQue<'_, VecOut> = pipe.init_buffer(num, bytes)?;

        for (at, n) in tiles(part, tile) {
            let local_x = in_x.alloc_tensor::<T>()?;
            copy_in(core, local_x.view(), x.at(at), n)?;
            in_x.enque(local_x)?;

            let (local_x, local_y) = (in_x.deque::<T>()?, out_y.alloc_tensor::<T>()?);
            core.leaky_relu(local_y.view(), local_x.view(), slope, n)?;
            out_y.enque(local_y)?;
            in_x.free_tensor(local_x)?;

            let local_y = out_y.deque::<T>()?;
            copy_out(core, y.at(at), local_y.view(), n)?;
            out_y.free_tensor(local_y)?;
        }
        Ok(())
    }

    /// An element of the result.
    pub fn reference(x: T, slope: T) -> T {
        if x.to_f64() >= 0.0 { x } else { T::of_f64(x.to_f64() * slope.to_f64()) }
    }
}
