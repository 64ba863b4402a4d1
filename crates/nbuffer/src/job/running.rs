//! A job at work: an iterator over what became of its images, and how it went.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use nbuffer_core::measure::Durations;
use nbuffer_core::schedule::{Sequence, Totals};
use nbuffer_core::summary::{Items, Summary};
use nbuffer_core::trace::Trace;
use nbuffer_runtime::{Canceller, Delivery, ItemError, Observer, Pipeline, Program, SourceEnd};

use super::Facts;
use crate::answer::Answer;
use crate::batch::{BatchFailed, ItemStages, OnTheWay};
use crate::metrics::Metrics;
use crate::summarise::summarise;

/// Images by what became of them, as far as they have been handed out.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<Items>>);

impl Count {
    fn lock(&self) -> MutexGuard<'_, Items> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

/// What became of one image.
#[derive(Debug)]
pub struct Finished {
    /// Its number, from 0 in the order the images were given.
    pub sequence: Sequence,
    /// Its file.
    pub path: Arc<Path>,
    /// What the model said, or why it said nothing.
    pub result: Result<Answer, Failure>,
}

/// Why an image has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It failed, for this reason.
    Failed(String),
    /// The run was cancelled before it was done.
    Cancelled,
}

/// A job at work, and the iterator over what became of its images.
pub struct Running {
    pipeline: Pipeline<ItemStages>,
    on_the_way: OnTheWay,
    ready: VecDeque<Finished>,
    items: Count,
    has_ended: bool,
    facts: Facts,
    programs: Vec<Arc<dyn Program>>,
}

impl Running {
    pub(super) fn new(
        pipeline: Pipeline<ItemStages>,
        on_the_way: OnTheWay,
        facts: Facts,
        programs: Vec<Arc<dyn Program>>,
    ) -> Self {
        let (ready, items) = (VecDeque::new(), Count::default());
        Running { pipeline, on_the_way, ready, items, has_ended: false, facts, programs }
    }

    /// A handle that cancels the job from anywhere.
    pub fn canceller(&self) -> Canceller {
        self.pipeline.canceller()
    }

    /// How it went, with the causes of downtime if it is traced. Complete once the iterator has ended.
    pub fn summary(&self) -> Summary {
        let report = self.pipeline.report();
        let remarks = self.programs.iter().flat_map(|program| program.remarks());
        let remarks = self.facts.remarks.iter().cloned().chain(remarks);
        summarise(&self.facts, &report, self.trace().as_ref(), *self.items.lock(), remarks.collect())
    }

    /// A handle that looks at the job's pipeline from anywhere. To it, a batch is one item.
    pub fn observer(&self) -> Observer {
        self.pipeline.observer()
    }

    /// The figures of the job, as often as they are asked for while it runs. Items are images; one counts as ended
    /// once this iterator has been asked for it.
    pub fn metrics(&self) -> Metrics {
        let Facts { model, devices, engine, batch, .. } = &self.facts;
        let mut info = vec![("model", model.clone()), ("device", devices.join(" + "))];
        info.extend(engine.clone().map(|engine| ("engine", engine)));
        info.push(("batch", batch.to_string()));
        let (items, on_the_way) = (self.items.clone(), self.on_the_way.clone());
        Metrics::new(self.observer(), info).of_run(self.facts.lane_devices.clone(), move |snapshot| {
            // One lock over both, as in `arrive`, so that no image is in neither or in both.
            let ended = items.lock();
            let taken = ended.taken + on_the_way.images_before(snapshot.totals.taken);
            let retried = snapshot.totals.retried;
            Totals { taken, ok: ended.ok, failed: ended.failed, cancelled: ended.cancelled, retried }
        })
    }

    /// From take to result, for each item; with a batch, for each call.
    pub fn latencies(&self) -> Durations {
        self.pipeline.report().measures.latencies().clone()
    }

