//! How many items a second virtual time simulates: five stages, one queued lane of four joint sets, two host
//! threads.
//!
//! ```text
//! cargo bench -p nbuffer-core --bench virtual_time
//! ```

use std::hint::black_box;
use std::time::Instant;

use nbuffer_bench::{CpuTimes, machine, quantile, verdict};
use nbuffer_core::schedule::{Config, LaneConfig, Sets};
use nbuffer_core::virtual_time::{DeviceModel, Setup, Simulation, Times};

/// What the design asks for.
const TARGET_PER_S: f64 = 2e6;

const TIMES: [u64; 5] = [1_000, 2_000, 4_000, 2_000, 1_000];

fn main() {
    // `cargo test --benches` only wants to know that it works.
    let measuring = std::env::args().any(|arg| arg == "--bench");
    let (items, n_rounds) = if measuring { (1_000_000, 21) } else { (2_000, 1) };
    println!("{}; {items} items a run, {n_rounds} runs", machine());
    let before = CpuTimes::now();
    println!("{:<8} {:>18} {:>19} {:>9}", "times", "million items/s", "10-90 %", "ns/item");
    round("fixed", Times::Fixed(TIMES), items, n_rounds, Some(4_000.0));
    let drawn = Times::Drawn { mean: TIMES, cv: [0.3; 5], seed: 1 };
    round("drawn", drawn, items, n_rounds, None);
    println!("target: {:.0} million items/s with fixed times; {}", TARGET_PER_S / 1e6, verdict(before));
}

fn round(name: &str, times: Times, items: u64, n_rounds: usize, period: Option<f64>) {
    let lanes = vec![LaneConfig { sets: Sets::Joint(4), lag: 0 }];
    let setup = Setup::new(Config::new(lanes, 2), DeviceModel::Queued, times, items);
    let simulate = || Simulation::new(black_box(&setup)).expect("the set-up is valid").run();

    let run = simulate();
    assert_eq!((run.totals.taken, run.totals.ok), (items, items));
    assert_eq!(run.measures.units()[0].kernels(), items);
    if period.is_some() {
        assert_eq!(run.measures.period(), period, "the kernel is to set the period");
    }

    let seconds: Vec<f64> = (0..n_rounds)
        .map(|_| {
            let start = Instant::now();
            black_box(simulate());
            start.elapsed().as_secs_f64()
        })
        .collect();
    let [low, median, high] = [0.9, 0.5, 0.1].map(|q| items as f64 / quantile(&seconds, q) / 1e6);
    println!("{name:<8} {median:>18.2} {:>19} {:>9.0}", format!("{low:.2}-{high:.2}"), 1e3 / median);
}
