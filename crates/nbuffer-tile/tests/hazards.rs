//! Kernels that forget to wait: the values that they then get, and the report; and kernels that wait by hand and are right.

use std::sync::Arc;

use nbuffer_tile::*;

const TILE: u32 = 1024;
const BYTES: u64 = 4 * TILE as u64;
const TILES: u64 = 6;

const MTE2_V: Event = Event::new(Pipe::Mte2, Pipe::V);
const V_MTE2: Event = Event::new(Pipe::V, Pipe::Mte2);
const V_MTE3: Event = Event::new(Pipe::V, Pipe::Mte3);
const MTE3_V: Event = Event::new(Pipe::Mte3, Pipe::V);

/// What a kernel left behind: how many elements of `2 x` are right, and the hazards.
struct Outcome {
    right: usize,
    run: Run,
}

/// Runs a kernel on one core. It is to compute `y = 2 x`.
fn outcome(
    auto_sync: bool,
    kernel: impl Fn(&Core, GlobalTensor<f32>, GlobalTensor<f32>) -> Result<(), KernelError> + Sync,
) -> Outcome {
    let profile = Arc::new(Profile::named("910B1").unwrap());
    let mut memory = GlobalMemory::new();
    let xs: Vec<f32> = (0..TILES * u64::from(TILE)).map(|i| 1.0 + i as f32).collect();
    let x = memory.tensor(&xs);
    let y = memory.zeros::<f32>(x.count());
    let how = Launch { auto_sync, ..Launch::on(1) };
    let run = launch(&profile, &mut memory, &how, |core| kernel(core, x, y)).unwrap();
    let right = memory.read(y).iter().zip(&xs).filter(|(y, x)| **y == 2.0 * **x).count();
    Outcome { right, run }
}

impl Outcome {
    #[track_caller]
    fn is_right(&self) {
        assert!(self.run.hazards.is_empty(), "{}", self.run.hazards[0]);
        assert_eq!(self.right as u64, TILES * u64::from(TILE));
    }

    /// There is a hazard between two instructions, which are made by lines that begin like this.
    #[track_caller]
    fn names(&self, kind: HazardKind, first: &str, second: &str) {
        let source: Vec<&str> = include_str!("hazards.rs").lines().collect();
        let line = |party: &Party| source[party.at.line() as usize - 1].trim();
        let is_it = |hazard: &&Hazard| {
            hazard.kind == kind
                && line(&hazard.first).starts_with(first)
                && line(&hazard.second).starts_with(second)
        };
        let all: Vec<String> = self.run.hazards.iter().map(ToString::to_string).collect();
        assert!(self.run.hazards.iter().any(|hazard| is_it(&hazard)), "{all:#?}");
    }
}

/// The flags that a kernel with two buffers of one block leaves out.
#[derive(Clone, Copy, Default)]
struct LeavesOut {
    filled: bool,
    computed: bool,
    read: bool,
    written: bool,
}

/// `y = 2 x` with one block for each side and flags by hand.
fn by_hand(
    leaves_out: LeavesOut,
) -> impl Fn(&Core, GlobalTensor<f32>, GlobalTensor<f32>) -> Result<(), KernelError> {
    move |core, x, y| {
        let pipe = TPipe::new(core)?;
        let input: TBuf<'_, VecIn> = pipe.init_tbuf(BYTES)?;
        let output: TBuf<'_, VecOut> = pipe.init_tbuf(BYTES)?;
        let set = |out: bool, event| if out { Ok(()) } else { core.set_flag(event, 0) };
        let wait = |out: bool, event| if out { Ok(()) } else { core.wait_flag(event, 0) };
        set(leaves_out.read, V_MTE2)?;
        set(leaves_out.written, MTE3_V)?;
        for tile in 0..TILES {
            let at = tile * u64::from(TILE);
            wait(leaves_out.read, V_MTE2)?;
            core.data_copy_in(input.get(), x.at(at), TILE)?;
            set(leaves_out.filled, MTE2_V)?;
            wait(leaves_out.filled, MTE2_V)?;
            wait(leaves_out.written, MTE3_V)?;
            core.muls(output.get(), input.get(), 2.0_f32, TILE)?;
            set(leaves_out.read, V_MTE2)?;
            set(leaves_out.computed, V_MTE3)?;
            wait(leaves_out.computed, V_MTE3)?;
            core.data_copy_out(y.at(at), output.get(), TILE)?;
            set(leaves_out.written, MTE3_V)?;
        }
        wait(leaves_out.read, V_MTE2)?;
        wait(leaves_out.written, MTE3_V)
    }
}

