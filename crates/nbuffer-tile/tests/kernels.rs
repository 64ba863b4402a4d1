//! The kernels beside plain Rust: every size, tail, number of blocks and device.

use std::fmt::Debug;
use std::sync::Arc;

use half::f16;
use nbuffer_tile::kernels::{Add, LeakyRelu, Matmul, Move, ReduceSum, Softmax};
use nbuffer_tile::*;

const DEVICES: [&str; 4] = ["910B1", "910B4", "310P3", "910"];

fn device(name: &str) -> Arc<Profile> {
    Arc::new(Profile::named(name).unwrap())
}

/// Numbers from -64 to 63 in no order, the same ones every time.
fn elements<T: Element>(count: usize, seed: u64) -> Vec<T> {
    let number = |i: usize| {
        let mixed =
            (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed.wrapping_mul(0xD1B5));
        (mixed >> 57) as f64 - 64.0
    };
    (0..count).map(|i| T::of_f64(number(i))).collect()
}

/// Runs a kernel that has no hazards.
fn run(
    device_name: &str,
    memory: &mut GlobalMemory,
    cores: usize,
    kernel: impl Fn(&Core) -> Result<(), KernelError> + Sync,
) -> Run {
    let run = launch(&device(device_name), memory, &Launch::on(cores), kernel).unwrap();
    assert!(run.hazards.is_empty(), "{}", run.hazards[0]);
    assert_eq!(run.unchecked_copies, 0);
    run
}

/// Every device, number of cores, number of blocks, and sizes from one element to tiles with a tail.
fn for_all(check: impl Fn(&str, usize, u32, usize, u32)) {
    for name in DEVICES {
        for (elements, tile) in [(1, 64), (31, 16), (640, 64), (1000, 96), (5003, 1024)] {
            for (cores, num) in [(1, 1), (1, 2), (3, 2), (8, 1)] {
                check(name, cores, num, elements, tile);
            }
        }
    }
    check("910B1", 2, 3, 5003, 256);
}

#[track_caller]
fn assert_same<T: Element>(found: &[T], expected: impl Iterator<Item = T>, case: impl Debug) {
    let wrong = found.iter().zip(expected).enumerate().find(|(_, (found, expected))| *found != expected);
    assert!(wrong.is_none(), "{case:?}: {wrong:?}");
}

fn add<T: Element>(name: &str, cores: usize, num: u32, count: usize, tile: u32) {
    let mut memory = GlobalMemory::new();
    let (xs, ys) = (elements::<T>(count, 1), elements::<T>(count, 2));
    let (x, y, z) = (memory.tensor(&xs), memory.tensor(&ys), memory.zeros(count as u64));
    let add = Add { x, y, z, tile, num, repeat_op: 3 };
    run(name, &mut memory, cores, |core| add.run(core));
    let expected = xs.iter().zip(&ys).map(|(x, y)| Add::reference(*x, *y, 3));
    assert_same(memory.read(z), expected, (name, cores, num, count, tile));
}

#[test]
fn add_adds() {
    for_all(add::<f16>);
    for_all(add::<f32>);
    for_all(add::<i32>);
}

#[test]
fn leaky_relu_lets_a_part_of_negative_elements_through() {
    for_all(|name, cores, num, count, tile| {
        let mut memory = GlobalMemory::new();
        let xs = elements::<f16>(count, 3);
        let (x, y) = (memory.tensor(&xs), memory.zeros(count as u64));
        let slope = f16::from_f32(0.1);
        let kernel = LeakyRelu { x, y, slope, tile, num };
        run(name, &mut memory, cores, |core| kernel.run(core));
        let expected = xs.iter().map(|x| LeakyRelu::reference(*x, slope));
        assert_same(memory.read(y), expected, (name, cores, num, count, tile));
    });
}

#[test]
fn move_moves_bytes_as_they_are() {
    for_all(|name, cores, num, count, tile| {
        let mut memory = GlobalMemory::new();
        let xs = elements::<i8>(count, 4);
        let (x, y) = (memory.tensor(&xs), memory.zeros(count as u64));
        let kernel = Move { x, y, tile, num };
        run(name, &mut memory, cores, |core| kernel.run(core));
        assert_same(memory.read(y), xs.iter().copied(), (name, cores, num, count, tile));
    });
}

