//! Cycles that must not change when the simulator is made faster: the add kernel on cores that share everything.

use std::sync::Arc;

use half::f16;
use nbuffer_tile::kernels::Add;
use nbuffer_tile::*;

#[track_caller]
fn check(device: &str, cores: usize, elements: u64, tile: u32, num: u32, repeat_op: u32, cycles: f64) {
    let profile = Arc::new(Profile::named(device).unwrap());
    let mut memory = GlobalMemory::new();
    let [x, y, z] = [(); 3].map(|()| memory.zeros::<f16>(elements));
    let add = Add { x, y, z, tile, num, repeat_op };
    let how = Launch { values: false, ..Launch::on(cores) };
    let run = launch(&profile, &mut memory, &how, |core| add.run(core)).unwrap();
    let found = run.cycles;
    let close = (found - cycles).abs() < 1e-6 * cycles;
    assert!(close, "{device}, {cores} cores, tile {tile}, num {num}: {found} cycles, not {cycles}");
}

#[test]
fn cycles_stay() {
    check("910B4", 8, 80 << 20, 20480, 1, 8, 2367538.800212028);
    check("910B4", 8, 80 << 20, 10240, 2, 8, 1598640.0023402683);
    check("910B4", 40, 16 << 20, 4096, 2, 1, 44994.81112495494);
    check("910B1", 3, 1_000_016, 2048, 1, 2, 88997.05220883513);
    check("310P3", 8, 1 << 20, 1024, 2, 1, 48983.2775203377);
    check("910", 30, 3 << 20, 8192, 2, 4, 14935.811594202898);
}
