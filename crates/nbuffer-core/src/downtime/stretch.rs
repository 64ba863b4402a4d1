//! A stretch of a trace, ordered by what is looked for in it.

use super::stock::{Size, Timed, Use, ends_of_shortage};
use crate::measure::{Nanos, Stage};
use crate::schedule::{Duplex, Sets};
use crate::trace::{Interval, Journey, LanePlace, Moment, Topology, Trace, What};

/// A stage of the item at an index of the stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) item: u32,
    pub(super) stage: Stage,
}

/// A call of a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) time: Interval,
    /// What it submitted; nothing if it was a flush call.
    pub(super) item: Option<u32>,
}

/// A lane of the stretch.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) place: LanePlace,
    /// Its kernels in the order they began.
    pub(super) kernels: Vec<(Interval, u32)>,
    /// Its calls in the order they began.
    pub(super) calls: Vec<Call>,
    /// Where its calls begin in a numbering of those of all lanes.
    pub(super) first_call: usize,
    /// The ends of its writes and reads.
    pub(super) moves: Timed<Step>,
    /// Items that gave an output set back when all were in use; none for a joint ring.
    pub(super) outputs: Timed<u32>,
    /// Items that gave an input set back when all of this lane were in use.
    pub(super) inputs: Timed<u32>,
}

/// Journeys of a stretch that was kept whole, and what can be told from them.
#[derive(Debug)]
pub(super) struct Stretch<'a> {
    pub(super) journeys: &'a [Journey],
    pub(super) lanes: Vec<Lane>,
    pub(super) n_calls: usize,
    /// What ended on each channel of a link.
    channels: Vec<Timed<Step>>,
    /// The ends of preprocess steps.
    pub(super) preprocesses: Timed<Step>,
    /// The ends of postprocess steps.
    pub(super) postprocesses: Timed<Step>,
    /// Host steps that ended when all threads were at work.
    pub(super) threads: Timed<Step>,
    /// Items that gave an input set back when all of all lanes were in use.
    pub(super) inputs: Timed<u32>,
    /// Items that were handed out when the reorder window held as many as it ever did.
    pub(super) window: Timed<u32>,
}

impl<'a> Stretch<'a> {
    /// Of kernels those in `known` count.
    pub(super) fn new(trace: &Trace, journeys: &'a [Journey], known: Interval) -> Self {
        let Trace { topology, moments, .. } = trace;
        let sizes = Sizes::of(topology, moments);
        let mut items_of = vec![Vec::new(); topology.lanes.len()];
        for (item, journey) in items(journeys) {
            if let Some(items) = journey.lane.and_then(|lane| items_of.get_mut(usize::from(lane))) {
                items.push((item, journey));
            }
        }
        let lanes = items_of.iter().enumerate();
        let mut lanes: Vec<Lane> =
            lanes.map(|(lane, items)| Lane::new(lane, topology, items, moments, &sizes)).collect();
        let mut n_calls = 0;
        for lane in &mut lanes {
            lane.kernels.retain(|(kernel, _)| kernel.start >= known.start && kernel.end <= known.end);
            lane.first_call = n_calls;
            n_calls += lane.calls.len();
        }
        let host: Vec<Use<Step>> = host_uses(journeys).collect();
        let inputs: Vec<Use<u32>> = items(journeys).filter_map(|item| input_use(topology, item)).collect();
        Stretch {
            channels: channels(topology, journeys),
            preprocesses: Timed::new(ends(&host, Stage::Preprocess)),
            postprocesses: Timed::new(ends(&host, Stage::Postprocess)),
            threads: ends_of_shortage(&host, &sizes.host_threads),
            inputs: ends_of_shortage(&inputs, &sizes.inputs),
            window: window(journeys),
            journeys,
            lanes,
            n_calls,
        }
    }

    /// What ended on the channel that a stage of a lane goes over.
    pub(super) fn channel(&self, lane: usize, stage: Stage) -> &Timed<Step> {
        &self.channels[channel(self.lanes[lane].place, stage)]
    }

