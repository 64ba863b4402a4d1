//! The answer: how busy the device was, what limited it, what would help.

use maud::{Markup, html};
use nbuffer_core::plan::Time;
use nbuffer_core::summary::Items;

use super::changes::Change;
use super::numbers::times;
use super::{Run, words};

/// A planned period this close to the measured one needs no reason.
const CLOSE: f64 = 0.02;

pub(super) fn section(run: &Run<'_>, sentence: Option<&str>) -> Markup {
    html! {
        section id="answer" aria-labelledby="answer-title" {
            h2 #answer-title .unseen { "The answer" }
            p .answer {
                @if let Some(sentence) = sentence { (sentence) } @else { (said(run)) }
            }
            (ended(run))
            (figures(run))
        }
    }
}

fn said(run: &Run<'_>) -> Markup {
    let (summary, n) = (run.summary, run.numbers);
    html! {
        @match &summary.kernel {
            Some(kernel) => {
                "The device computed " (n.rest("kernel.downtime_fraction", kernel.downtime_fraction))
                " of its steady time. "
            }
            None => "How busy the device was is not known: too few kernels were seen. ",
        }
        @match &summary.plan {
            Some(plan) => {
                (capitalised(words::resource(&plan.binding))) " " (words::limited(&plan.binding))
                " the run: the plan allows an item every " (n.seconds("plan.period_s", plan.period_s))
                @if let Some(reached) = plan.reached {
                    ", and it reached one every " (n.seconds("plan.measured_period_s", reached.measured_period_s))
                    @let is_off = (reached.efficiency - 1.0).abs() > CLOSE;
                    @if let Some(cause) = summary.likely_cause.as_ref().filter(|_| is_off)
                    {
                        " (" (cause) ")"
                    }
                }
                ". "
                @match Change::best(run) {
                    Some(change) => {
                        (capitalised(&change.what)) " would make that " (Time(change.plan.period_s())) ", "
                        (times(change.factor)) " as fast by the plan."
                    }
                    None => "No single change of threads, buffer sets or lanes would make it faster.",
                }
            }
            None => "The run was too short for its period to mean anything, so that no limit can be named.",
        }
    }
}

/// What did not end well.
fn ended(run: &Run<'_>) -> Markup {
    let (summary, n) = (run.summary, run.numbers);
    let Items { taken, failed, cancelled, .. } = summary.items;
    html! {
        @if failed > 0 || cancelled > 0 || summary.interrupted {
            p .warning {
                strong { "Note. " }
                @if failed > 0 {
                    (n.count("items.failed", failed)) " of " (n.count("items.taken", taken)) " items failed. "
                }
                @if cancelled > 0 { (n.count("items.cancelled", cancelled)) " were cancelled. " }
                @if summary.interrupted { "The run was stopped before its source ended." }
            }
        }
    }
}

/// The four numbers most people ask for.
fn figures(run: &Run<'_>) -> Markup {
    let (summary, n) = (run.summary, run.numbers);
    html! {
        dl .figures {
            div { dt { "Items a second" } dd { (n.rate("items_per_s", summary.items_per_s)) }
                dd .small { (n.count("items.ok", summary.items.ok)) " ok in " (n.seconds("wall_s", summary.wall_s)) } }
            @if let Some(kernel) = &summary.kernel {
                div { dt { "Device busy" } dd { (n.rest("kernel.downtime_fraction", kernel.downtime_fraction)) }
                    dd .small { "of its steady time; idle " (n.seconds("kernel.downtime_s", kernel.downtime_s)) } }
            }
            @if let Some(plan) = &summary.plan && let Some(reached) = plan.reached {
                div { dt { "Of the planned speed" } dd { (n.percent("plan.efficiency", reached.efficiency)) }
                    dd .small { "period planned over measured" } }
            }
            @if let Some(latency) = &summary.latency_s {
                div { dt { "Latency, median" } dd { (n.seconds("latency_s.p50", latency.p50)) }
                    dd .small { "99 % within " (n.seconds("latency_s.p99", latency.p99)) } }
            }
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
