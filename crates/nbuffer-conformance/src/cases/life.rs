//! What lives how long.

use super::options;
use crate::models::Work;
use crate::payload;
use crate::stream::Prepared;
use crate::{Problem, Runner, Sizes};

/// Sets outlive their lane, and a stream outlives the handles of its device and program.
pub(super) fn released(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Copy, 1, 1)?;
    let mut memory = prepared.lane(0)?.memory;
    let (mut input, mut output) = (memory.input()?, memory.output()?);
    let inputs = prepared.program.inputs().to_vec();
    drop((memory, prepared));
    // Device, program and lane are gone; the memory must still be there to be written, read and given back.
    payload::fill(7, 1, &inputs, &mut input);
    output[0].bytes_mut().copy_from_slice(input[0].bytes());
    payload::check(Work::Copy, 7, 1, &inputs, &mut output)?;
    drop((input, output));

    let Prepared { device, program, .. } = Prepared::new(runner, sizes, Work::Copy, 1, 1)?;
    let again =
        program.open_lane(nbuffer_runtime::LaneOptions { lane: 0, double_buffer: runner.double_buffer });
    drop(device);
    drop(again?);
    Ok(())
}

/// A lane given up makes room for another; a device closed makes room for itself.
pub(super) fn reopened(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Power, 1, 1)?;
    for round in 0..5 {
        drop(prepared.lane(0)?);
        prepared.run(3, 1, &options(2)).map_err(|why| format!("round {round}: {why}"))?;
    }
    drop(prepared);
    for round in 0..3 {
        let prepared = Prepared::new(runner, sizes, Work::Power, 1, 1)?;
        prepared.run(3, 1, &options(2)).map_err(|why| format!("opened again, round {round}: {why}"))?;
    }
    Ok(())
}
