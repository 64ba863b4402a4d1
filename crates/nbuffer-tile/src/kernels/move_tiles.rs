//! `y = x`: one buffer that is filled by a copy in and emptied by a copy out, with no vector instruction between.

use super::tiles::{copy_in, copy_out, tiles, tiling};
use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::position::{VecIn, VecOut};
use crate::queue::{TPipe, TQueBind};
use crate::tensor::GlobalTensor;

/// What the kernel is launched with.
#[derive(Clone, Copy, Debug)]
pub struct Move<T> {
    /// From here.
    pub x: GlobalTensor<T>,
    /// To there.
    pub y: GlobalTensor<T>,
    /// Elements of a tile.
    pub tile: u32,
    /// Blocks of the queue: 1, or 2 for double buffering.
    pub num: u32,
}

impl<T: Element> Move<T> {
    /// The program of one core.
    ///
    /// # Errors
    ///
    /// A tile that does not fit.
    pub fn run(&self, core: &Core) -> Result<(), KernelError> {
        let Move { x, y, tile, num } = *self;
        let bytes = u64::from(tile) * u64::from(T::DTYPE.size());
        let part = tiling(x.count(), T::DTYPE.size(), core.block_idx(), core.block_num());
        let pipe = TPipe::new(core)?;
        let through: TQueBind<'_, VecIn, VecOut> = pipe.init_buffer(num, bytes)?;
        for (at, n) in tiles(part, tile) {
            let local = through.alloc_tensor::<T>()?;
            copy_in(core, local.view(), x.at(at), n)?;
            through.enque(local)?;
            let local = through.deque::<T>()?;
            copy_out(core, y.at(at), local.view(), n)?;
            through.free_tensor(local)?;
        }
        Ok(())
    }
}
