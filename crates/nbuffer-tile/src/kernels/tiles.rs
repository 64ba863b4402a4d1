//! How work is divided among cores and tiles, and copies of tiles of any length.

use crate::copy::DataCopyPadParams;
use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::tensor::{GlobalTensor, Local};

/// What a core of several works on: its first element, and how many, in whole blocks of 32 bytes.
///
/// The first cores take a block more where the blocks do not divide evenly, as the vendor's tiling does.
pub fn tiling(elements: u64, element_bytes: u32, core: usize, cores: usize) -> (u64, u64) {
    let align = u64::from(32 / element_bytes);
    let (start, blocks) = share(elements.div_ceil(align), core, cores);
    let start = (start * align).min(elements);
    (start, (blocks * align).min(elements - start))
}

/// What a core of several takes of so many: the first one, and how many.
pub(super) fn share(parts: u64, core: usize, cores: usize) -> (u64, u64) {
    let (core, cores) = (core as u64, cores as u64);
    let (each, more) = (parts / cores, parts % cores);
    (core * each + core.min(more), each + u64::from(core < more))
}

/// `count` elements from `start` on in tiles: the first element of each, and how many it has.
pub(super) fn tiles((start, count): (u64, u64), tile: u32) -> impl Iterator<Item = (u64, u32)> {
    let tile = u64::from(tile);
    (0..count.div_ceil(tile)).map(move |i| (start + i * tile, (count - i * tile).min(tile) as u32))
}

/// A copy of contiguous elements, whole blocks of 32 bytes or not.
fn padded<T: Element>(count: u32) -> Option<DataCopyPadParams> {
    let bytes = count * T::DTYPE.size();
    let params = DataCopyPadParams { block_count: 1, block_len: bytes, ..Default::default() };
    (!bytes.is_multiple_of(32)).then_some(params)
}

#[track_caller]
pub(super) fn copy_in<T: Element>(
    core: &Core,
    dst: Local<'_, T>,
    src: GlobalTensor<T>,
    count: u32,
) -> Result<(), KernelError> {
    match padded::<T>(count) {
        Some(params) => core.data_copy_pad_in(dst, src, params, None),
        None => core.data_copy_in(dst, src, count),
    }
}

#[track_caller]
pub(super) fn copy_out<T: Element>(
    core: &Core,
    dst: GlobalTensor<T>,
    src: Local<'_, T>,
    count: u32,
) -> Result<(), KernelError> {
    match padded::<T>(count) {
        Some(params) => core.data_copy_pad_out(dst, src, params),
        None => core.data_copy_out(dst, src, count),
    }
}
