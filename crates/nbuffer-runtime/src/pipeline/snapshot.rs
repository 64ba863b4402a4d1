//! How a pipeline stands at a moment: for whoever watches it from outside while it runs.

use std::sync::Arc;

use nbuffer_core::measure::{Buckets, ComputeUnit, Durations, Measures, Nanos, Stage};
use nbuffer_core::schedule::{SetState, Sets, Totals};

use super::HostStages;
use super::state::{State, nanos};
use super::worker::Shared;

/// How a pipeline stands.
///
/// The distributions are taken first and one by one, so that the pipeline's lock is held for a moment at a time:
/// `totals` may have counted a few items more than they have.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Items by how they ended.
    pub totals: Totals,
    /// Where the items are that were taken and not delivered yet.
    pub places: Places,
    /// The lanes.
    pub lanes: Vec<LaneSnapshot>,
    /// Buffer sets of each lane, as configured now.
    pub sets: Sets,
    /// Host threads, as configured now.
    pub host_threads: usize,
    /// Preprocess and postprocess steps that run.
    pub host_busy: usize,
    /// How many items may lie between take and delivery.
    pub window: usize,
    /// Since the pipeline was started.
    pub elapsed: Nanos,
    /// Stage times, in the order of [`Stage::ALL`].
    pub stages: [Buckets; 5],
    /// How long the source took for an item each time it was asked.
    pub source: Buckets,
    /// How long calls occupied blocking lanes.
    pub calls: Buckets,
    /// From take to result.
    pub latency: Buckets,
}

/// Items between take and delivery, by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Taken, and waiting for a buffer set; again, if their lane was lost.
    pub held: u64,
    /// With a host thread that fills their inputs.
    pub preprocessing: u64,
    /// Waiting for the lane.
    pub ready: u64,
    /// With the device.
    pub in_flight: u64,
    /// Back from the device, waiting for a host thread.
    pub landed: u64,
    /// With a host thread that reads their outputs.
    pub postprocessing: u64,
    /// Ended and not delivered: waiting for items before them, or for whoever fetches results.
    pub undelivered: u64,
}

impl Places {
    /// The places and how many items are at each, in the order in which an item goes through them.
    pub fn each(&self) -> [(&'static str, u64); 7] {
        [
            ("held", self.held),
            ("preprocessing", self.preprocessing),
            ("ready", self.ready),
            ("in_flight", self.in_flight),
            ("landed", self.landed),
            ("postprocessing", self.postprocessing),
            ("undelivered", self.undelivered),
        ]
    }

    /// Items at all places together: those taken and not delivered.
    pub fn items(&self) -> u64 {
        self.each().iter().map(|(_, items)| items).sum()
    }
}

/// How a lane stands.
#[derive(Clone, Copy, Debug)]
pub struct LaneSnapshot {
    /// Whether its device is there; a lane that is lost gets no more items.
    pub is_up: bool,
    /// Its input sets; the sets of a joint ring are inputs and outputs.
    pub inputs: SetCounts,
    /// Its output sets.
    pub outputs: SetCounts,
    /// Its compute unit.
    pub unit: ComputeUnit,
}

/// Buffer sets by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the states of `SetState`, explained there")]
pub struct SetCounts {
    pub free: u64,
    pub preprocessing: u64,
    pub ready: u64,
    pub in_flight: u64,
    pub landed: u64,
    pub postprocessing: u64,
    pub surplus: u64,
    pub retired: u64,
}

impl SetCounts {
    fn of(sets: &[SetState]) -> Self {
        let mut counts = SetCounts::default();
        for set in sets {
            *match set {
                SetState::Free => &mut counts.free,
                SetState::Preprocessing(_) => &mut counts.preprocessing,
                SetState::Ready(_) => &mut counts.ready,
                SetState::InFlight(_) => &mut counts.in_flight,
                SetState::Landed(_) => &mut counts.landed,
                SetState::Postprocessing(_) => &mut counts.postprocessing,
                SetState::Surplus => &mut counts.surplus,
                SetState::Retired => &mut counts.retired,
            } += 1;
        }
        counts
    }

    /// The states and how many sets are in each, in the order in which a set goes through them.
    pub fn each(&self) -> [(&'static str, u64); 8] {
        [
            ("free", self.free),
            ("preprocessing", self.preprocessing),
            ("ready", self.ready),
            ("in_flight", self.in_flight),
            ("landed", self.landed),
            ("postprocessing", self.postprocessing),
            ("surplus", self.surplus),
            ("retired", self.retired),
        ]
    }
}

/// Looks at a pipeline from anywhere, as often as one likes, while it runs.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn() -> Option<Snapshot> + Send + Sync>);

impl Observer {
    pub(super) fn of<H: HostStages>(shared: &Arc<Shared<H>>) -> Self {
        let shared = Arc::downgrade(shared);
        Observer(Arc::new(move || shared.upgrade()?.snapshot()))
    }

    /// How the pipeline stands; `None` once it is gone.
    pub fn snapshot(&self) -> Option<Snapshot> {
        (self.0)()
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl<H: HostStages> Shared<H> {
    /// How the pipeline stands; `None` if a thread hit a bug under the lock.
    pub(super) fn snapshot(&self) -> Option<Snapshot> {
        let buckets = |of: &dyn Fn(&Measures) -> &Durations| {
            self.look().map(|crew| of(crew.state.measures()).buckets())
        };
        let mut stages = [Buckets::default(); 5];
        for (buckets_of, stage) in stages.iter_mut().zip(Stage::ALL) {
            *buckets_of = buckets(&|measures| measures.of(stage))?;
        }
        let source = buckets(&Measures::sources)?;
        let calls = buckets(&Measures::calls)?;
        let latency = buckets(&Measures::latencies)?;
        let rest = self.look()?.state.snapshot(nanos(self.epoch()));
        Some(Snapshot { stages, source, calls, latency, ..rest })
    }
}

impl<H: HostStages> State<H> {
    /// Everything but the distributions.
    fn snapshot(&self, elapsed: Nanos) -> Snapshot {
        let schedule = &self.schedule;
        let lanes: Vec<LaneSnapshot> = (0..self.rings.len())
            .map(|lane| LaneSnapshot {
                is_up: self.lost_error(lane).is_none(),
                inputs: SetCounts::of(schedule.inputs(lane)),
                outputs: SetCounts::of(schedule.outputs(lane)),
                unit: self.measures().units()[lane],
            })
            .collect();
        let sum = |of: &dyn Fn(&LaneSnapshot) -> u64| lanes.iter().map(of).sum();
        Snapshot {
            totals: schedule.totals(),
            places: Places {
                held: u64::from(self.held.is_some()) + schedule.waiting_again() as u64,
                preprocessing: sum(&|lane| lane.inputs.preprocessing),
                ready: sum(&|lane| lane.inputs.ready),
                // Until its device tells otherwise, an item also holds its input.
                in_flight: sum(&|lane| lane.outputs.in_flight),
                landed: sum(&|lane| lane.outputs.landed),
                postprocessing: sum(&|lane| lane.outputs.postprocessing),
                undelivered: schedule.undelivered(),
            },
            lanes,
            sets: schedule.sets(0),
            host_threads: schedule.host_threads().total(),
            host_busy: schedule.host_busy(),
            window: schedule.window(),
            elapsed,
            stages: Default::default(),
            source: Buckets::default(),
            calls: Buckets::default(),
            latency: Buckets::default(),
        }
    }
}
