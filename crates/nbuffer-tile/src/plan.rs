//! What period a tile's stage times allow, without a simulation: the law of split buffer sets, and what memory gives.
//!
//! For copy-in I, computation C and copy-out O, with `n_in` input and `n_out` output blocks, a tile takes
//! `max(I, C, O, (I + C) / n_in, (C + O) / n_out)` cycles in steady state. A block is filled only once it has been used, so that with one
//! block each a tile takes `C + max(I, O)`. Copies share memory: no period is shorter than the bytes of all cores' tiles
//! over what memory gives.

use std::sync::Arc;

use serde::Serialize;

use crate::catalog::{Kernel, Task};
use crate::error::KernelError;
use crate::launch::{Launch, launch};
use crate::pipe::Pipe;
use crate::profile::Profile;
use crate::sim::{GlobalMemory, PipeReport, Run};

/// What one tile takes of a core, in cycles, when nothing else runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stages {
    /// Copies in, on MTE2.
    pub copy_in: f64,
    /// Vector instructions, on V.
    pub compute: f64,
    /// Of these, bank conflicts.
    pub conflicts: f64,
    /// Copies out, on MTE3.
    pub copy_out: f64,
    /// Flags, on MTE2, V and MTE3.
    pub flags: [f64; 3],
    /// Issuing instructions, on S.
    pub scalar: f64,
    /// Bytes copied in.
    pub bytes_in: f64,
    /// Bytes copied out.
    pub bytes_out: f64,
}

impl Stages {
    /// Tries a kernel out: a few tiles on one core, without values. `None` if the law does not hold for it.
    ///
    /// # Errors
    ///
    /// What a launch of the kernel would end with.
    pub fn of(
        profile: &Arc<Profile>,
        kernel: &dyn Kernel,
        task: &Task,
    ) -> Result<Option<Stages>, KernelError> {
        if !kernel.has_plan() {
            return Ok(None);
        }
        let tile = u64::from(task.tile).min(task.elements).max(1);
        let tiles = |n: u64| {
            let task = Task { elements: n * tile, ..*task };
            tried(profile, kernel, &task)
        };
        let one = tiles(1)?;
        // Once every block has been used, each tile waits for all it will ever wait for.
        let full = u64::from(task.num) + 1;
        let [before, after] = [tiles(full)?, tiles(full + 1)?];
        let more = |of: &dyn Fn(&Run) -> f64| of(&after) - of(&before);
        let flags = [Pipe::Mte2, Pipe::V, Pipe::Mte3];
        let of_tile = |of: fn(&PipeReport) -> f64, pipe| more(&|run| of(run.cores[0].pipe(pipe)));
        let bytes = |pipe| of_tile(|report| report.bytes as f64, pipe);
        // Copies of successive tiles may overlap; those of one tile take what they take alone. A pipe that moves nothing for one
        // tile more has no part in tiles.
        let alone = |pipe| if bytes(pipe) > 0.0 { one.cores[0].pipe(pipe).busy } else { 0.0 };
        Ok(Some(Stages {
            copy_in: alone(Pipe::Mte2),
            compute: of_tile(|report| report.busy, Pipe::V),
            conflicts: of_tile(|report| report.conflicts, Pipe::V),
            copy_out: alone(Pipe::Mte3),
            flags: flags.map(|pipe| profile.scalar.flag * more(&|run| run.cores[0].pipe(pipe).flags as f64)),
            scalar: more(&|run| run.cores[0].pipe(Pipe::S).busy),
            bytes_in: bytes(Pipe::Mte2),
            bytes_out: bytes(Pipe::Mte3),
        }))
    }
}

/// Runs a kernel on one core for its time alone.
fn tried(profile: &Arc<Profile>, kernel: &dyn Kernel, task: &Task) -> Result<Run, KernelError> {
    let mut memory = GlobalMemory::hollow();
    let prepared = kernel.prepare(task, &mut memory);
    let how = Launch { values: false, ..Launch::on(1) };
    launch(profile, &mut memory, &how, prepared.program)
}

/// Where the tiles run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Cores, with as many tiles each.
    pub cores: usize,
    /// Bytes a cycle that memory gives all of them.
    pub memory: f64,
    /// Bytes a cycle that a core can move in and out together.
    pub port: f64,
}

impl Place {
    /// So many cores of a device, for tensors of so many bytes together.
    pub fn of(profile: &Profile, cores: usize, bytes: u64, bypass_l2: bool) -> Self {
        let memory = profile.bytes_per_cycle(profile.fits_l2(bytes) && !bypass_l2);
        Place { cores, memory, port: profile.global.core_bytes_per_cycle }
    }

