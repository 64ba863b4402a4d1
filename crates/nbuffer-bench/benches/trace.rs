//! What tracing costs: a span by itself, and a pipeline with and without it, in turn, in one run.
//! `cargo bench -p nbuffer-bench --bench trace`.
//!
//! What was traced is checked before a time counts.

use std::hint::black_box;
use std::time::{Duration, Instant};

use nbuffer_bench::{CpuTimes, machine, quantile, verdict};
use nbuffer_core::measure::Stage;
use nbuffer_core::schedule::{Outcome, Slot, Transit};
use nbuffer_core::trace::{Interval, JOURNEY_BYTES, Topology, Tracer};
use nbuffer_runtime::{Around, Lane, Options, Pipeline};

/// Items under way, and threads.
const TOKENS: usize = 4;
const THREADS: usize = 2;

/// Source, preprocess, call, write, kernel, read and postprocess.
const SPANS: u64 = 7;

fn main() {
    // `cargo test --benches` only wants to see that everything still runs and is right.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let (rounds, items, empty, busy) =
        if quick { (1, 2_000, 1_000, 50) } else { (9, 1_000_000, 300_000, 15_000) };
    println!("{}; {rounds} rounds in turn; a journey takes {JOURNEY_BYTES} B", machine());
    alone(items, rounds);
    for (title, items, us) in [("3 empty stages", empty, 0.0), ("stages of 10, 20, 10 us", busy, 20.0)] {
        in_a_pipeline(title, items, us, rounds);
    }
}

/// Everything a pipeline tells a tracer, without the pipeline: a trace that grows, and one that is full.
fn alone(items: u64, rounds: usize) {
    let before = CpuTimes::now();
    let mut rows = Vec::new();
    for (name, room) in [("into new memory", items as usize * 2), ("full: the end is overwritten", 4096)] {
        let times = (0..rounds).map(|_| {
            let mut tracer = Tracer::new(room, TOKENS);
            let start = Instant::now();
            (0..items).for_each(|sequence| trace_item(&mut tracer, sequence));
            let took = start.elapsed().as_nanos() as f64;
            check_tracer(&tracer, items, room);
            took / (items * SPANS) as f64
        });
        rows.push((name, times.collect::<Vec<_>>()));
    }
    println!("\na span by itself, {SPANS} an item, {items} items; {}", verdict(before));
    println!("{:<44}{:>10}{:>10}{:>10}", "ns a span", "median", "min", "max");
    rows.iter().for_each(|(name, times)| row(name, times, 1));
}

fn trace_item(tracer: &mut Tracer, sequence: u64) {
    let at = |step: u64| sequence * 1000 + step * 10;
    let time = |step: u64| Interval { start: at(step), end: at(step + 1) };
    let transit = Transit::new(0, (sequence % 4) as usize, (sequence % 3) as usize, sequence);
    let slot = |set: u64| Slot::new(0, set as usize, sequence);
    tracer.taken(sequence, time(0));
    tracer.host_begins(slot(sequence % 4), Stage::Preprocess);
    tracer.host_ends(sequence, Stage::Preprocess, time(1));
    tracer.call_begins(transit, at(2));
    tracer.device_stage(sequence, Stage::Write, time(2));
    tracer.device_stage(sequence, Stage::Kernel, time(3));
    tracer.device_stage(sequence, Stage::Read, time(4));
    tracer.call_ends(sequence, at(5));
    tracer.input_free(sequence, at(5));
    tracer.landed(sequence, at(5));
    tracer.host_begins(slot(sequence % 3), Stage::Postprocess);
    tracer.host_ends(sequence, Stage::Postprocess, time(5));
    tracer.delivered(sequence, Outcome::Ok, at(6));
}

fn check_tracer(tracer: &Tracer, items: u64, room: usize) {
    let trace = tracer.trace(Topology::new("device", &[], THREADS));
    assert_eq!(trace.journeys.len() as u64, items.min(room as u64));
    assert_eq!(trace.left_out + trace.journeys.len() as u64, items);
    for journey in &trace.journeys {
        let at = journey.sequence * 1000;
        let spans = [journey.source, journey.call, journey.write, journey.kernel, journey.read];
        let starts = spans.map(|span| span.expect("it was told").start);
        assert_eq!(starts, [at, at + 20, at + 20, at + 30, at + 40]);
        assert_eq!(journey.postprocess.expect("it was told").1.end, journey.delivered);
    }
}

fn in_a_pipeline(title: &str, items: u64, us: f64, rounds: usize) {
    let mut times = [Vec::new(), Vec::new()];
    let before = CpuTimes::now();
    for round in 0..rounds * 2 {
        // Off and on, then on and off: what drifts counts for both.
        for traced in if round % 2 == 0 { [false, true] } else { [true, false] } {
            times[usize::from(traced)].push(run(items, us, traced));
        }
    }
    println!("\n{title}, {items} items, every item timed; {}", verdict(before));
    println!("{:<44}{:>10}{:>10}{:>10}", "ns an item", "median", "min", "max");
    row("tracing off", &times[0], 0);
    row("tracing on", &times[1], 0);
    let ratio: Vec<f64> = times[0].iter().zip(&times[1]).map(|(off, on)| off / on).collect();
    let [low, median, high] = [0.25, 0.5, 0.75].map(|q| quantile(&ratio, q));
    println!("throughput with tracing on over off: median {median:.3}, quartiles {low:.3} to {high:.3}");
}

fn run(items: u64, us: f64, traced: bool) -> f64 {
    let trace = traced.then_some(16_384);
    let options = Options { trace, ..Options::new(TOKENS, THREADS) };
    let stages = Around::new(move |x: u64| work(x, us / 2.0) + 1, move |x: u64| work(x, us / 2.0) ^ 5);
    let lane = Lane::closure(move |x: u64| work(x, us) * 3);
    let start = Instant::now();
    let mut pipeline =
        Pipeline::start(0..items, stages, vec![lane], &options).expect("the options are valid");
    let mut next = 0;
    for result in pipeline.by_ref() {
        assert_eq!(result.expect("no item fails"), ((next + 1) * 3) ^ 5);
        next += 1;
    }
    let took = start.elapsed().as_nanos() as f64;
    assert_eq!(next, items);
    if let Some(trace) = pipeline.trace() {
        assert_eq!(trace.journeys.len() as u64 + trace.left_out, items);
        assert!(trace.journeys.iter().all(|journey| journey.kernel.is_some()));
    } else {
        assert!(!traced);
    }
    took / items as f64
}

fn work(x: u64, us: f64) -> u64 {
    if us > 0.0 {
        let until = Instant::now() + Duration::from_nanos((us * 1e3) as u64);
        while Instant::now() < until {}
    }
    black_box(x)
}

fn row(name: &str, times: &[f64], digits: usize) {
    let [low, median, high] = [0.0, 0.5, 1.0].map(|q| quantile(times, q));
    println!("{name:<44}{median:>10.digits$}{low:>10.digits$}{high:>10.digits$}");
}
