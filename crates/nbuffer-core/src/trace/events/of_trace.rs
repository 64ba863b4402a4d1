//! A run, in the words of a trace file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::iter::Peekable;
use std::slice;

use super::sets::LaneSets;
use super::{Arg, Args, Event, Flow, InOrder, Kind, Place, Slice, TrackId};
use crate::measure::{Nanos, Stage};
use crate::schedule::{Outcome, Sets};
use crate::trace::{Interval, Journey, Moment, Span, Topology, Trace, Unit, What};

impl Trace {
    /// What a trace file shows of the run, in the order of time.
    ///
    /// The host and each device are a group: the host's rows are the run itself with the moments, the source, the host
    /// threads and the delivery; a device's rows are its links and compute units and, of lanes whose calls last, the
    /// calls, and counters say how many buffer sets of each lane are in which state. Each item is a flow, from the
    /// source to its delivery, an empty slice.
    ///
    /// Where journeys were left out, a slice on the row of the run covers the time of which not all is known, and all
    /// counters are 0 that long.
    ///
    /// Beside the trace itself, only what is under way at one time is in memory, and four bytes for each journey.
    pub fn events(&self) -> Events<'_> {
        Events::new(self)
    }
}

/// What a trace file shows of a run. See [`Trace::events`].
#[derive(Clone, Debug)]
pub struct Events<'t> {
    trace: &'t Trace,
    /// The journeys, those that began first at the end.
    left: Vec<u32>,
    moments: Peekable<slice::Iter<'t, Moment>>,
    cancelled_at: Option<Nanos>,
    tracks: Tracks,
    sets: LaneSets,
    events: InOrder<'t>,
    /// Nothing follows but what is settled.
    is_over: bool,
}

impl<'t> Events<'t> {
    fn new(trace: &'t Trace) -> Self {
        let mut events = InOrder::default();
        let (tracks, groups) = Tracks::new(&trace.topology, &mut events);
        let mut sets = LaneSets::new(&trace.topology, &groups, tracks.next_rank, &mut events);
        if let Some((gap, items)) = gap(trace) {
            sets.unknown(gap.start, gap.end);
            events.slice(tracks.run, gap, Slice::new("left out").with("items", items));
        }
        let mut left: Vec<u32> = (0..trace.journeys.len() as u32).collect();
        left.sort_by_key(|&journey| began(&trace.journeys[journey as usize]));
        left.reverse();
        let cancelled = trace.moments.iter().find(|moment| moment.what == What::Cancelled);
        Events {
            trace,
            left,
            moments: trace.moments.iter().peekable(),
            cancelled_at: cancelled.map(|moment| moment.at),
            tracks,
            sets,
            events,
            is_over: false,
        }
    }

    /// Adds what begins next, and settles what nothing can precede any more.
    fn go_on(&mut self) {
        let journey = self.left.last().map(|&journey| &self.trace.journeys[journey as usize]);
        match (journey, self.moments.peek().copied()) {
            (journey, Some(moment)) if journey.is_none_or(|journey| moment.at <= began(journey)) => {
                self.moment(moment);
                self.moments.next();
            }
            (Some(journey), _) => {
                self.journey(journey);
                self.left.pop();
            }
            (None, _) => {}
        }
        let journey = self.left.last().map(|&journey| began(&self.trace.journeys[journey as usize]));
        let moment = self.moments.peek().map(|moment| moment.at);
        let until = journey.into_iter().chain(moment).min();
        self.is_over = until.is_none();
        if self.is_over && self.trace.moments_left_out > 0 {
            let args = number("moments", self.trace.moments_left_out);
            self.events.instant(self.tracks.run, self.trace.end, "left out", args);
        }
        self.sets.settle(until, &mut self.events);
        self.events.settle(until);
    }