/// The instructions of `by_hand`.
const COPY_IN: &str = "core.data_copy_in(input.get(), x.at(at), TILE)";
const MULS: &str = "core.muls(output.get(), input.get(), 2.0_f32, TILE)";
const COPY_OUT: &str = "core.data_copy_out(y.at(at), output.get(), TILE)";

#[test]
fn with_all_flags_it_is_right() {
    outcome(true, by_hand(LeavesOut::default())).is_right();
    outcome(false, by_hand(LeavesOut::default())).is_right();
}

#[test]
fn without_waiting_for_its_data_it_computes_on_something_else() {
    let outcome = outcome(true, by_hand(LeavesOut { filled: true, ..Default::default() }));
    assert!(outcome.right < TILE as usize, "{} right", outcome.right);
    outcome.names(HazardKind::ReadAfterWrite, COPY_IN, MULS);
}

#[test]
fn without_waiting_for_the_result_it_copies_something_else_out() {
    let outcome = outcome(true, by_hand(LeavesOut { computed: true, ..Default::default() }));
    assert!(outcome.right < (TILES * u64::from(TILE)) as usize);
    outcome.names(HazardKind::ReadAfterWrite, MULS, COPY_OUT);
}

#[test]
fn without_waiting_until_the_result_is_out_it_may_overwrite_it() {
    let outcome = outcome(true, by_hand(LeavesOut { written: true, ..Default::default() }));
    outcome.names(HazardKind::WriteAfterRead, COPY_OUT, MULS);
}

#[test]
fn without_waiting_until_the_data_is_read_it_may_overwrite_it() {
    let outcome = outcome(true, by_hand(LeavesOut { read: true, ..Default::default() }));
    outcome.names(HazardKind::WriteAfterRead, MULS, COPY_IN);
}

#[test]
fn without_any_flag_next_to_nothing_is_right() {
    let none = LeavesOut { filled: true, computed: true, read: true, written: true };
    let outcome = outcome(true, by_hand(none));
    assert_eq!(outcome.right, 0);
    assert!(outcome.run.n_hazards > TILES);
}

/// Two buffers a side, used in turn, each with a flag id of its own.
#[test]
fn double_buffered_by_hand_it_is_right_and_faster() {
    let double = outcome(true, |core, x, y| {
        let pipe = TPipe::new(core)?;
        let input: TBuf<'_, VecIn> = pipe.init_tbuf(2 * BYTES)?;
        let output: TBuf<'_, VecOut> = pipe.init_tbuf(2 * BYTES)?;
        for id in 0..2 {
            core.set_flag(V_MTE2, id)?;
            core.set_flag(MTE3_V, id)?;
        }
        for tile in 0..TILES {
            let (at, id) = (tile * u64::from(TILE), (tile % 2) as u8);
            let half = u32::from(id) * TILE;
            core.wait_flag(V_MTE2, id)?;
            core.data_copy_in(input.get().at(half)?, x.at(at), TILE)?;
            core.set_flag(MTE2_V, id)?;
            core.wait_flag(MTE2_V, id)?;
            core.wait_flag(MTE3_V, id)?;
            core.muls(output.get().at(half)?, input.get().at(half)?, 2.0_f32, TILE)?;
            core.set_flag(V_MTE2, id)?;
            core.set_flag(V_MTE3, id)?;
            core.wait_flag(V_MTE3, id)?;
            core.data_copy_out(y.at(at), output.get().at(half)?, TILE)?;
            core.set_flag(MTE3_V, id)?;
        }
        for id in 0..2 {
            core.wait_flag(V_MTE2, id)?;
            core.wait_flag(MTE3_V, id)?;
        }
        Ok(())
    });
    double.is_right();
    let single = outcome(true, by_hand(LeavesOut::default()));
    assert!(double.run.cycles < 0.9 * single.run.cycles, "{} {}", double.run.cycles, single.run.cycles);
}

