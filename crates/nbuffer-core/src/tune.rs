//! Choosing buffer sets and host threads while a stream runs.
//!
//! A [`Tuner`] looks at what was measured since it looked last, plans with it, and says when a ring should have
//! another size. It holds no clock and starts nothing: the runtime and the virtual-time simulator ask it, and
//! carry out what it says with [`Schedule::resize`](crate::schedule::Schedule::resize) and
//! [`Schedule::set_host_threads`](crate::schedule::Schedule::set_host_threads).
//!
//! Its rules:
//!
//! - times: means over the last hundred items or two, so that noise does not move anything; but when a stage's time
//!   changes by more than noise explains, what was before is forgotten at once;
//! - host threads: as many as keep the host from being the limit, up to the most it may use;
//! - sets: N\*, the least number that the plan calls enough for these host threads. The spare ones that jitter and
//!   shared resources ask for are added only where the measured period stays more than 2 % above the planned one;
//! - never more than the memory and latency limits of the setting allow;
//! - fewer only when a limit asks for it, or when [`PATIENCE`] looks in a row found two or more superfluous: each
//!   surplus set costs a period of latency and gains nothing.

use crate::measure::{Nanos, Stage, Tallies};
use crate::plan::{BufferNeed, Cap, Limits, Plan, Resource, Setting, SettingError, Spare, Time};
use crate::schedule::{HostThreads, Sets};

/// Items of each lane that a look needs, so that means and spread say something.
pub const ITEMS_PER_LOOK: u64 = 16;

/// Items of each lane that the first look needs: it had better come soon than be exact.
pub const ITEMS_AT_FIRST: u64 = 8;

/// Items of each lane after which older ones are forgotten.
pub const ITEMS_REMEMBERED: u64 = 128;

/// How many looks in a row must find sets superfluous before they are taken away.
pub const PATIENCE: u32 = 16;

/// Means so many standard errors apart are means of different times.
const SIGMAS: f64 = 4.0;

/// A change of a stage's time by less than this share of an item's is none.
const NEGLIGIBLE: f64 = 0.01;

/// So many sets of a kind more than advised are superfluous.
const SURPLUS: usize = 2;

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
    memory: Memory,
    has_decided: bool,
    /// Looks in a row that found sets superfluous.
    surplus_looks: u32,
}

impl Tuner {
    /// A tuner for a run that starts as the goals say.
    pub fn new(goals: Goals) -> Self {
        Tuner {
            setting: goals.setting,
            goals,
            memory: Memory::default(),
            has_decided: false,
            surplus_looks: 0,
        }
    }

    /// Looks at what was measured up to `now`. Gives a decision when something should change, and once at first.
    ///
    /// # Errors
    ///
    /// A latency limit that no number of buffer sets meets, with the smallest latency possible. Measurements that
    /// no plan can be made from change nothing.
    pub fn look(&mut self, now: Nanos, measured: &Tallies) -> Result<Option<Decision>, SettingError> {
        let of_lane = if self.has_decided { ITEMS_PER_LOOK } else { ITEMS_AT_FIRST };
        let Some(seen) = self.memory.look(measured, of_lane, self.setting.lanes as u64) else {
            return Ok(None);
        };
        self.setting = self.setting.with_measured(&seen.times);
        let plan = match self.plan() {
            Ok(plan) => plan,
            Err(error @ SettingError::Latency { .. }) => return Err(error),
            Err(_) => return Ok(None),
        };
        let host_threads = plan.setting.host_threads;
        let is_slow = seen.stretch.is_some_and(|stretch| self.is_slow(&stretch));
        let sets = if self.goals.sets { self.choose_sets(&plan, is_slow) } else { self.setting.sets };
        let is_new = sets != self.setting.sets || host_threads != self.setting.host_threads;
        if self.has_decided && !is_new {
            return Ok(None);
        }
        self.has_decided = true;
        self.memory.begin_stretch();
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

    /// Whether items have come more slowly since the last decision than what they took allows.
    fn is_slow(&self, stretch: &Stretch) -> bool {
        let unlimited = Setting { limits: Limits::default(), ..self.setting.with_measured(&stretch.times) };
        match (stretch.period_s, Plan::new(&unlimited)) {
            (Some(period_s), Ok(plan)) => period_s > TOLERANCE * plan.resource_period_s,
            _ => false,
        }
    }

    fn choose_sets(&mut self, plan: &Plan, is_slow: bool) -> Sets {
        let now = self.setting.sets;
        let BufferNeed { enough, advised, cap, .. } = &plan.buffers;
        if cap.is_some_and(|cap| !cap.allows(now)) {
            return each(now, *advised, usize::min);
        }
        let has_surplus = any(now, *advised, |now, advised| now >= advised + SURPLUS);
        self.surplus_looks = if has_surplus { self.surplus_looks + 1 } else { 0 };
        if self.surplus_looks >= PATIENCE {
            self.surplus_looks = 0;
            return each(now, *advised, usize::min);
        }
        // With fewer sets than N* the period is of course longer, and says nothing about spare ones.
        let has_enough = !any(now, *enough, |now, enough| now < enough);
        let wanted = if has_enough && is_slow { *advised } else { each(*enough, *advised, usize::min) };
        each(now, wanted, usize::max)
    }
}

/// What is remembered of the measurements: the latest [`ITEMS_REMEMBERED`] items or up to twice as many, but nothing
/// from before times changed. So noise is averaged out, a change is seen at once, and a drift too slow to be called a
/// change is followed.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// Where the memory begins, and where it will begin when it is full.
    from: Tallies,
    next_from: Tallies,
    /// Since when neither sets nor threads nor times have changed, as far as is remembered.
    stretch_from: Tallies,
    looked_at: Tallies,
}

