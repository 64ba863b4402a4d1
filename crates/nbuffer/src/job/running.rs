//! A job at work: an iterator over what became of its items, and how it went.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nbuffer_core::measure::Durations;
use nbuffer_core::schedule::{Sequence, Totals};
use nbuffer_core::summary::{Items, Summary};
use nbuffer_core::trace::Trace;
use nbuffer_runtime::{
    Canceller, Delivery, ItemError, Observer, Pipeline, Program, Report, SourceEnd, Step, TimedOut,
};

use super::Facts;
use crate::batch::{BatchFailed, Batched, Entries, EntryError, ItemStages, OnTheWay};
use crate::files::FileStages;
use crate::metrics::Metrics;
use crate::summarise::summarise;

/// Items by what became of them, as far as they have been handed out.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<Items>>);

impl Count {
    fn lock(&self) -> MutexGuard<'_, Items> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

/// What became of one item.
#[derive(Debug)]
pub struct Finished<T, O> {
    /// Its number, from 0 in the order the items were given.
    pub sequence: Sequence,
    /// The item, as the source gave it.
    pub item: T,
    /// Its result, or why it has none.
    pub result: Result<O, Failure>,
}

/// What became of an item with these stages.
type FinishedOf<S> = Finished<<S as ItemStages>::Item, <S as ItemStages>::Output>;

/// Why an item has no result.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It failed, for this reason.
    Failed(Cause),
    /// The run was cancelled before it was done.
    Cancelled,
}

/// What went wrong with an item: in words, and as the stage or the device said it.
#[derive(Clone, Debug)]
pub struct Cause {
    /// Where the item was.
    pub step: Step,
    /// The whole reason, in a line.
    pub why: String,
    /// What the stage said, where it was a stage.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<EntryError> for Cause {
    fn from(EntryError { step, source }: EntryError) -> Self {
        Cause { step, why: source.to_string(), source: Some(source.into()) }
    }
}

impl From<ItemError> for Cause {
    fn from(error: ItemError) -> Self {
        let why = error.cause();
        match error {
            ItemError::Stage { step, source, .. } => Cause { step, why, source: Some(source.into()) },
            ItemError::Panicked { step, .. } => Cause { step, why, source: None },
            ItemError::Device { source, .. } => Cause { step: Step::Device, why, source: Some(source) },
            _ => Cause { step: Step::Device, why, source: None },
        }
    }
}

/// What is known of how a job went. It is taken in a moment; to say what came of it takes longer, if there is a trace.
#[derive(Clone, Debug)]
pub struct Record {
    facts: Facts,
    report: Report,
    trace: Option<Trace>,
    items: Items,
    remarks: Vec<String>,
}

impl Record {
    /// How it went, with the causes of downtime if it was traced.
    pub fn summary(&self) -> Summary {
        summarise(&self.facts, &self.report, self.trace.as_ref(), self.items, self.remarks.clone())
    }

    /// What each item did when; see [`Running::trace`].
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// From take to result, for each item; with a batch, for each call.
    pub fn latencies(&self) -> &Durations {
        self.report.measures.latencies()
    }
}

/// A job at work, and the iterator over what became of its items.
pub struct Running<S: ItemStages = FileStages> {
    pipeline: Pipeline<Batched<S>>,
    on_the_way: OnTheWay<S::Item>,
    ready: VecDeque<FinishedOf<S>>,
    items: Count,
    has_ended: bool,
    facts: Facts,
    stages: Arc<S>,
    programs: Vec<Arc<dyn Program>>,
}

impl<S: ItemStages> Running<S> {
    pub(super) fn new(
        pipeline: Pipeline<Batched<S>>,
        on_the_way: OnTheWay<S::Item>,
        facts: Facts,
        stages: Arc<S>,
        programs: Vec<Arc<dyn Program>>,
    ) -> Self {
        let (ready, items) = (VecDeque::new(), Count::default());
        Running { pipeline, on_the_way, ready, items, has_ended: false, facts, stages, programs }
    }

    /// What became of the next item if that is known already, without waiting.
    pub fn next_ready(&mut self) -> Option<FinishedOf<S>> {
        if self.ready.is_empty()
            && let Some(delivery) = self.pipeline.next_fetched()
        {
            self.arrive(delivery);
        }
        self.ready.pop_front()
    }

    /// What became of the next item, for a caller that has other things to look after, such as signals: it waits no
    /// longer than this. `Ok(None)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] when there is no result yet; nothing is lost, and the next call gives it.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<FinishedOf<S>>, TimedOut> {
        let deadline = Instant::now() + timeout;
        while self.ready.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.pipeline.next_delivery_within(left)? {
                Some(delivery) => self.arrive(delivery),
                None => {
                    self.end();
                    return Ok(None);
                }
            }
        }
        Ok(self.ready.pop_front())
    }

    /// A handle that cancels the job from anywhere.
    pub fn canceller(&self) -> Canceller {
        self.pipeline.canceller()
    }

    /// How it went, with the causes of downtime if it is traced. Complete once the iterator has ended.
    pub fn summary(&self) -> Summary {
        self.record().summary()
    }

    /// What is known of how it went, for when the job is gone. Complete once the iterator has ended.
    pub fn record(&self) -> Record {
        let remarks = self.programs.iter().flat_map(|program| program.remarks());
        Record {
            facts: self.facts.clone(),
            report: self.pipeline.report(),
            trace: self.trace(),
            items: *self.items.lock(),
            remarks: self.facts.remarks.iter().cloned().chain(remarks).collect(),
        }
    }

    /// A handle that looks at the job's pipeline from anywhere. To it, a batch is one item.
    pub fn observer(&self) -> Observer {
        self.pipeline.observer()
    }

    /// The figures of the job, as often as they are asked for while it runs. One counts as ended
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
            let taken = ended.taken + on_the_way.items_before(snapshot.totals.taken);
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

    fn arrive(&mut self, Delivery { sequence, result }: Delivery<Entries<S::Output>>) {
        let mut items = self.items.lock();
        // A source that panicked gave no items.
        let Some((first, batch)) = self.on_the_way.arrived(sequence) else {
            return;
        };
        let results: Vec<Result<S::Output, Failure>> = match result.map_err(BatchFailed::each) {
            Ok(entries) => entries.into_iter().map(|e| e.map_err(|e| Failure::Failed(e.into()))).collect(),
            Err(Ok(each)) => each.into_iter().map(|e| Err(Failure::Failed(e.into()))).collect(),
            Err(Err(error)) => {
                let failure = match error {
                    ItemError::Cancelled { .. } => Failure::Cancelled,
                    error => Failure::Failed(error.into()),
                };
                batch.iter().map(|_| Err(failure.clone())).collect()
            }
        };
        for ((item, result), sequence) in batch.iter().cloned().zip(results).zip(first..) {
            items.taken += 1;
            match &result {
                Ok(_) => items.ok += 1,
                Err(Failure::Failed(cause)) => {
                    let path = self.stages.name(&item);
                    tracing::warn!(sequence, path, error = cause.why, "item failed");
                    items.failed += 1;
                }
                Err(Failure::Cancelled) => items.cancelled += 1,
            }
            self.ready.push_back(Finished { sequence, item, result });
        }
    }
}

impl<S: ItemStages> Iterator for Running<S> {
    type Item = FinishedOf<S>;

    fn next(&mut self) -> Option<Self::Item> {
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
