//! What a kernel can do wrong, and what it is told.

use std::sync::Arc;

use expect_test::{Expect, expect};
use half::f16;
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
    assert!(error.at.file().ends_with("mistakes.rs"), "the error is at {}", error.at);
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

// Room.

#[test]
fn the_unified_buffer_is_too_small() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _x: TQue<'_, VecIn> = pipe.init_buffer(2, 40960)?;
            let _y: TQue<'_, VecIn> = pipe.init_buffer(2, 40950)?;
            let _t: TBuf<'_, VecCalc> = pipe.init_tbuf(1000)?;
            let _z: TQue<'_, VecOut> = pipe.init_buffer(2, 40960)?;
            Ok(())
        },
        expect![[r#"
            UB overflow: 246784 B are needed, 188160 B are there (the system keeps 8448 B more)
              VECIN 0        2 x    40960 B =     81920 B   43.5 %
              VECIN 1        2 x    40960 B =     81920 B   43.5 %
              VECCALC 0      1 x     1024 B =      1024 B    0.5 %
              VECOUT 0       2 x    40960 B =     81920 B   43.5 %
              VECOUT 0 fits with 2 x 11648 B; all fit with blocks of 76.2 % of their size"#]],
    );
}

#[test]
fn nothing_is_left_for_another_queue() {
    check_on(
        "310P3",
        1,
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _x: TQue<'_, VecIn> = pipe.init_buffer(1, 262_144)?;
            let _y: TQue<'_, VecOut> = pipe.init_buffer(4, u64::MAX)?;
            Ok(())
        },
        expect![[r#"
            UB overflow: 18446744073709551615 B are needed, 262144 B are there
              VECIN 0        1 x   262144 B =    262144 B  100.0 %
              VECOUT 0       4 x 18446744073709551615 B = 18446744073709551615 B 7036874417766400.0 %
              nothing is left for VECOUT 0; all fit with blocks of 0.0 % of their size"#]],
    );
}

#[test]
fn l1_and_l0_have_room_of_their_own() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _a: TQue<'_, A1> = pipe.init_buffer(2, 128 << 10)?;
            let _b: TQue<'_, B1> = pipe.init_buffer(2, 128 << 10)?;
            let _a: TQue<'_, A2> = pipe.init_buffer(2, 48 << 10)?;
            Ok(())
        },
        expect![[r#"
            L0A overflow: 98304 B are needed, 65536 B are there
              A2 0           2 x    49152 B =     98304 B  150.0 %
              A2 0 fits with 1 x 49152 B or with 2 x 32768 B; all fit with blocks of 66.6 % of their size"#]],
    );
}

#[test]
fn blocks_that_are_none() {
    for (num, len) in [(0, 32), (65, 32), (1, 0)] {
        let error = try_on("910B1", 1, |core, _| {
            let _x: TQue<'_, VecIn> = TPipe::new(core)?.init_buffer(num, len)?;
            Ok(())
        });
        let message = error.unwrap_err().kind.to_string();
        let begins = format!("init_buffer of VECIN 0 with {num} blocks of {len} B: from 1 to 64 blocks");
        assert!(message.starts_with(&begins), "{message}");
    }
}

#[test]
fn more_blocks_than_a_pipe_holds() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _x: TQue<'_, VecIn> = pipe.init_buffer(60, 32)?;
            let _t: TBuf<'_, VecCalc> = pipe.init_tbuf(32)?;
            let _y: TQue<'_, VecOut> = pipe.init_buffer(4, 32)?;
            Ok(())
        },
        expect!["65 blocks over all queues: a TPipe holds 64; merge inputs into one block, with offsets"],
    );
}

#[test]
fn a_second_pipe() {
    check(
        |core, _| {
            let _first = TPipe::new(core)?;
            TPipe::new(core).map(|_| ())
        },
        expect!["a second TPipe: a kernel has one at a time"],
    );
}

// The life of a block.

#[test]
fn alloc_with_no_free_block() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let queue = queue::<VecIn>(&pipe, 2)?;
            queue.enque(queue.alloc_tensor::<f32>()?)?;
            let _second = queue.alloc_tensor::<f32>()?;
            let _third = queue.alloc_tensor::<f32>()?;
            Ok(())
        },
        expect![
            "alloc_tensor of VECIN 0: none of its 2 blocks is free (1 allocated, 1 enqueued); on hardware this waits for ever: free or enque one before, or give the queue more blocks"
        ],
    );
}

