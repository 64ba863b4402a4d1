//! A long stream.

use std::sync::atomic::Ordering;

use nbuffer_runtime::Pipeline;

use super::options;
use crate::models::Work;
use crate::stream::{Prepared, SetCount};
use crate::{Problem, Runner, Sizes};

/// The most that memory may grow while the stream runs. A lost buffer an item would come to several times this.
const GROWTH_BYTES_MAX: u64 = 12 << 20;

/// No set is allocated after the start, and memory does not grow with the stream.
pub(super) fn flat_memory(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let (lanes, depth) = (runner.lanes_max.min(2), 5);
    let prepared = Prepared::new(runner, sizes, Work::Copy, 1, lanes)?;
    let count = SetCount::default();
    let opened = prepared.lanes(lanes)?.into_iter().map(|lane| count.of(lane)).collect();
    let mut pipeline = Pipeline::start(0..sizes.items_long, prepared.stages(), opened, &options(depth))?;
    let warm = sizes.items_long / 4;
    let (mut next, mut before) = (0, None);
    while let Some(delivery) = pipeline.next_delivery() {
        if delivery.sequence != next {
            return Err(format!("item {} came out in the place of {next}", delivery.sequence).into());
        }
        delivery.result.map_err(|error| error.cause())?;
        next += 1;
        if next == warm {
            before = resident_bytes();
        }
    }
    let grown = before.zip(resident_bytes()).map(|(before, after)| after.saturating_sub(before));
    if next != sizes.items_long {
        return Err(format!("{next} of {} items came out", sizes.items_long).into());
    }
    let sets = [&count.inputs, &count.outputs].map(|count| count.load(Ordering::Relaxed));
    if sets != [lanes * depth; 2] {
        return Err(format!("{sets:?} input and output sets for {lanes} lanes of {depth}").into());
    }
    match grown {
        Some(grown) if grown > GROWTH_BYTES_MAX => {
            Err(format!("memory grew by {grown} B over {} items", sizes.items_long - warm).into())
        }
        _ => Ok(()),
    }
}

/// Memory of this process, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