    fn journey(&mut self, journey: &Journey) {
        self.sets.travel(journey, self.cancelled_at);
        let topology = &self.trace.topology;
        let source = journey.source.map(|time| (self.tracks.source, time, "source", None));
        let stages = journey.spans(topology).map(|Span { unit, stage, start, end, .. }| {
            (self.tracks.unit(unit, &mut self.events), Interval { start, end }, stage.name(), Some(stage))
        });
        let mut way: Vec<_> = source.into_iter().chain(stages).collect();
        way.push((self.tracks.delivery, Interval::at(journey.delivered), ended(journey.outcome), None));
        // Arrows go forward; clocks of two devices may not.
        way.sort_by_key(|(_, time, ..)| time.start);
        let last = way.len() - 1;
        for (nth, (row, time, name, stage)) in way.into_iter().enumerate() {
            let place = match nth {
                0 => Place::First,
                _ if nth == last => Place::Last,
                _ => Place::Between,
            };
            // A flow of one slice would be an arrow to nowhere.
            let flow = (last > 0).then_some(Flow { id: journey.sequence + 1, place });
            self.events.slice(row, time, Slice { flow, ..slice_of(name, journey, stage) });
        }
        if let (Some(lane), Some(call)) = (journey.lane, journey.call)
            && call.length() > 0
            && let Some(row) = self.tracks.calls[usize::from(lane)]
        {
            self.events.slice(row, call, slice_of("call", journey, None));
        }
    }

    fn moment(&mut self, moment: &'t Moment) {
        let (name, args) = match &moment.what {
            What::Chosen { sets, host_threads, why } => {
                self.sets.resize(moment.at, *sets);
                let args = [
                    ("sets", Arg::from(sets_in_words(*sets))),
                    ("host threads", (*host_threads as u64).into()),
                    ("why", why.as_str().into()),
                ];
                ("chosen", args.into())
            }
            What::Flush { lane, call } => {
                if let Some(row) = self.tracks.calls[*lane] {
                    self.events.slice(row, *call, Slice::new("flush call"));
                }
                ("flush call", number("lane", *lane as u64))
            }
            What::Failed { sequence, why } => {
                ("item failed", [("item", (*sequence).into()), ("why", why.as_str().into())].into())
            }
            What::LaneLost { lane, why } => {
                self.sets.lose(moment.at, *lane);
                ("lane lost", [("lane", (*lane as u64).into()), ("why", why.as_str().into())].into())
            }
            What::Cancelled => ("cancelled", Vec::new()),
        };
        self.events.instant(self.tracks.run, moment.at, name, args);
    }
}

impl<'t> Iterator for Events<'t> {
    type Item = Event<'t>;

    fn next(&mut self) -> Option<Event<'t>> {
        loop {
            if let Some(event) = self.events.pop() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            self.go_on();
        }
    }
}

/// The tracks of a run.
#[derive(Clone, Debug)]
struct Tracks {
    host: TrackId,
    run: TrackId,
    source: TrackId,
    delivery: TrackId,
    /// The rows of links, compute units and host threads.
    units: BTreeMap<Unit, TrackId>,
    /// The row of each lane's calls, if they can last.
    calls: Vec<Option<TrackId>>,
    /// The rank below all rows of devices.
    next_rank: u32,
}

/// Ranks of the host's tracks, with room for as many threads as there may be.
const RUN: u32 = 0;
const SOURCE: u32 = 1;
const THREADS: u32 = 2;
const DELIVERY: u32 = 1 << 20;

