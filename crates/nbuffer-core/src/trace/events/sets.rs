//! How many buffer sets of each lane are in which state.
//!
//! A journey says when its item's set entered each state. Where it does not say when a set was free again, because its
//! item failed or was cancelled, the last that is known of the item counts, so that a set of a lost lane counts as
//! free a little early, and none ever counts twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{InOrder, Kind, TrackId};
use crate::measure::{Nanos, Stage};
use crate::schedule::{Outcome, Sets};
use crate::trace::{Journey, Topology};

/// The states of sets that travel whole.
const JOINT: &[&str] = &["free", "preprocessing", "ready", "in flight", "landed", "postprocessing"];
/// The states of input and of output sets that are recycled apart.
const INPUT: &[&str] = &["free", "preprocessing", "ready", "in flight"];
const OUTPUT: &[&str] = &["free", "in flight", "landed", "postprocessing"];

/// The sets of all lanes, and what becomes of them.
#[derive(Clone, Debug)]
pub(super) struct LaneSets {
    /// One for each lane whose sets travel whole, two where inputs and outputs are apart.
    pools: Vec<Pool>,
    /// Each lane's first pool.
    firsts: Vec<usize>,
    /// What changes when; at one time, what was told first changes first.
    changes: BinaryHeap<Reverse<(Nanos, u64, Change)>>,
    told: u64,
    /// The pools that change now.
    touched: Vec<usize>,
}

/// The sets of one kind of a lane.
#[derive(Clone, Debug)]
struct Pool {
    track: TrackId,
    number_track: TrackId,
    states: usize,
    outputs: bool,
    lost: bool,
    /// How many there are to be.
    number: u64,
    /// How many are in which state, at the state's place. The first place counts nothing: what is in no other state
    /// is free.
    counts: [u64; JOINT.len()],
    /// Whether all items that hold sets are known.
    known: bool,
    said: Option<(u64, [u64; JOINT.len()])>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// All counters have their first values.
    Begin,
    /// A set goes from one state to another; the free ones are not counted.
    Moves { pool: u32, from: u8, to: u8 },
    /// Lanes have so many sets from now on.
    Number { inputs: u64, outputs: u64 },
    /// A lane takes no item any more.
    Lost { lane: u32 },
    /// From now on it is known, or not, which items hold sets.
    Known(bool),
}

impl LaneSets {
    /// The sets that lanes begin with. `groups` are the tracks of the devices, whose tracks from `rank` on show them.
    pub(super) fn new(topology: &Topology, groups: &[TrackId], rank: u32, events: &mut InOrder<'_>) -> Self {
        let (mut pools, mut firsts) = (Vec::new(), Vec::new());
        for (lane, place) in topology.lanes.iter().enumerate() {
            firsts.push(pools.len());
            let kinds: &[(_, _, _, _)] = match place.sets {
                Sets::Joint(sets) => &[("buffer sets", JOINT, sets, false)],
                Sets::Split { inputs, outputs } => {
                    &[("input sets", INPUT, inputs, false), ("output sets", OUTPUT, outputs, true)]
                }
            };
            for &(what, states, number, outputs) in kinds {
                let first_rank = rank + 2 * pools.len() as u32;
                let mut track = |name: String, nth, series| {
                    events.track(Some(groups[place.device]), name, first_rank + nth, Kind::Counters(series))
                };
                pools.push(Pool {
                    track: track(format!("{what}, lane {lane}"), 0, states),
                    number_track: track(format!("number of {what}, lane {lane}"), 1, &["N"]),
                    states: states.len(),
                    outputs,
                    lost: false,
                    number: number as u64,
                    counts: [0; JOINT.len()],
                    known: true,
                    said: None,
                });
            }
        }
        let mut sets = LaneSets { pools, firsts, changes: BinaryHeap::new(), told: 0, touched: Vec::new() };
        sets.change(0, Change::Begin);
        sets
    }

    /// What one item did with its sets.
    pub(super) fn travel(&mut self, journey: &Journey, cancelled_at: Option<Nanos>) {
        let Some(lane) = journey.lane else { return };
        let first = self.firsts[usize::from(lane)];
        let preprocess = journey.stage(Stage::Preprocess);
        let postprocess = journey.stage(Stage::Postprocess);
        let left = left(journey, cancelled_at);
        // As the states of a set that travels whole: free, preprocessing, ready, in flight, landed, postprocessing.
        let entered = [
            None,
            preprocess.map(|time| time.start),
            preprocess.map(|time| time.end),
            journey.call.map(|call| call.start),
            journey.landed,
            postprocess.map(|time| time.start),
        ];
        let end = postprocess.map_or(left, |time| time.end);
        if self.pools[first].states == JOINT.len() {
            return self.stay(first, &entered, end);
        }
        self.stay(first, &entered[..INPUT.len()], journey.input_free.unwrap_or(left));
        let [.., in_flight, landed, postprocessing] = entered;
        if in_flight.is_some() {
            self.stay(first + 1, &[None, in_flight, landed, postprocessing], end);
        }
    }