#[test]
fn deque_of_an_empty_queue() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            queue::<VecIn>(&pipe, 2)?.deque::<f32>().map(|_| ())
        },
        expect!["deque of VECIN 0: nothing is enqueued"],
    );
}

#[test]
fn enque_beyond_the_depth() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let queue = queue::<VecIn>(&pipe, 2)?;
            queue.enque(queue.alloc_tensor::<f32>()?)?;
            queue.enque(queue.alloc_tensor::<f32>()?)
        },
        expect![
            "enque into VECIN 0: as many blocks are enqueued as its depth of 1 allows; deque one before, or give it a greater depth"
        ],
    );
}

#[test]
fn a_depth_of_two_takes_two() {
    let run = try_on("910B1", 1, |core, _| {
        let pipe = TPipe::new(core)?;
        let queue: TQue<'_, VecIn, 2> = pipe.init_buffer(2, 1024)?;
        for _ in 0..2 {
            queue.enque(queue.alloc_tensor::<f32>()?)?;
        }
        assert_eq!((queue.tensor_count(), queue.has_idle_buffer()), (2, false));
        assert_eq!((queue.has_tensor(), queue.has_vacancy()), (true, false));
        for _ in 0..2 {
            queue.free_tensor(queue.deque::<f32>()?)?;
        }
        assert_eq!((queue.tensor_count(), queue.has_idle_buffer()), (0, true));
        assert_eq!((queue.has_tensor(), queue.has_vacancy()), (false, true));
        Ok(())
    });
    run.unwrap();
}

#[test]
fn a_tensor_of_another_queue_enqueued() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let (x, y) = (queue::<VecIn>(&pipe, 1)?, queue::<VecIn>(&pipe, 1)?);
            y.enque(x.alloc_tensor::<f32>()?)
        },
        expect!["enque of VECIN 1: the tensor is a block of VECIN 0"],
    );
}

#[test]
fn a_tensor_of_another_queue_freed() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let (x, y) = (queue::<VecIn>(&pipe, 1)?, queue::<VecIn>(&pipe, 1)?);
            x.enque(x.alloc_tensor::<f32>()?)?;
            y.free_tensor(x.deque::<f32>()?)
        },
        expect!["free_tensor of VECIN 1: the tensor is a block of VECIN 0"],
    );
}

#[test]
fn free_before_enque() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let queue = queue::<VecIn>(&pipe, 1)?;
            queue.free_tensor(queue.alloc_tensor::<f32>()?)
        },
        expect!["free_tensor of VECIN 0: the block was allocated and not enqueued yet"],
    );
}

#[test]
fn a_forgotten_tensor() {
    let forget = |core: &Core, _: Tensors| {
        let pipe = TPipe::new(core)?;
        let queue = queue::<VecIn>(&pipe, 1)?;
        let _local = queue.alloc_tensor::<f32>()?;
        Ok(())
    };
    check(forget, expect!["a tensor of VECIN 0 was taken here and never given back: enque or free it"]);
    let error = try_on("910B1", 1, forget).unwrap_err();
    let source = include_str!("mistakes.rs").lines().nth(error.at.line() as usize - 1).unwrap();
    assert!(source.contains("let _local = queue.alloc_tensor"), "the error is at {}", error.at);
    assert_eq!(error.core, Some(0));
}

#[test]
fn a_tensor_forgotten_in_a_loop_is_found_at_the_next_instruction() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let queue = queue::<VecIn>(&pipe, 1)?;
            drop(queue.alloc_tensor::<f32>()?);
            loop {
                core.pipe_barrier(Pipe::V)?;
            }
        },
        expect!["a tensor of VECIN 0 was taken here and never given back: enque or free it"],
    );
}

