//! The scalar core reads and writes elements: at its time, in its order, and ordered with the other pipes by flags alone.

use std::sync::Arc;

use expect_test::{Expect, expect};
use half::f16;
use nbuffer_tile::*;

const MTE2_S: Event = Event::new(Pipe::Mte2, Pipe::S);
const V_S: Event = Event::new(Pipe::V, Pipe::S);
const S_V: Event = Event::new(Pipe::S, Pipe::V);
const S_MTE3: Event = Event::new(Pipe::S, Pipe::Mte3);
const V_MTE3: Event = Event::new(Pipe::V, Pipe::Mte3);
const MTE2_V: Event = Event::new(Pipe::Mte2, Pipe::V);

const N: u32 = 64;

/// `x` is 1, 2, 3, ...
type Kernel = dyn Fn(&Core, GlobalTensor<f32>, GlobalTensor<f32>) -> Result<(), KernelError> + Sync;

/// Runs a kernel on one core, with a device's times: `y` and the run.
fn run_on(device: &str, kernel: &Kernel) -> Result<(Vec<f32>, Run), KernelError> {
    let profile = Arc::new(Profile::named(device).unwrap());
    let mut memory = GlobalMemory::new();
    let x = memory.filled::<f32>(N.into(), |index| 1.0 + index as f32);
    let y = memory.zeros::<f32>(N.into());
    let run = launch(&profile, &mut memory, &Launch::on(1), |core| kernel(core, x, y))?;
    Ok((memory.read(y).to_vec(), run))
}

/// `y` of a kernel without hazards.
#[track_caller]
fn right(kernel: &Kernel) -> Vec<f32> {
    let (y, run) = run_on("910B1", kernel).unwrap();
    assert!(run.hazards.is_empty(), "{}", run.hazards[0]);
    y
}

#[track_caller]
fn racy(kernel: &Kernel, kind: HazardKind, first: &str, second: &str) -> Vec<f32> {
    let (y, run) = run_on("910B1", kernel).unwrap();
    let names = |party: &Party| (party.pipe.name(), party.name);
    let found = run.hazards.iter().find(|hazard| {
        hazard.kind == kind && names(&hazard.first).1 == first && names(&hazard.second).1 == second
    });
    assert!(found.is_some(), "{:?}", run.hazards.iter().map(ToString::to_string).collect::<Vec<_>>());
    y
}

fn then(core: &Core, event: Event) -> Result<(), KernelError> {
    core.set_flag(event, 0)?;
    core.wait_flag(event, 0)
}

/// `y = x / sum(x)`, or what it is without one of its flags.
fn normalised(
    left_out: Option<Event>,
) -> impl Fn(&Core, GlobalTensor<f32>, GlobalTensor<f32>) -> Result<(), KernelError> {
    move |core, x, y| {
        let then = |event| if left_out == Some(event) { Ok(()) } else { then(core, event) };
        let pipe = TPipe::new(core)?;
        let (input, sum): (TBuf<'_, VecIn>, TBuf<'_, VecCalc>) = (pipe.init_tbuf(256)?, pipe.init_tbuf(32)?);
        core.data_copy_in(input.get(), x, N)?;
        then(MTE2_V)?;
        core.reduce_sum::<f32>(sum.get(), input.get(), N)?;
        then(V_S)?;
        let factor = 1.0 / &core.get_value(sum.get::<f32>(), 0)?;
        core.muls(input.get(), input.get(), &factor, N)?;
        then(V_MTE3)?;
        core.data_copy_out(y, input.get(), N)
    }
}

#[test]
fn a_value_that_is_read_is_a_number_for_instructions() {
    let y = right(&normalised(None));
    let factor = 1.0 / (N * (N + 1) / 2) as f32;
    assert!(y.iter().zip(1..).all(|(y, x)| *y == x as f32 * factor), "{y:?}");
}

#[test]
fn a_value_that_is_read_too_early_is_something_else() {
    let y = racy(&normalised(Some(V_S)), HazardKind::ReadAfterWrite, "VCADD", "SCALAR_LOAD");
    assert_ne!(y[0], 1.0 / (N * (N + 1) / 2) as f32);
}