/// What a look sees.
struct Look {
    /// As far back as is remembered.
    times: Tallies,
    /// Since anything changed, if that is long enough ago.
    stretch: Option<Stretch>,
}

/// A part of the run in which nothing was changed.
struct Stretch {
    times: Tallies,
    /// The steady-state period, in seconds per item.
    period_s: Option<f64>,
}

impl Memory {
    /// Looks at what was measured so far; `None` until so many items of each lane have gone by since the last look,
    /// and when times have just changed.
    fn look(&mut self, measured: &Tallies, of_lane: u64, lanes: u64) -> Option<Look> {
        let latest = measured.since(&self.looked_at);
        let enough = of_lane * lanes;
        if [Stage::Kernel, Stage::Postprocess].iter().any(|&stage| latest.of(stage).count < enough) {
            return None;
        }
        let before = self.looked_at.since(&self.from);
        self.looked_at.clone_from(measured);
        if before.of(Stage::Kernel).count > 0 && has_changed(&before, &latest) {
            // Some of these items may be from before the change: the next look begins anew.
            for from in [&mut self.from, &mut self.next_from, &mut self.stretch_from] {
                from.clone_from(measured);
            }
            return None;
        }
        let times = measured.since(&self.from);
        let stretch = Stretch {
            times: measured.since(&self.stretch_from),
            period_s: measured.period_since(&self.stretch_from).map(|ns| ns / 1e9),
        };
        if measured.since(&self.next_from).of(Stage::Kernel).count >= ITEMS_REMEMBERED * lanes {
            self.from = std::mem::replace(&mut self.next_from, measured.clone());
            if self.stretch_from.of(Stage::Kernel).count < self.from.of(Stage::Kernel).count {
                self.stretch_from.clone_from(&self.from);
            }
        }
        let is_long = stretch.times.of(Stage::Kernel).count >= 2 * enough;
        Some(Look { times, stretch: is_long.then_some(stretch) })
    }

    /// Sets or threads change now.
    fn begin_stretch(&mut self) {
        self.stretch_from.clone_from(&self.looked_at);
    }
}

/// Whether some time is not what it was: its means are further apart than [`SIGMAS`] standard errors explain, and by
/// an amount that matters beside what an item takes in all.
fn has_changed(before: &Tallies, latest: &Tallies) -> bool {
    let item_ns: f64 = Stage::ALL.iter().map(|&stage| before.of(stage).mean()).sum();
    let stages = Stage::ALL.map(|stage| (before.of(stage), latest.of(stage)));
    stages.into_iter().chain([(before.call, latest.call), (before.source, latest.source)]).any(|(b, l)| {
        let deviation = (b.cv() * b.mean()).max(l.cv() * l.mean());
        let error = deviation * (1.0 / b.count as f64 + 1.0 / l.count as f64).sqrt();
        (l.mean() - b.mean()).abs() > (SIGMAS * error).max(NEGLIGIBLE * item_ns)
    })
}

/// Of two sizes in one layout, what `choose` says for inputs and for outputs.
fn each(a: Sets, b: Sets, choose: fn(usize, usize) -> usize) -> Sets {
    let inputs = choose(a.inputs(), b.inputs());
    match a {
        Sets::Joint(_) => Sets::Joint(inputs),
        Sets::Split { .. } => Sets::Split { inputs, outputs: choose(a.outputs(), b.outputs()) },
    }
}

/// Whether something holds for inputs or for outputs.
fn any(a: Sets, b: Sets, holds: impl Fn(usize, usize) -> bool) -> bool {
    holds(a.inputs(), b.inputs()) || holds(a.outputs(), b.outputs())
}

/// What limits the run, N\*, and what there is beyond it or a limit that forbids it.
fn why(plan: &Plan) -> String {
    let Plan { setting, buffers, .. } = plan;
    let limit = match plan.binding().resource {
        Resource::Device => "device-bound",
        Resource::Write | Resource::Read | Resource::Link => "link-bound",
        Resource::Source => "source-bound",
        Resource::Host | Resource::PreprocessThreads | Resource::PostprocessThreads => "host-bound",
        Resource::Cores => "core-bound",
        Resource::Buffers | Resource::Inputs | Resource::Outputs => "buffer-bound",
    };
    let enough = match buffers.enough {
        Sets::Joint(n) => n.to_string(),
        Sets::Split { inputs, outputs } => format!("{inputs} + {outputs}"),
    };
    let mut why = format!("{limit} at {} an item: N* = {enough}", Time(plan.period_s()));
    let Spare { shared, jitter, .. } = buffers.spare;
    let has_more = any(setting.sets, buffers.enough, |now, enough| now > enough);
    why += match (shared > 0, jitter > 0) {
        _ if !has_more => "",
        (true, true) => ", and spare ones for stages that share a server and times that vary",
        (true, false) => ", and spare ones for stages that share a server",
        (false, true) => ", and spare ones for times that vary",
        (false, false) => ", and some that are left from before",
    };
    if let Some(Cap { sets, limit }) = buffers.cap
        && any(setting.sets, buffers.enough, |now, _| now >= sets)
    {
        why += &format!("; the {limit} limit allows {sets}");
    }
    why
}