/// The tensor is dropped by the early return of another error, which is the one to report.
#[test]
fn an_early_return_reports_its_own_error() {
    check(
        |core, Tensors { x, .. }| {
            let pipe = TPipe::new(core)?;
            let queue = queue::<VecIn>(&pipe, 1)?;
            let local = queue.alloc_tensor::<f32>()?;
            core.data_copy_in(local.view(), x, 257)?;
            queue.enque(local)
        },
        expect![
            "data_copy of 257 f32: 1028 B are no multiple of 32, and hardware copies 1024 B without a word; use data_copy_pad"
        ],
    );
}

#[test]
fn blocks_left_in_a_queue() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let queue = queue::<VecOut>(&pipe, 2)?;
            queue.enque(queue.alloc_tensor::<f32>()?)
        },
        expect!["the kernel ends while blocks of VECOUT 0 are not free: 1 enqueued"],
    );
}

/// Single-buffered queues, all enqueued at once.
fn enqueue_all(n_queues: usize) -> impl Fn(&Core, Tensors) -> Outcome {
    move |core, _| {
        let pipe = TPipe::new(core)?;
        let queues = (0..n_queues).map(|_| queue::<VecIn>(&pipe, 1)).collect::<Result<Vec<_>, _>>()?;
        for queue in &queues {
            queue.enque(queue.alloc_tensor::<f32>()?)?;
        }
        for queue in &queues {
            queue.free_tensor(queue.deque::<f32>()?)?;
        }
        Ok(())
    }
}

#[test]
fn out_of_event_ids() {
    assert!(try_on("910B1", 1, enqueue_all(8)).is_ok());
    check(
        enqueue_all(9),
        expect![
            "VECIN 8: all 8 ids of event MTE2_V that kernels have are in use; on hardware the kernel hangs: enqueue fewer blocks of this position at once, or merge inputs into one block, with offsets"
        ],
    );
    assert!(try_on("910", 1, enqueue_all(4)).is_ok());
    check_on(
        "910",
        1,
        enqueue_all(5),
        expect![
            "VECIN 4: all 4 ids of event MTE2_V that kernels have are in use; on hardware the kernel hangs: enqueue fewer blocks of this position at once, or merge inputs into one block, with offsets"
        ],
    );
}

#[test]
fn blocks_freed_and_not_taken_again_hold_ids_too() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let queue: TQue<'_, VecIn> = pipe.init_buffer(9, 32)?;
            for _ in 0..9 {
                queue.enque(queue.alloc_tensor::<f32>()?)?;
                queue.free_tensor(queue.deque::<f32>()?)?;
            }
            Ok(())
        },
        expect![
            "VECIN 0: all 8 ids of event V_MTE2 that kernels have are in use; on hardware the kernel hangs: enqueue fewer blocks of this position at once, or merge inputs into one block, with offsets"
        ],
    );
}

#[test]
fn waiting_for_freed_blocks_gives_their_ids_back() {
    let run = try_on("910B1", 1, |core, _| {
        let pipe = TPipe::new(core)?;
        let queue: TQue<'_, VecIn> = pipe.init_buffer(9, 32)?;
        for _ in 0..9 {
            queue.enque(queue.alloc_tensor::<f32>()?)?;
            queue.free_tensor(queue.deque::<f32>()?)?;
            queue.free_all_event()?;
        }
        Ok(())
    });
    run.unwrap();
}

// Flags.

#[test]
fn flags_that_cannot_be() {
    let set = |from, to, id| move |core: &Core, _: Tensors| core.set_flag(Event::new(from, to), id);
    check(
        set(Pipe::V, Pipe::V, 0),
        expect!["flag V_V with id 0: a pipe does not wait for itself; use pipe_barrier"],
    );
    check(
        set(Pipe::V, Pipe::Mte2, 8),
        expect!["flag V_MTE2 with id 8: there are fewer ids of an event on this device"],
    );
    check(
        set(Pipe::V, Pipe::M, 0),
        expect!["flag V_M with id 0: these pipes are on different cores of this architecture"],
    );
    check(set(Pipe::M, Pipe::Mte1, 2), expect!["flag M_MTE1 with id 2: the system keeps this id"]);
    check_on(
        "910",
        1,
        set(Pipe::V, Pipe::Mte2, 4),
        expect!["flag V_MTE2 with id 4: there are fewer ids of an event on this device"],
    );
    check_on(
        "910",
        1,
        set(Pipe::M, Pipe::Fix, 0),
        expect!["flag M_FIX with id 0: this architecture has no pipe FIX"],
    );
}

