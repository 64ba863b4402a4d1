//! What must hold after each step, found out without the schedule's own books: from who holds which buffer set,
//! from the spans, and from the results handed out.

use std::collections::HashMap;

use super::super::{Delivery, Fault, Setup, Simulation, Watch};
use super::owner::{Owner, owners};
use crate::measure::{Nanos, Stage};
use crate::schedule::{HostThreads, Order, Outcome, Retry, SetState, Sets};
use crate::trace::{Span, Unit};

pub(super) struct Checker {
    order: Order,
    /// Whether items of a lost lane are begun again.
    retries: bool,
    items: Vec<Seen>,
    /// Whether anything but the faults of single items can end an item badly.
    only_own_faults: bool,
    lost: Vec<Option<Nanos>>,
    delivered: u64,
    /// By outcome.
    outcomes: [u64; 3],
    busy_until: HashMap<Unit, Nanos>,
    /// Sets in use of each lane and running host steps after the step before.
    in_use: Vec<[usize; 2]>,
    steps: [usize; 2],
    /// When each item was last found in an input set and in an output set, as the number of a check.
    found: [Vec<u64>; 2],
    n_checks: u64,
    /// The first promise broken between two checks.
    broken: Option<String>,
}

/// What is known of one item.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Stages that are over.
    stages: usize,
    last_end: Nanos,
    delivered: bool,
    fails: bool,
}

impl Checker {
    pub(super) fn new(setup: &Setup) -> Self {
        let n_items = setup.source.items as usize;
        let mut items = vec![Seen::default(); n_items];
        let mut lost: Vec<Option<Nanos>> = vec![None; setup.devices.len()];
        let mut only_own_faults = true;
        let retries = setup.schedule.retry == Retry::OtherLane;
        for fault in &setup.faults {
            match *fault {
                Fault::Stage(_, sequence) => items[sequence as usize].fails = true,
                Fault::Stall { .. } => {}
                Fault::Cancel { .. } => only_own_faults = false,
                Fault::LaneLost { lane, at } => {
                    lost[lane] = Some(lost[lane].map_or(at, |other| at.min(other)));
                }
            }
        }
        // With a lane left, the items of the others go there.
        let is_lane_left = lost.iter().any(Option::is_none);
        only_own_faults &= lost.iter().all(Option::is_none) || retries && is_lane_left;
        Checker {
            order: setup.schedule.order,
            retries: retries && !lost.iter().all(Option::is_none),
            items,
            only_own_faults,
            in_use: vec![[0; 2]; lost.len()],
            lost,
            delivered: 0,
            outcomes: [0; 3],
            busy_until: HashMap::new(),
            steps: [0; 2],
            found: [vec![0; n_items], vec![0; n_items]],
            n_checks: 0,
            broken: None,
        }
    }

    fn breaks(&mut self, what: impl FnOnce() -> String) {
        self.broken.get_or_insert_with(what);
    }
}

impl Watch for Checker {
    /// Each stage once and in turn, each unit at one thing at a time.
    fn span(&mut self, span: Span) {
        let item = &mut self.items[span.sequence as usize];
        // An item whose lane was lost begins again.
        if self.retries && span.stage == Stage::Preprocess && item.stages > 0 {
            item.stages = 0;
        }
        let is_in_turn = item.stages == span.stage as usize
            && item.last_end <= span.start
            && span.start <= span.end
            && !item.delivered;
        item.stages += 1;
        item.last_end = span.end;
        if !is_in_turn {
            self.breaks(|| format!("out of turn: {span:?}"));
        }
        let busy_until = self.busy_until.insert(span.unit, span.end).unwrap_or(0);
        if busy_until > span.start {
            self.breaks(|| format!("busy until {busy_until}: {span:?}"));
        }
    }