    /// Cycles of a tile's bytes when every core moves as many.
    fn cycles(&self, bytes: f64) -> f64 {
        (bytes * self.cores as f64 / self.memory).max(bytes / self.port)
    }
}

/// What a period cannot be shorter than.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Copies in.
    CopyIn,
    /// The vector unit.
    Vector,
    /// Copies out.
    CopyOut,
    /// Blocks of the input queues: a copy in waits until one has been used.
    InputBlocks,
    /// Blocks of the output queues.
    OutputBlocks,
    /// What global memory, or the L2 cache, gives all cores.
    GlobalMemory,
    /// What a core can move in and out together.
    CorePort,
    /// The scalar core, which issues everything.
    Scalar,
}

impl Resource {
    /// In a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::CopyIn => "MTE2",
            Resource::Vector => "V",
            Resource::CopyOut => "MTE3",
            Resource::InputBlocks => "input blocks",
            Resource::OutputBlocks => "output blocks",
            Resource::GlobalMemory => "global memory",
            Resource::CorePort => "core port",
            Resource::Scalar => "S",
        }
    }

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Resource::CopyIn => "copies in (MTE2)",
            Resource::Vector => "the vector unit (V)",
            Resource::CopyOut => "copies out (MTE3)",
            Resource::InputBlocks => "too few input blocks",
            Resource::OutputBlocks => "too few output blocks",
            Resource::GlobalMemory => "bandwidth of global memory",
            Resource::CorePort => "what a core can move in and out",
            Resource::Scalar => "the scalar core (S)",
        }
    }
}

/// A bound of the period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// What sets it.
    pub resource: Resource,
    /// Cycles of a tile.
    pub cycles: f64,
}

/// What stage times allow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Blocks of the input queues and of the output queues.
    pub nums: (u32, u32),
    /// Tiles of a core; of a shorter last one, the part.
    pub tiles: f64,
    /// Cycles of a tile in steady state: the largest bound.
    pub period: f64,
    /// Cycles of all tiles, fill and drain included.
    pub cycles: f64,
    /// The part of all cycles in which V computes.
    pub vector_busy: f64,
    /// Every bound.
    pub bounds: Vec<Bound>,
    /// The one that is largest.
    pub binding: Resource,
}

impl Plan {
    /// The plan for so many tiles a core.
    pub fn new(stages: &Stages, nums: (u32, u32), tiles: f64, place: &Place) -> Self {
        let [flags_in, flags_v, flags_out] = stages.flags;
        let both = stages.bytes_in + stages.bytes_out;
        // With one block each, both copies go on side by side while V waits for them.
        let (bytes_in, bytes_out) =
            if nums == (1, 1) { (both, both) } else { (stages.bytes_in, stages.bytes_out) };
        let (slow_in, slow_out) = (place.cycles(bytes_in), place.cycles(bytes_out));
        let copy_in = stages.copy_in.max(slow_in) + flags_in;
        let copy_out = stages.copy_out.max(slow_out) + flags_out;
        let compute = stages.compute + flags_v;
        let cores = place.cores as f64;
        let all = [
            // Cores that share a memory go in step: while they see to the flags of their copies, nothing moves.
            (Resource::GlobalMemory, both * cores / place.memory + flags_in),
            (Resource::CorePort, both / place.port),
            (Resource::Vector, compute),
            (Resource::CopyIn, stages.copy_in + flags_in),
            (Resource::CopyOut, stages.copy_out + flags_out),
            (Resource::InputBlocks, (copy_in + compute) / f64::from(nums.0.max(1))),
            (Resource::OutputBlocks, (compute + copy_out) / f64::from(nums.1.max(1))),
            (Resource::Scalar, stages.scalar),
        ];
        let bounds = all.map(|(resource, cycles)| Bound { resource, cycles });
        // Of equal ones the first: what cannot be had counts before what could.
        let binding =
            bounds.iter().rev().max_by(|a, b| a.cycles.total_cmp(&b.cycles)).expect("there are bounds");
        let (period, binding) = (binding.cycles, binding.resource);
        let tiles = tiles.max(1.0);
        let alone = stages.copy_in.max(place.cycles(stages.bytes_in))
            + stages.compute
            + stages.copy_out.max(place.cycles(stages.bytes_out));
        let cycles = alone + stages.flags.iter().sum::<f64>() + (tiles - 1.0) * period;
        let vector_busy = if cycles > 0.0 { tiles * stages.compute / cycles } else { 0.0 };
        Plan { nums, tiles, period, cycles, vector_busy, bounds: bounds.to_vec(), binding }
    }

    /// A bound.
    pub fn bound(&self, resource: Resource) -> f64 {
        self.bounds.iter().find(|bound| bound.resource == resource).map_or(0.0, |bound| bound.cycles)
    }
}
