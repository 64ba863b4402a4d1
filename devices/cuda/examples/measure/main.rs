//! Measures a GPU with nbuffer and without: `measure MODELS_FOLDER OUT_FOLDER [SECONDS]`. `scripts/check-cuda` runs it.
//!
//! Three kinds of work, made of the shipped models: transfer-bound (a copy), balanced and kernel-bound (a power whose exponent
//! is chosen so). Each is measured part by part, as a plain loop on one stream, and as a pipeline at several N; every item
//! carries its number, and a run with a wrong value has no time.

mod workload;
mod written;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nbuffer_core::plan::{Limits, Link, Overlap, SetBytes, Setting};
use nbuffer_core::schedule::{HostThreads, Sets};
use nbuffer_core::tune::Goals;
use nbuffer_cuda::{CudaDevice, Probe, Rates};
use nbuffer_runtime::machine::{CpuTimes, quantile, verdict};
use nbuffer_runtime::model::Model;
use nbuffer_runtime::{Device, LaneOptions, Options, Pipeline};

use workload::{Signs, power_with};
use written::{Measured, Run, Workload};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Runs of each setting, in turn.
const RUNS: usize = 5;

/// Threads that fill and look.
const HOST_THREADS: usize = 2;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (models, out, seconds) = match &args[..] {
        [models, out] => (models, out, 1.0),
        [models, out, seconds] => (models, out, seconds.parse()?),
        _ => return Err("usage: measure MODELS_FOLDER OUT_FOLDER [SECONDS a run]".into()),
    };
    let device = CudaDevice::new("cuda")?;
    device.check()?;
    let before = CpuTimes::now();
    let copy = Arc::new(Model::open(Path::new(models).join("copy-large"))?);
    let power = Model::open(Path::new(models).join("power"))?;

    let transfer = rates(&device, &copy)?;
    let link_s = transfer.write_s.max(transfer.read_s).max(transfer.both_s);
    let balanced = power_for(&device, &power, link_s)?;
    let kernel_bound = power_for(&device, &power, 4.0 * link_s)?;

    let mut workloads = Vec::new();
    for (name, model) in [("transfer-bound", copy), ("balanced", balanced), ("kernel-bound", kernel_bound)] {
        eprintln!("{name} ...");
        workloads.push(measure(&device, name, &model, seconds)?);
    }
    let measured = Measured {
        device: device.info().description,
        machine: nbuffer_runtime::machine::machine(),
        host_threads: HOST_THREADS,
        runs: RUNS,
        verdict: verdict(before),
        workloads,
    };
    for path in measured.write(&PathBuf::from(out))? {
        eprintln!("{}", path.display());
    }
    print!("{}", measured.markdown());
    Ok(())
}

fn rates(device: &CudaDevice, model: &Model) -> Result<Rates> {
    Ok(Probe::new(device, model)?.rates(200)?)
}

/// The power model with an odd exponent for which the kernel takes about `seconds`.
fn power_for(device: &CudaDevice, power: &Model, seconds: f64) -> Result<Arc<Model>> {
    let kernel_s = |exponent| -> Result<f64> { Ok(rates(device, &power_with(power, exponent))?.kernel_s) };
    let (low, high) = (101, 10_001);
    let (at_low, at_high) = (kernel_s(low)?, kernel_s(high)?);
    let slope = (at_high - at_low) / f64::from(high - low);
    let exponent = if slope > 0.0 { (f64::from(low) + (seconds - at_low) / slope).max(1.0) } else { 1.0 };
    Ok(Arc::new(power_with(power, exponent.min(1e9) as u32 | 1)))
}

