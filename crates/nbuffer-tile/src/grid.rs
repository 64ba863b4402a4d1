//! Tile kernels without flags: a grid of tiles, a block of each operand for each of them, and what is computed from these.
//!
//! It is the raw queues that run: a queue for each operand, with as many blocks as it is [`buffered`](Operand::buffered).
//!
//! ```
//! use std::sync::Arc;
//! use nbuffer_tile::{GlobalMemory, Grid, Launch, Operand, Profile, launch};
//!
//! let mut memory = GlobalMemory::new();
//! let x = memory.filled::<f32>(10_000, |index| index as f32);
//! let y = memory.zeros::<f32>(x.count());
//! let profile = Arc::new(Profile::named("910B4")?);
//! let run = launch(&profile, &mut memory, &Launch::on(4), |core| {
//!     Grid::over(x.count().div_ceil(512))
//!         .input(Operand::new(x, 512).buffered(2))
//!         .output(Operand::new(y, 512).buffered(2))
//!         .run(core, |tile| core.muls(tile.outputs[0], tile.inputs[0], 2.0, tile.count))
//! })?;
//! assert!(run.hazards.is_empty());
//! assert!(memory.read(y).iter().zip(0..).all(|(y, index)| *y == 2.0 * index as f32));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::panic::Location;

use crate::copy::{DataCopyParams, check_range};
use crate::core::Core;
use crate::element::Element;
use crate::error::KernelError;
use crate::position::{VecIn, VecOut};
use crate::queue::{TPipe, TQue};
use crate::tensor::{GlobalTensor, Local};

/// The shape of an operand's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// So many elements, fewer where the tensor ends.
    Line(u32),
    /// Rows of a matrix, of which each is so long.
    Rows { rows: u16, columns: u32, row_len: u64 },
}

impl Shape {
    fn count(self) -> u32 {
        match self {
            Shape::Line(count) => count,
            Shape::Rows { rows, columns, .. } => u32::from(rows).saturating_mul(columns),
        }
    }
}

/// Where a tile's block of an operand begins.
type IndexMap<'k> = Box<dyn Fn(u64) -> u64 + 'k>;

/// A tensor, cut into blocks.
pub struct Operand<'k, T> {
    tensor: GlobalTensor<T>,
    shape: Shape,
    num: u32,
    start: IndexMap<'k>,
}

impl<T> fmt::Debug for Operand<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operand").field("shape", &self.shape).field("num", &self.num).finish_non_exhaustive()
    }
}

impl<'k, T: Element> Operand<'k, T> {
    /// Blocks of `count` elements, one after the other, the last one shorter where the tensor ends; one at a time.
    pub fn new(tensor: GlobalTensor<T>, count: u32) -> Self {
        let start = Box::new(move |tile| tile * u64::from(count));
        Operand { tensor, shape: Shape::Line(count), num: 1, start }
    }

    /// Blocks of `rows` by `columns` elements of a matrix with `row_len` elements a row, row by row of such blocks; one at a
    /// time. Columns, and what lies between them, are whole rows of 32 bytes.
    pub fn matrix(tensor: GlobalTensor<T>, row_len: u64, rows: u16, columns: u32) -> Self {
        let across = (row_len / u64::from(columns.max(1))).max(1);
        let start =
            move |tile: u64| tile / across * u64::from(rows) * row_len + tile % across * u64::from(columns);
        Operand { tensor, shape: Shape::Rows { rows, columns, row_len }, num: 1, start: Box::new(start) }
    }

    /// With the block of each tile beginning at the element that `start` gives for the tile's number.
    pub fn at(self, start: impl Fn(u64) -> u64 + 'k) -> Self {
        Operand { start: Box::new(start), ..self }
    }

    /// With so many blocks: one is filled while another is used.
    pub fn buffered(self, num: u32) -> Self {
        Operand { num, ..self }
    }

    fn bytes(&self) -> u64 {
        u64::from(self.shape.count()) * u64::from(T::DTYPE.size())
    }

    /// What a tile's block is: where it begins, and how many elements it has.
    fn block(&self, tile: u64) -> (GlobalTensor<T>, u32) {
        let from = self.tensor.at((self.start)(tile));
        let count = match self.shape {
            Shape::Line(count) => u64::from(count).min(from.count()) as u32,
            Shape::Rows { .. } => self.shape.count(),
        };
        (from, count)
    }

    /// The strides of a block in rows, with its gaps on the side of global memory.
    fn strides(
        &self,
        is_in: bool,
        at: &'static Location<'static>,
    ) -> Result<Option<DataCopyParams>, KernelError> {
        let Shape::Rows { rows, columns, row_len } = self.shape else { return Ok(None) };
        let size = u64::from(T::DTYPE.size());
        let in_blocks = |what, elements: u64| {
            let bytes = elements.saturating_mul(size);
            let value = i64::try_from(bytes).unwrap_or(i64::MAX);
            check_range(bytes.is_multiple_of(32), what, value, "a multiple of 32", at)?;
            check_range(bytes / 32 <= u16::MAX.into(), what, value, "up to 2097120", at)?;
            Ok((bytes / 32) as u16)
        };
        let block_len = in_blocks("bytes of a block's row", columns.into())?;
        let gap = in_blocks("bytes between a block's rows", row_len.saturating_sub(columns.into()))?;
        let (src_gap, dst_gap) = if is_in { (gap, 0) } else { (0, gap) };
        Ok(Some(DataCopyParams { block_count: rows, block_len, src_gap, dst_gap }))
    }
}

