//! What comes out, and the memory it comes out in.

use nbuffer_runtime::HostBuffer;

use super::options;
use crate::models::Work;
use crate::stream::Prepared;
use crate::{Problem, Runner, Sizes};

/// Each kernel gives exactly the values of its formula.
pub(super) fn exact(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    for work in Work::ALL {
        Prepared::new(runner, sizes, work, 1, 1)?.run(sizes.items, 1, &options(2))?;
    }
    Ok(())
}

/// Items of one call do not get into each other's way, nor those of successive calls.
pub(super) fn batch(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Saxpy, 3, 1)?;
    for tensor in prepared.program.inputs().iter().chain(prepared.program.outputs()) {
        if tensor.shape().first() != Some(&3) {
            return Err(format!("`{}` has shape {:?} for a batch of 3", tensor.name(), tensor.shape()).into());
        }
    }
    prepared.run(sizes.items, 1, &options(3))?;
    Ok(())
}

/// A lane's memory gives one buffer per tensor, of its size, apart from all others, which keeps what is written.
pub(super) fn sets_fit(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Saxpy, 1, 1)?;
    let mut memory = prepared.lane(0)?.memory;
    let mut sets = Vec::new();
    for _ in 0..4 {
        sets.push((memory.input()?, memory.output()?));
    }
    let mut stamps = 1_u8..;
    for (input, output) in &mut sets {
        for (side, tensors, buffers) in [
            ("input", prepared.program.inputs(), &mut input[..]),
            ("output", prepared.program.outputs(), &mut output[..]),
        ] {
            if tensors.len() != buffers.len() {
                return Err(format!(
                    "an {side} set has {} buffers for {} tensors",
                    buffers.len(),
                    tensors.len()
                )
                .into());
            }
            for (tensor, buffer) in tensors.iter().zip(buffers) {
                if buffer.len() != tensor.size() {
                    return Err(format!(
                        "{side} `{}` has {} B of {}",
                        tensor.name(),
                        buffer.len(),
                        tensor.size()
                    )
                    .into());
                }
                let stamp = stamps.next().ok_or("a number for each buffer")?;
                buffer.bytes_mut().fill(stamp);
            }
        }
    }
    let mut stamps = 1_u8..;
    let mut keeps = |buffer: &HostBuffer| {
        let stamp = stamps.next();
        buffer.bytes().iter().all(|byte| Some(*byte) == stamp)
    };
    match sets.iter().all(|(input, output)| input.iter().all(&mut keeps) && output.iter().all(&mut keeps)) {
        true => Ok(()),
        false => Err("two buffers share memory".into()),
    }
}