#[test]
fn a_flag_set_twice() {
    check(
        |core, _| {
            core.set_flag(MTE2_V, 3)?;
            core.set_flag(MTE2_V, 3)
        },
        expect![
            "set_flag MTE2_V 3: it is set already and nobody waited for it; what hardware does then is undefined"
        ],
    );
}

#[test]
fn a_flag_that_nobody_waits_for() {
    check(
        |core, _| core.set_flag(MTE2_V, 1),
        expect!["set_flag MTE2_V 1: the kernel ends and nobody waited for it"],
    );
}

#[test]
fn a_wait_for_a_flag_that_is_never_set() {
    check(
        |core, _| core.wait_flag(MTE2_V, 1),
        expect!["wait_flag MTE2_V 1: nothing sets it; on hardware pipe V hangs"],
    );
}

#[test]
fn a_second_wait_for_a_flag_that_is_set_once() {
    check(
        |core, _| {
            core.set_flag(MTE2_V, 1)?;
            core.wait_flag(MTE2_V, 1)?;
            core.wait_flag(MTE2_V, 1)?;
            core.wait_flag(MTE2_V, 1)
        },
        expect!["wait_flag MTE2_V 1: nothing sets it; on hardware pipe V hangs"],
    );
}

/// The flags of a single-buffered loop, with nothing to say before it that the buffer is free.
fn without_an_initial_set(tiles: u32) -> impl Fn(&Core, Tensors) -> Outcome {
    move |core, _| {
        for _ in 0..tiles {
            core.wait_flag(V_MTE2, 0)?;
            core.set_flag(MTE2_V, 0)?;
            core.wait_flag(MTE2_V, 0)?;
            core.set_flag(V_MTE2, 0)?;
        }
        Ok(())
    }
}

#[test]
fn a_first_wait_without_an_initial_set() {
    let told = expect![
        "pipe MTE2 waits for ever: nothing sets flag V_MTE2 0 that does not itself wait for MTE2; a loop's first wait needs a flag that is set before the loop"
    ];
    check(without_an_initial_set(4), told);
    // Longer than what lies between program and pipes: the program is stopped, and the error is still the deadlock.
    let error = try_on("910B1", 1, without_an_initial_set(100_000)).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Deadlock { pipe: Pipe::Mte2, .. }), "{error}");
}

#[test]
fn a_barrier_of_the_scalar_pipe() {
    check(
        |core, _| core.pipe_barrier(Pipe::S),
        expect!["pipe_barrier of pipe S: it is not allowed; the scalar core runs in order"],
    );
    check_on(
        "310P3",
        1,
        |core, _| core.pipe_barrier(Pipe::Fix),
        expect![
            "pipe_barrier: architecture 2002 of device 310P3 has no pipe FIX; the way from L0C through V that it has is not modelled"
        ],
    );
}

// Addresses, sizes, places.

/// Works on a block of 256 elements in the unified buffer, and one in L1.
#[track_caller]
fn check_call(
    call: impl Fn(&Core, Tensors, Local<'_, f32>, Local<'_, f32>) -> Outcome + Sync,
    message: Expect,
) {
    let kernel = |core: &Core, tensors: Tensors| {
        let pipe = TPipe::new(core)?;
        let ub: TBuf<'_, VecCalc> = pipe.init_tbuf(1024)?;
        let l1: TBuf<'_, A1> = pipe.init_tbuf(1024)?;
        call(core, tensors, ub.get(), l1.get())
    };
    check(kernel, message);
}

#[test]
fn unaligned_addresses() {
    check_call(
        |core, _, ub, _| core.adds(ub.at(8)?, ub.at(4)?, 1.0, 4_u32),
        expect!["a source at byte 16 of UB: the address must be a multiple of 32"],
    );
    check_call(
        |core, _, ub, _| core.adds(ub.at(1)?, ub, 1.0, 1_u32),
        expect!["the destination at byte 4 of UB: the address must be a multiple of 32"],
    );
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in(ub.at(2)?, x, 8),
        expect!["the local tensor at byte 8 of UB: the address must be a multiple of 32"],
    );
}

