//! Kernels by name, each with its tensors and a plain reference: what the command line runs, and what plans try out.

/// Runs a generic function for the element type of a task.
macro_rules! for_dtype {
    ($dtype:expr, $prepare:ident($task:expr, $memory:expr): $($variant:ident => $type:ty),* $(,)?) => {
        match $dtype {
            $(DType::$variant => $prepare::<$type>($task, $memory),)*
            dtype => unreachable!("{dtype} is not among its types"),
        }
    };
}

mod add;
mod leaky_relu;
mod matmul;
mod move_tiles;
mod reduce_sum;
mod softmax;
mod two_source;

use std::fmt;

use crate::core::Core;
use crate::element::{DType, Element};
use crate::error::KernelError;
use crate::sim::GlobalMemory;
use crate::tensor::GlobalTensor;

/// What a kernel is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Type of the elements.
    pub dtype: DType,
    /// Elements of each tensor, or of the result.
    pub elements: u64,
    /// Elements of a tile; of a product of matrices, columns of the left one in a block of L1.
    pub tile: u32,
    /// Blocks of each queue.
    pub num: u32,
    /// How often the operation is repeated on each tile.
    pub repeat_op: u32,
    /// Elements of a row, for kernels that work on rows.
    pub columns: u32,
    /// What products of matrices add up over: columns of the left one, rows of the right one.
    pub inner: u32,
    /// Whether tensors are read and written past the L2 cache.
    pub bypass_l2: bool,
}

impl Default for Task {
    /// A million halves with double buffering.
    fn default() -> Self {
        Task {
            dtype: DType::F16,
            elements: 1 << 20,
            tile: 4096,
            num: 2,
            repeat_op: 1,
            columns: 1024,
            inner: 1024,
            bypass_l2: false,
        }
    }
}

/// The program of one core.
pub type Program = Box<dyn Fn(&Core) -> Result<(), KernelError> + Send + Sync>;

/// Compares what a kernel wrote, on so many cores, with what the reference computes.
pub type Check = Box<dyn Fn(&GlobalMemory, usize) -> Checked + Send + Sync>;

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
    /// Values that were left out, as comparing all would take too long.
    pub left_out: u64,
    /// The first one that differs: where, what was expected, and what is there.
    pub first: Option<(u64, String, String)>,
}

impl Checked {
    /// Compares values one by one. Values that are equal are the same; so are two that are not numbers.
    pub fn exact<T: Element>(found: &[T], expected: impl Fn(u64) -> T) -> Self {
        let expected = (0..).map(expected);
        Checked::each((0..).zip(found.iter().copied().zip(expected)))
    }

    /// Compares values that are given with the places where they stand.
    pub fn each<T: Element>(values: impl Iterator<Item = (u64, (T, T))>) -> Self {
        let mut checked = Checked::default();
        for (index, (found, expected)) in values {
            #[expect(clippy::eq_op, reason = "what is not equal to itself is not a number")]
            let same = found == expected || (found != found && expected != expected);
            checked.add(index, same, &expected, &found);
        }
        checked
    }

    /// Compares values that are rounded on the way: they may be off by a part of what is expected.
    pub fn near<T: Element>(found: &[T], expected: impl Iterator<Item = f64>, part: f64) -> Self {
        /// What is smaller than this is nothing: f16 has no more digits there.
        const NOTHING: f64 = 1e-7;
        let mut checked = Checked::default();
        for (index, (found, expected)) in (0..).zip(found.iter().zip(expected)) {
            let same = (found.to_f64() - expected).abs() <= part * expected.abs() + NOTHING;
            checked.add(index, same, &expected, found);
        }
        checked
    }

    fn add(&mut self, index: u64, same: bool, expected: &dyn fmt::Display, found: &dyn fmt::Display) {
        self.compared += 1;
        if !same {
            self.differing += 1;
            self.first.get_or_insert_with(|| (index, expected.to_string(), found.to_string()));
        }
    }
}

/// A setting of a [`Task`] that not every kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// [`Task::repeat_op`].
    RepeatOp,
    /// [`Task::columns`].
    Columns,
    /// [`Task::inner`].
    Inner,
}

/// A kernel that can be named.
pub trait Kernel: fmt::Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// What it computes, in one line.
    fn about(&self) -> &'static str;

    /// The element types it takes.
    fn dtypes(&self) -> &'static [DType];

    /// The settings it has beside those that all have.
    fn settings(&self) -> &'static [Setting] {
        &[]
    }

    /// A tile to begin with.
    fn usual_tile(&self) -> u32 {
        4096
    }

    /// Tiles that plans try out have whole ones of so many elements: 256 bytes, a repeat, unless they consist of rows.
    fn tile_step(&self, task: &Task) -> u32 {
        256 / task.dtype.size()
    }

    /// Elements come in whole ones of so many.
    fn row(&self, _task: &Task) -> u32 {
        1
    }

    /// Whether its time is that of tiles through copies in, V and copies out, one after the other, as plans take it to be.
    fn has_plan(&self) -> bool {
        true
    }

    /// Whether the task is one for this kernel; why not, in the words of its settings.
    ///
    /// # Errors
    ///
    /// What is wrong, and what would be right.
    fn check(&self, _task: &Task) -> Result<(), String> {
        Ok(())
    }

    /// Puts its tensors into global memory. `task.dtype` is one of [`dtypes`](Kernel::dtypes), and [`check`](Kernel::check)
    /// found nothing.
    fn prepare(&self, task: &Task, memory: &mut GlobalMemory) -> Prepared;
}

/// All kernels that can be named.
pub fn kernels() -> &'static [&'static dyn Kernel] {
    &[
        &add::Kernel,
        &two_source::Kernel,
        &leaky_relu::Kernel,
        &softmax::Kernel,
        &reduce_sum::Kernel,
        &matmul::Kernel,
        &move_tiles::Kernel,
    ]
}

/// The kernel of this name.
pub fn kernel(name: &str) -> Option<&'static dyn Kernel> {
    kernels().iter().copied().find(|kernel| kernel.name() == name)
}

/// Whether a kernel goes past the L2 cache is a matter of its tensors.
fn hinted<T: Element>(task: &Task, tensor: GlobalTensor<T>) -> GlobalTensor<T> {
    if task.bypass_l2 { tensor.bypass_l2() } else { tensor }
}

/// A whole number for each index, without order: from 0 to 2^16.
fn scattered(index: u64, seed: u64) -> u16 {
    let mixed =
        (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed.wrapping_mul(0xD1B5_4A32_D192));
    ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 48) as u16
}

/// A small whole number, from `-half` on, of which there are twice `half`.
fn small<T: Element>(index: u64, seed: u64, half: u16) -> T {
    T::of_f64(f64::from(scattered(index, seed) % (2 * half)) - f64::from(half))
}
