//! Several cores, and how a kernel ends.

use expect_test::expect;
use nbuffer_tile::*;

use crate::*;

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
    assert!(text.starts_with("core 3, ") && text.contains("cores.rs:"), "{text}");
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
