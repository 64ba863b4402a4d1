//! What handing an item from stage to stage costs: three stages in order, four items on their way, beside
//! peers, in one run. `cargo bench -p nbuffer-bench --bench handoff`.
//!
//! Stages are `x + 1`, `x * 3` and `x ^ 5`, first empty and then with 10, 20 and 10 us of busy work. Every
//! result is checked before a time counts. On two cores the busy case cannot beat 20 us an item: 40 us of work
//! over two cores.

use std::hint::black_box;
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use futures::StreamExt;
use nbuffer_bench::{CpuTimes, machine, quantile, verdict};
use nbuffer_runtime::{Around, Lane, Options, Pipeline, Sets, Timing};
use rayon::iter::{ParallelBridge, ParallelIterator};

/// Items on their way, and threads that the peers may use.
const TOKENS: usize = 4;
const THREADS: usize = 2;

/// One peer: gives its results, in order unless it says otherwise.
struct Peer {
    name: &'static str,
    run: Box<dyn Fn(u64, f64) -> Vec<u64>>,
    ordered: bool,
}

fn main() {
    // `cargo test --benches` only wants to see that everything still runs and is right.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let (rounds, empty, busy) = if quick { (1, 1_000, 50) } else { (7, 300_000, 15_000) };
    println!("{}; {TOKENS} items on their way, {THREADS} threads, {rounds} rounds in turn", machine());
    let tbb = Tbb::build();
    if tbb.is_none() {
        println!("oneTBB: left out, no C++ compiler with libtbb here (Debian: g++, libtbb-dev)");
    }
    for (title, items, us) in [("3 empty stages", empty, 0.0), ("stages of 10, 20, 10 us", busy, 20.0)] {
        compare(title, items, us, rounds, tbb.as_ref());
    }
}

fn compare(title: &str, items: u64, us: f64, rounds: usize, tbb: Option<&Tbb>) {
    let peers = peers();
    let mut times = vec![Vec::new(); peers.len()];
    let mut tbb_times = Vec::new();
    let before = CpuTimes::now();
    for _ in 0..rounds {
        for (peer, times) in peers.iter().zip(&mut times) {
            // Those that wake a thread for each item get fewer items: it is the mean that counts.
            let items = if us == 0.0 && peer.name.contains("bounded") { items / 10 } else { items };
            let start = Instant::now();
            let results = (peer.run)(items, us);
            times.push(start.elapsed().as_nanos() as f64 / items as f64);
            check(peer, results, items);
        }
        tbb_times.extend(tbb.map(|tbb| tbb.run(items, us)));
    }
    println!("\n{title}, {items} items; {}", verdict(before));
    println!("{:<44}{:>10}{:>10}{:>10}", "ns an item", "median", "min", "max");
    let row = |name: &str, times: &[f64]| {
        let [low, median, high] = [0.0, 0.5, 1.0].map(|q| quantile(times, q));
        println!("{name:<44}{median:>10.0}{low:>10.0}{high:>10.0}");
    };
    for (peer, times) in peers.iter().zip(&times) {
        row(peer.name, times);
    }
    if !tbb_times.is_empty() {
        row("oneTBB parallel_pipeline", &tbb_times);
        let ratio: Vec<f64> = times[0].iter().zip(&tbb_times).map(|(ours, tbb)| ours / tbb).collect();
        println!("nbuffer run_into over oneTBB, round by round: median {:.2}", quantile(&ratio, 0.5));
    }
}

fn check(peer: &Peer, mut results: Vec<u64>, items: u64) {
    if !peer.ordered {
        results.sort_by_key(|x| (x ^ 5) / 3);
    }
    assert_eq!(results.len() as u64, items, "{} lost results", peer.name);
    for (i, &x) in results.iter().enumerate() {
        assert_eq!(x, ((i as u64 + 1) * 3) ^ 5, "{} gave a wrong result at {i}", peer.name);
    }
}

fn before(x: u64, us: f64) -> u64 {
    work_for(us / 2.0);
    black_box(x + 1)
}

fn middle(x: u64, us: f64) -> u64 {
    work_for(us);
    black_box(x * 3)
}

fn after(x: u64, us: f64) -> u64 {
    work_for(us / 2.0);
    black_box(x ^ 5)
}

fn work_for(us: f64) {
    if us > 0.0 {
        let until = Instant::now() + Duration::from_nanos((us * 1e3) as u64);
        while Instant::now() < until {}
    }
}