#[test]
fn a_copy_that_hardware_rounds_down() {
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in(ub, x, 9),
        expect![
            "data_copy of 9 f32: 36 B are no multiple of 32, and hardware copies 32 B without a word; use data_copy_pad"
        ],
    );
    check_call(
        |core, Tensors { y, .. }, ub, _| core.data_copy_out(y, ub, 7),
        expect![
            "data_copy of 7 f32: 28 B are no multiple of 32, and hardware copies 0 B without a word; use data_copy_pad"
        ],
    );
}

#[test]
fn views_beyond_the_end() {
    check_call(|_, _, ub, _| ub.at(257).map(|_| ()), expect!["view: 257 f32 are needed, 256 are there"]);
    let at_the_end = |core: &Core, _: Tensors| {
        let buffer: TBuf<'_, VecCalc> = TPipe::new(core)?.init_tbuf(1024)?;
        assert_eq!(buffer.get::<f32>().at(256)?.count(), 0);
        Ok(())
    };
    assert!(try_on("910B1", 1, at_the_end).is_ok());
}

#[test]
fn copies_beyond_the_end() {
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in(ub, x, 264),
        expect!["the local tensor: 264 f32 are needed, 256 are there"],
    );
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in(ub, x.at(4090), 8),
        expect!["the global tensor: 8 f32 are needed, 6 are there"],
    );
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in(ub, x.at(u64::MAX), 8),
        expect!["the global tensor: 8 f32 are needed, 0 are there"],
    );
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in(ub, x.first(8), 16),
        expect!["the global tensor: 16 f32 are needed, 8 are there"],
    );
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in(ub, x, u32::MAX - 7),
        expect!["the local tensor: 4294967288 f32 are needed, 256 are there"],
    );
    let huge =
        DataCopyParams { block_count: 4095, block_len: u16::MAX, src_gap: u16::MAX, dst_gap: u16::MAX };
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in_blocks(ub, x, huge),
        expect!["the local tensor: 4293328920 f32 are needed, 256 are there"],
    );
    check_call(
        |core, Tensors { y, .. }, ub, _| core.data_copy_out_blocks(y, ub, huge),
        expect!["the local tensor: 4293328920 f32 are needed, 256 are there"],
    );
    let huge =
        DataCopyPadParams { block_count: 4095, block_len: 2_097_151, src_gap: u32::MAX, dst_gap: u32::MAX };
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_pad_in(ub, x, huge, None),
        expect!["the local tensor: 140670915805200 f32 are needed, 256 are there"],
    );
    check_call(
        |core, Tensors { y, .. }, ub, _| core.data_copy_pad_out(y, ub, huge),
        expect!["the local tensor: 140670915805200 f32 are needed, 256 are there"],
    );
}

#[test]
fn a_tensor_of_another_memory() {
    let other = GlobalMemory::new().zeros::<f32>(1 << 20);
    check_call(
        |core, _, ub, _| core.data_copy_in(ub, other.at(8192), 8),
        expect!["a tensor of another GlobalMemory: 8200 f32 are needed, 4096 are there"],
    );
}

#[test]
fn vectors_beyond_the_end() {
    check_call(
        |core, _, ub, _| core.adds(ub, ub, 1.0, 257_u32),
        expect!["the destination: 257 f32 are needed, 256 are there"],
    );
    check_call(
        |core, _, ub, _| core.adds(ub, ub, 1.0, u32::MAX),
        expect!["the destination: 4294967295 f32 are needed, 256 are there"],
    );
    check_call(
        |core, _, ub, _| core.reduce_sum(ub, ub, u32::MAX),
        expect!["a source: 4294967295 f32 are needed, 256 are there"],
    );
    check_call(
        |core, _, ub, _| {
            let strides = Strides { block: [u16::MAX; 3], repeat: [u16::MAX; 3] };
            core.add(ub, ub, ub, Extent::first(64, 255, strides))
        },
        expect!["the destination: 136837088 f32 are needed, 256 are there"],
    );
    check_call(
        |core, _, ub, _| core.select_or(ub, ub.cast().at(1024)?, ub.at(128)?, 0.0, 128),
        expect!["a source: 16 u8 are needed, 0 are there"],
    );
    check_call(
        |core, _, ub, _| core.brcb(ub, ub.at(128)?, 5, Strides::default()),
        expect!["the destination: 320 f32 are needed, 256 are there"],
    );
}