    /// Each item once, in order, and ended as its faults say.
    fn delivered(&mut self, delivery: Delivery) {
        let in_order = self.order == Order::Completed || delivery.sequence == self.delivered;
        self.delivered += 1;
        self.outcomes[delivery.outcome as usize] += 1;
        let item = &mut self.items[delivery.sequence as usize];
        let again = std::mem::replace(&mut item.delivered, true);
        let item = *item;
        if again || !in_order {
            self.breaks(|| format!("{} or out of order: {delivery:?}", if again { "again" } else { "once" }));
        }
        let is_ok = delivery.outcome == Outcome::Ok;
        if is_ok && (item.stages != Stage::ALL.len() || item.fails)
            || self.only_own_faults && is_ok == item.fails
        {
            self.breaks(|| format!("{delivery:?} after {} stages", item.stages));
        }
    }
}

/// Everything that must hold between two steps.
pub(super) fn check(simulation: &mut Simulation<Checker>) -> Result<(), String> {
    simulation.watch.n_checks += 1;
    check_counts(simulation)?;
    for lane in 0..simulation.watch.lost.len() {
        check_sizes(simulation, lane)?;
        check_lane(simulation, lane)?;
    }
    match simulation.watch.broken.take() {
        Some(what) => Err(what),
        None => Ok(()),
    }
}

fn check_counts(simulation: &mut Simulation<Checker>) -> Result<(), String> {
    let (schedule, checker) = (&simulation.schedule, &mut simulation.watch);
    let totals = schedule.totals();
    let between = totals.taken - checker.delivered;
    ensure(between <= schedule.window() as u64, || format!("{between} items in the window"))?;
    ensure(totals.taken <= checker.items.len() as u64, || format!("{totals:?}: more than the source has"))?;
    // Results are fetched at once, so out of order nothing stays behind.
    let at_once = checker.order == Order::Completed;
    ensure(!at_once || totals.ended() == checker.delivered, || format!("{totals:?}: not handed out"))?;
    ensure(totals.ended() <= totals.taken, || format!("{totals:?}"))?;

    let mut steps = [0; 2];
    for step in simulation.threads.running() {
        steps[usize::from(step.stage == Stage::Postprocess)] += 1;
    }
    ensure(steps[0] + steps[1] == schedule.host_busy(), || format!("{steps:?} host steps run"))?;
    // Steps that began before there were fewer threads may still run.
    let before = std::mem::replace(&mut checker.steps, steps);
    let fits = match schedule.host_threads() {
        HostThreads::Shared(c) => steps[0] + steps[1] <= c.max(before[0] + before[1]),
        HostThreads::Split { preprocess, postprocess } => {
            steps[0] <= preprocess.max(before[0]) && steps[1] <= postprocess.max(before[1])
        }
    };
    ensure(fits, || format!("{steps:?} host steps with {:?}", schedule.host_threads()))
}

/// No ring uses more sets than it has, but for those it had before it became smaller.
fn check_sizes(simulation: &mut Simulation<Checker>, lane: usize) -> Result<(), String> {
    let (schedule, checker) = (&simulation.schedule, &mut simulation.watch);
    let in_use = |states: &[SetState]| states.iter().filter(|state| **state != SetState::Surplus).count();
    let now = [in_use(schedule.inputs(lane)), in_use(schedule.outputs(lane))];
    let before = std::mem::replace(&mut checker.in_use[lane], now);
    let size = sizes(schedule.sets(lane));
    let is_lost = checker.lost[lane].is_some_and(|at| at <= simulation.now);
    let fits = (0..2).all(|side| size[side] <= now[side] && now[side] <= size[side].max(before[side]));
    ensure(is_lost || fits, || format!("lane {lane} uses {now:?} sets of {size:?}"))
}