    /// From now on lanes have so many sets.
    pub(super) fn resize(&mut self, at: Nanos, sets: Sets) {
        self.change(at, Change::Number { inputs: sets.inputs() as u64, outputs: sets.outputs() as u64 });
    }

    /// A lane's sets are used no more.
    pub(super) fn lose(&mut self, at: Nanos, lane: usize) {
        self.change(at, Change::Lost { lane: lane as u32 });
    }

    /// From then until then it is not known which items held sets.
    pub(super) fn unknown(&mut self, from: Nanos, until: Nanos) {
        self.change(from, Change::Known(false));
        self.change(until, Change::Known(true));
    }

    /// Says what happened before a time before which nothing will be told any more; `None`: all that happened.
    pub(super) fn settle(&mut self, until: Option<Nanos>, events: &mut InOrder<'_>) {
        while let Some(&Reverse((at, ..))) = self.changes.peek()
            && until.is_none_or(|until| at < until)
        {
            // Counters say what holds after all that happens at one time.
            while let Some(&Reverse((same, _, change))) = self.changes.peek()
                && same == at
            {
                self.changes.pop();
                self.happen(change);
            }
            for pool in self.touched.drain(..) {
                self.pools[pool].say(at, events);
            }
        }
    }

    fn change(&mut self, at: Nanos, change: Change) {
        self.told += 1;
        self.changes.push(Reverse((at, self.told, change)));
    }

    /// A set enters these states and is free at the `end`. States that are not known to have been entered are passed
    /// over.
    fn stay(&mut self, pool: usize, entered: &[Option<Nanos>], end: Nanos) {
        let (mut now, mut state) = (0, 0);
        let mut go = |at: Nanos, to: usize| {
            now = at.max(now);
            self.change(now, Change::Moves { pool: pool as u32, from: state, to: to as u8 });
            state = to as u8;
        };
        for (to, at) in entered.iter().enumerate() {
            if let Some(at) = *at {
                go(at, to);
            }
        }
        go(end, 0);
    }

    fn happen(&mut self, change: Change) {
        match change {
            Change::Begin => self.touched.extend(0..self.pools.len()),
            Change::Moves { pool, from, to } => {
                let counts = &mut self.pools[pool as usize].counts;
                // At one time a set may be told to leave a state before it is told to enter it: only the sum counts.
                counts[usize::from(from)] = counts[usize::from(from)].wrapping_sub(1);
                counts[usize::from(to)] = counts[usize::from(to)].wrapping_add(1);
                self.touched.push(pool as usize);
            }
            Change::Number { inputs, outputs } => {
                for pool in self.pools.iter_mut().filter(|pool| !pool.lost) {
                    pool.number = if pool.outputs { outputs } else { inputs };
                }
                self.touched.extend(0..self.pools.len());
            }
            Change::Lost { lane } => {
                let lane = lane as usize;
                let end = self.firsts.get(lane + 1).copied().unwrap_or(self.pools.len());
                for pool in &mut self.pools[self.firsts[lane]..end] {
                    (pool.lost, pool.number) = (true, 0);
                }
                self.touched.extend(self.firsts[lane]..end);
            }
            Change::Known(known) => {
                self.pools.iter_mut().for_each(|pool| pool.known = known);
                self.touched.extend(0..self.pools.len());
            }
        }
    }
}

impl Pool {
    /// Says what is not as it was when it was said last.
    fn say(&mut self, at: Nanos, events: &mut InOrder<'_>) {
        let (mut number, mut counts) = (0, [0; JOINT.len()]);
        if self.known {
            (number, counts) = (self.number, self.counts);
            let in_use: u64 = counts[1..].iter().sum();
            // Sets that are more than there are to be are laid aside as they come free.
            counts[0] = number.saturating_sub(in_use);
        }
        let said = self.said.replace((number, counts));
        if said.map(|(_, counts)| counts) != Some(counts) {
            events.counters(self.track, at, counts[..self.states].to_vec());
        }
        if said.map(|(number, _)| number) != Some(number) {
            events.counters(self.number_track, at, vec![number]);
        }
    }
}

/// When an item that was not postprocessed let go of its set: the last that is known of it, and not before it was
/// cancelled.
fn left(journey: &Journey, cancelled_at: Option<Nanos>) -> Nanos {
    let stages = [Stage::Preprocess, Stage::Write, Stage::Kernel, Stage::Read];
    let ends =
        stages.into_iter().filter_map(|stage| journey.stage(stage)).chain(journey.call).map(|time| time.end);
    let last = ends.chain(journey.input_free).chain(journey.landed).max().unwrap_or(journey.delivered);
    match cancelled_at {
        Some(at) if journey.outcome == Outcome::Cancelled => last.max(at.min(journey.delivered)),
        _ => last,
    }
}
