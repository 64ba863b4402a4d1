//! What the pipeline picture shows: some items as they ran, and the same spans laid end to end.

use std::collections::BTreeSet;
use std::ops::Range;

use nbuffer_core::measure::Nanos;
use nbuffer_core::schedule::{Outcome, Sequence};
use nbuffer_core::trace::{Journey, Span, Trace, Unit};
use serde::Serialize;

/// Items that a view compares.
const COMPARED: usize = 6;
/// Items shown around them, on either side, so that one can look further.
const AROUND: usize = 94;
/// A run of no more items is one view.
const ONE_VIEW_MAX: usize = 12;

/// Spans of a run, and views on them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Picture {
    /// The rows from top to bottom.
    pub(super) units: Vec<String>,
    pub(super) views: Vec<View>,
    /// What ran when.
    spans: Vec<Drawn>,
    /// Items of these that failed.
    failed: Vec<Sequence>,
}

/// A few items: as they ran, and one after the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct View {
    pub(super) name: &'static str,
    /// The items compared: the first and the last.
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    /// From the first span of these items to the last one, as they ran.
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    /// What their spans come to one after the other.
    pub(super) serial: Nanos,
    /// The usual time from one item's end to the next, where that says something.
    #[serde(skip)]
    pub(super) every: Option<f64>,
    /// The spans of these items laid end to end, from 0 on.
    spans: Vec<Drawn>,
    /// The compared items in words: what was when. Times since `start`.
    #[serde(skip)]
    pub(super) items: Vec<(Sequence, Outcome, Vec<Span>)>,
}

/// Row, stage, item, start, length: an array, since there are thousands.
type Drawn = (usize, usize, Sequence, Nanos, Nanos);

/// An item and its spans.
type Seen<'a> = (&'a Journey, Vec<Span>);

impl Picture {
    /// The picture of a trace; `None` when nothing in it has a span.
    pub(super) fn of(trace: &Trace) -> Option<Picture> {
        let spans_of = |journey: &Journey| journey.spans(&trace.topology).collect::<Vec<_>>();
        // Items that ended before anything was done with them have nothing to show.
        let seen: Vec<Seen<'_>> = trace
            .journeys
            .iter()
            .map(|journey| (journey, spans_of(journey)))
            .filter(|(_, spans)| !spans.is_empty())
            .collect();
        // Where the middle of the run was left out, what was kept of the beginning ends in the steady state.
        let head = trace.stretches().next().map_or(0, <[Journey]>::len);
        let kept =
            trace.journeys[..head].iter().filter(|journey| journey.spans(&trace.topology).next().is_some());
        let kept = kept.count();
        let chosen = chosen(seen.len(), kept);
        let shown: BTreeSet<usize> = chosen.iter().flat_map(|(_, items)| around(items, seen.len())).collect();
        let units: BTreeSet<Unit> = shown.iter().flat_map(|&i| &seen[i].1).map(|span| span.unit).collect();
        let row = |unit: Unit| units.iter().position(|other| *other == unit).unwrap_or(0);
        let drawn = |span: &Span, start: Nanos| {
            (row(span.unit), span.stage as usize, span.sequence, start, span.end - span.start)
        };
        if seen.is_empty() {
            return None;
        }
        let views = chosen
            .into_iter()
            .map(|(name, items)| {
                let every = if name == STEADY { every(&seen[steady(kept)]) } else { None };
                View::of(name, &seen[items], every, drawn)
            })
            .collect();
        Some(Picture {
            spans: shown.iter().flat_map(|&i| &seen[i].1).map(|span| drawn(span, span.start)).collect(),
            failed: shown
                .iter()
                .map(|&i| seen[i].0)
                .filter(|j| j.outcome == Outcome::Failed)
                .map(|j| j.sequence)
                .collect(),
            units: labels(&units),
            views,
        })
    }

    /// Whether an item in it failed.
    pub(super) fn has_failures(&self) -> bool {
        !self.failed.is_empty()
    }

    /// How many spans it holds.
    #[cfg(test)]
    fn n_spans(&self) -> usize {
        self.spans.len() + self.views.iter().map(|view| view.spans.len()).sum::<usize>()
    }
}

