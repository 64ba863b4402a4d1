//! Rings of every depth, over every number of lanes.

use nbuffer_core::schedule::{LaneChoice, Sets};

use super::options;
use crate::models::Work;
use crate::stream::Prepared;
use crate::{Problem, Runner, Sizes};

/// Every item comes out right and in order, whatever the depth and the number of lanes.
pub(super) fn depths_and_lanes(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    for lanes in 1..=runner.lanes_max.min(4) {
        let prepared = Prepared::new(runner, sizes, Work::Power, 1, lanes)?;
        for depth in 1..=8 {
            let choice = if depth % 2 == 0 { LaneChoice::RoundRobin } else { LaneChoice::default() };
            let options = nbuffer_runtime::Options { lane_choice: choice, ..options(depth) };
            let ran = prepared.run(sizes.items, lanes, &options);
            ran.map_err(|why| format!("N = {depth}, {lanes} lanes: {why}"))?;
        }
    }
    Ok(())
}

/// Input and output of a set may go round together, and their numbers may differ.
pub(super) fn joint(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Copy, 1, 1)?;
    for sets in [
        Sets::Joint(1),
        Sets::Joint(4),
        Sets::Split { inputs: 1, outputs: 5 },
        Sets::Split { inputs: 5, outputs: 1 },
    ] {
        let options = nbuffer_runtime::Options { sets, ..options(1) };
        prepared.run(sizes.items, 1, &options).map_err(|why| format!("{sets:?}: {why}"))?;
    }
    Ok(())
}

/// Lanes say by how many calls their results come late, and only those with double buffering do so.
pub(super) fn lag(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Power, 1, 1)?;
    let info = prepared.device.info();
    if runner.double_buffer && !info.double_buffer {
        return Err(format!("`{}` says that it has no double buffering", info.name).into());
    }
    let lag = prepared.lane(0)?.lag();
    if (lag > 0) != runner.double_buffer {
        return Err(
            format!("results come {lag} calls late, double buffering is {}", runner.double_buffer).into()
        );
    }
    // Rings as deep as the lag and less can only go on with flush calls.
    for depth in 1..=lag + 1 {
        prepared.run(sizes.items, 1, &options(depth)).map_err(|why| format!("N = {depth}: {why}"))?;
    }
    Ok(())
}