/// `y = 2 x` through an intermediate result, with a barrier of the vector pipe or without.
fn in_two_steps(
    has_barrier: bool,
) -> impl Fn(&Core, GlobalTensor<f32>, GlobalTensor<f32>) -> Result<(), KernelError> {
    move |core, x, y| {
        let pipe = TPipe::new(core)?;
        let input: TQue<'_, VecIn> = pipe.init_buffer(1, BYTES)?;
        let between: TBuf<'_, VecCalc> = pipe.init_tbuf(BYTES)?;
        let output: TQue<'_, VecOut> = pipe.init_buffer(1, BYTES)?;
        for tile in 0..TILES {
            let at = tile * u64::from(TILE);
            let local = input.alloc_tensor::<f32>()?;
            core.data_copy_in(local.view(), x.at(at), TILE)?;
            input.enque(local)?;
            let (local, result) = (input.deque::<f32>()?, output.alloc_tensor::<f32>()?);
            if has_barrier {
                core.pipe_barrier(Pipe::V)?;
            }
            core.muls(between.get(), local.view(), 4.0_f32, TILE)?;
            if has_barrier {
                core.pipe_barrier(Pipe::V)?;
            }
            core.muls(result.view(), between.get(), 0.5_f32, TILE)?;
            output.enque(result)?;
            input.free_tensor(local)?;
            let result = output.deque::<f32>()?;
            core.data_copy_out(y.at(at), result.view(), TILE)?;
            output.free_tensor(result)?;
        }
        Ok(())
    }
}

#[test]
fn dependent_vector_instructions_need_a_barrier_unless_the_compiler_puts_it() {
    outcome(true, in_two_steps(false)).is_right();
    outcome(false, in_two_steps(true)).is_right();
    let outcome = outcome(false, in_two_steps(false));
    outcome.names(HazardKind::ReadAfterWrite, "core.muls(between.get()", "core.muls(result.view()");
}

#[test]
fn copies_in_to_one_place_need_a_barrier() {
    let kernel = |has_barrier: bool| {
        move |core: &Core, x: GlobalTensor<f32>, _: GlobalTensor<f32>| {
            let pipe = TPipe::new(core)?;
            let input: TBuf<'_, VecIn> = pipe.init_tbuf(BYTES)?;
            core.data_copy_in(input.get(), x, TILE)?;
            if has_barrier {
                core.pipe_barrier(Pipe::Mte2)?;
            }
            core.data_copy_in(input.get().at(TILE / 2)?, x, TILE / 2)
        }
    };
    assert!(outcome(true, kernel(true)).run.hazards.is_empty());
    let outcome = outcome(true, kernel(false));
    let (first, second) = ("core.data_copy_in(input.get(), x, TILE)", "core.data_copy_in(input.get().at(");
    outcome.names(HazardKind::WriteAfterWrite, first, second);
    let hazard = outcome.run.hazards[0];
    assert_eq!((hazard.start, hazard.end), (BYTES / 2, BYTES));
    let text = hazard.to_string();
    let begins = "core 0: WAW hazard on UB bytes 2048..4096: nothing makes MTE2 MOV_OUT_TO_UB (";
    assert!(text.starts_with(begins) && text.contains(") wait for MTE2 MOV_OUT_TO_UB ("), "{text}");
}

