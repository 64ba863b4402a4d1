//! Where the time goes: the stages, and how busy each host thread, link and compute unit was.

use std::collections::BTreeMap;

use maud::{Markup, html};
use nbuffer_core::measure::{Nanos, Stage};
use nbuffer_core::plan::Time;
use nbuffer_core::trace::{Interval, Journey, Span, Trace, Unit};

use super::numbers::percent;
use super::picture::labels;
use super::tabular::Column::{Aside, Bar, Number, Text};
use super::tabular::tabular;
use super::{Run, words};

/// How long a unit was busy with each stage.
#[derive(Clone, Debug, Default, PartialEq)]
struct Busy {
    stages: [Nanos; 5],
    /// With any of them: stages that overlap count once.
    any: Nanos,
}

/// The units of a trace, over the time that it tells all about.
#[derive(Clone, Debug, Default, PartialEq)]
struct Units {
    busy: BTreeMap<Unit, Busy>,
    /// How long that time is.
    observed: Nanos,
}

impl Units {
    fn of(trace: &Trace) -> Units {
        let mut units = Units::default();
        for (index, stretch) in trace.stretches().enumerate() {
            let window = observed(trace, stretch, index);
            units.observed += window.length();
            let mut spans: Vec<Span> =
                stretch.iter().flat_map(|journey| journey.spans(&trace.topology)).collect();
            spans.sort_unstable_by_key(|span| (span.unit, span.start));
            for of_unit in spans.chunk_by(|a, b| a.unit == b.unit) {
                units.busy.entry(of_unit[0].unit).or_default().add(of_unit, window);
            }
        }
        units
    }
}

impl Busy {
    /// Adds the spans of one unit, by when they start, as far as they lie in a window.
    fn add(&mut self, spans: &[Span], window: Interval) {
        let mut until = window.start;
        for span in spans {
            let (start, end) = (span.start.max(window.start), span.end.min(window.end));
            self.stages[span.stage as usize] += end.saturating_sub(start);
            self.any += end.saturating_sub(start.max(until));
            until = until.max(end);
        }
    }
}

/// The time in which a stretch of journeys holds everything that happened: where journeys were left out behind it,
/// until the last of it began; where they were left out before it, from when its first one was handed out.
fn observed(trace: &Trace, stretch: &[Journey], index: usize) -> Interval {
    let begins = |journey: &Journey| {
        let source = journey.source.map(|source| source.end);
        source.or(journey.preprocess.map(|(_, time)| time.start)).unwrap_or(journey.delivered)
    };
    let (first, last) = (stretch[0], stretch[stretch.len() - 1]);
    let start = if index == 0 { 0 } else { first.delivered };
    let end = if trace.left_out > 0 && index == 0 { begins(&last) } else { trace.end };
    Interval::new(start, end)
}

/// Parts of a bar, each with its class and its share of the whole.
pub(super) fn bar(parts: &[(&str, f64)]) -> Markup {
    html! {
        span .bar aria-hidden="true" {
            @for (class, share) in parts {
                span class=(class) style=(format!("width:{:.2}%", 100.0 * share.clamp(0.0, 1.0))) {}
            }
        }
    }
}

pub(super) fn section(run: &Run<'_>, trace: Option<&Trace>) -> Markup {
    let units = trace.map(Units::of).filter(|units| units.observed > 0 && !units.busy.is_empty());
    html! {
        section id="units" aria-labelledby="units-title" {
            h2 #units-title { "Where the time goes" }
            (stages(run))
            @match (units, trace) {
                (Some(units), Some(trace)) => (traced(&units, trace)),
                _ => (by_kind(run)),
            }
        }
    }
}

fn stages(run: &Run<'_>) -> Markup {
    let n = run.numbers;
    html! {
        (tabular(
            "Stage times",
            Some(html! { "What the stages of an item take. Host stages include waiting for a core." }),
            &[Text("Stage"), Aside("what it is"), Number("mean"), Number("median"), Number("99 % within"), Number("in all")],
            html! {
                @for (name, letter, what) in words::STAGES {
                    @if let Some(stage) = run.summary.stages.get(name) {
                        tr {
                            th scope="row" { (key(name)) (name) " (" (letter) ")" }
                            td .aside { (what) }
                            td .number { (n.seconds(&format!("stages.{name}.mean_s"), stage.mean_s)) }
                            td .number { (n.seconds(&format!("stages.{name}.p50_s"), stage.p50_s)) }
                            td .number { (n.seconds(&format!("stages.{name}.p99_s"), stage.p99_s)) }
                            td .number { (n.seconds(&format!("stages.{name}.busy_s"), stage.busy_s)) }
                        }
                    }
                }
            },
        ))
    }
}

/// The swatch of a stage.
pub(super) fn key(stage: &str) -> Markup {
    html! { span .key .(stage) aria-hidden="true" {} }
}