#[test]
fn parameters_beyond_their_range() {
    let blocks = DataCopyParams { block_count: 4096, ..Default::default() };
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_in_blocks(ub, x, blocks),
        expect!["block_count is 4096: up to 4095 is possible"],
    );
    let long = DataCopyPadParams { block_count: 1, block_len: u32::MAX, ..Default::default() };
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_pad_in(ub, x, long, None),
        expect!["block_len is 4294967295: up to 2097151 bytes is possible"],
    );
    let pad = Some(Pad { left: 9, right: 0, value: 0.0 });
    let short = DataCopyPadParams { block_count: 1, block_len: 4, ..Default::default() };
    check_call(
        |core, Tensors { x, .. }, ub, _| core.data_copy_pad_in(ub, x, short, pad),
        expect!["pad.left is 36: up to 32 bytes is possible"],
    );
    check_call(
        |core, _, ub, _| core.adds(ub, ub, 1.0, Extent::first(65, 1, Strides::default())),
        expect![
            "elements of a repeat that the mask reaches is 65: up to 64, with elements of 4 bytes, is possible"
        ],
    );
    let standing = Strides { block: [1; 3], repeat: [0, 8, 8] };
    check_call(
        |core, _, ub, _| core.adds(ub, ub, 1.0, Extent::first(8, 2, standing)),
        expect!["destination stride is 0: from 1 is possible"],
    );
    check_call(
        |core, _, ub, _| core.compare(ub.cast(), ub.at(64)?, ub.at(128)?, Comparison::Lt, 32),
        expect!["bytes compared is 128: a multiple of 256 is possible"],
    );
}

#[test]
fn wrong_places() {
    check_call(
        |core, _, ub, l1| core.adds(l1, ub, 1.0, 8_u32),
        expect!["the destination lies in L1: adds takes UB"],
    );
    check_call(
        |core, _, ub, l1| core.adds(ub, l1, 1.0, 8_u32),
        expect!["a source lies in L1: adds takes UB"],
    );
    check_call(
        |core, Tensors { y, .. }, _, l1| core.data_copy_out(y, l1, 8),
        expect!["the local tensor lies in L1: data_copy takes UB"],
    );
    check_call(
        |core, _, ub, l1| core.load_data(ub, l1, LoadDataParams::default()),
        expect!["the destination lies in UB: load_data takes L0A or L0B"],
    );
    check_call(
        |core, _, ub, l1| core.mmad(ub, l1, l1, MmadParams::default()),
        expect!["c lies in UB: mmad takes L0C"],
    );
    check_call(
        |core, Tensors { y, .. }, ub, _| core.fixpipe(y, ub, FixpipeParams::default()),
        expect!["the source lies in UB: fixpipe takes L0C"],
    );
    let overlapping = FixpipeParams { m: 2, n: 16, dst_stride: 15 };
    check_call(
        |core, Tensors { y, .. }, ub, _| core.fixpipe(y, ub, overlapping),
        expect!["dst_stride is 15: at least n, so that rows do not overlap, is possible"],
    );
}

#[test]
fn operands_that_overlap_in_part() {
    check_call(
        |core, _, ub, _| core.adds(ub.at(8)?, ub, 1.0, 16_u32),
        expect!["adds: source and destination overlap in part; they must be the same or apart"],
    );
    // The same address with another stride: the second repeat would read what the first one wrote.
    check_call(
        |core, _, ub, _| {
            let strides = Strides { block: [1; 3], repeat: [8, 0, 8] };
            core.adds(ub, ub, 1.0, Extent::first(64, 2, strides))
        },
        expect!["adds: source and destination overlap in part; they must be the same or apart"],
    );
    check_call(
        |core, _, ub, _| core.cast::<f16, f32>(ub.cast(), ub, Rounding::None, 64_u32),
        expect!["cast: source and destination overlap in part; they must be the same or apart"],
    );
}