/// Each set has the owner its state names, each owner the set it needs, and no item two sets of a kind.
fn check_lane(simulation: &mut Simulation<Checker>, lane: usize) -> Result<(), String> {
    let owners = owners(simulation, lane);
    let (schedule, checker) = (&simulation.schedule, &mut simulation.watch);
    let is_split = matches!(schedule.sets(lane), Sets::Split { .. });
    // A joint ring's outputs are its inputs.
    let kinds = [schedule.inputs(lane), schedule.outputs(lane)].into_iter().take(1 + usize::from(is_split));
    let mut owned = 0;
    for (side, states) in kinds.enumerate() {
        for (set, state) in states.iter().enumerate() {
            let sequence = match *state {
                SetState::Free | SetState::Surplus | SetState::Retired => continue,
                SetState::Ready(sequence) | SetState::Landed(sequence) => sequence,
                SetState::Preprocessing(sequence)
                | SetState::InFlight(sequence)
                | SetState::Postprocessing(sequence) => {
                    owned += 1;
                    sequence
                }
            };
            let Some(found) = checker.found[side].get_mut(sequence as usize) else {
                return Err(format!("set {set} of lane {lane} is {state:?}: there is no such item"));
            };
            let again = std::mem::replace(found, checker.n_checks) == checker.n_checks;
            let is_over = checker.items[sequence as usize].delivered;
            ensure(!again && !is_over, || format!("set {set} of lane {lane} is {state:?} wrongly"))?;
        }
    }
    let mut claimed = 0;
    for owner in &owners {
        let mut claim = |states: &[SetState], set: usize, state: SetState| {
            claimed += 1;
            ensure(states[set] == state, || format!("{owner:?} and set {set} is {:?}", states[set]))
        };
        match *owner {
            Owner::Preprocess(slot) => {
                claim(schedule.inputs(lane), slot.set(), SetState::Preprocessing(slot.sequence()))?;
            }
            Owner::Postprocess(slot) => {
                claim(schedule.outputs(lane), slot.set(), SetState::Postprocessing(slot.sequence()))?;
            }
            Owner::Device { transit, reads_input } => {
                let state = SetState::InFlight(transit.sequence());
                claim(schedule.outputs(lane), transit.output(), state)?;
                if is_split && reads_input {
                    claim(schedule.inputs(lane), transit.input(), state)?;
                }
            }
        }
    }
    // Each claim was met by a set of its own, so equal counts leave no set without its owner.
    ensure(owned == claimed, || {
        format!("lane {lane}: {owned} sets are owned, and {claimed} claimed by {owners:?}")
    })
}

/// What must hold when nothing happens any more.
pub(super) fn check_end(simulation: &Simulation<Checker>) -> Result<(), String> {
    let (schedule, checker) = (&simulation.schedule, &simulation.watch);
    ensure(schedule.is_ended(), || "nothing can happen and the stream has not ended".to_owned())?;
    let totals = schedule.totals();
    ensure(totals.ended() == totals.taken, || format!("{totals:?} at the end"))?;
    ensure([totals.ok, totals.failed, totals.cancelled] == checker.outcomes, || {
        format!("{totals:?} at the end, and handed out {:?}", checker.outcomes)
    })?;
    let is_whole = !checker.only_own_faults || totals.taken == checker.items.len() as u64;
    ensure(is_whole, || format!("{totals:?} of {} items", checker.items.len()))?;
    for lane in 0..checker.lost.len() {
        let is_lost = checker.lost[lane].is_some_and(|at| at <= simulation.now);
        let free = |states: &[SetState]| states.iter().filter(|state| **state == SetState::Free).count();
        let now = [free(schedule.inputs(lane)), free(schedule.outputs(lane))];
        let size = sizes(schedule.sets(lane));
        ensure(is_lost || now == size, || {
            format!("lane {lane} has {now:?} free sets of {size:?} at the end")
        })?;
    }
    Ok(())
}

fn sizes(sets: Sets) -> [usize; 2] {
    match sets {
        Sets::Joint(sets) => [sets; 2],
        Sets::Split { inputs, outputs } => [inputs, outputs],
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
