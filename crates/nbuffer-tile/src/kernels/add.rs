//! `z = x + y`, added as often as asked: `AddKernel` of the vendor's samples, and with 8 additions its sample for double buffering.

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
    /// How often `y` is added.
    pub repeat_op: u32,
}

/// What a core of several works on: its first element, and how many, in whole blocks of 32 bytes.
///
/// The first cores take a block more where the blocks do not divide evenly, as the vendor's tiling does.
pub fn tiling(elements: u64, element_bytes: u32, core: usize, cores: usize) -> (u64, u64) {
    let align = u64::from(32 / element_bytes);
    let blocks = elements.div_ceil(align);
    let (core, cores) = (core as u64, cores as u64);
    let (each, more) = (blocks / cores, blocks % cores);
    let first = core * each + core.min(more);
    let count = each + u64::from(core < more);
    let start = first * align;
    (start, (count * align).min(elements.saturating_sub(start)))
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
        let (start, count) = tiling(x.count(), T::DTYPE.size(), core.block_idx(), core.block_num());
        let pipe = TPipe::new(core)?;
        let in_x: TQue<'_, VecIn> = pipe.init_buffer(num, bytes)?;
        let in_y: TQue<'_, VecIn> = pipe.init_buffer(num, bytes)?;
        let out_z: TQue<'_, VecOut> = pipe.init_buffer(num, bytes)?;

        let mut done = 0;
        while done < count {
            let n = (count - done).min(tile.into()) as u32;
            let at = start + done;
            let (local_x, local_y) = (in_x.alloc_tensor::<T>()?, in_y.alloc_tensor::<T>()?);
            core.data_copy_in(local_x.view(), x.at(at), n)?;
            core.data_copy_in(local_y.view(), y.at(at), n)?;
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
            core.data_copy_out(z.at(at), local_z.view(), n)?;
            out_z.free_tensor(local_z)?;
            done += u64::from(n);
        }
        Ok(())
    }
}