impl View {
    fn of(
        name: &'static str,
        items: &[Seen<'_>],
        every: Option<f64>,
        drawn: impl Fn(&Span, Nanos) -> Drawn,
    ) -> View {
        let all = || items.iter().flat_map(|(_, spans)| spans);
        let start = all().map(|span| span.start).min().unwrap_or(0);
        let mut serial = 0;
        let spans = all().map(|span| {
            let at = serial;
            serial += span.end - span.start;
            drawn(span, at)
        });
        let spans = spans.collect();
        View {
            name,
            first: items.first().map_or(0, |(journey, _)| journey.sequence),
            last: items.last().map_or(0, |(journey, _)| journey.sequence),
            start,
            end: all().map(|span| span.end).max().unwrap_or(0),
            serial,
            every,
            spans,
            items: items
                .iter()
                .map(|(journey, spans)| (journey.sequence, journey.outcome, spans.clone()))
                .collect(),
        }
    }

    /// The items compared.
    pub(super) fn n_items(&self) -> usize {
        self.items.len()
    }
}

const STEADY: &str = "Steady state";

/// The views there are of `n` items, and which each compares; `kept` of them follow each other from the beginning on.
fn chosen(n: usize, kept: usize) -> Vec<(&'static str, Range<usize>)> {
    if n <= ONE_VIEW_MAX {
        return vec![("Whole run", 0..n)];
    }
    let first = (kept / 2).saturating_sub(COMPARED / 2);
    vec![("Fill", 0..COMPARED), (STEADY, first..first + COMPARED), ("Drain", n - COMPARED..n)]
}

/// The middle half of what was kept, or of it what is shown.
fn steady(kept: usize) -> Range<usize> {
    let half = (kept / 4).min(AROUND);
    kept / 2 - half..kept / 2 + half
}

/// The items that are shown around some.
fn around(items: &Range<usize>, n: usize) -> Range<usize> {
    items.start.saturating_sub(AROUND)..(items.end + AROUND).min(n)
}

/// So few items say little about how often one ends.
const EVERY_MIN: usize = 16;

/// The mean time from one item's hand-out to the next.
fn every(items: &[Seen<'_>]) -> Option<f64> {
    let handed_out = || items.iter().map(|(journey, _)| journey.delivered);
    let (first, last) = (handed_out().min()?, handed_out().max()?);
    (items.len() >= EVERY_MIN && last > first).then(|| (last - first) as f64 / (items.len() - 1) as f64)
}

/// What units are called beside each other: without a number where there is one of a kind.
pub(super) fn labels(units: &BTreeSet<Unit>) -> Vec<String> {
    let alone = |unit: &Unit| units.iter().filter(|other| other.kind() == unit.kind()).count() == 1;
    units.iter().map(|unit| if alone(unit) { unit.kind().to_owned() } else { unit.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbuffer_core::measure::Stage;
    use nbuffer_core::schedule::{Config, HostThreads, LaneConfig, Sets};
    use nbuffer_core::trace::Tracer;
    use nbuffer_core::virtual_time::{DeviceModel, Fault, Setup, Simulation, Times};

    fn trace(items: u64, journeys: usize, faults: Vec<Fault>) -> Trace {
        let lanes = vec![LaneConfig { sets: Sets::Joint(4), lag: 0 }];
        let times = Times::Fixed([4_000, 500, 2_000, 500, 1_000]);
        let config = Config::new(lanes, HostThreads::Shared(2));
        let setup = Setup { faults, ..Setup::new(config, DeviceModel::Queued, times, items) };
        let mut tracer = Tracer::new(journeys, setup.schedule.window);
        Simulation::watched(&setup, &mut tracer).unwrap().run();
        tracer.trace(setup.topology())
    }

    #[test]
    fn serial_is_the_same_spans_end_to_end() {
        let picture = Picture::of(&trace(100, 1000, Vec::new())).unwrap();
        assert_eq!(picture.units, ["host 0", "host 1", "link in", "kernel", "link out"]);
        for view in &picture.views {
            assert_eq!((view.n_items(), view.serial), (6, 6 * 8_000), "{}", view.name);
            let ran = picture.spans.iter().filter(|(_, _, item, ..)| (view.first..=view.last).contains(item));
            let of = |(row, stage, item, _, length): &Drawn| (*row, *stage, *item, *length);
            assert_eq!(ran.map(of).collect::<Vec<_>>(), view.spans.iter().map(of).collect::<Vec<_>>());
            let mut end = 0;
            for (_, _, _, start, length) in &view.spans {
                assert_eq!(*start, end);
                end += length;
            }
            assert_eq!(end, view.serial);
        }
        let [fill, steady, drain] = &picture.views[..] else { panic!("{picture:?}") };
        assert_eq!((fill.first, fill.start, steady.first, drain.last), (0, 0, 47, 99));
        // Host-bound: 5 us of host work an item on two threads.
        assert_eq!(steady.every.map(|every| (every / 100.0).round()), Some(25.0));
    }

    #[test]
    fn however_long_a_run_the_picture_is_bounded() {
        let picture = Picture::of(&trace(20_000, 4096, Vec::new())).unwrap();
        assert!((2_000..=3_000).contains(&picture.n_spans()), "{}", picture.n_spans());
        assert_eq!(picture.views[2].last, 19_999);
        assert!(picture.views[1].every.is_some());
    }

    #[test]
    fn a_short_run_is_one_view_and_no_run_is_none() {
        for items in 1..=12 {
            let picture = Picture::of(&trace(items, 1000, Vec::new())).unwrap();
            assert_eq!((picture.views.len(), picture.views[0].n_items() as u64), (1, items));
        }
        assert_eq!(Picture::of(&trace(13, 1000, Vec::new())).unwrap().views.len(), 3);
        assert_eq!(Picture::of(&trace(0, 1000, Vec::new())), None);
    }

    #[test]
    fn items_that_fail_are_told_apart() {
        let picture = Picture::of(&trace(10, 1000, vec![Fault::Stage(Stage::Kernel, 3)])).unwrap();
        assert_eq!(picture.failed, [3]);
        let failed: Vec<_> = picture.views[0].items.iter().filter(|item| item.1 == Outcome::Failed).collect();
        assert_eq!((failed.len(), failed[0].0), (1, 3));
    }
}
