//! How many instructions a second the AI Core simulator runs: the vendor's sample for double buffering, without values.
//! `cargo bench -p nbuffer-bench --bench tile`.
//!
//! What was simulated is checked before a time counts. A core's program and the simulator each have a thread.

use std::sync::Arc;
use std::time::Instant;

use nbuffer_bench::{CpuTimes, machine, quantile, verdict};
use nbuffer_tile::catalog::{Task, kernel};
use nbuffer_tile::{Advice, GlobalMemory, Launch, Profile, launch};

/// Elements of a tile, and instructions of one: copies, additions, flags.
const TILE: u32 = 10_240;
const INSTRUCTIONS: u64 = 23;

fn main() {
    // `cargo test --benches` only wants to see that everything still runs and is right.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let (rounds, tiles) = if quick { (1, 400) } else { (9, 80_000) };
    println!("{}; {rounds} rounds, {tiles} tiles of {INSTRUCTIONS} instructions", machine());
    println!("{:<12}{:>10}{:>10}{:>10}   million instructions a second", "cores", "median", "min", "max");
    for cores in [1, 8, 40] {
        let before = CpuTimes::now();
        let rates: Vec<f64> = (0..rounds).map(|_| rate(cores, tiles)).collect();
        let [low, median, high] = [0.0, 0.5, 1.0].map(|q| quantile(&rates, q));
        println!("{cores:<12}{median:>10.2}{low:>10.2}{high:>10.2}   {}", verdict(before));
    }
}

fn rate(cores: usize, tiles: u64) -> f64 {
    let profile = Arc::new(Profile::named("910B4").expect("it is built in"));
    let elements = tiles * u64::from(TILE);
    let task = Task { elements, tile: TILE, num: 2, repeat_op: 8, ..Task::default() };
    let mut memory = GlobalMemory::hollow();
    let prepared = kernel("add").expect("it is there").prepare(&task, &mut memory);
    let start = Instant::now();
    let run =
        launch(&profile, &mut memory, &Launch::on(cores), prepared.program).expect("the kernel is right");
    let took = start.elapsed().as_secs_f64();
    let planned = Advice::plan(&profile, kernel("add").expect("it is there"), &task, cores);
    let planned = planned.expect("the kernel is right").expect("it runs on V alone").plan.cycles;
    assert!((run.cycles / planned - 1.0).abs() < 0.1, "{} cycles, {planned} planned", run.cycles);
    assert_eq!(run.n_hazards, 0);
    let instructions: u64 = run.cores.iter().map(|core| core.instructions).sum();
    // The first two tiles of a core wait for no block.
    assert_eq!(instructions, tiles * INSTRUCTIONS - 6 * cores as u64);
    instructions as f64 / took / 1e6
}