fn peers() -> Vec<Peer> {
    let peer = |name, run: fn(u64, f64) -> Vec<u64>| Peer { name, run: Box::new(run), ordered: true };
    vec![
        peer("nbuffer Pipeline::run_into, N = 4", |items, us| {
            let results = Vec::with_capacity(items as usize);
            let (sender, receiver) = std::sync::mpsc::channel();
            let mut results = Some(results);
            let mut left = items;
            let _ = nbuffer(items, us).run_into(move |delivery| {
                let all = results.as_mut().expect("the last result comes last");
                all.push(delivery.result.expect("no item fails"));
                left -= 1;
                if left == 0 {
                    sender.send(results.take()).expect("somebody waits");
                }
            });
            receiver.recv().expect("all results came").unwrap_or_default()
        }),
        peer("nbuffer Pipeline as an iterator, N = 4", |items, us| {
            nbuffer(items, us).map(|result| result.expect("no item fails")).collect()
        }),
        peer("crossbeam bounded(4), a thread a stage", |items, us| {
            let (to_middle, from_source) = crossbeam_channel::bounded(TOKENS);
            let (to_after, from_middle) = crossbeam_channel::bounded(TOKENS);
            std::thread::scope(|scope| {
                scope.spawn(move || (0..items).try_for_each(|x| to_middle.send(before(x, us))));
                scope.spawn(move || from_source.iter().try_for_each(|x| to_after.send(middle(x, us))));
                from_middle.iter().map(|x| after(x, us)).collect()
            })
        }),
        peer("std sync_channel bounded(4), a thread a stage", |items, us| {
            let (to_middle, from_source) = sync_channel(TOKENS);
            let (to_after, from_middle) = sync_channel(TOKENS);
            std::thread::scope(|scope| {
                scope.spawn(move || (0..items).try_for_each(|x| to_middle.send(before(x, us))));
                scope.spawn(move || from_source.iter().try_for_each(|x| to_after.send(middle(x, us))));
                from_middle.iter().map(|x| after(x, us)).collect()
            })
        }),
        Peer {
            name: "rayon par_bridge (no order, no bound)",
            run: Box::new(|items, us| {
                let pool =
                    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build().expect("threads start");
                pool.install(|| {
                    let stages = |x| after(middle(before(x, us), us), us);
                    (0..items).par_bridge().map(stages).collect()
                })
            }),
            ordered: false,
        },
        peer("tokio spawn + futures buffered(4)", |items, us| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).build();
            let stages = |x| tokio::spawn(async move { after(middle(before(x, us), us), us) });
            runtime.expect("threads start").block_on(async {
                let results = futures::stream::iter(0..items).map(stages).buffered(TOKENS);
                results.map(|result| result.expect("no item fails")).collect().await
            })
        }),
    ]
}

type Stages =
    Around<u64, u64, u64, Box<dyn Fn(u64) -> u64 + Send + Sync>, Box<dyn Fn(u64) -> u64 + Send + Sync>>;

fn nbuffer(items: u64, us: f64) -> Pipeline<Stages> {
    // The lane computes, so it shares the host threads: two steps at a time, as many as the peers' threads.
    // Joint sets, so that no more items are on their way than with the peers' tokens.
    let sets = Sets::Joint(TOKENS);
    let options = Options { sets, timing: Timing::Sampled, ..Options::new(TOKENS, THREADS) };
    let stages: Stages = Around::new(
        Box::new(move |x| before(x, us)) as Box<dyn Fn(u64) -> u64 + Send + Sync>,
        Box::new(move |x| after(x, us)) as Box<dyn Fn(u64) -> u64 + Send + Sync>,
    );
    let lane = Lane::closure(move |x| middle(x, us));
    Pipeline::start(0..items, stages, vec![lane], &options).expect("the options are valid")
}

/// oneTBB's side, compiled here.
struct Tbb {
    program: tempfile::TempPath,
}

impl Tbb {
    fn build() -> Option<Self> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/tbb_pipeline.cpp");
        let program = tempfile::Builder::new().prefix("tbb").tempfile().ok()?.into_temp_path();
        let compiler = Command::new("g++")
            .args(["-O2", "-std=c++17", source, "-ltbb", "-o"])
            .arg(&program)
            .output()
            .ok()?;
        compiler.status.success().then_some(Tbb { program })
    }

    fn run(&self, items: u64, us: f64) -> f64 {
        let output = Command::new(&self.program).args([items.to_string(), us.to_string()]).output();
        let output = output.expect("what was built runs");
        assert!(output.status.success(), "oneTBB gave wrong results");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("it prints a number")
    }
}
