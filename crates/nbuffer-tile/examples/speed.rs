use half::f16;
use nbuffer_tile::kernels::Add;
use nbuffer_tile::*;
use std::sync::Arc;
fn main() {
    let profile = Arc::new(Profile::named("910B4").unwrap());
    for cores in [1, 1, 1, 8, 40] {
        let mut memory = GlobalMemory::new();
        let x = memory.zeros::<f16>(400 << 20);
        let y = memory.zeros::<f16>(x.count());
        let z = memory.zeros::<f16>(x.count());
        let add = Add { x, y, z, tile: 10240, num: 2, repeat_op: 8 };
        let how = Launch { values: false, ..Launch::on(cores) };
        let start = std::time::Instant::now();
        let run = launch(&profile, &mut memory, &how, |core| add.run(core)).unwrap();
        let n: u64 = run.cores.iter().map(|c| c.instructions).sum();
        println!(
            "{cores} cores: {n} in {:?} = {:.2} M/s",
            start.elapsed(),
            n as f64 / start.elapsed().as_secs_f64() / 1e6
        );
    }
}
