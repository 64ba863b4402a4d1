//! What copies do to data.

use half::f16;

use super::memory::{CoreMemory, GlobalMemory};
use crate::element::DType;
use crate::instruction::{Copy, Route};
use crate::position::Space;

impl Copy {
    /// Bytes of a block on the side of the core, padding included.
    fn near_len(&self) -> u64 {
        let padded = u64::from(self.len) + u64::from(self.pad.0) + u64::from(self.pad.1);
        if matches!(self.route, Route::In(_)) { padded.next_multiple_of(32) } else { padded }
    }

    /// Bytes of a block on the other side.
    pub(crate) fn far_len(&self) -> u64 {
        let len = u64::from(self.len);
        if self.route == Route::Fixpipe(DType::F16) { len / 2 } else { len }
    }

    /// Bytes on the side of the core from the first to the last.
    pub(crate) fn near_extent(&self) -> u64 {
        extent(self.blocks, self.near_stride, self.near_len())
    }

    /// Bytes on the other side from the first to the last.
    pub(crate) fn far_extent(&self) -> u64 {
        extent(self.blocks, self.far_stride, self.far_len())
    }
}

/// Bytes from the first to the last of so many blocks. None of its parts comes near what overflows.
fn extent(blocks: u16, stride: u64, len: u64) -> u64 {
    match blocks {
        0 => 0,
        blocks => (u64::from(blocks) - 1) * stride + len,
    }
}

pub(super) fn read(copy: &Copy, memory: &CoreMemory, global: &GlobalMemory) -> Vec<u8> {
    let mut read = Vec::with_capacity(copy.bytes() as usize);
    let (near, far) = (u64::from(copy.near), copy.far);
    let (from, start, stride): (&[u8], _, _) = match copy.route {
        Route::In(_) => (global.tensors[copy.buffer as usize].bytes(), far, copy.far_stride),
        Route::Load(_) => (memory.of(Space::L1), far, copy.far_stride),
        Route::Out => (memory.of(Space::Ub), near, copy.near_stride),
        Route::Fixpipe(_) => (memory.of(Space::L0c), near, copy.near_stride),
    };
    for block in 0..u64::from(copy.blocks) {
        read.extend_from_slice(&from[(start + block * stride) as usize..][..copy.len as usize]);
    }
    read
}

pub(super) fn write(copy: &Copy, bytes: &[u8], memory: &mut CoreMemory, global: &mut GlobalMemory) {
    for (block, data) in bytes.chunks_exact(copy.len.max(1) as usize).enumerate() {
        match copy.route {
            Route::In(space) | Route::Load(space) => {
                let start = u64::from(copy.near) + block as u64 * copy.near_stride;
                write_near(copy, data, &mut memory.of_mut(space)[start as usize..]);
            }
            Route::Out | Route::Fixpipe(_) => {
                let start = copy.far + block as u64 * copy.far_stride;
                write_far(
                    copy,
                    data,
                    &mut global.tensors[copy.buffer as usize].bytes_mut()[start as usize..],
                );
            }
        }
    }
}

fn write_near(copy: &Copy, data: &[u8], to: &mut [u8]) {
    let size = copy.dtype.size() as usize;
    let to = &mut to[..copy.near_len() as usize];
    let (left, right) = (usize::from(copy.pad.0), usize::from(copy.pad.0) + data.len());
    to[left..right].copy_from_slice(data);
    // What a copy of less than whole rows leaves is the first element, unless it is told what.
    let filler = copy.filler.as_ref().map_or(&data[..size], |filler| &filler[..size]);
    for at in (0..left).step_by(size).chain((right..to.len()).step_by(size)) {
        to[at..at + size].copy_from_slice(filler);
    }
}

fn write_far(copy: &Copy, data: &[u8], to: &mut [u8]) {
    if copy.route != Route::Fixpipe(DType::F16) {
        to[..data.len()].copy_from_slice(data);
        return;
    }
    let sums = data.chunks_exact(4).map(bytemuck::pod_read_unaligned::<f32>);
    for (to, sum) in to.chunks_exact_mut(2).zip(sums) {
        to.copy_from_slice(bytemuck::bytes_of(&f16::from_f32(sum)));
    }
}
