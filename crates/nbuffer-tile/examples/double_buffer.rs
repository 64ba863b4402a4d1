//! The vendor's sample for double buffering, beside what was measured.
use half::f16;
use nbuffer_tile::kernels::Add;
use nbuffer_tile::*;
use std::sync::Arc;
fn main() {
    let device = std::env::args().nth(1).unwrap_or("910B4".into());
    let profile = Arc::new(Profile::named(&device).unwrap());
    for (tile, num) in [(20480, 1), (10240, 2)] {
        let mut memory = GlobalMemory::new();
        let x = memory.zeros::<f16>(80 << 20);
        let y = memory.zeros::<f16>(x.count());
        let z = memory.zeros::<f16>(x.count());
        let add = Add { x, y, z, tile, num, repeat_op: 8 };
        let how = Launch { values: false, ..Launch::on(8) };
        let start = std::time::Instant::now();
        let run = launch(&profile, &mut memory, &how, |core| add.run(core)).unwrap();
        let core = &run.cores[0];
        let n: u64 = run.cores.iter().map(|c| c.instructions).sum();
        println!(
            "tile {tile} num {num}: {:.1} us; hazards {}; {} instr in {:?} = {:.1} M/s",
            profile.us(run.cycles),
            run.n_hazards,
            n,
            start.elapsed(),
            n as f64 / start.elapsed().as_secs_f64() / 1e6
        );
        for pipe in [Pipe::V, Pipe::Mte2, Pipe::Mte3] {
            let p = core.pipe(pipe);
            println!(
                "  {pipe}: busy {:.1} % {:.0} us, {:.1} GB/s; startup {:.0} conflicts {:.0} waits {:?}",
                100.0 * p.busy / run.cycles,
                profile.us(p.busy),
                p.bytes as f64 / profile.us(run.cycles) / 1e3,
                p.startup,
                p.conflicts,
                Wait::ALL.map(|w| (w.name(), p.waits.of(w).round()))
            );
        }
    }
}