#[test]
fn a_barrier_of_all_pipes_orders_everything() {
    let outcome = outcome(false, |core, x, y| {
        let pipe = TPipe::new(core)?;
        let input: TBuf<'_, VecIn> = pipe.init_tbuf(BYTES)?;
        for tile in 0..TILES {
            let at = tile * u64::from(TILE);
            core.data_copy_in(input.get(), x.at(at), TILE)?;
            core.pipe_barrier_all()?;
            core.muls(input.get(), input.get(), 2.0_f32, TILE)?;
            core.pipe_barrier_all()?;
            core.data_copy_out(y.at(at), input.get(), TILE)?;
            core.pipe_barrier_all()?;
        }
        Ok(())
    });
    outcome.is_right();
}

#[test]
fn the_same_kernel_gives_the_same_wrong_values_every_time() {
    let none = LeavesOut { filled: true, ..Default::default() };
    let run = || {
        let Outcome { right, run } = outcome(true, by_hand(none));
        (right, run.cycles, run.hazards)
    };
    assert_eq!(run(), run());
}

/// Writes a tile of `y` and reads it back.
fn through_global_memory(
    flag: Option<Event>,
) -> impl Fn(&Core, GlobalTensor<f32>, GlobalTensor<f32>) -> Result<(), KernelError> {
    move |core, x, y| {
        let pipe = TPipe::new(core)?;
        let through: TQueBind<'_, VecIn, VecOut> = pipe.init_buffer(1, BYTES)?;
        let back: TBuf<'_, VecIn> = pipe.init_tbuf(BYTES)?;
        let local = through.alloc_tensor::<f32>()?;
        core.data_copy_in(local.view(), x, TILE)?;
        through.enque(local)?;
        let local = through.deque::<f32>()?;
        core.data_copy_out(y.at(64), local.view(), TILE)?;
        through.free_tensor(local)?;
        if let Some(event) = flag {
            core.set_flag(event, 3)?;
            core.wait_flag(event, 3)?;
        }
        core.data_copy_in(back.get(), y, TILE)
    }
}

#[test]
fn what_was_written_to_global_memory_is_waited_for_before_it_is_read() {
    let (out, back) = ("core.data_copy_out(y.at(64)", "core.data_copy_in(back.get(), y, TILE)");
    let ordered = outcome(true, through_global_memory(Some(Event::new(Pipe::Mte3, Pipe::Mte2))));
    assert!(ordered.run.hazards.is_empty(), "{}", ordered.run.hazards[0]);
    let racy = outcome(true, through_global_memory(None));
    racy.names(HazardKind::ReadAfterWrite, out, back);
    let text = racy.run.hazards[0].to_string();
    let begins = "core 0: RAW hazard on global tensor 1 bytes 256..4096: nothing makes MTE2 MOV_OUT_TO_UB (";
    assert!(text.starts_with(begins) && text.contains(") wait for MTE3 MOV_UB_TO_OUT ("), "{text}");
    // Another pipe that waits does not help.
    let other = outcome(true, through_global_memory(Some(MTE3_V)));
    other.names(HazardKind::ReadAfterWrite, out, back);
}

#[test]
fn copies_out_to_one_place_need_a_barrier() {
    let kernel = |has_barrier: bool| {
        move |core: &Core, _: GlobalTensor<f32>, y: GlobalTensor<f32>| {
            let pipe = TPipe::new(core)?;
            let output: TBuf<'_, VecOut> = pipe.init_tbuf(BYTES)?;
            core.data_copy_out(y, output.get(), TILE)?;
            if has_barrier {
                core.pipe_barrier(Pipe::Mte3)?;
            }
            core.data_copy_out(y.at(8), output.get(), 8)
        }
    };
    assert!(outcome(true, kernel(true)).run.hazards.is_empty());
    let (first, second) = ("core.data_copy_out(y, output.get(), TILE)", "core.data_copy_out(y.at(8)");
    outcome(true, kernel(false)).names(HazardKind::WriteAfterWrite, first, second);
}

