//! A job's report, put into the summary format.

use nbuffer_core::measure::ComputeUnit;
use nbuffer_core::plan::Plan;
use nbuffer_core::summary::{Buffers, Bytes, Items, KernelSummary, Latency, PlanSummary, Summary};
use nbuffer_runtime::{Report, SourceEnd};

use crate::job::Facts;

/// Kernels a lane must have run on average for a summary to carry a plan. In a shorter run, filling and
/// draining the rings and cold caches weigh more than the steady state, and the measured period means nothing.
const KERNELS_PER_LANE_MIN: u64 = 16;

pub(crate) fn summarise(facts: &Facts, report: &Report, items: Items, mut remarks: Vec<String>) -> Summary {
    let measures = &report.measures;
    let wall_s = report.wall as f64 / 1e9;
    let kernels: u64 = measures.units().iter().map(ComputeUnit::kernels).sum();
    let period = measures.period().filter(|_| kernels >= KERNELS_PER_LANE_MIN * facts.lanes as u64);
    // A plan speaks of calls: with a batch, one call is several items.
    let plan = facts.setting.zip(period).and_then(|(mut setting, period)| {
        setting.times = measures.stage_times();
        setting.source_s = measures.sources().mean() / 1e9;
        match Plan::new(&setting) {
            Ok(plan) => Some(PlanSummary::of(&plan, Some(period / 1e9))),
            Err(error) => {
                remarks.push(format!("no plan can be made from what was measured: {error}"));
                None
            }
        }
    });
    for (lane, error) in &report.lost {
        remarks.push(format!("lane {lane} was lost: {error}"));
    }
    if facts.batch > 1 {
        let batch = facts.batch;
        remarks.push(format!("stage times, latency and plan are those of calls of up to {batch} items"));
    }
    Summary {
        format: nbuffer_core::summary::FORMAT,
        model: Some(facts.model.clone()),
        device: facts.devices.clone(),
        engine: facts.engine.clone(),
        lanes: facts.lanes,
        buffers: Buffers { depth: facts.depth, chosen_by: facts.chosen_by, why: facts.why_depth.clone() },
        double_buffer: facts.double_buffer,
        host_threads: facts.host_threads,
        items,
        accuracy: None,
        interrupted: report.source_end == SourceEnd::Cancelled,
        wall_s,
        items_per_s: if wall_s > 0.0 { items.ok as f64 / wall_s } else { 0.0 },
        latency_s: Latency::of(measures.latencies()),
        stages: measures.stage_summaries(),
        kernel: if report.sampled { None } else { KernelSummary::of(measures, report.wall) },
        plan,
        bytes: Bytes { host: facts.host_bytes, device: facts.device_bytes },
        remarks,
    }
}