fn traced(units: &Units, trace: &Trace) -> Markup {
    let share = |time: Nanos| time as f64 / units.observed as f64;
    let seconds = |time: Nanos| Time(time as f64 / 1e9);
    let labels = labels(&units.busy.keys().copied().collect());
    html! {
        (tabular(
            "Busy and idle time of each unit",
            Some(html! {
                "How each unit spent the " (seconds(units.observed)) " that the trace tells all about"
                @if trace.left_out > 0 { ", the beginning and the end of the run" }
                ". What is not filled is idle time."
            }),
            &[Text("Unit"), Number("busy"), Number("share"), Bar, Number("idle"), Text("with")],
            html! {
                @for (label, busy) in labels.iter().zip(units.busy.values()) {
                    @let parts = Stage::ALL.map(|stage| (stage.name(), share(busy.stages[stage as usize])));
                    @let parts: Vec<_> = parts.into_iter().filter(|(_, share)| *share > 0.0).collect();
                    tr {
                        th scope="row" { (label) }
                        td .number { (seconds(busy.any)) }
                        td .number { (percent(share(busy.any))) }
                        td .wide { (bar(&parts)) }
                        td .number { (seconds(units.observed - busy.any)) }
                        td .fixed {
                            @for (i, (stage, share)) in parts.iter().enumerate() {
                                @if i > 0 { ", " }
                                (stage) @if parts.len() > 1 { " " (percent(*share)) }
                            }
                        }
                    }
                }
            },
        ))
    }
}

/// Without a trace: the units of a kind together, over the whole run.
fn by_kind(run: &Run<'_>) -> Markup {
    let summary = run.summary;
    let busy = |stage: Stage| summary.stages.get(stage.name()).map_or(0.0, |stage| stage.busy_s);
    let kinds: [(&str, usize, &[Stage]); 4] = [
        ("host threads", summary.host_threads, &[Stage::Preprocess, Stage::Postprocess]),
        ("links, to the device", summary.lanes, &[Stage::Write]),
        ("compute units", summary.lanes, &[Stage::Kernel]),
        ("links, from the device", summary.lanes, &[Stage::Read]),
    ];
    html! {
        (tabular(
            "Busy time of each kind of unit",
            Some(html! {
                "How the units of each kind spent the run, taken together. This report was made without a trace: \
                single units are not told apart, and a link that lanes share counts for each of them."
            }),
            &[Text("Units"), Number("how many"), Number("share busy"), Bar],
            html! {
                @for (kind, number, stages) in kinds {
                    @let whole = number as f64 * summary.wall_s;
                    @let share = |stage: &Stage| if whole > 0.0 { busy(*stage) / whole } else { 0.0 };
                    tr {
                        th scope="row" { (kind) }
                        td .number { (number) }
                        td .number { (percent(stages.iter().map(share).sum())) }
                        td .wide {
                            (bar(&stages.iter().map(|stage| (stage.name(), share(stage))).collect::<Vec<_>>()))
                        }
                    }
                }
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbuffer_core::schedule::{Config, HostThreads, LaneConfig, Sets};
    use nbuffer_core::trace::Tracer;
    use nbuffer_core::virtual_time::{DeviceModel, Recording, Setup, Simulation, Times};

    /// The trace of 100 items on two lanes with room for so many journeys, and all spans there were.
    fn traced(journeys: usize) -> (Trace, Vec<Span>) {
        let lanes = vec![LaneConfig { sets: Sets::Joint(4), lag: 0 }; 2];
        let times = Times::Fixed([7_000, 2_000, 4_000, 1_500, 3_000]);
        let setup = Setup::new(Config::new(lanes, HostThreads::Shared(2)), DeviceModel::Queued, times, 100);
        let mut tracer = Tracer::new(journeys, setup.schedule.window);
        Simulation::watched(&setup, &mut tracer).unwrap().run();
        let mut recording = Recording::default();
        Simulation::watched(&setup, &mut recording).unwrap().run();
        (tracer.trace(setup.topology()), recording.spans)
    }

    #[test]
    fn a_whole_trace_tells_of_all_the_time_there_was() {
        let (trace, spans) = traced(1000);
        let units = Units::of(&trace);
        assert_eq!(units.observed, trace.end);
        for (unit, busy) in &units.busy {
            let of_unit = spans.iter().filter(|span| span.unit == *unit);
            assert_eq!(busy.any, of_unit.map(|span| span.end - span.start).sum::<Nanos>(), "{unit}");
            assert_eq!(busy.any, busy.stages.iter().sum::<Nanos>(), "{unit}");
        }
    }

    #[test]
    fn a_trace_that_left_items_out_tells_only_of_the_time_it_knows_all_about() {
        let (trace, spans) = traced(40);
        assert!(trace.left_out > 0);
        let units = Units::of(&trace);
        let windows: Vec<_> =
            trace.stretches().enumerate().map(|(index, stretch)| observed(&trace, stretch, index)).collect();
        assert!(windows.len() == 2 && windows.iter().all(|window| window.length() > 0), "{windows:?}");
        for (unit, busy) in &units.busy {
            // What a trace of everything says of the same time.
            let mut whole = Busy::default();
            let mut of_unit: Vec<_> = spans.iter().filter(|span| span.unit == *unit).copied().collect();
            of_unit.sort_by_key(|span| span.start);
            windows.iter().for_each(|window| whole.add(&of_unit, *window));
            assert_eq!(busy, &whole, "{unit}");
        }
    }

    #[test]
    fn spans_of_one_unit_that_overlap_count_once() {
        let span = |start, end| Span {
            unit: Unit::Kernel(0),
            stage: Stage::Kernel,
            lane: 0,
            sequence: 0,
            start,
            end,
        };
        let mut busy = Busy::default();
        busy.add(&[span(0, 10), span(5, 8), span(7, 20), span(30, 50)], Interval::new(2, 40));
        assert_eq!((busy.any, busy.stages[Stage::Kernel as usize]), (28, 8 + 3 + 13 + 10));
    }
}
