//! Tile kernels in the model of Ascend C, on a simulated AI Core: their values, their time and their mistakes.
//!
//! A kernel copies a tile in, computes on it, and copies the result out. Its blocks come from queues ([`TPipe`], [`TQue`]); with two
//! blocks a queue, the copies of one tile run beside the computation of another. The kernel's program runs in order and leaves instructions
//! for the pipes of its core; the simulator runs these in cycles, side by side, held together by nothing but the flags that the
//! queues set and wait for. Data changes in the order of that time, so that a kernel that forgets to wait gets the wrong values
//! that it would get, and a report of what was not ordered.
//!
//! ```
//! use std::sync::Arc;
//! use nbuffer_tile::{GlobalMemory, Launch, Profile, TPipe, TQue, VecIn, VecOut, launch};
//!
//! const TILE: u32 = 1024;
//! let mut memory = GlobalMemory::new();
//! let x = memory.tensor(&vec![1.5_f32; 16 * TILE as usize]);
//! let y = memory.zeros::<f32>(x.count());
//! let profile = Arc::new(Profile::named("910B1")?);
//! let run = launch(&profile, &mut memory, &Launch::on(1), |core| {
//!     let pipe = TPipe::new(core)?;
//!     let input: TQue<'_, VecIn> = pipe.init_buffer(2, 4 * u64::from(TILE))?;
//!     let output: TQue<'_, VecOut> = pipe.init_buffer(2, 4 * u64::from(TILE))?;
//!     for tile in 0..16 {
//!         let at = tile * u64::from(TILE);
//!         let local = input.alloc_tensor::<f32>()?;
//!         core.data_copy_in(local.view(), x.at(at), TILE)?;
//!         input.enque(local)?;
//!
//!         let (local, result) = (input.deque::<f32>()?, output.alloc_tensor::<f32>()?);
//!         core.muls(result.view(), local.view(), 2.0, TILE)?;
//!         output.enque(result)?;
//!         input.free_tensor(local)?;
//!
//!         let result = output.deque::<f32>()?;
//!         core.data_copy_out(y.at(at), result.view(), TILE)?;
//!         output.free_tensor(result)?;
//!     }
//!     Ok(())
//! })?;
//! assert!(run.hazards.is_empty());
//! assert!(memory.read(y).iter().all(|&y| y == 3.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod advice;
pub mod catalog;
mod chunk;
mod compare;
mod copy;
mod core;
mod cube;
mod element;
mod error;
mod events;
mod grid;
mod instruction;
pub mod kernels;
mod launch;
mod not_modelled;
mod pipe;
pub mod plan;
mod position;
mod profile;
mod queue;
mod reduce;
mod report;
mod scalar;
mod sim;
mod tensor;
mod vector;

pub use advice::{Advice, Choice};
pub use copy::{DataCopyPadParams, DataCopyParams, Pad};
pub use core::Core;
pub use cube::{Factor, FixpipeParams, FromSum, LoadDataParams, MmadParams, Nd2NzParams};
pub use element::{DType, Element};
pub use error::{ErrorKind, KernelError, Share};
pub use grid::{Grid, Operand, Tile};
pub use instruction::{Comparison, Rounding};
pub use launch::{Launch, launch};
pub use pipe::{Event, Pipe};
pub use position::{A1, A2, B1, B2, Co1, Position, Space, TPosition, VecCalc, VecIn, VecOut};
pub use profile::{
    Arch, Copies, CopyCurve, CubeUnit, GlobalUnit, Number, Profile, ProfileError, Provenance, ScalarUnit,
    Sizes, Source, VectorUnit, names,
};
pub use queue::{TBuf, TPipe, TQue, TQueBind};
pub use report::{Hazards, Limit, QueueReport, TileReport, VectorReport};
pub use scalar::{Elements, Scalar, Value};
pub use sim::{
    CoreReport, GlobalMemory, Hazard, HazardKind, Party, PipeReport, Place, Run, TileSpan, Wait, Waits,
};
pub use tensor::{GlobalTensor, Local, LocalTensor};
pub use vector::{Extent, Strides};