    /// What each item did when, as far as [`Settings::trace`](super::Settings::trace) keeps it; with a batch, what each call did. Complete once
    /// the iterator has ended.
    pub fn trace(&self) -> Option<Trace> {
        let mut trace = self.pipeline.trace()?;
        trace.topology.devices = self.facts.devices.clone();
        // The lanes of a device share its link.
        let places = self.facts.duplex.iter().enumerate();
        let places =
            places.flat_map(|(device, &(lanes, duplex))| std::iter::repeat_n((device, duplex), lanes));
        for (place, (device, duplex)) in trace.topology.lanes.iter_mut().zip(places) {
            (place.device, place.link, place.duplex) = (device, device, duplex);
        }
        Some(trace)
    }

    /// Whether the run ended early because it cannot be run as asked.
    pub fn is_refused(&self) -> bool {
        matches!(self.pipeline.report().source_end, SourceEnd::Refused(_))
    }

    /// Why the run ended before its source did, if it did.
    pub fn cut_short(&self) -> Option<String> {
        let report = self.pipeline.report();
        match report.source_end {
            SourceEnd::NoLanes => {
                let last = report.lost.last().map(|(_, error)| error.to_string()).unwrap_or_default();
                Some(format!("all lanes are lost, the last with: {last}"))
            }
            SourceEnd::Panicked(message) => Some(format!("the source of items panicked: {message}")),
            SourceEnd::Refused(why) => Some(why),
            SourceEnd::Open | SourceEnd::Exhausted | SourceEnd::Cancelled => None,
        }
    }

    /// Says how it went, once.
    fn end(&mut self) {
        if std::mem::replace(&mut self.has_ended, true) || !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let Summary { items, wall_s, items_per_s, plan, kernel, interrupted, .. } = self.summary();
        tracing::info!(
            taken = items.taken,
            ok = items.ok,
            failed = items.failed,
            cancelled = items.cancelled,
            interrupted,
            wall_s,
            items_per_s,
            downtime_fraction = kernel.map(|kernel| kernel.downtime_fraction),
            binding = plan.as_ref().map(|plan| plan.binding.as_ref()),
            efficiency = plan.as_ref().and_then(|plan| Some(plan.reached?.efficiency)),
            "run ended"
        );
    }

    fn arrive(&mut self, Delivery { sequence, result }: Delivery<crate::batch::Answers>) {
        let mut items = self.items.lock();
        let batch = self.on_the_way.arrived(sequence);
        let first = sequence * self.facts.batch as u64;
        let results: Vec<Result<Answer, Failure>> = match result {
            Ok(answers) => {
                answers.into_iter().map(|a| a.map_err(|e| Failure::Failed(e.to_string()))).collect()
            }
            Err(ItemError::Cancelled { .. }) => vec![Err(Failure::Cancelled); batch.len()],
            Err(error) => match BatchFailed::of(&error) {
                Some(each) => each.iter().map(|e| Err(Failure::Failed(e.to_string()))).collect(),
                None => vec![Err(Failure::Failed(error.cause())); batch.len()],
            },
        };
        for ((path, result), sequence) in batch.into_iter().zip(results).zip(first..) {
            items.taken += 1;
            match &result {
                Ok(_) => items.ok += 1,
                Err(Failure::Failed(error)) => {
                    tracing::warn!(sequence, path = %path.display(), error, "item failed");
                    items.failed += 1;
                }
                Err(Failure::Cancelled) => items.cancelled += 1,
            }
            self.ready.push_back(Finished { sequence, path, result });
        }
    }
}

impl Iterator for Running {
    type Item = Finished;

    fn next(&mut self) -> Option<Finished> {
        while self.ready.is_empty() {
            match self.pipeline.next_delivery() {
                Some(delivery) => self.arrive(delivery),
                None => {
                    self.end();
                    return None;
                }
            }
        }
        self.ready.pop_front()
    }
}