/// What everybody knows of is forgotten, what somebody does not know of is not: however long the kernel.
#[test]
fn a_long_kernel_finds_only_the_hazard_that_there_is() {
    let profile = Arc::new(Profile::named("910B1").unwrap());
    let mut memory = GlobalMemory::hollow();
    let tiles = 5000;
    let [x, y] = [(); 2].map(|()| memory.zeros::<f32>(8 * tiles));
    let run = launch(&profile, &mut memory, &Launch::on(1), |core| {
        let pipe = TPipe::new(core)?;
        let through: TQueBind<'_, VecIn, VecOut> = pipe.init_buffer(2, 32)?;
        for tile in 0..tiles {
            let local = through.alloc_tensor::<f32>()?;
            core.data_copy_in(local.view(), x.at(8 * tile), 8)?;
            through.enque(local)?;
            let local = through.deque::<f32>()?;
            core.data_copy_out(y.at(8 * tile), local.view(), 8)?;
            through.free_tensor(local)?;
        }
        // The last tile but one is known to be out, the last one is not.
        let local = through.alloc_tensor::<f32>()?;
        core.data_copy_in(local.view(), y.at(8 * (tiles - 2)), 8)?;
        core.data_copy_in(local.view(), y.at(8 * (tiles - 1)), 8)?;
        through.enque(local)?;
        let local = through.deque::<f32>()?;
        through.free_tensor(local)
    });
    let run = run.unwrap();
    let global: Vec<_> =
        run.hazards.iter().filter(|hazard| matches!(hazard.place, Place::Global(_))).collect();
    let [hazard] = global[..] else { panic!("{global:#?}") };
    assert_eq!((hazard.kind, hazard.start), (HazardKind::ReadAfterWrite, 32 * (tiles - 1)));
}

#[test]
fn a_core_that_reads_what_another_one_writes() {
    let profile = Arc::new(Profile::named("910B1").unwrap());
    let launched = |shift: u64| {
        let mut memory = GlobalMemory::new();
        let y = memory.zeros::<f32>(8 * u64::from(TILE));
        let run = launch(&profile, &mut memory, &Launch::on(4), |core| {
            let pipe = TPipe::new(core)?;
            let output: TBuf<'_, VecOut> = pipe.init_tbuf(BYTES)?;
            let input: TBuf<'_, VecIn> = pipe.init_tbuf(BYTES)?;
            let own = core.block_idx() as u64 * u64::from(TILE);
            core.data_copy_out(y.at(own), output.get(), TILE)?;
            core.pipe_barrier_all()?;
            core.data_copy_in(input.get(), y.at(own + shift), TILE)
        });
        run.unwrap()
    };
    assert_eq!(launched(0).n_hazards, 0);
    assert_eq!(launched(4 * u64::from(TILE)).n_hazards, 0);
    let run = launched(u64::from(TILE) / 2);
    let source: Vec<&str> = include_str!("hazards.rs").lines().collect();
    let line = |party: &Party| source[party.at.line() as usize - 1].trim();
    for (core, hazard) in run.hazards.iter().enumerate() {
        let Hazard { kind, place, first, second, .. } = hazard;
        assert_eq!((kind, place), (&HazardKind::ReadAfterWrite, &Place::Global(0)));
        assert_eq!((first.core, second.core), (core + 1, core));
        assert!(line(first).starts_with("core.data_copy_out(y.at(own)"), "{hazard}");
        assert!(line(second).starts_with("core.data_copy_in(input.get(), y.at(own + shift)"), "{hazard}");
    }
    assert_eq!((run.hazards.len(), run.n_hazards), (3, 3));
    let text = run.hazards[0].to_string();
    assert!(
        text.starts_with(
            "cores 1 and 0: RAW hazard on global tensor 0 bytes 4096..6144: nothing makes MTE2 "
        ),
        "{text}"
    );
    assert!(
        text.contains(" of core 0 wait for MTE3 MOV_UB_TO_OUT (") && text.contains(") of core 1; launch"),
        "{text}"
    );
}
