//! What instructions do to data. Sources are read when an instruction begins, results are written when it ends.

use super::memory::{CoreMemory, GlobalMemory};
use super::strip::Strip;
use super::watcher::Touch;
use super::{copying, matrix, scalar, vector};
use crate::instruction::{Route, Scalar, Spot, Work};
use crate::position::Space;

/// What an instruction will write when it ends: elements, or bytes of a copy, one after the other.
#[derive(Debug, Default)]
pub(super) struct Pending(pub(super) Vec<u8>);

/// The most operands that lie in a core's memories.
pub(super) const OPERANDS: usize = 4;

const NOTHING: Touch = Touch { space: Space::Ub, start: 0, end: 0, writes: false };

/// The bytes of the core's memories that an instruction touches, from the first to the last of each operand.
pub(super) fn touches(work: Work<'_>) -> ([Touch; OPERANDS], usize) {
    let mut touches = [NOTHING; OPERANDS];
    let mut n = 0;
    // Every extent was found to lie within its memory when the instruction was made.
    let mut add = |space, start: u32, len: u64, writes| {
        touches[n] = Touch { space, start, end: start + len as u32, writes };
        n += 1;
    };
    match work {
        Work::Copy(copy) => {
            let near = copy.near_extent();
            match copy.route {
                Route::In(space) => add(space, copy.near, near, true),
                Route::Out => add(Space::Ub, copy.near, near, false),
                Route::Load(space) => {
                    add(space, copy.near, near, true);
                    add(Space::L1, copy.far as u32, copy.far_extent(), false);
                }
                Route::Fixpipe(_) => add(Space::L0c, copy.near, near, false),
            }
        }
        Work::Vector(vector) => {
            add(Space::Ub, vector.dst.address, vector.dst_len.into(), true);
            for index in 0..usize::from(vector.n_sources) {
                add(Space::Ub, vector.sources[index].address, vector.source_lens[index].into(), false);
            }
        }
        Work::Scalar(Scalar::Load { from: Spot::Local(address), dtype, .. }) => {
            add(Space::Ub, *address, dtype.size().into(), false);
        }
        Work::Scalar(Scalar::Store { to: Spot::Local(address), dtype, .. }) => {
            add(Space::Ub, *address, dtype.size().into(), true);
        }
        Work::Scalar(_) => {}
        Work::Mmad(mmad) => {
            let [a, b, c] = mmad.extents().map(u64::from);
            add(Space::L0c, mmad.c, c, true);
            add(Space::L0a, mmad.a, a, false);
            add(Space::L0b, mmad.b, b, false);
        }
    }
    (touches, n)
}

/// What an instruction touches of global memory, and whether it writes it.
pub(super) fn global_touch(work: Work<'_>) -> Option<(Strip, bool)> {
    match work {
        Work::Copy(copy) => {
            let writes = match copy.route {
                Route::In(_) => false,
                Route::Out | Route::Fixpipe(_) => true,
                Route::Load(_) => return None,
            };
            Some((Strip::of(copy)?, writes))
        }
        Work::Scalar(Scalar::Load { from: Spot::Global(tensor, at), dtype, .. }) => {
            Some((Strip::piece(*tensor, *at, dtype.size().into()), false))
        }
        Work::Scalar(Scalar::Store { to: Spot::Global(tensor, at), dtype, .. }) => {
            Some((Strip::piece(*tensor, *at, dtype.size().into()), true))
        }
        _ => None,
    }
}

/// Reads an instruction's sources and computes what it will write. `scalar` is the number that it was given.
pub(super) fn compute(
    work: Work<'_>,
    scalar: [u8; 4],
    memory: &CoreMemory,
    global: &GlobalMemory,
) -> Pending {
    Pending(match work {
        Work::Copy(copy) => copying::read(copy, memory, global),
        Work::Vector(vector) => vector::compute(vector, scalar, memory.of(Space::Ub)),
        Work::Scalar(Scalar::Load { from, dtype, .. }) => scalar::load(*from, *dtype, memory, global),
        Work::Scalar(_) => scalar.to_vec(),
        Work::Mmad(mmad) => matrix::multiply(mmad, memory),
    })
}

/// Writes what was computed.
pub(super) fn store(
    work: Work<'_>,
    Pending(bytes): Pending,
    memory: &mut CoreMemory,
    global: &mut GlobalMemory,
) {
    match work {
        Work::Copy(copy) => copying::write(copy, &bytes, memory, global),
        Work::Vector(vector) => vector::store(vector, &bytes, memory.of_mut(Space::Ub)),
        Work::Scalar(Scalar::Store { to, dtype, .. }) => scalar::store(*to, *dtype, &bytes, memory, global),
        Work::Scalar(_) => {}
        Work::Mmad(mmad) => {
            memory.of_mut(Space::L0c)[mmad.c as usize..][..bytes.len()].copy_from_slice(&bytes)
        }
    }
}
