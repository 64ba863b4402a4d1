//! Choosing buffer sets and host threads while a stream runs.
//!
//! A [`Tuner`] looks at what was measured since it looked last, plans with it, and says when a ring should have
//! another size. It holds no clock and starts nothing: the runtime and the virtual-time simulator ask it, and
//! carry out what it says with [`Schedule::resize`](crate::schedule::Schedule::resize) and
//! [`Schedule::set_host_threads`](crate::schedule::Schedule::set_host_threads).
//!
//! Its rules:
//!
//! - host threads: as many as keep the host from being the limit, up to the most it may use;
//! - sets: N\*, the least number that the plan calls enough for these host threads. The spare ones that jitter and
//!   shared resources ask for are added only while the measured period stays more than 2 % above the planned one;
//! - never more than the memory and latency limits of the setting allow;
//! - fewer only when a limit asks for it, or when [`PATIENCE`] looks in a row found two or more superfluous: each
//!   surplus set costs a period of latency and gains nothing.

use crate::measure::{Nanos, Stage, Tallies};
use crate::plan::{Plan, Setting, SettingError};
use crate::schedule::{HostThreads, Sets};

/// Items of each lane that a look needs, so that means and spread say something.
pub const ITEMS_PER_LOOK: u64 = 16;

/// Items of each lane that the first look needs: it had better come soon than be exact.
pub const ITEMS_AT_FIRST: u64 = 8;

/// How many looks in a row must find sets superfluous before they are taken away.
pub const PATIENCE: u32 = 3;

/// A measured period this much above the planned one calls for spare sets.
const TOLERANCE: f64 = 1.02;

/// What a tuner may choose, and where it starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goals {
    /// The run as it starts: lanes, link, limits, sets and host threads. Its times do not matter.
    pub setting: Setting,
    /// Whether buffer sets are to be chosen.
    pub sets: bool,
    /// The most host threads that may be chosen; `None` leaves them as they are.
    pub host_threads_max: Option<usize>,
}

/// One choice, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// When, in nanoseconds since the run began.
    pub at: Nanos,
    /// After how many items' kernels.
    pub items: u64,
    /// Buffer sets of each lane from now on.
    pub sets: Sets,
    /// Host threads from now on.
    pub host_threads: usize,
    /// Why, in words.
    pub why: String,
}

/// Chooses buffer sets and host threads from what is measured.
#[derive(Clone, Debug)]
pub struct Tuner {
    goals: Goals,
    /// What runs now.
    setting: Setting,
    looked_at: Tallies,
    has_decided: bool,
    superfluous: u32,
}

impl Tuner {
    /// A tuner for a run that starts as the goals say.
    pub fn new(goals: Goals) -> Self {
        Tuner {
            setting: goals.setting,
            goals,
            looked_at: Tallies::default(),
            has_decided: false,
            superfluous: 0,
        }
    }

    /// Looks at what was measured up to `now`. Gives a decision when something should change, and once at first.
    ///
    /// # Errors
    ///
    /// A latency limit that no number of buffer sets meets, with the smallest latency possible. Measurements that
    /// no plan can be made from change nothing.
    pub fn look(&mut self, now: Nanos, measured: &Tallies) -> Result<Option<Decision>, SettingError> {
        let since = measured.since(&self.looked_at);
        let of_lane = if self.has_decided { ITEMS_PER_LOOK } else { ITEMS_AT_FIRST };
        let enough = of_lane * self.setting.lanes as u64;
        if [Stage::Kernel, Stage::Postprocess].iter().any(|&stage| since.of(stage).count < enough) {
            return Ok(None);
        }
        let period_s = measured.period_since(&self.looked_at).map(|ns| ns / 1e9);
        self.looked_at = measured.clone();
        self.setting = self.setting.with_measured(&since);
        let plan = match self.plan() {
            Ok(plan) => plan,
            Err(error @ SettingError::Latency { .. }) => return Err(error),
            Err(_) => return Ok(None),
        };
        let host_threads = plan.setting.host_threads;
        let sets = if self.goals.sets { self.choose_sets(&plan, period_s) } else { self.setting.sets };
        let is_new = sets != self.setting.sets || host_threads != self.setting.host_threads;
        if self.has_decided && !is_new {
            return Ok(None);
        }
        self.has_decided = true;
        self.setting.sets = sets;
        self.setting.host_threads = host_threads;
        let plan = Plan::new(&self.setting)?;
        Ok(Some(Decision {
            at: now,
            items: measured.of(Stage::Kernel).count,
            sets,
            host_threads: host_threads.total(),
            why: why(&plan),
        }))
    }

    /// From now on the sets stay as they are: there is no room for more.
    pub fn keep_sets(&mut self) {
        self.goals.sets = false;
    }

    /// The plan for these times with the host threads it asks for.
    fn plan(&self) -> Result<Plan, SettingError> {
        let Some(most) = self.goals.host_threads_max else {
            return Plan::new(&self.setting);
        };
        let with =
            |threads| Plan::new(&Setting { host_threads: HostThreads::Shared(threads), ..self.setting });
        let wanted = with(most)?.host_threads_enough.total();
        // Threads that have nothing to do cost nothing: there are never fewer.
        with(wanted.min(most).max(self.setting.host_threads.total()))
    }

    fn choose_sets(&mut self, plan: &Plan, period_s: Option<f64>) -> Sets {
        let now = self.setting.sets;
        let advised = plan.buffers.advised;
        let is_slow = period_s.is_some_and(|period_s| period_s > TOLERANCE * plan.resource_period_s);
        // With fewer sets than N* the period is of course the worse, and says nothing about spare ones.
        let has_enough = at_least(now, plan.buffers.enough);
        let spare = if is_slow && has_enough { advised } else { Sets::Joint(1) };
        let wanted = at_most(larger(now, larger(plan.buffers.enough, spare)), advised, now);
        if plan.buffers.cap.is_some() && !at_least(advised, now) {
            return smaller(now, advised);
        }
        let far_too_many = now.inputs() >= advised.inputs() + 2 && now.outputs() >= advised.outputs() + 2;
        self.superfluous = if far_too_many { self.superfluous + 1 } else { 0 };
        if self.superfluous >= PATIENCE {
            self.superfluous = 0;
            return smaller(now, advised);
        }
        wanted
    }
}

/// The sets that hold both; in the layout of the first.
fn larger(a: Sets, b: Sets) -> Sets {
    both(a, b, usize::max)
}

fn smaller(a: Sets, b: Sets) -> Sets {
    both(a, b, usize::min)
}

/// `wanted`, but no more than the larger of what is advised and what there is.
fn at_most(wanted: Sets, advised: Sets, now: Sets) -> Sets {
    smaller(wanted, larger(now, advised))
}

fn at_least(a: Sets, b: Sets) -> bool {
    a.inputs() >= b.inputs() && a.outputs() >= b.outputs()
}

fn both(a: Sets, b: Sets, f: fn(usize, usize) -> usize) -> Sets {
    let (inputs, outputs) = (f(a.inputs(), b.inputs()), f(a.outputs(), b.outputs()));
    match a {
        Sets::Joint(_) => Sets::Joint(inputs.max(outputs)),
        Sets::Split { .. } => Sets::Split { inputs, outputs },
    }
}

fn why(plan: &Plan) -> String {
    let advice = plan.advice().into_iter().next().unwrap_or_default();
    format!("{}; {advice}", plan.buffers.why)
}
