//! The summary of a run, as far as a plan can be made from it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use nbuffer::measure::Stage;
use nbuffer::plan::Overlap;
use nbuffer::summary::FORMAT;

use super::super::duration::{Seconds, SomeSeconds};
use super::Given;
use super::values::{BuffersArg, Count, DuplexArg, Layout, Links, OneOrTwo, OverlapArg, Ratio};

/// What a plan needs of a run's summary.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Run {
    format: u32,
    lanes: usize,
    buffers: RunBuffers,
    double_buffer: bool,
    host_threads: usize,
    stages: BTreeMap<String, RunStage>,
    plan: Option<RunPlan>,
}

#[derive(Debug, serde::Deserialize)]
struct RunBuffers {
    depth: usize,
    layout: Layout,
    inputs: usize,
    outputs: usize,
}

#[derive(Debug, serde::Deserialize)]
struct RunStage {
    mean_s: f64,
    /// Only in a plan.
    cv: Option<Ratio>,
}

#[derive(Debug, serde::Deserialize)]
struct RunPlan {
    /// What it was made from, where that is not the whole run.
    #[serde(default)]
    stages: BTreeMap<String, RunStage>,
    measured_period_s: Option<f64>,
    lane: Option<String>,
    link: Option<DuplexArg>,
    cores: Option<usize>,
    call_s: Option<f64>,
    source_s: Option<f64>,
}

impl Run {
    /// The period it measured, if it was long enough for a plan.
    pub(super) fn measured_period_s(&self) -> Option<f64> {
        self.plan.as_ref()?.measured_period_s
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Run> {
        let named = || format!("--from `{}`", path.display());
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", named()))?;
        let run: Run = serde_json::from_str(&text)
            .with_context(|| format!("{}: this is not the summary of a run", named()))?;
        if run.format != FORMAT {
            bail!("{}: summary format {} is not known, only {FORMAT}", named(), run.format);
        }
        if run.stages.is_empty() {
            bail!("{}: the summary holds no stage times", named());
        }
        Ok(run)
    }

    /// What it gives where flags and files give nothing.
    pub(super) fn given(&self) -> anyhow::Result<Given> {
        let plan = self.plan.as_ref();
        let of = |stage: Stage| {
            let planned = plan.and_then(|plan| plan.stages.get(stage.name()));
            planned.or_else(|| self.stages.get(stage.name()))
        };
        let mean = |stage: Stage| of(stage).map(|stage| Seconds(stage.mean_s));
        let cv = |stage: Stage| of(stage).and_then(|stage| stage.cv);
        let RunBuffers { depth, layout, inputs, outputs } = self.buffers;
        let overlap = match plan.and_then(|plan| plan.lane.as_deref()) {
            Some(lane) => {
                Some(lane.parse().map_err(|error| anyhow::anyhow!("--from: `plan.lane`: {error}"))?)
            }
            None if self.double_buffer => Some(OverlapArg(Overlap::InLane)),
            None => {
                tell!(
                    "note: the run does not say how its lanes overlap: queued unless --overlap says otherwise"
                );
                None
            }
        };
        Ok(Given {
            ip: mean(Stage::Preprocess),
            w: mean(Stage::Write),
            k: mean(Stage::Kernel),
            r: mean(Stage::Read),
            op: mean(Stage::Postprocess),
            ip_cv: cv(Stage::Preprocess),
            w_cv: cv(Stage::Write),
            k_cv: cv(Stage::Kernel),
            r_cv: cv(Stage::Read),
            op_cv: cv(Stage::Postprocess),
            buffers: Some(BuffersArg::Sets(match layout {
                Layout::Joint => OneOrTwo::One(depth),
                Layout::Split => OneOrTwo::Two(inputs, outputs),
            })),
            layout: Some(layout),
            host_threads: Some(OneOrTwo::One(self.host_threads)),
            lanes: Some(Count(self.lanes)),
            cores: plan.and_then(|plan| plan.cores).map(Count),
            // What the calls of a run share is in what they took.
            links: overlap.is_some_and(|o| o != OverlapArg(Overlap::Queued)).then_some(Links::PerLane),
            overlap,
            link: plan.and_then(|plan| plan.link),
            call: plan.and_then(|plan| plan.call_s).map(Seconds),
            source_interval: plan.and_then(|plan| plan.source_s).map(SomeSeconds),
            ..Given::default()
        })
    }
}
