//! `z = x + y`, added as often as asked: `AddKernel` of the vendor's samples, and with 8 additions its sample for double buffering.

use super::tiles::{copy_in, copy_out, tiles, tiling};
use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::position::{VecIn, VecOut};
use crate::queue::{TPipe, TQue};
use crate::tensor::GlobalTensor;

/// What the kernel is launched with.
#[derive(Clone, Copy, Debug)]
pub struct Add<T> {
    /// What is added to.
    pub x: GlobalTensor<T>,
    /// What is added.
    pub y: GlobalTensor<T>,
    /// The sum.
    pub z: GlobalTensor<T>,
    /// Elements of a tile.
    pub tile: u32,
    /// Blocks of each queue: 1, or 2 for double buffering.
    pub num: u32,
    /// How often `y` is added, from 1.
    pub repeat_op: u32,
}

impl<T: Element> Add<T> {
    /// The program of one core.
    ///
    /// # Errors
    ///
    /// A tile that does not fit.
    pub fn run(&self, core: &Core) -> Result<(), KernelError> {
        let Add { x, y, z, tile, num, repeat_op } = *self;
        let bytes = u64::from(tile) * u64::from(T::DTYPE.size());
        let part = tiling(x.count(), T::DTYPE.size(), core.block_idx(), core.block_num());
        let pipe = TPipe::new(core)?;
        let in_x: TQue<'_, VecIn> = pipe.init_buffer(num, bytes)?;
        let in_y: TQue<'_, VecIn> = pipe.init_buffer(num, bytes)?;
        let out_z: TQue<'_, VecOut> = pipe.init_buffer(num, bytes)?;

        for (at, n) in tiles(part, tile) {
            let (local_x, local_y) = (in_x.alloc_tensor::<T>()?, in_y.alloc_tensor::<T>()?);
            copy_in(core, local_x.view(), x.at(at), n)?;
            copy_in(core, local_y.view(), y.at(at), n)?;
            in_x.enque(local_x)?;
            in_y.enque(local_y)?;

            let (local_x, local_y) = (in_x.deque::<T>()?, in_y.deque::<T>()?);
            let local_z = out_z.alloc_tensor::<T>()?;
            for time in 0..repeat_op {
                let sum_so_far = if time == 0 { local_x.view() } else { local_z.view() };
                core.add(local_z.view(), sum_so_far, local_y.view(), n)?;
            }
            out_z.enque(local_z)?;
            in_x.free_tensor(local_x)?;
            in_y.free_tensor(local_y)?;

            let local_z = out_z.deque::<T>()?;
            copy_out(core, z.at(at), local_z.view(), n)?;
            out_z.free_tensor(local_z)?;
        }
        Ok(())
    }

    /// An element of the sum.
    pub fn reference(x: T, y: T, repeat_op: u32) -> T {
        (0..repeat_op).fold(x, |sum, _| T::of_f64(sum.to_f64() + y.to_f64()))
    }
}