fn measure(device: &CudaDevice, name: &str, model: &Arc<Model>, seconds: f64) -> Result<Workload> {
    let mut probe = Probe::new(device, model)?;
    // Every element of some items, before anything is timed.
    probe.plain_loop(33, Signs::fill_all, Signs::look_at_all)?;
    for depth in [1, 2, 3, 5] {
        run(device, model, 66, Some(depth), Signs::all())?;
    }
    let rates = probe.rates(200)?;
    let host_s = Signs::host_seconds(model);
    let bounds = [
        ("write", rates.write_s),
        ("read", rates.read_s),
        ("both directions", rates.both_s),
        ("kernel", rates.kernel_s),
        ("host", host_s / HOST_THREADS as f64),
    ];
    let bound = bounds.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are some");
    let items = (seconds / bound.1).clamp(50.0, 100_000.0) as u64;

    let settings = [("N = 1", Some(1)), ("N = 2", Some(2)), ("N = 3", Some(3)), ("auto", None)];
    let mut periods = vec![Vec::new(); settings.len()];
    let (mut plain, mut chosen) = (Vec::new(), None);
    for _ in 0..RUNS {
        plain.push(probe.plain_loop(items, Signs::fill, Signs::look)?);
        for (periods, (_, depth)) in periods.iter_mut().zip(settings) {
            let (period_s, depth_at_end) = run(device, model, items, depth, Signs::some())?;
            periods.push(period_s);
            if depth.is_none() {
                chosen = Some(depth_at_end);
            }
        }
    }
    let named =
        std::iter::once(("plain loop, one stream", &plain)).chain(settings.iter().map(|s| s.0).zip(&periods));
    let runs = named
        .map(|(name, periods)| Run {
            name: name.to_owned(),
            period_s: quantile(periods, 0.5),
            fastest_s: quantile(periods, 0.0),
            slowest_s: quantile(periods, 1.0),
        })
        .collect();
    let bytes = |tensors: &[nbuffer_core::tensor::TensorInfo]| tensors.iter().map(|t| t.size() as u64).sum();
    Ok(Workload {
        name: name.to_owned(),
        model: workload::describe(model),
        input_bytes: bytes(&model.inputs),
        output_bytes: bytes(&model.outputs),
        rates,
        host_s,
        bound: (bound.0.to_owned(), bound.1),
        items,
        chosen: chosen.expect("auto has run"),
        runs,
    })
}

/// A pipeline over so many items; the period, and the depth it ended with. With no depth it is chosen while it runs.
fn run(
    device: &CudaDevice,
    model: &Arc<Model>,
    items: u64,
    depth: Option<usize>,
    signs: Signs,
) -> Result<(f64, usize)> {
    let program = device.prepare(model, 1)?;
    let lane = program.open_lane(LaneOptions { lane: 0, double_buffer: false })?;
    let mut options = Options::new(depth.unwrap_or(2), HOST_THREADS);
    options.watchdog = Some(Duration::from_secs(30));
    if depth.is_none() {
        let bytes =
            |tensors: &[nbuffer_core::tensor::TensorInfo]| tensors.iter().map(|t| t.size() as u64).sum();
        let set_bytes = SetBytes { input: bytes(program.inputs()), output: bytes(program.outputs()) };
        let base = Setting::new(Default::default(), 1, options.sets, HostThreads::Shared(HOST_THREADS));
        let limits = Limits { device_bytes: device.info().memory_bytes, ..Limits::default() };
        let setting = Setting { overlap: Overlap::Queued, link: Link::default(), set_bytes, limits, ..base };
        options.tune = Some(Goals { setting, sets: true, host_threads_max: None });
    }
    let mut pipeline = Pipeline::start(0..items, signs, vec![lane], &options)?;
    for (expected, item) in (0..items).zip(pipeline.by_ref()) {
        let item = item
            .map_err(|error| format!("item {expected}: {error}: {:?}", std::error::Error::source(&error)))?;
        if item != expected {
            return Err(format!("item {item} came in the place of {expected}").into());
        }
    }
    let report = pipeline.report();
    if report.totals.ok != items {
        return Err(format!("{} of {items} items are ok", report.totals.ok).into());
    }
    let measured = report.measures.tallies();
    let period_ns = match depth {
        // What it chose counts, not how it got there.
        None => measured.period_since(&report.settled_from).or(report.measures.period()),
        Some(_) => report.measures.period(),
    };
    let sets = match report.sets {
        Sets::Split { inputs, outputs } => inputs.max(outputs),
        Sets::Joint(depth) => depth,
    };
    Ok((period_ns.ok_or("too few items for a period")? / 1e9, sets))
}
