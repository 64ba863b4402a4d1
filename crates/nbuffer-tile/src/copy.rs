//! Copies between global memory and the core.

use std::panic::Location;

use crate::core::Core;
use crate::element::Element;
use crate::error::{ErrorKind, KernelError};
use crate::instruction::{Copy, Op, Route};
use crate::position::Space;
use crate::tensor::{GlobalTensor, Local};
use crate::vector::check_bounds;

/// A strided copy in blocks (`DataCopyParams`). Lengths and gaps are in blocks of 32 bytes; a gap is from the end of one block to the
/// start of the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataCopyParams {
    /// Blocks, up to 4095.
    pub block_count: u16,
    /// Length of a block.
    pub block_len: u16,
    /// Gap at the source.
    pub src_gap: u16,
    /// Gap at the destination.
    pub dst_gap: u16,
}

/// A strided copy of any number of bytes (`DataCopyExtParams`): lengths and gaps in global memory are in bytes, gaps in the
/// unified buffer in blocks of 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataCopyPadParams {
    /// Blocks, up to 4095.
    pub block_count: u16,
    /// Bytes of a block, up to 2,097,151.
    pub block_len: u32,
    /// Gap at the source.
    pub src_gap: u32,
    /// Gap at the destination.
    pub dst_gap: u32,
}

/// What is put beside each block that is copied in (`DataCopyPadExtParams`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pad<T> {
    /// Elements before it, up to 32 bytes.
    pub left: u8,
    /// Elements behind it, up to 32 bytes.
    pub right: u8,
    /// Their value.
    pub value: T,
}

/// The most blocks of a copy, and bytes of a padded block (vendor documents on DataCopy and DataCopyPad).
pub(crate) const BLOCKS_MAX: u16 = 4095;
const PAD_LEN_MAX: u32 = 2_097_151;

impl Core {
    /// Copies `count` elements from global memory into the unified buffer or L1.
    ///
    /// # Errors
    ///
    /// More elements than there are, a size that is no multiple of 32 bytes, an unaligned address.
    #[track_caller]
    pub fn data_copy_in<T: Element>(
        &self,
        dst: Local<'_, T>,
        src: GlobalTensor<T>,
        count: u32,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let copy = self.plain(dst, src, count, Route::In(dst.space), at)?;
        self.issue(Op::Copy(copy), at)
    }

    /// Copies `count` elements from the unified buffer to global memory.
    ///
    /// # Errors
    ///
    /// As [`data_copy_in`](Core::data_copy_in).
    #[track_caller]
    pub fn data_copy_out<T: Element>(
        &self,
        dst: GlobalTensor<T>,
        src: Local<'_, T>,
        count: u32,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let copy = self.plain(src, dst, count, Route::Out, at)?;
        self.issue(Op::Copy(copy), at)
    }

    /// Copies blocks from global memory into the unified buffer or L1.
    ///
    /// # Errors
    ///
    /// As [`data_copy_in`](Core::data_copy_in), or a count beyond its range.
    #[track_caller]
    pub fn data_copy_in_blocks<T: Element>(
        &self,
        dst: Local<'_, T>,
        src: GlobalTensor<T>,
        params: DataCopyParams,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let copy = self.blocks(dst, src, params, true, at)?;
        self.issue(Op::Copy(copy), at)
    }

    /// Copies blocks from the unified buffer to global memory.
    ///
    /// # Errors
    ///
    /// As [`data_copy_in`](Core::data_copy_in), or a count beyond its range.
    #[track_caller]
    pub fn data_copy_out_blocks<T: Element>(
        &self,
        dst: GlobalTensor<T>,
        src: Local<'_, T>,
        params: DataCopyParams,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let copy = self.blocks(src, dst, params, false, at)?;
        self.issue(Op::Copy(copy), at)
    }