#[test]
fn reduce_sum_adds_up_what_each_core_has_and_then_the_cores() {
    for_all(|name, cores, num, count, tile| {
        let mut memory = GlobalMemory::new();
        // Whole numbers whose sums f32 holds: no order of adding gives another result.
        let xs = elements::<f32>(count, 5);
        let (x, sums, total) = (memory.tensor(&xs), memory.zeros(cores as u64), memory.zeros(1));
        let partial = ReduceSum { x, sums, tile, num };
        run(name, &mut memory, cores, |core| partial.run(core));
        let expected = ReduceSum::reference(&xs, cores);
        assert_same(
            memory.read(sums),
            expected.iter().map(|sum| *sum as f32),
            (name, cores, num, count, tile),
        );
        let last = ReduceSum { x: sums, sums: total, tile, num };
        run(name, &mut memory, 1, |core| last.run(core));
        assert_eq!(f64::from(memory.read(total)[0]), expected.iter().sum::<f64>());
    });
}

fn softmax<T: Element>(tolerance: f64) {
    for name in DEVICES {
        for (columns, n_rows, rows) in [(1, 5, 2), (8, 3, 1), (65, 7, 3), (640, 20, 4), (1000, 1, 1)] {
            for (cores, num) in [(1, 1), (3, 2), (8, 2)] {
                let case = (name, columns, n_rows, rows, cores, num);
                let mut memory = GlobalMemory::new();
                let mut xs = elements::<T>(columns * n_rows, 6);
                xs.iter_mut().for_each(|x| *x = T::of_f64(x.to_f64() / 16.0));
                let (x, y) = (memory.tensor(&xs), memory.zeros(xs.len() as u64));
                let kernel = Softmax { x, y, columns: columns as u32, rows, num };
                run(name, &mut memory, cores, |core| kernel.run(core));
                for (found, expected) in memory.read(y).iter().zip(Softmax::reference(&xs, columns)) {
                    let error = (found.to_f64() - expected).abs();
                    assert!(error <= tolerance * expected + 1e-7, "{case:?}: {found} for {expected}");
                }
            }
        }
    }
}

#[test]
fn softmax_of_rows() {
    softmax::<f32>(1e-5);
    softmax::<f16>(1e-2);
}

#[test]
fn softmax_of_a_row_longer_than_the_repeats_of_an_instruction() {
    let mut memory = GlobalMemory::new();
    let columns = 20_000;
    let xs = elements::<f32>(columns, 7);
    let (x, y) = (memory.tensor(&xs), memory.zeros(xs.len() as u64));
    let kernel = Softmax { x, y, columns: columns as u32, rows: 1, num: 1 };
    run("910B1", &mut memory, 1, |core| kernel.run(core));
    let sum: f64 = memory.read(y).iter().map(|y| f64::from(*y)).sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    let last = (memory.read(y)[columns - 1], Softmax::reference(&xs, columns)[columns - 1]);
    assert!((f64::from(last.0) - last.1).abs() <= 1e-5 * last.1, "{last:?}");
}

/// Sizes of a multiplication, and of its tiles: rows, columns, k in L1, k in L0.
type MatmulCase = ([u32; 3], [u16; 4]);

const MATMULS: [MatmulCase; 5] = [
    ([1, 1, 1], [16, 16, 32, 32]),
    ([16, 16, 64], [16, 16, 32, 32]),
    ([40, 50, 70], [16, 32, 64, 32]),
    ([33, 17, 100], [64, 64, 128, 64]),
    ([64, 48, 96], [32, 16, 96, 32]),
];

