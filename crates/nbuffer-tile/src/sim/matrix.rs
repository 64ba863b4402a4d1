//! What matrix multiplication does to data.

use half::f16;

use super::memory::CoreMemory;
use crate::element::{DType, Element};
use crate::instruction::Mmad;
use crate::position::Space;

impl Mmad {
    /// Bytes of a, b and c, row after row.
    pub(crate) fn extents(&self) -> [u32; 3] {
        let size = self.dtype.size();
        let (m, n, k) = (u32::from(self.m), u32::from(self.n), u32::from(self.k));
        [m * k * size, k * n * size, m * n * 4]
    }
}

/// The bytes of c.
pub(super) fn multiply(mmad: &Mmad, memory: &CoreMemory) -> Vec<u8> {
    match mmad.dtype {
        DType::F16 => product(mmad, memory, |sum: f32, a: f16, b: f16| sum + a.to_f32() * b.to_f32()),
        DType::F32 => product(mmad, memory, |sum: f32, a: f32, b: f32| sum + a * b),
        _ => product(mmad, memory, |sum: i32, a: i8, b: i8| sum.wrapping_add(i32::from(a) * i32::from(b))),
    }
}

/// Products are summed in the order of k.
fn product<T: Element, C: Element>(
    mmad: &Mmad,
    memory: &CoreMemory,
    add_product: impl Fn(C, T, T) -> C,
) -> Vec<u8> {
    let [a, b, c] = mmad.extents();
    let bytes = |space, start: u32, len: u32| &memory.of(space)[start as usize..][..len as usize];
    let a: Vec<T> = bytemuck::allocation::pod_collect_to_vec(bytes(Space::L0a, mmad.a, a));
    let b: Vec<T> = bytemuck::allocation::pod_collect_to_vec(bytes(Space::L0b, mmad.b, b));
    let before = bytes(Space::L0c, mmad.c, c);
    let (n, k) = (usize::from(mmad.n), usize::from(mmad.k));
    let mut c: Vec<C> = if mmad.accumulates {
        bytemuck::allocation::pod_collect_to_vec(before)
    } else {
        vec![C::default(); before.len() / 4]
    };
    if n > 0 && k > 0 {
        // Along the rows of b, so that neighbours in memory are neighbours in time; each sum still grows in the order of k.
        for (row, a) in c.chunks_exact_mut(n).zip(a.chunks_exact(k)) {
            for (&a, b) in a.iter().zip(b.chunks_exact(n)) {
                for (sum, &b) in row.iter_mut().zip(b) {
                    *sum = add_product(*sum, a, b);
                }
            }
        }
    }
    bytemuck::allocation::pod_collect_to_vec(&c)
}
