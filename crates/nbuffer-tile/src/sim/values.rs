//! What instructions do to data. Sources are read when an instruction begins, results are written when it ends.

use super::memory::{CoreMemory, GlobalMemory};
use super::strip::Strip;
use super::watcher::Touch;
use super::{copying, matrix, vector};
use crate::instruction::{Route, Work};
use crate::position::Space;

/// What an instruction will write when it ends: elements, or bytes of a copy, one after the other.
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<u8>);

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
    let Work::Copy(copy) = work else { return None };
    let writes = match copy.route {
        Route::In(_) => false,
        Route::Out | Route::Fixpipe(_) => true,
        Route::Load(_) => return None,
    };
    Some((Strip::of(copy)?, writes))
}

/// Reads an instruction's sources and computes what it will write.
pub(super) fn compute(work: Work<'_>, memory: &CoreMemory, global: &GlobalMemory) -> Pending {
    Pending(match work {
        Work::Copy(copy) => copying::read(copy, memory, global),
        Work::Vector(vector) => vector::compute(vector, memory.of(Space::Ub)),
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
        Work::Mmad(mmad) => {
            memory.of_mut(Space::L0c)[mmad.c as usize..][..bytes.len()].copy_from_slice(&bytes)
        }
    }
}