#[test]
fn operations_that_there_are_not() {
    check_call(
        |core, _, ub, _| core.exp::<i32>(ub.cast(), ub.cast(), 8_u32),
        expect!["exp: there is none for i32; cast to f16 or f32 before"],
    );
    check_call(
        |core, _, ub, _| core.adds::<u8>(ub.cast(), ub.cast(), 1, 32_u32),
        expect!["adds: there is no arithmetic on bytes; they hold the bits of comparisons"],
    );
    check_call(
        |core, _, ub, _| core.brcb::<i8>(ub.cast().at(32)?, ub.cast(), 1, Strides::default()),
        expect!["brcb: there is none for i8"],
    );
}

/// A matrix of 16 x 16 in L0A, L0B and L0C each.
#[track_caller]
fn check_mmad(params: MmadParams, message: Expect) {
    let kernel = |core: &Core, _: Tensors| {
        let pipe = TPipe::new(core)?;
        let a: TBuf<'_, A2> = pipe.init_tbuf(512)?;
        let b: TBuf<'_, B2> = pipe.init_tbuf(512)?;
        let c: TBuf<'_, Co1> = pipe.init_tbuf(1024)?;
        core.mmad::<f16>(c.get(), a.get(), b.get(), params)
    };
    check(kernel, message);
}

#[test]
fn matrices_beyond_the_end() {
    let of = |m, n, k| MmadParams { m, n, k, accumulates: false };
    check_mmad(of(17, 16, 16), expect!["c: 512 f32 are needed, 256 are there"]);
    check_mmad(of(16, 16, 17), expect!["a: 512 f16 are needed, 256 are there"]);
    check_mmad(of(16, 16, 4096), expect!["k is 4096: up to 4095 is possible"]);
}

// Cores.

/// Fills a block with ones and copies it out.
fn ones(core: &Core, copy_out: impl FnOnce(Local<'_, f32>) -> Outcome) -> Outcome {
    let pipe = TPipe::new(core)?;
    let queue = queue::<VecOut>(&pipe, 1)?;
    let local = queue.alloc_tensor::<f32>()?;
    core.duplicate(local.view(), 1.0, 256_u32)?;
    queue.enque(local)?;
    let local = queue.deque::<f32>()?;
    copy_out(local.view())?;
    queue.free_tensor(local)
}

#[test]
fn two_cores_that_write_one_place() {
    let tiles = |stride: u64| {
        move |core: &Core, Tensors { y, .. }: Tensors| {
            ones(core, |local| core.data_copy_out(y.at(core.block_idx() as u64 * stride), local, 256))
        }
    };
    assert!(try_on("910B1", 4, tiles(256)).is_ok());
    check_on(
        "910B1",
        4,
        tiles(248),
        expect!["cores 0 and 1 both write bytes 992..1024 of global tensor 1: what stays is chance"],
    );
    // Columns of 8 elements, 16 from one to the next: those of another core fit between them.
    let columns = |stride: u64| {
        move |core: &Core, Tensors { y, .. }: Tensors| {
            let params = DataCopyParams { block_count: 32, block_len: 1, src_gap: 0, dst_gap: 1 };
            let y = y.at(core.block_idx() as u64 * stride);
            ones(core, |local| core.data_copy_out_blocks(y, local, params))
        }
    };
    assert!(try_on("910B1", 2, columns(8)).is_ok());
    check_on(
        "910B1",
        2,
        columns(4),
        expect!["cores 0 and 1 both write bytes 16..32 of global tensor 1: what stays is chance"],
    );
}

#[test]
fn more_cores_than_there_are() {
    check_on("910B1", 49, |_, _| Ok(()), expect!["49 cores: device 910B1 has 48"]);
    check_on("310P3", 0, |_, _| Ok(()), expect!["0 cores: device 310P3 has 8"]);
}

#[test]
fn a_panic_ends_the_kernel_and_nothing_else() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _local = queue::<VecIn>(&pipe, 1)?.alloc_tensor::<f32>()?;
            panic!("no such thing: {}", 7)
        },
        expect!["the kernel panicked: no such thing: 7"],
    );
}

