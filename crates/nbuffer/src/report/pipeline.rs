//! The pipeline picture: serial beside buffered, from the spans of this run.

use maud::{Markup, html};
use nbuffer_core::measure::Stage;
use nbuffer_core::plan::Time;
use nbuffer_core::schedule::Outcome;
use nbuffer_core::trace::{Span, Trace};

use super::numbers::{count, times};
use super::picture::{Picture, View};
use super::tabular::Column::{Number, Text};
use super::tabular::tabular;
use super::units::key;
use super::{Run, words};

pub(super) fn section(run: &Run<'_>, trace: Option<&Trace>, picture: Option<&Picture>) -> Markup {
    html! {
        section id="pipeline" aria-labelledby="pipeline-title" {
            h2 #pipeline-title { "The pipeline, serial and buffered" }
            @match (picture, trace) {
                (Some(picture), Some(trace)) => (drawn(run, trace, picture)),
                (None, Some(_)) => p .missing { "Nothing ran in this run that could be drawn." },
                _ => p .missing {
                    "This report was made without a trace, so that there is no picture of what ran when. A summary \
                     alone holds none: have the report written by the run itself."
                },
            }
        }
    }
}

fn drawn(run: &Run<'_>, trace: &Trace, picture: &Picture) -> Markup {
    html! {
        p {
            "Above, the stages of a few items one after the other, as they would run without buffering. Below, on the \
             same scale, as they ran with " (words::sets(&run.summary.buffers)) " a lane. Items that are not compared \
             are pale. Both are made of the spans that were measured."
            @if trace.left_out > 0 {
                " Of the middle of the run, " (count(trace.left_out)) " items were not kept."
            }
        }
        div .controls hidden[true] data-controls="pipeline" {
            fieldset .choice {
                legend .unseen { "Part of the run" }
                @for (i, view) in picture.views.iter().enumerate() {
                    label { input type="radio" name="view" value=(i) checked[i == shown(picture)]; span { (view.name) } }
                }
            }
            div .buttons role="group" aria-label="Zoom" {
                button type="button" data-zoom="in" { "Zoom in" }
                button type="button" data-zoom="out" { "Zoom out" }
                button type="button" data-zoom="earlier" { "Earlier" }
                button type="button" data-zoom="later" { "Later" }
                button type="button" data-zoom="reset" { "Reset" }
            }
        }
        p .legend {
            @for (name, letter, _) in words::STAGES { span { (key(name)) (letter) " " (name) } }
            @if picture.has_failures() { span { "\u{2717} failed" } }
        }
        figure {
            div #pipeline-chart .chart role="img" aria-label=(label(picture)) aria-describedby="pipeline-views" {}
            figcaption {
                ul #pipeline-views {
                    @for (i, view) in picture.views.iter().enumerate() {
                        li data-view=(i) { strong { (view.name) ": " } (compared(view)) }
                    }
                }
            }
        }
        @for view in &picture.views {
            details {
                summary { (view.name) " as a table: " (items(view)) }
                (table(view))
            }
        }
    }
}

/// The view that is shown first: the steady state, where there is one.
fn shown(picture: &Picture) -> usize {
    picture.views.len() / 2
}

fn label(picture: &Picture) -> String {
    format!("Timelines of {}: serial above, buffered below", picture.units.join(", "))
}

fn items(view: &View) -> String {
    if view.first == view.last {
        format!("item {}", view.first)
    } else {
        format!("items {} to {}", view.first, view.last)
    }
}

/// What the picture shows, in a sentence.
fn compared(view: &View) -> Markup {
    let (serial_s, ran_s) = (view.serial as f64 / 1e9, (view.end - view.start) as f64 / 1e9);
    let one = view.n_items() == 1;
    html! {
        (items(view)) @if one { " takes " } @else { " take " } (Time(serial_s)) " one stage after the other and took "
        (Time(ran_s)) " as " @if one { "it" } @else { "they" } " ran, waiting included."
        @if let Some(every) = view.every {
            @let each_s = serial_s / view.n_items() as f64;
            " In the steady state, an item ended every " (Time(every / 1e9)) " on average, and the stages of one take "
            (Time(each_s)) ": " (times(each_s * 1e9 / every)) "."
        }
    }
}

fn table(view: &View) -> Markup {
    let since = |span: &Span| {
        let at = |time| (time - view.start) as f64 / 1e6;
        format!("{:.3}\u{2013}{:.3}", at(span.start), at(span.end))
    };
    let of = |spans: &[Span], stage: Stage| {
        let span = spans.iter().find(|span| span.stage == stage);
        span.map_or(String::from("\u{2013}"), since)
    };
    let columns: Vec<_> =
        std::iter::once(Text("Item")).chain(words::STAGES.map(|(name, ..)| Number(name))).collect();
    html! {
        (tabular(
            &format!("{} as a table", view.name),
            Some(html! {
                "When each stage began and ended, in ms since " (Time(view.start as f64 / 1e9)) " of the run."
            }),
            &columns,
            html! {
                @for (sequence, outcome, spans) in &view.items {
                    tr {
                        th scope="row" {
                            (sequence)
                            @match outcome {
                                Outcome::Ok => "",
                                Outcome::Failed => " (failed)",
                                Outcome::Cancelled => " (cancelled)",
                            }
                        }
                        @for stage in Stage::ALL { td .number { (of(spans, stage)) } }
                    }
                }
            },
        ))
    }
}
