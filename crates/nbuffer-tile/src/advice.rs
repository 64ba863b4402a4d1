//! What other numbers of blocks and other tiles would come to, and whether double buffering is worth it.

use std::sync::Arc;

use serde::Serialize;

use crate::catalog::{Kernel, Task};
use crate::error::{ErrorKind, KernelError};
use crate::plan::{Place, Plan, Resource, Stages};
use crate::profile::Profile;
use crate::sim::GlobalMemory;

/// A number of blocks and a tile, planned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// Blocks of each queue.
    pub num: u32,
    /// Elements of a tile.
    pub tile: u32,
    /// What stage times it has.
    pub stages: Stages,
    /// What they allow.
    pub plan: Plan,
}

/// What a kernel's plan comes to, beside the others there could be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// As asked for.
    pub asked: Choice,
    /// With 1, 2 and 3 blocks of as many bytes together.
    pub same_bytes: Vec<Choice>,
    /// The largest tile, in elements, that fits with 1, 2 and 3 blocks.
    pub largest_tile: Vec<u32>,
    /// The shortest one of all numbers of blocks and tiles that were looked at.
    pub recommended: Choice,
    /// How much shorter two blocks make it than one of as many bytes: 0.3 is 30 %.
    pub double_buffering_gain: f64,
    /// Why that is little, if it is.
    pub little_gain: Option<String>,
}

/// Numbers of blocks that are compared.
const NUMS: [u32; 3] = [1, 2, 3];

/// A gain that is less than this needs a reason.
const LITTLE: f64 = 0.10;

/// How often a tile is halved in search of a better one.
const HALVINGS: u32 = 5;

impl Advice {
    /// Plans a kernel as it is asked for, and nothing beside. `None` for kernels that the law does not hold for.
    ///
    /// # Errors
    ///
    /// What a launch of the kernel would end with.
    pub fn plan(
        profile: &Arc<Profile>,
        kernel: &dyn Kernel,
        task: &Task,
        cores: usize,
    ) -> Result<Option<Choice>, KernelError> {
        let mut memory = GlobalMemory::hollow();
        kernel.prepare(task, &mut memory);
        let place = Place::of(profile, cores, memory.len_bytes(), task.bypass_l2);
        let tiles = task.elements as f64 / cores as f64 / f64::from(task.tile.max(1));
        let stages = Stages::of(profile, kernel, task)?;
        Ok(stages.map(|stages| {
            let plan = Plan::new(&stages, (task.num, task.num), tiles, &place);
            Choice { num: task.num, tile: task.tile, stages, plan }
        }))
    }

    /// Plans a kernel on so many cores. `None` for kernels that the law does not hold for.
    ///
    /// # Errors
    ///
    /// What a launch of the kernel would end with.
    pub fn of(
        profile: &Arc<Profile>,
        kernel: &dyn Kernel,
        task: &Task,
        cores: usize,
    ) -> Result<Option<Advice>, KernelError> {
        let per_core = task.elements as f64 / cores as f64;
        let choice = |num, tile| {
            let task = Task { num, tile, ..*task };
            // A tile that is none for this kernel is no choice either.
            if kernel.check(&task).is_err() { Ok(None) } else { Advice::plan(profile, kernel, &task, cores) }
        };
        let Some(asked) = choice(task.num, task.tile)? else { return Ok(None) };

        let step = kernel.tile_step(task);
        let round = |tile: u32| tile / step * step;
        let mut same_bytes = Vec::new();
        for num in NUMS {
            let bytes = u64::from(task.tile) * u64::from(task.num) / u64::from(num);
            let tile = if num == task.num { task.tile } else { round(bytes.min(u32::MAX.into()) as u32) };
            if tile > 0
                && let Some(choice) = fitting(choice(num, tile))?
            {
                same_bytes.push(choice);
            }
        }
        let most = (per_core.ceil() as u64).next_multiple_of(step.into()).min(1 << 24) as u32;
        let mut largest_tile = Vec::new();
        let mut recommended = asked.clone();
        for num in NUMS {
            let largest = largest(step, most, |tile| Ok(fitting(choice(num, tile))?.is_some()))?;
            largest_tile.push(largest);
            // A step less moves the operands to other bank groups.
            let tiles = (0..HALVINGS).map(|halvings| round(largest >> halvings));
            for tile in tiles.flat_map(|tile| [tile, tile.saturating_sub(step)]).filter(|tile| *tile > 0) {
                if let Some(other) = fitting(choice(num, tile))?
                    && is_better(&other, &recommended)
                {
                    recommended = other;
                }
            }
        }
        let of_num = |num| same_bytes.iter().find(|choice: &&Choice| choice.num == num);
        let (gain, little) = match (of_num(1), of_num(2)) {
            (Some(one), Some(two)) => {
                let gain = 1.0 - two.plan.cycles / one.plan.cycles;
                (gain, (gain < LITTLE).then(|| little_gain(gain, one, two)))
            }
            _ => (0.0, None),
        };
        Ok(Some(Advice {
            asked,
            same_bytes,
            largest_tile,
            recommended,
            double_buffering_gain: gain,
            little_gain: little,
        }))
    }
}

/// More blocks or another tile must bring something: what is simpler stays.
fn is_better(other: &Choice, best: &Choice) -> bool {
    other.plan.cycles < 0.995 * best.plan.cycles
}

/// What does not fit is no choice.
fn fitting(choice: Result<Option<Choice>, KernelError>) -> Result<Option<Choice>, KernelError> {
    match choice {
        Err(KernelError { kind: ErrorKind::Overflow { .. } | ErrorKind::Ids { .. }, .. }) => Ok(None),
        other => other,
    }
}

/// The largest multiple of `step` up to `most` that fits; 0 if none does.
fn largest(
    step: u32,
    most: u32,
    fits: impl Fn(u32) -> Result<bool, KernelError>,
) -> Result<u32, KernelError> {
    let (mut low, mut high) = (0, most / step + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle * step)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low * step)
}

/// Why two blocks are hardly better than one.
fn little_gain(gain: f64, one: &Choice, two: &Choice) -> String {
    let percent = |part: f64| format!("{:.0} %", 100.0 * part);
    let Choice { stages, plan, .. } = two;
    let why = if one.plan.tiles <= 1.0 {
        "a core has one tile only, and there is nothing to overlap".to_owned()
    } else if plan.binding == Resource::GlobalMemory {
        let share = one.plan.bound(Resource::GlobalMemory) / one.plan.period;
        format!(
            "the bandwidth of global memory is the limit, and with one block {} of it are in use",
            percent(share)
        )
    } else if plan.binding == Resource::Vector {
        let hidden =
            stages.copy_in.max(stages.copy_out) / (stages.copy_in.max(stages.copy_out) + stages.compute);
        format!(
            "the copies that could be hidden take {} of a tile's time, and the smaller tiles start V up more often",
            percent(hidden)
        )
    } else {
        let v = percent(stages.compute / plan.period);
        let per_element = |choice: &Choice| choice.stages.copy_in / f64::from(choice.tile);
        let smaller = match per_element(two) / per_element(one) {
            worse if worse > 1.05 => format!(", and smaller copies take {} longer", percent(worse - 1.0)),
            _ => String::new(),
        };
        format!("the limit is {}; V has work for {v} of a tile's time{smaller}", plan.binding.words())
    };
    if gain < 0.0 {
        return format!("double buffering loses {:.1} % here because {why}", -100.0 * gain);
    }
    format!("double buffering gains less than {:.0} % here because {why}", (100.0 * gain).floor() + 1.0)
}