impl Tracks {
    /// Declares them; also gives the groups of the devices.
    fn new(topology: &Topology, events: &mut InOrder<'_>) -> (Self, Vec<TrackId>) {
        let host = events.track(None, "host", 0, Kind::Group);
        let mut host_row = |name: Unit, rank| events.track(Some(host), name.to_string(), rank, Kind::Row);
        let source = host_row(Unit::Source, SOURCE);
        let delivery = host_row(Unit::Delivery, DELIVERY);
        let mut tracks = Tracks {
            run: events.track(Some(host), "run", RUN, Kind::Row),
            host,
            source,
            delivery,
            units: BTreeMap::new(),
            calls: Vec::new(),
            next_rank: 0,
        };
        for thread in 0..topology.host_threads {
            tracks.unit(Unit::Host(thread), events);
        }
        let named =
            |(rank, name): (usize, &String)| events.track(None, name.clone(), rank as u32 + 1, Kind::Group);
        let groups: Vec<_> = topology.devices.iter().enumerate().map(named).collect();
        let stages = [Stage::Write, Stage::Kernel, Stage::Read];
        let units: BTreeSet<_> = (0..topology.lanes.len())
            .flat_map(|lane| stages.map(|stage| (topology.unit(lane, stage), topology.lanes[lane].device)))
            .collect();
        let mut row = |device: usize, name: &dyn Display| {
            tracks.next_rank += 1;
            events.track(Some(groups[device]), name.to_string(), tracks.next_rank, Kind::Row)
        };
        for (unit, device) in units {
            // A link that two devices share is shown with the first.
            tracks.units.entry(unit).or_insert_with(|| row(device, &unit));
        }
        let calls = topology.lanes.iter().enumerate();
        tracks.calls = calls
            .map(|(lane, place)| {
                place.blocking.then(|| row(place.device, &format_args!("calls, lane {lane}")))
            })
            .collect();
        tracks.next_rank += 1;
        (tracks, groups)
    }

    /// The row of a unit. Host threads beyond those that a run begins with get theirs when they begin to work.
    fn unit(&mut self, unit: Unit, events: &mut InOrder<'_>) -> TrackId {
        let rank = THREADS + unit.number().map_or(0, |number| number as u32);
        let row = self.units.entry(unit);
        *row.or_insert_with(|| events.track(Some(self.host), unit.to_string(), rank, Kind::Row))
    }
}

/// When the first began of what is known of an item.
fn began(journey: &Journey) -> Nanos {
    let stages = Stage::ALL.into_iter().filter_map(|stage| journey.stage(stage));
    let times = stages.chain(journey.source).chain(journey.call).map(|time| time.start);
    times
        .chain(journey.input_free)
        .chain(journey.landed)
        .min()
        .unwrap_or(journey.delivered)
        .min(journey.delivered)
}

/// The time in which journeys that were left out may have held buffer sets, and how many these are.
///
/// They were taken after the last item before the first of them, and were handed out before all that are kept of the
/// end.
fn gap(trace: &Trace) -> Option<(Interval, u64)> {
    let (head, tail) = trace.journeys.split_at(trace.head);
    let end = tail.iter().map(|journey| journey.delivered).min().filter(|_| trace.left_out > 0)?;
    let before = head.iter().enumerate().take_while(|(nth, journey)| journey.sequence == *nth as u64).last();
    let start = before.map_or(0, |(_, journey)| journey.source.map_or(began(journey), |source| source.end));
    Some((Interval { start: start.min(end), end }, trace.left_out))
}

/// A slice of an item; if it is a stage, with the lane and the sets it works on.
fn slice_of<'t>(name: &'static str, journey: &Journey, stage: Option<Stage>) -> Slice<'t> {
    let (input, output) = match stage {
        Some(Stage::Preprocess | Stage::Write) => (journey.input, None),
        Some(Stage::Kernel) => (journey.input, journey.output),
        Some(Stage::Read | Stage::Postprocess) => (None, journey.output),
        None => (None, None),
    };
    let lane = journey.lane.filter(|_| stage.is_some());
    let places = [("lane", lane), ("input set", input), ("output set", output)];
    let known = places.into_iter().filter_map(|(name, place)| Some((name, u64::from(place?).into())));
    let mut slice = Slice::new(name).with("item", journey.sequence);
    slice.args.extend(known);
    slice
}

fn number(name: &'static str, value: u64) -> Args<'static> {
    vec![(name, value.into())]
}

fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "delivered",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}

fn sets_in_words(sets: Sets) -> String {
    match sets {
        Sets::Joint(sets) => sets.to_string(),
        Sets::Split { inputs, outputs } => format!("{inputs} + {outputs}"),
    }
}