    /// Copies blocks of any number of bytes into the unified buffer (`DataCopyPad`). Each begins at a multiple of 32 bytes
    /// there; what is left of its last 32 bytes holds the padding, or the block's first element where there is none.
    ///
    /// # Errors
    ///
    /// As [`data_copy_in`](Core::data_copy_in), or a count beyond its range.
    #[track_caller]
    pub fn data_copy_pad_in<T: Element>(
        &self,
        dst: Local<'_, T>,
        src: GlobalTensor<T>,
        params: DataCopyPadParams,
        pad: Option<Pad<T>>,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let size = T::DTYPE.size();
        let mut filler = [0; 4];
        let mut sides = (0, 0);
        if let Some(Pad { left, right, value }) = pad {
            for (what, elements) in [("pad.left", left), ("pad.right", right)] {
                let bytes = u32::from(elements) * size;
                check_range(bytes <= 32, what, bytes.into(), "up to 32 bytes", at)?;
            }
            sides = (left * size as u8, right * size as u8);
            filler[..size as usize].copy_from_slice(bytemuck::bytes_of(&value));
        }
        let near = u64::from(params.block_len) + u64::from(sides.0) + u64::from(sides.1);
        let copy = Copy {
            pad: sides,
            filler: pad.map(|_| filler),
            near_stride: near.next_multiple_of(32) + 32 * u64::from(params.dst_gap),
            far_stride: u64::from(params.block_len) + u64::from(params.src_gap),
            ..self.padded(dst, src, params, Route::In(dst.space), at)?
        };
        self.check_extents(&copy, dst, src, at)?;
        self.issue(Op::Copy(copy), at)
    }

    /// Copies blocks of any number of bytes to global memory (`DataCopyPad`). Each begins at a multiple of 32 bytes in the
    /// unified buffer.
    ///
    /// # Errors
    ///
    /// As [`data_copy_in`](Core::data_copy_in), or a count beyond its range.
    #[track_caller]
    pub fn data_copy_pad_out<T: Element>(
        &self,
        dst: GlobalTensor<T>,
        src: Local<'_, T>,
        params: DataCopyPadParams,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let copy = Copy {
            near_stride: u64::from(params.block_len).next_multiple_of(32) + 32 * u64::from(params.src_gap),
            far_stride: u64::from(params.block_len) + u64::from(params.dst_gap),
            ..self.padded(src, dst, params, Route::Out, at)?
        };
        self.check_extents(&copy, src, dst, at)?;
        self.issue(Op::Copy(copy), at)
    }

    fn plain<T: Element>(
        &self,
        near: Local<'_, T>,
        far: GlobalTensor<T>,
        count: u32,
        route: Route,
        at: &'static Location<'static>,
    ) -> Result<Copy, KernelError> {
        let dtype = T::DTYPE;
        let bytes = u64::from(count) * u64::from(dtype.size());
        if !bytes.is_multiple_of(32) {
            return Err(KernelError::new(ErrorKind::RoundedDown { count: count.into(), dtype, bytes }, at));
        }
        check_bounds("the local tensor", count.into(), near.count.into(), dtype, at)?;
        let copy = Copy { blocks: 1, len: bytes as u32, ..self.begin(near, far, route, at)? };
        self.check_extents(&copy, near, far, at)?;
        Ok(copy)
    }

    fn blocks<T: Element>(
        &self,
        near: Local<'_, T>,
        far: GlobalTensor<T>,
        params: DataCopyParams,
        is_in: bool,
        at: &'static Location<'static>,
    ) -> Result<Copy, KernelError> {
        let DataCopyParams { block_count, block_len, src_gap, dst_gap } = params;
        check_range(block_count <= BLOCKS_MAX, "block_count", block_count.into(), "up to 4095", at)?;
        let (near_gap, far_gap) = if is_in { (dst_gap, src_gap) } else { (src_gap, dst_gap) };
        let stride = |gap: u16| 32 * (u64::from(block_len) + u64::from(gap));
        let copy = Copy {
            blocks: block_count,
            len: 32 * u32::from(block_len),
            near_stride: stride(near_gap),
            far_stride: stride(far_gap),
            ..self.begin(near, far, if is_in { Route::In(near.space) } else { Route::Out }, at)?
        };
        self.check_extents(&copy, near, far, at)?;
        Ok(copy)
    }

