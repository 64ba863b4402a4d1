//! The life of a block.

use expect_test::expect;
use nbuffer_tile::*;

use crate::*;

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
    let source = include_str!("blocks.rs").lines().nth(error.at.line() as usize - 1).unwrap();
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