    pub(super) fn lane_of(&self, item: u32) -> Option<usize> {
        self.journeys[item as usize].lane.map(usize::from).filter(|&lane| lane < self.lanes.len())
    }
}

impl Lane {
    fn new(
        lane: usize,
        topology: &Topology,
        items: &[(u32, &Journey)],
        moments: &[Moment],
        sizes: &Sizes,
    ) -> Self {
        let of_lane = || items.iter().copied();
        let mut kernels: Vec<_> = of_lane().filter_map(|(item, j)| Some((j.kernel?, item))).collect();
        kernels.sort_by_key(|(time, _)| (time.start, time.end));
        let submitted = of_lane().filter_map(|(item, j)| Some(Call { time: j.call?, item: Some(item) }));
        let flushes = moments.iter().filter_map(|moment| match moment.what {
            What::Flush { lane: of, call } if of == lane => Some(Call { time: call, item: None }),
            _ => None,
        });
        let mut calls: Vec<Call> = submitted.chain(flushes).collect();
        calls.sort_by_key(|call| (call.time.start, call.time.end));
        let moves = of_lane().flat_map(|(item, j)| {
            let moves = [(Stage::Write, j.write), (Stage::Read, j.read)];
            moves.into_iter().filter_map(move |(stage, time)| Some((time?.end, Step { item, stage })))
        });
        let inputs: Vec<_> = of_lane().filter_map(|item| input_use(topology, item)).collect();
        let outputs: Vec<_> = of_lane().filter_map(|item| output_use(topology, item)).collect();
        Lane {
            place: topology.lanes[lane],
            kernels,
            calls,
            first_call: 0,
            moves: Timed::new(moves.collect()),
            outputs: ends_of_shortage(&outputs, &sizes.outputs_of_lane[lane]),
            inputs: ends_of_shortage(&inputs, &sizes.inputs_of_lane[lane]),
        }
    }

    /// The call that was the last to begin up to a time.
    pub(super) fn call_at(&self, at: Nanos) -> Option<usize> {
        self.calls.partition_point(|call| call.time.start <= at).checked_sub(1)
    }

    /// The call that was the last to begin before a time.
    pub(super) fn call_before(&self, at: Nanos) -> Option<usize> {
        self.calls.partition_point(|call| call.time.start < at).checked_sub(1)
    }

    /// The kernel that ran while this call did, and was the last to begin.
    pub(super) fn kernel_in(&self, call: Interval) -> Option<Interval> {
        let last = self.kernels.partition_point(|(time, _)| time.start < call.end).checked_sub(1)?;
        Some(self.kernels[last].0).filter(|kernel| kernel.end > call.start)
    }
}

fn items(journeys: &[Journey]) -> impl Iterator<Item = (u32, &Journey)> {
    (0..).zip(journeys)
}

fn host_uses(journeys: &[Journey]) -> impl Iterator<Item = Use<Step>> {
    items(journeys).flat_map(|(item, j)| {
        [Stage::Preprocess, Stage::Postprocess].into_iter().filter_map(move |stage| {
            // What takes no time keeps nobody waiting.
            let time = j.stage(stage).filter(|time| time.length() > 0)?;
            Some(Use { taken: time.start, back: time.end, by: Step { item, stage } })
        })
    })
}

fn ends(steps: &[Use<Step>], stage: Stage) -> Vec<(Nanos, Step)> {
    steps.iter().filter(|step| step.by.stage == stage).map(|step| (step.back, step.by)).collect()
}

/// From when to when an item held an input set.
fn input_use(topology: &Topology, (item, j): (u32, &Journey)) -> Option<Use<u32>> {
    let place = topology.lanes.get(usize::from(j.lane?))?;
    let (_, preprocess) = j.preprocess?;
    let back = match place.sets {
        _ if j.call.is_none() => preprocess.end,
        Sets::Joint(_) => j.postprocess.map_or(j.delivered, |(_, time)| time.end),
        Sets::Split { .. } => j.input_free.or(j.landed).unwrap_or(j.delivered),
    };
    Some(Use { taken: preprocess.start, back, by: item })
}

