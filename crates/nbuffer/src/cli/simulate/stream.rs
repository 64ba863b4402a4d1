//! One stream in virtual time, and what was measured of it.

use nbuffer::measure::{Nanos, Tallies};
use nbuffer::plan::{Overlap, Plan, Setting, StageTimes};
use nbuffer::schedule::{LIMIT, Sequence, Sets};
use nbuffer::trace::{Trace, Tracer, What};
use nbuffer::tune::{Decision, Goals, Tuner};
use nbuffer::virtual_time::{Run, Setup, Simulation, Watch};

use super::super::setting::named;
use super::named_setup;

/// How often the tuner is asked, in virtual time; as often as in a real run.
const TICK: Nanos = 5_000_000;

/// A stream to be simulated.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) setup: Setup,
    /// What the set-up was made from.
    pub(super) setting: Setting,
    /// The same with the stage times there are in the end.
    pub(super) changed: Setting,
    /// The first item with these.
    pub(super) changes_at: Option<Sequence>,
    /// Whether buffer sets are chosen while it runs.
    pub(super) tuned: bool,
}

/// What became of a stream.
#[derive(Clone, Debug)]
pub(super) struct Streamed {
    pub(super) run: Run,
    /// What was possible with the sets and the stage times there were in the end.
    pub(super) plan: Plan,
    /// `None` when the stream was too short for a steady state.
    pub(super) steady: Option<Steady>,
    /// What a tuner chose, oldest first.
    pub(super) decisions: Vec<Decision>,
    /// Whether it was cut short: cancelled, or no lane was left.
    pub(super) cut_short: bool,
}

/// What was measured while neither beginning nor end mattered.
#[derive(Clone, Debug)]
pub(super) struct Steady {
    /// From one kernel start to the next over all lanes.
    pub(super) period_s: f64,
    /// How long each resource was in use for an item on average, as the plan of what was measured.
    pub(super) used: Plan,
}

/// The setting as a run begins that is to choose its own sets: one at work and one being prepared, and the
/// results that a double-buffered lane holds, as far as limits allow.
pub(super) fn at_first(setting: &Setting) -> anyhow::Result<Setting> {
    let cap = Plan::new(setting).map_err(named)?.buffers.cap.map_or(LIMIT, |cap| cap.sets);
    let (inputs, outputs) = (2.min(cap), if setting.overlap == Overlap::InLane { 4 } else { 2 }.min(cap));
    let sets = match setting.sets {
        Sets::Joint(_) => Sets::Joint(outputs),
        Sets::Split { .. } => Sets::Split { inputs, outputs },
    };
    Ok(Setting { sets, ..*setting })
}

impl Stream {
    /// Simulates it.
    pub(super) fn run(&self, watch: impl Watch) -> anyhow::Result<Streamed> {
        self.run_and_tell(watch, |_, _| {})
    }

    /// Simulates it, and keeps what so many items do when.
    pub(super) fn traced(&self, journeys: usize) -> anyhow::Result<(Streamed, Trace)> {
        let mut tracer = Tracer::new(journeys, self.setup.schedule.window);
        let streamed = self.run_and_tell(&mut tracer, |tracer, decision| {
            let Decision { at, sets, host_threads, ref why, .. } = *decision;
            tracer.moment(at, What::Chosen { sets, host_threads, why: why.clone() });
        })?;
        Ok((streamed, tracer.trace(self.setup.topology())))
    }