#[test]
fn a_value_is_read_in_its_turn_and_stays_what_it_was() {
    let y = right(&|core, x, y| {
        let pipe = TPipe::new(core)?;
        let buffer: TBuf<'_, VecIn> = pipe.init_tbuf(256)?;
        core.data_copy_in(buffer.get(), x, N)?;
        then(core, MTE2_S)?;
        let (first, tenth) = (core.get_value(buffer.get::<f32>(), 0)?, core.get_value(buffer.get(), 9)?);
        then(core, S_V)?;
        core.duplicate(buffer.get(), &tenth, N)?;
        then(core, V_S)?;
        let now = core.get_value(buffer.get::<f32>(), 0)?;
        // 1 + 10 * 10 - 3
        let all = &(&first + &(&now * &tenth)) - 3.0;
        core.duplicate(buffer.get(), &all, N)?;
        then(core, V_MTE3)?;
        core.data_copy_out(y, buffer.get(), N)
    });
    assert_eq!(y, [98.0; N as usize]);
}

#[test]
fn a_value_in_a_loop_takes_the_same_register_again() {
    let y = right(&|core, x, y| {
        let pipe = TPipe::new(core)?;
        let buffer: TBuf<'_, VecOut> = pipe.init_tbuf(256)?;
        let mut sum = core.get_value(x, 0)?;
        for index in 1..u64::from(N) {
            sum = &sum + &core.get_value(x, index)?;
        }
        core.duplicate(buffer.get(), &sum, N)?;
        then(core, V_MTE3)?;
        core.data_copy_out(y, buffer.get(), N)
    });
    assert_eq!(y, [(N * (N + 1) / 2) as f32; N as usize]);
}

/// Elements set one by one, then copied out: with a flag for it or without.
fn set_one_by_one(
    has_flag: bool,
) -> impl Fn(&Core, GlobalTensor<f32>, GlobalTensor<f32>) -> Result<(), KernelError> {
    move |core, _, y| {
        let pipe = TPipe::new(core)?;
        let buffer: TBuf<'_, VecOut> = pipe.init_tbuf(256)?;
        for index in 0..u64::from(N) {
            core.set_value(buffer.get(), index, 0.5 * index as f32)?;
        }
        if has_flag {
            then(core, S_MTE3)?;
        }
        core.data_copy_out(y, buffer.get(), N)
    }
}

#[test]
fn a_value_that_is_written_is_there_behind_a_flag() {
    let y = right(&set_one_by_one(true));
    assert!(y.iter().zip(0..).all(|(y, index)| *y == 0.5 * index as f32), "{y:?}");
    let y = racy(&set_one_by_one(false), HazardKind::ReadAfterWrite, "SCALAR_STORE", "MOV_UB_TO_OUT");
    assert_ne!(y[N as usize - 1], 0.5 * (N - 1) as f32);
}

#[test]
fn what_is_still_used_is_not_written_over() {
    racy(
        &|core, x, _| {
            let pipe = TPipe::new(core)?;
            let buffer: TBuf<'_, VecIn> = pipe.init_tbuf(256)?;
            core.data_copy_in(buffer.get(), x, N)?;
            core.set_value(buffer.get(), 63, 1.0_f32)
        },
        HazardKind::WriteAfterWrite,
        "MOV_OUT_TO_UB",
        "SCALAR_STORE",
    );
}

#[test]
fn what_it_wrote_itself_it_reads_without_a_flag() {
    let y = right(&|core, _, y| {
        core.set_value(y, 1, 7.0)?;
        let seven = core.get_value(y, 1)?;
        core.set_value(y, 2, &(&seven * 2.0))
    });
    assert_eq!(y[..4], [0.0, 7.0, 14.0, 0.0]);
}

