//! Kernels by name, each with its tensors and a plain reference: what the command line runs, and what plans try out.

use std::fmt;

use half::f16;

use crate::core::Core;
use crate::element::{DType, Element};
use crate::error::KernelError;
use crate::kernels::Add;
use crate::sim::GlobalMemory;
use crate::tensor::GlobalTensor;

/// What a kernel is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Type of the elements.
    pub dtype: DType,
    /// Elements of each tensor.
    pub elements: u64,
    /// Elements of a tile.
    pub tile: u32,
    /// Blocks of each queue.
    pub num: u32,
    /// How often the operation is repeated on each tile.
    pub repeat_op: u32,
    /// Whether tensors are read and written past the L2 cache.
    pub bypass_l2: bool,
}

/// The program of one core.
pub type Program = Box<dyn Fn(&Core) -> Result<(), KernelError> + Send + Sync>;

/// Compares what a kernel wrote with what the reference computes.
pub type Check = Box<dyn Fn(&GlobalMemory) -> Checked + Send + Sync>;

/// A kernel with its tensors.
pub struct Prepared {
    /// Runs it.
    pub program: Program,
    /// Checks what it wrote. Only for memory that holds values.
    pub check: Check,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

/// How values compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Values compared.
    pub compared: u64,
    /// Those that differ.
    pub differing: u64,
    /// The first one that differs: where, what was expected, and what is there.
    pub first: Option<(u64, String, String)>,
}

impl Checked {
    /// Compares values one by one. Values that are equal are the same; so are two that are not numbers.
    pub fn exact<T: Element>(found: &[T], expected: impl Fn(u64) -> T) -> Self {
        let mut checked = Checked { compared: found.len() as u64, ..Checked::default() };
        for (index, found) in (0..).zip(found) {
            let expected = expected(index);
            #[expect(clippy::eq_op, reason = "what is not equal to itself is not a number")]
            let same = *found == expected || (*found != *found && expected != expected);
            if !same {
                checked.differing += 1;
                checked.first.get_or_insert_with(|| (index, expected.to_string(), found.to_string()));
            }
        }
        checked
    }
}

/// A kernel that can be named.
pub trait Kernel: fmt::Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it computes, in one line.
    fn about(&self) -> &'static str;

    /// The element types it takes.
    fn dtypes(&self) -> &'static [DType];

    /// Puts its tensors into global memory. `task.dtype` is one of [`dtypes`](Kernel::dtypes).
    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared;
}

/// All kernels that can be named.
pub fn kernels() -> &'static [&'static dyn Kernel] {
    &[&AddKernel]
}

/// The kernel of this name.
pub fn kernel(name: &str) -> Option<&'static dyn Kernel> {
    kernels().iter().copied().find(|kernel| kernel.name() == name)
}

/// Whether a kernel goes past the L2 cache is a matter of its tensors.
fn hinted<T: Element>(task: &Task, tensor: GlobalTensor<T>) -> GlobalTensor<T> {
    if task.bypass_l2 { tensor.bypass_l2() } else { tensor }
}

#[derive(Debug)]
struct AddKernel;

impl Kernel for AddKernel {
    fn name(&self) -> &'static str {
        "add"
    }

    fn about(&self) -> &'static str {
        "z = x + y, with y added --repeat-op times"
    }

    fn dtypes(&self) -> &'static [DType] {
        &[DType::F16, DType::F32, DType::I32]
    }

    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared {
        match task.dtype {
            DType::F32 => add::<f32>(task, memory),
            DType::I32 => add::<i32>(task, memory),
            _ => add::<f16>(task, memory),
        }
    }
}

/// An element type with a sum, rounded as the type rounds.
trait Sum: Element {
    fn of(small: i16) -> Self;
    fn plus(self, other: Self) -> Self;
}

impl Sum for f16 {
    fn of(small: i16) -> Self {
        f16::from_f32(f32::from(small) / 16.0)
    }

    fn plus(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() + other.to_f32())
    }
}

impl Sum for f32 {
    fn of(small: i16) -> Self {
        f32::from(small) / 3.0
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Sum for i32 {
    fn of(small: i16) -> Self {
        i32::from(small) << 12
    }

    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

fn add<T: Sum>(task: &Task, memory: &mut GlobalMemory) -> Prepared {
    // Neighbours and tiles differ, and sums are rounded.
    let x_at = |index: u64| T::of((index % 4093) as i16 - 2000);
    let y_at = |index: u64| T::of((index.wrapping_mul(7) % 1021) as i16);
    let x = hinted(task, memory.filled(task.elements, x_at));
    let y = hinted(task, memory.filled(task.elements, y_at));
    let z = hinted(task, memory.zeros::<T>(task.elements));
    let Task { tile, num, repeat_op, .. } = *task;
    let kernel = Add { x, y, z, tile, num, repeat_op };
    let expected = move |index| (0..repeat_op).fold(x_at(index), |sum, _| sum.plus(y_at(index)));
    Prepared {
        program: Box::new(move |core| kernel.run(core)),
        check: Box::new(move |memory| Checked::exact(memory.read(z), expected)),
    }
}
