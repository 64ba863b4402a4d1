//! Addresses, sizes, places.

use expect_test::{Expect, expect};
use half::f16;
use nbuffer_tile::*;

use crate::*;

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
