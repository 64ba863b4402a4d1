//! What a kernel can do wrong, and what it is told.

mod blocks;
mod cores;
mod flags;
mod not_modelled;
mod operands;
mod room;

use std::sync::Arc;

use expect_test::Expect;
use nbuffer_tile::*;

const V_MTE2: Event = Event::new(Pipe::V, Pipe::Mte2);
const MTE2_V: Event = Event::new(Pipe::Mte2, Pipe::V);

/// Tensors of 4096 elements for kernels to work on.
#[derive(Clone, Copy)]
struct Tensors {
    x: GlobalTensor<f32>,
    y: GlobalTensor<f32>,
}

type Outcome = Result<(), KernelError>;

fn try_on(
    device: &str,
    cores: usize,
    kernel: impl Fn(&Core, Tensors) -> Outcome + Sync,
) -> Result<Run, KernelError> {
    let profile = Arc::new(Profile::named(device).unwrap());
    let mut memory = GlobalMemory::new();
    let tensors = Tensors { x: memory.zeros(4096), y: memory.zeros(4096) };
    launch(&profile, &mut memory, &Launch::on(cores), |core| kernel(core, tensors))
}

#[track_caller]
fn check_on(device: &str, cores: usize, kernel: impl Fn(&Core, Tensors) -> Outcome + Sync, message: Expect) {
    let error = try_on(device, cores, kernel).expect_err("the kernel is wrong");
    message.assert_eq(&error.kind.to_string());
    assert!(error.at.file().contains("tests/mistakes/"), "the error is at {}", error.at);
}

/// Runs a kernel that is wrong on one core of a 910B1.
#[track_caller]
fn check(kernel: impl Fn(&Core, Tensors) -> Outcome + Sync, message: Expect) {
    check_on("910B1", 1, kernel, message);
}

/// A queue of `num` blocks of 1024 bytes.
fn queue<'c, P: Position>(pipe: &TPipe<'c>, num: u32) -> Result<TQue<'c, P>, KernelError> {
    pipe.init_buffer(num, 1024)
}