fn matmul<T: Factor, U: FromSum<T::Sum>>(name: &str) {
    for ([m, n, k], [tile_m, tile_n, tile_k, step_k]) in MATMULS {
        for (cores, num_l1, num_l0) in [(1, 1, 1), (1, 2, 2), (3, 2, 1), (8, 1, 2)] {
            let mut memory = GlobalMemory::new();
            // Small whole numbers: f32 holds every sum.
            let (xs, ys) = (elements::<T>((m * k) as usize, 8), elements::<T>((k * n) as usize, 9));
            let (a, b) = (memory.tensor(&xs), memory.tensor(&ys));
            let c = memory.zeros::<U>(u64::from(m) * u64::from(n));
            let kernel = Matmul { a, b, c, m, n, k, tile_m, tile_n, tile_k, step_k, num_l1, num_l0 };
            run(name, &mut memory, cores, |core| kernel.run(core));
            let expected = Matmul::<T, U>::reference(&xs, &ys, [m, n, k].map(|size| size as usize));
            assert_same(memory.read(c), expected.into_iter(), (name, m, n, k, cores, num_l1, num_l0));
        }
    }
}

#[test]
fn matmul_multiplies() {
    for name in ["910B1", "910B4"] {
        matmul::<f16, f32>(name);
        matmul::<f16, f16>(name);
        matmul::<f32, f32>(name);
        matmul::<i8, i32>(name);
    }
}

#[test]
fn a_second_block_in_l1_and_l0_makes_matmul_faster() {
    let cycles = |num| {
        let mut memory = GlobalMemory::new();
        let (m, n, k) = (128, 256, 2048);
        let (a, b) = (memory.zeros::<f16>(128 * 2048), memory.zeros(2048 * 256));
        let c = memory.zeros::<f32>(128 * 256);
        let (num_l1, num_l0) = (num, num);
        let kernel =
            Matmul { a, b, c, m, n, k, tile_m: 128, tile_n: 256, tile_k: 256, step_k: 64, num_l1, num_l0 };
        let how = Launch { values: false, ..Launch::on(1) };
        let run = launch(&device("910B1"), &mut memory, &how, |core| kernel.run(core)).unwrap();
        assert!(run.hazards.is_empty(), "{}", run.hazards[0]);
        run.cycles
    };
    let [one, two] = [1, 2].map(cycles);
    assert!(two < 0.8 * one, "{one} cycles with one block, {two} with two");
}

/// A product over a k that takes so many blocks of L0.
fn matmul_error(name: &str, num_l0: u32) -> String {
    let mut memory = GlobalMemory::new();
    let (a, b) = (memory.zeros::<f16>(16 * 256), memory.zeros(256 * 16));
    let c = memory.zeros::<f32>(16 * 16);
    let (m, n, k) = (16, 16, 256);
    let kernel =
        Matmul { a, b, c, m, n, k, tile_m: 16, tile_n: 16, tile_k: 256, step_k: 16, num_l1: 1, num_l0 };
    launch(&device(name), &mut memory, &Launch::on(1), |core| kernel.run(core)).unwrap_err().kind.to_string()
}

#[test]
fn cores_with_vector_and_cube_have_no_way_from_l0c_to_global_memory() {
    let why = "has no pipe FIX; the way from L0C through V that it has is not modelled";
    assert_eq!(matmul_error("310P3", 1), format!("fixpipe: architecture 2002 of device 310P3 {why}"));
    assert_eq!(matmul_error("910", 1), format!("fixpipe: architecture 1001 of device 910 {why}"));
}

#[test]
fn the_system_keeps_three_ids_of_m_mte1() {
    let message = matmul_error("910B1", 3);
    assert!(message.contains("all 5 ids of event M_MTE1 that kernels have are in use"), "{message}");
}

/// Two inputs of three blocks are six blocks freed and not yet taken again, and a 910 has four ids.
#[test]
fn three_blocks_of_two_inputs_are_more_than_the_ids_of_a_910() {
    let mut memory = GlobalMemory::new();
    let (x, y, z) = (memory.zeros::<f16>(4096), memory.zeros(4096), memory.zeros(4096));
    let add = Add { x, y, z, tile: 256, num: 3, repeat_op: 1 };
    let error = launch(&device("910"), &mut memory, &Launch::on(1), |core| add.run(core)).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Ids { ids: 4, .. }), "{error}");
}