    /// Also tells every decision, before it is carried out.
    fn run_and_tell<W: Watch>(
        &self,
        watch: W,
        decided: impl Fn(&mut W, &Decision),
    ) -> anyhow::Result<Streamed> {
        let mut simulation = Simulation::watched(&self.setup, watch).map_err(named_setup)?;
        let goals = Goals { setting: self.setting, sets: true, host_threads_max: None };
        let mut tuner = self.tuned.then(|| Tuner::new(goals));
        let (mut decisions, mut next_look) = (Vec::new(), 0);
        let mut window = Window::new(self);
        while let Some(now) = simulation.step() {
            window.look(&simulation);
            if let Some(tuner) = &mut tuner
                && now >= next_look
            {
                next_look = now + TICK;
                let decision = tuner.look(now, &simulation.measures().tallies()).map_err(named)?;
                if let Some(decision) = decision {
                    decided(simulation.watch(), &decision);
                    resize(&mut simulation, decision.sets)?;
                    window.begin(&simulation);
                    decisions.push(decision);
                }
            }
        }
        let sets = simulation.schedule().sets(0);
        let plan = Plan::new(&Setting { sets, ..self.changed }).map_err(named)?;
        let run = simulation.into_run();
        Ok(Streamed {
            steady: window.steady(&run, &plan, decisions.is_empty() && self.changes_at.is_none()),
            cut_short: run.totals.taken < self.setup.source.items,
            run,
            plan,
            decisions,
        })
    }
}

/// Every lane gets as many sets, and the window grows with them, as in a real run.
fn resize<W: Watch>(simulation: &mut Simulation<W>, sets: Sets) -> anyhow::Result<()> {
    let lanes = simulation.measures().units().len();
    for lane in 0..lanes {
        simulation.resize(lane, sets)?;
    }
    simulation.grow_window(window_places(sets, lanes))?;
    Ok(())
}

fn window_places(sets: Sets, lanes: usize) -> usize {
    sets.items_max().saturating_mul(lanes).saturating_mul(2).min(LIMIT)
}

/// Kernels of each lane that a steady state needs, as in the summary of a real run.
const KERNELS_PER_LANE_MIN: u64 = 16;

/// The steady part of a stream: from the last choice of sets or the last change of times on, without the first
/// quarter, in which rings fill, until the last item is taken and they begin to drain.
#[derive(Clone, Debug)]
struct Window {
    begins_with: Sequence,
    ends_with: Sequence,
    began: Option<Tallies>,
    ended: Option<Tallies>,
}

impl Window {
    fn new(stream: &Stream) -> Self {
        let ends_with = stream.setup.source.items;
        let items = ends_with - stream.changes_at.unwrap_or(0);
        // What limits a stream repeats itself after so many items as there are sets: whole rounds are measured.
        let round = (stream.setting.sets.inputs() as u64).saturating_mul(stream.setting.lanes as u64);
        let longest = items - items / 4;
        let measured = if round < longest { longest - longest % round } else { longest };
        Window { begins_with: ends_with - measured, ends_with, began: None, ended: None }
    }

    fn look<W: Watch>(&mut self, simulation: &Simulation<W>) {
        let taken = simulation.schedule().totals().taken;
        if self.began.is_none() && taken >= self.begins_with {
            self.began = Some(simulation.measures().tallies());
        }
        if self.ended.is_none() && taken >= self.ends_with {
            self.ended = Some(simulation.measures().tallies());
        }
    }

    /// Begins anew; not when the end has come.
    fn begin<W: Watch>(&mut self, simulation: &Simulation<W>) {
        if self.ended.is_some() {
            self.began = None;
        } else if self.began.is_some() {
            self.began = Some(simulation.measures().tallies());
        }
    }

    /// `is_one`: the whole stream ran with the same sets and times.
    fn steady(self, run: &Run, plan: &Plan, is_one: bool) -> Option<Steady> {
        let whole = run.measures.tallies();
        let ended = self.ended.as_ref().unwrap_or(&whole);
        let enough = KERNELS_PER_LANE_MIN * run.measures.units().len() as u64;
        let long = |from: &Tallies| ended.kernels() - from.kernels() >= enough;
        let (period, since) = match &self.began {
            Some(began) if long(began) => (ended.period_since(began)?, ended.since(began)),
            // Where all items are taken nearly at once, the whole stream says more than a part of it.
            _ if is_one && whole.kernels() >= 2 * enough => (run.measures.period()?, whole),
            _ => return None,
        };
        let measured = plan.setting.with_measured(&since);
        // Waiting for a link or for the source is no use of it.
        let times = StageTimes { call_s: plan.setting.times.call_s, ..measured.times };
        let used = Plan::new(&Setting { times, source_s: plan.setting.source_s, ..measured }).ok()?;
        Some(Steady { period_s: period / 1e9, used })
    }
}
