//! The high-level form beside the queues it lowers to.

use std::sync::Arc;

use half::f16;
use nbuffer_tile::kernels::Add;
use nbuffer_tile::*;

const TILE: u32 = 2048;

fn memory(elements: u64) -> (GlobalMemory, [GlobalTensor<f16>; 3]) {
    let mut memory = GlobalMemory::new();
    let x = memory.filled(elements, |index| f16::from_f32((index % 997) as f32 / 8.0));
    let y = memory.filled(elements, |index| f16::from_f32((index % 31) as f32));
    let z = memory.zeros(elements);
    (memory, [x, y, z])
}

fn grid(core: &Core, [x, y, z]: [GlobalTensor<f16>; 3], num: u32, serial: bool) -> Result<(), KernelError> {
    let grid = Grid::over(x.count().div_ceil(TILE.into()))
        .input(Operand::new(x, TILE).buffered(num))
        .input(Operand::new(y, TILE).buffered(num))
        .output(Operand::new(z, TILE).buffered(num));
    let grid = if serial { grid.serial() } else { grid };
    grid.run(core, |tile| core.add(tile.outputs[0], tile.inputs[0], tile.inputs[1], tile.count))
}

#[test]
fn it_runs_as_the_queues_do() {
    let profile = Arc::new(Profile::named("910B4").unwrap());
    for (cores, num) in [(1, 1), (1, 2), (4, 1), (4, 2), (4, 3)] {
        // The last tile is shorter; on several cores all are whole, since these are cut in another way by hand.
        let elements = u64::from(TILE) * 24 + if cores == 1 { 160 } else { 0 };
        let (mut by_hand, [x, y, z]) = memory(elements);
        let add = Add { x, y, z, tile: TILE, num, repeat_op: 1 };
        let hand = launch(&profile, &mut by_hand, &Launch::on(cores), |core| add.run(core)).unwrap();
        let (mut by_grid, tensors) = memory(elements);
        let run = launch(&profile, &mut by_grid, &Launch::on(cores), |core| grid(core, tensors, num, false));
        let run = run.unwrap();
        assert!(run.hazards.is_empty());
        assert_eq!(run.cycles, hand.cycles, "{cores} cores, num {num}");
        assert_eq!(by_grid.read(tensors[2]), by_hand.read(z));
    }
}

#[test]
fn one_word_turns_pipelining_off() {
    let profile = Arc::new(Profile::named("910B4").unwrap());
    let [(on, z_on), (off, z_off)] = [false, true].map(|serial| {
        let (mut memory, tensors) = memory(u64::from(TILE) * 64);
        let run = launch(&profile, &mut memory, &Launch::on(1), |core| grid(core, tensors, 2, serial));
        (run.unwrap().cycles, memory.read(tensors[2]).to_vec())
    });
    assert!(off > 1.5 * on, "{off} against {on}");
    assert_eq!(z_on, z_off);
}

#[test]
fn blocks_of_a_matrix_and_index_maps() {
    let profile = Arc::new(Profile::named("910B1").unwrap());
    let (rows, row_len) = (8_u64, 64_u64);
    let mut memory = GlobalMemory::new();
    let x = memory.filled::<f32>(rows * row_len, |index| index as f32);
    let y = memory.zeros::<f32>(x.count());
    let tiles = rows * row_len / (4 * 16);
    let run = launch(&profile, &mut memory, &Launch::on(2), |core| {
        // Blocks of 4 x 16 in, and out in the reverse order, one behind the other.
        Grid::over(tiles)
            .input(Operand::matrix(x, row_len, 4, 16).buffered(2))
            .output(Operand::new(y, 64).at(|tile| 64 * (tiles - 1 - tile)).buffered(2))
            .run(core, |tile| core.adds(tile.outputs[0], tile.inputs[0], 0.5, tile.count))
    });
    assert!(run.unwrap().hazards.is_empty());
    for (index, found) in (0..).zip(memory.read(y)) {
        let (tile, within) = (tiles - 1 - index / 64, index % 64);
        let (row, column) = (tile / 4 * 4 + within / 16, tile % 4 * 16 + within % 16);
        assert_eq!(*found, (row * row_len + column) as f32 + 0.5, "element {index}");
    }
}

#[test]
fn rows_that_cannot_be_copied_are_named() {
    let profile = Arc::new(Profile::named("910B1").unwrap());
    let mut memory = GlobalMemory::new();
    let x = memory.zeros::<f32>(64 * 12);
    let run = launch(&profile, &mut memory, &Launch::on(1), |core| {
        Grid::over(1).input(Operand::matrix(x, 64, 4, 12)).output(Operand::new(x, 48)).run(core, |_| Ok(()))
    });
    let error = run.unwrap_err().to_string();
    assert!(error.contains("bytes of a block's row is 48: a multiple of 32 is possible"), "{error}");
}