/// A tile, for what is computed.
#[derive(Debug)]
pub struct Tile<'t, T, U> {
    /// Its number in the grid.
    pub index: u64,
    /// Elements of its first output: fewer in a tile where the tensor ends.
    pub count: u32,
    /// Its block of each input.
    pub inputs: &'t [Local<'t, T>],
    /// Its block of each output.
    pub outputs: &'t [Local<'t, U>],
}

/// A pipeline over tiles: inputs of one element type, outputs of one element type.
#[derive(Debug)]
pub struct Grid<'k, T, U = T> {
    tiles: u64,
    inputs: Vec<Operand<'k, T>>,
    outputs: Vec<Operand<'k, U>>,
    is_serial: bool,
}

impl<'k, T: Element, U: Element> Grid<'k, T, U> {
    /// So many tiles, on all cores together: each has as many as the others, and the first ones one more where they do not
    /// divide evenly.
    pub fn over(tiles: u64) -> Self {
        Grid { tiles, inputs: Vec::new(), outputs: Vec::new(), is_serial: false }
    }

    /// With another input.
    pub fn input(mut self, operand: Operand<'k, T>) -> Self {
        self.inputs.push(operand);
        self
    }

    /// With another output.
    pub fn output(mut self, operand: Operand<'k, U>) -> Self {
        self.outputs.push(operand);
        self
    }

    /// With nothing overlapped, for comparison: all pipes come to rest after each step.
    pub fn serial(self) -> Self {
        Grid { is_serial: true, ..self }
    }

    /// The program of one core. `body` computes a tile's outputs from its inputs.
    ///
    /// # Errors
    ///
    /// Blocks that do not fit, more of them than there are event ids, sizes that cannot be copied; what `body` returns.
    #[track_caller]
    pub fn run(
        &self,
        core: &Core,
        mut body: impl FnMut(&Tile<'_, T, U>) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        let at = Location::caller();
        let pipe = TPipe::new(core)?;
        let mut inputs: Vec<(TQue<'_, VecIn>, _, _)> = Vec::new();
        for operand in &self.inputs {
            let queue = pipe.init_buffer(operand.num, operand.bytes())?;
            inputs.push((queue, operand, operand.strides(true, at)?));
        }
        let mut outputs: Vec<(TQue<'_, VecOut>, _, _)> = Vec::new();
        for operand in &self.outputs {
            let queue = pipe.init_buffer(operand.num, operand.bytes())?;
            outputs.push((queue, operand, operand.strides(false, at)?));
        }
        let rest = || if self.is_serial { core.pipe_barrier_all() } else { Ok(()) };
        for index in self.of_core(core) {
            let mut filled = Vec::with_capacity(inputs.len());
            for (queue, ..) in &inputs {
                filled.push(queue.alloc_tensor::<T>()?);
            }
            for ((_, operand, strides), local) in inputs.iter().zip(&filled) {
                let (from, count) = operand.block(index);
                match strides {
                    None => core.data_copy_in(local.view(), from, count)?,
                    Some(strides) => core.data_copy_in_blocks(local.view(), from, *strides)?,
                }
            }
            for ((queue, ..), local) in inputs.iter().zip(filled) {
                queue.enque(local)?;
            }
            rest()?;

            let mut used = Vec::with_capacity(inputs.len());
            for (queue, ..) in &inputs {
                used.push(queue.deque::<T>()?);
            }
            let mut results = Vec::with_capacity(outputs.len());
            for (queue, ..) in &outputs {
                results.push(queue.alloc_tensor::<U>()?);
            }
            let count = outputs.first().map_or(0, |(_, operand, _)| operand.block(index).1);
            let views = (
                used.iter().map(|local| local.view()).collect::<Vec<_>>(),
                results.iter().map(|local| local.view()).collect::<Vec<_>>(),
            );
            body(&Tile { index, count, inputs: &views.0, outputs: &views.1 })?;
            drop(views);
            for ((queue, ..), local) in outputs.iter().zip(results) {
                queue.enque(local)?;
            }
            for ((queue, ..), local) in inputs.iter().zip(used) {
                queue.free_tensor(local)?;
            }
            rest()?;

            for (queue, operand, strides) in &outputs {
                let local = queue.deque::<U>()?;
                let (to, count) = operand.block(index);
                match strides {
                    None => core.data_copy_out(to, local.view(), count)?,
                    Some(strides) => core.data_copy_out_blocks(to, local.view(), *strides)?,
                }
                queue.free_tensor(local)?;
            }
            rest()?;
        }
        Ok(())
    }

    fn of_core(&self, core: &Core) -> std::ops::Range<u64> {
        let (core, cores) = (core.block_idx() as u64, core.block_num() as u64);
        let (each, more) = (self.tiles / cores, self.tiles % cores);
        let first = core * each + core.min(more);
        first..first + each + u64::from(core < more)
    }
}