    fn padded<T: Element>(
        &self,
        near: Local<'_, T>,
        far: GlobalTensor<T>,
        params: DataCopyPadParams,
        route: Route,
        at: &'static Location<'static>,
    ) -> Result<Copy, KernelError> {
        let DataCopyPadParams { block_count, block_len, .. } = params;
        check_range(block_count <= BLOCKS_MAX, "block_count", block_count.into(), "up to 4095", at)?;
        check_range(block_len <= PAD_LEN_MAX, "block_len", block_len.into(), "up to 2097151 bytes", at)?;
        Ok(Copy { blocks: block_count, len: block_len, ..self.begin(near, far, route, at)? })
    }

    /// A copy of no blocks yet, its places checked.
    pub(crate) fn begin<T: Element>(
        &self,
        near: Local<'_, T>,
        far: GlobalTensor<T>,
        route: Route,
        at: &'static Location<'static>,
    ) -> Result<Copy, KernelError> {
        let (spaces, expected) = match route {
            Route::Out => (&[Space::Ub][..], "UB"),
            _ => (&[Space::Ub, Space::L1, Space::L0a, Space::L0b][..], "UB, L1, L0A or L0B"),
        };
        if !spaces.contains(&near.space) {
            let (call, what) = ("data_copy", "the local tensor");
            let kind = ErrorKind::Place { call, what, space: near.space, expected };
            return Err(KernelError::new(kind, at));
        }
        check_alignment("the local tensor", near, at)?;
        Ok(Copy {
            route,
            buffer: far.buffer,
            bypasses_l2: far.bypasses_l2,
            far: far.offset.saturating_mul(T::DTYPE.size().into()),
            near: near.address,
            blocks: 0,
            len: 0,
            far_stride: 0,
            near_stride: 0,
            pad: (0, 0),
            filler: None,
            dtype: T::DTYPE,
        })
    }

    pub(crate) fn check_extents<T: Element>(
        &self,
        copy: &Copy,
        near: Local<'_, T>,
        far: GlobalTensor<T>,
        at: &'static Location<'static>,
    ) -> Result<(), KernelError> {
        let needed = copy.near_extent().div_ceil(T::DTYPE.size().into());
        check_bounds("the local tensor", needed, near.count.into(), T::DTYPE, at)?;
        self.check_far(copy, far, at)
    }

    /// A copy stays within its part of a tensor, and the tensor is one of this launch's memory.
    pub(crate) fn check_far<T: Element>(
        &self,
        copy: &Copy,
        far: GlobalTensor<T>,
        at: &'static Location<'static>,
    ) -> Result<(), KernelError> {
        let size = u64::from(T::DTYPE.size());
        let bytes = copy.far_extent();
        check_bounds("the global tensor", bytes.div_ceil(size), far.count, T::DTYPE, at)?;
        let there = self.tensor_bytes(far.buffer);
        let needed = copy.far.saturating_add(bytes);
        check_bounds("a tensor of another GlobalMemory", needed / size, there / size, T::DTYPE, at)
    }
}

pub(crate) fn check_range(
    holds: bool,
    what: &'static str,
    value: i64,
    range: &'static str,
    at: &'static Location<'static>,
) -> Result<(), KernelError> {
    if holds { Ok(()) } else { Err(KernelError::new(ErrorKind::Range { what, value, range }, at)) }
}

pub(crate) fn check_alignment<T>(
    what: &'static str,
    near: Local<'_, T>,
    at: &'static Location<'static>,
) -> Result<(), KernelError> {
    let Local { space, address, .. } = near;
    let alignment = space.alignment();
    if address.is_multiple_of(alignment) {
        return Ok(());
    }
    Err(KernelError::new(ErrorKind::Unaligned { what, address, space, alignment }, at))
}