/// From when to when an item held an output set that is not its input set.
fn output_use(topology: &Topology, (item, j): (u32, &Journey)) -> Option<Use<u32>> {
    let place = topology.lanes.get(usize::from(j.lane?))?;
    if let Sets::Joint(_) = place.sets {
        return None;
    }
    let back = j.postprocess.map_or(j.delivered, |(_, time)| time.end);
    Some(Use { taken: j.call?.start, back, by: item })
}

fn channel(LanePlace { link, duplex, .. }: LanePlace, stage: Stage) -> usize {
    2 * link + usize::from(duplex == Duplex::Full && stage == Stage::Read)
}

fn channels(topology: &Topology, journeys: &[Journey]) -> Vec<Timed<Step>> {
    let links = topology.lanes.iter().map(|place| place.link + 1).max().unwrap_or(0);
    let mut channels = vec![Vec::new(); 2 * links];
    for (item, j) in items(journeys) {
        let Some(&place) = j.lane.and_then(|lane| topology.lanes.get(usize::from(lane))) else { continue };
        for (stage, time) in [(Stage::Write, j.write), (Stage::Read, j.read)] {
            if let Some(time) = time.filter(|time| time.length() > 0) {
                channels[channel(place, stage)].push((time.end, Step { item, stage }));
            }
        }
    }
    channels.into_iter().map(Timed::new).collect()
}

/// The size of the window is not traced: what it holds at most is taken for it.
fn window(journeys: &[Journey]) -> Timed<u32> {
    let uses: Vec<Use<u32>> = items(journeys)
        .filter_map(|(item, j)| Some(Use { taken: j.source?.end, back: j.delivered, by: item }))
        .collect();
    let mut events: Vec<(Nanos, i64)> = uses.iter().flat_map(|u| [(u.back, -1), (u.taken, 1)]).collect();
    events.sort_unstable();
    let mut held = 0;
    let most = events.into_iter().map(|(_, change)| {
        held += change;
        held
    });
    let most = most.max().unwrap_or(0);
    ends_of_shortage(&uses, &vec![(0, most.max(0) as usize)])
}

/// How many sets and threads there were, from each time on.
struct Sizes {
    host_threads: Size,
    /// Over all lanes.
    inputs: Size,
    inputs_of_lane: Vec<Size>,
    outputs_of_lane: Vec<Size>,
}

impl Sizes {
    fn of(topology: &Topology, moments: &[Moment]) -> Self {
        let lanes = topology.lanes.len();
        let mut sizes = Sizes {
            host_threads: Vec::new(),
            inputs: Vec::new(),
            inputs_of_lane: vec![Vec::new(); lanes],
            outputs_of_lane: vec![Vec::new(); lanes],
        };
        let mut threads = topology.host_threads;
        let mut sets: Vec<(usize, usize)> =
            topology.lanes.iter().map(|place| (place.sets.inputs(), place.sets.outputs())).collect();
        sizes.note(0, threads, &sets);
        for Moment { at, what } in moments {
            match what {
                What::Chosen { sets: chosen, host_threads, .. } => {
                    threads = *host_threads;
                    // A lane that was lost stays lost.
                    for of_lane in sets.iter_mut().filter(|sets| **sets != (0, 0)) {
                        *of_lane = (chosen.inputs(), chosen.outputs());
                    }
                }
                What::LaneLost { lane, .. } => {
                    if let Some(of_lane) = sets.get_mut(*lane) {
                        *of_lane = (0, 0);
                    }
                }
                What::Flush { .. } | What::Failed { .. } | What::Cancelled => continue,
            }
            sizes.note(*at, threads, &sets);
        }
        sizes
    }

    fn note(&mut self, at: Nanos, threads: usize, sets: &[(usize, usize)]) {
        self.host_threads.push((at, threads));
        self.inputs.push((at, sets.iter().map(|(inputs, _)| inputs).sum()));
        for (lane, &(inputs, outputs)) in sets.iter().enumerate() {
            self.inputs_of_lane[lane].push((at, inputs));
            self.outputs_of_lane[lane].push((at, outputs));
        }
    }
}