#[test]
fn global_memory_is_read_and_written_with_the_same_hazards() {
    let kernel = |has_flag: bool| {
        move |core: &Core, x: GlobalTensor<f32>, y: GlobalTensor<f32>| {
            let pipe = TPipe::new(core)?;
            let through: TBuf<'_, VecIn> = pipe.init_tbuf(256)?;
            core.data_copy_in(through.get(), x, N)?;
            then(core, Event::new(Pipe::Mte2, Pipe::Mte3))?;
            core.data_copy_out(y, through.get(), N)?;
            if has_flag {
                then(core, Event::new(Pipe::Mte3, Pipe::S))?;
            }
            let last = core.get_value(y, 63)?;
            core.set_value(y, 0, &last)
        }
    };
    assert_eq!(right(&kernel(true))[0], 64.0);
    racy(&kernel(false), HazardKind::ReadAfterWrite, "MOV_UB_TO_OUT", "SCALAR_LOAD");
}

#[test]
fn every_type_computes_as_it_does_on_v() {
    fn check<T: Element>(from: T, of: impl for<'c> Fn(&Scalar<'c, T>) -> Scalar<'c, T> + Sync, expected: T) {
        let profile = Arc::new(Profile::named("910B1").unwrap());
        let mut memory = GlobalMemory::new();
        let x = memory.tensor(&[from]);
        let run = launch(&profile, &mut memory, &Launch::on(1), |core| {
            core.set_value(x, 0, &of(&core.get_value(x, 0)?))
        });
        run.unwrap();
        assert_eq!(memory.read(x), [expected]);
    }
    let f = f16::from_f32;
    check(f(1024.0), |x| x + f(0.125), f(1024.0));
    check(f(1.0), |x| x / f(3.0), f(1.0 / 3.0));
    check(i32::MAX, |x| x * x, 1);
    check(-125_i8, |x| 3 - x, -128);
}

#[test]
fn the_scalar_core_takes_its_time() {
    let kernel = |loads: u64| {
        run_on("910B1", &move |core, x, _| {
            (0..loads).try_for_each(|index| core.get_value(x, index).map(drop))
        })
    };
    let cycles = |loads| kernel(loads).unwrap().1.cycles;
    let unit = Profile::named("910B1").unwrap().scalar;
    assert_eq!(cycles(5) - cycles(2), 3.0 * unit.global_access);
    let (_, run) = kernel(5).unwrap();
    assert_eq!(run.cores[0].pipe(Pipe::S).instructions, 5);
}

#[track_caller]
fn check(kernel: &Kernel, message: Expect) {
    message.assert_eq(&run_on("910B1", kernel).unwrap_err().kind.to_string());
}

#[test]
fn elements_that_there_are_not() {
    check(
        &|core, x, _| core.get_value(x, 64).map(drop),
        expect!["the global tensor: 65 f32 are needed, 64 are there"],
    );
    check(
        &|core, _, y| core.set_value(y.at(60), u64::MAX, 1.0),
        expect!["the global tensor: 18446744073709551615 f32 are needed, 4 are there"],
    );
    check(
        &|core, _, _| {
            let pipe = TPipe::new(core)?;
            let buffer: TBuf<'_, VecCalc> = pipe.init_tbuf(32)?;
            core.set_value(buffer.get(), 8, 1.0_f32)
        },
        expect!["the tensor: 9 f32 are needed, 8 are there"],
    );
    check(
        &|core, _, _| {
            let pipe = TPipe::new(core)?;
            let queue: TQue<'_, A1> = pipe.init_buffer(1, 512)?;
            let block = queue.alloc_tensor::<f32>()?;
            core.get_value(block.view(), 0).map(drop)
        },
        expect!["the tensor lies in L1: get_value takes UB or global memory"],
    );
}

#[test]
fn the_scalar_core_waits_for_ever() {
    check(
        &|core, x, _| {
            core.wait_flag(V_S, 0)?;
            let value = core.get_value(x, 0)?;
            let pipe = TPipe::new(core)?;
            let buffer: TBuf<'_, VecCalc> = pipe.init_tbuf(256)?;
            core.duplicate(buffer.get(), &value, N)?;
            core.set_flag(V_S, 0)
        },
        expect![
            "pipe S waits for ever: nothing sets flag V_S 0 that does not itself wait for S; a loop's first wait needs a flag that is set before the loop"
        ],
    );
}