#[test]
fn the_first_core_with_an_error_is_named() {
    let error = try_on("910B1", 8, |core, _| {
        let n_waits = if core.block_idx() >= 3 { 1 } else { 0 };
        (0..n_waits).try_for_each(|_| core.wait_flag(MTE2_V, 0))
    });
    let error = error.unwrap_err();
    assert_eq!(error.core, Some(3));
    let text = error.to_string();
    assert!(text.starts_with("core 3, ") && text.contains("mistakes.rs:"), "{text}");
}

#[test]
fn a_loop_of_no_iterations_ends() {
    let run = try_on("910B1", 2, |core, Tensors { x, .. }| {
        let pipe = TPipe::new(core)?;
        let queue = queue::<VecIn>(&pipe, 2)?;
        for tile in 0..core.block_idx() as u64 * 2 {
            let local = queue.alloc_tensor::<f32>()?;
            core.data_copy_in(local.view(), x.at(256 * tile), 256)?;
            queue.enque(local)?;
            queue.free_tensor(queue.deque::<f32>()?)?;
        }
        Ok(())
    });
    let run = run.unwrap();
    assert_eq!((run.cores[0].instructions, run.cores[0].end), (0, 0.0));
    assert!(run.cores[1].end > 0.0);
    assert!(try_on("910B1", 1, |_, _| Ok(())).is_ok(), "a kernel that does nothing");
}

// What is not modelled.

#[test]
fn calls_that_are_not_modelled_say_so() {
    let cores = "cores do not wait for each other within a launch; give each its own part of the output, and launch once more on \
                 what they left";
    let message = |call: &(dyn Fn(&Core, Local<'_, f32>) -> Outcome + Sync)| {
        let kernel = |core: &Core, _: Tensors| {
            let pipe = TPipe::new(core)?;
            let buffer: TBuf<'_, VecCalc> = pipe.init_tbuf(256)?;
            call(core, buffer.get())
        };
        try_on("910B1", 2, kernel).unwrap_err().kind.to_string()
    };
    for (call, said) in [
        ("cross_core_set_flag", message(&|core, _| core.cross_core_set_flag(Pipe::Mte3, 0))),
        ("cross_core_wait_flag", message(&|core, _| core.cross_core_wait_flag(0))),
        ("sync_all", message(&|core, _| core.sync_all())),
    ] {
        assert_eq!(said, format!("{call} is not modelled: {cores}"));
    }
}

#[test]
fn a_queue_for_calls_in_place() {
    check(
        |core, _| {
            let pipe = TPipe::new(core)?;
            let _queue: TQue<'_, VecIn, 0> = pipe.init_buffer(1, 1024)?;
            Ok(())
        },
        expect![
            "a queue of depth 0 is not modelled: calls in place are not there; give the queue a depth of 1"
        ],
    );
}

/// A block that copies in fill and copies out empty has no flags for V between: these are set by hand, or it is a hazard.
#[test]
fn computing_in_place_between_two_copies_needs_flags_by_hand() {
    let kernel = |has_flags: bool| {
        move |core: &Core, Tensors { x, y }: Tensors| {
            let pipe = TPipe::new(core)?;
            let through: TQueBind<'_, VecIn, VecOut> = pipe.init_buffer(1, 1024)?;
            let flag = |event| {
                if has_flags {
                    core.set_flag(event, 0).and_then(|()| core.wait_flag(event, 0))
                } else {
                    Ok(())
                }
            };
            let local = through.alloc_tensor::<f32>()?;
            core.data_copy_in(local.view(), x, 256)?;
            flag(MTE2_V)?;
            core.adds(local.view(), local.view(), 1.0, 256)?;
            flag(Event::new(Pipe::V, Pipe::Mte3))?;
            through.enque(local)?;
            let local = through.deque::<f32>()?;
            core.data_copy_out(y, local.view(), 256)?;
            through.free_tensor(local)
        }
    };
    assert_eq!(try_on("910B1", 1, kernel(true)).unwrap().n_hazards, 0);
    let hazards = try_on("910B1", 1, kernel(false)).unwrap().hazards;
    assert!(hazards.iter().any(|hazard| hazard.kind == HazardKind::ReadAfterWrite), "{hazards:?}");
}
