//! The answer: how busy the device was, what limited it, what would help.

use maud::{Markup, html};
use nbuffer_core::plan::Time;
use nbuffer_core::summary::{Items, KernelSummary, PlanSummary};

use super::changes::{Change, gap};
use super::numbers::times;
use super::{Run, words};

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
            Some(KernelSummary { why: Some(why), .. }) => { "The device was " (why) ". " }
            Some(kernel) => {
                "The device computed " (n.rest("kernel.downtime_fraction", kernel.downtime_fraction))
                " of its steady time. "
            }
            None => "How busy the device was is not known: too few kernels were seen. ",
        }
        @match &summary.plan {
            Some(plan) => (limit(run, plan)),
            None => "The run was too short for its period to mean anything, so that no limit can be named.",
        }
    }
}

/// What limited the run, and what would help: the gap to the plan where there is one, then what the plan says.
fn limit(run: &Run<'_>, plan: &PlanSummary) -> Markup {
    let (n, binding) = (run.numbers, words::resource(&plan.binding));
    let period = n.seconds("plan.period_s", plan.period_s);
    let reached = plan.reached.map(|reached| n.seconds("plan.measured_period_s", reached.measured_period_s));
    if let (Some(gap), Some(reached)) = (gap(plan), &reached) {
        let cause = run.summary.likely_cause.as_deref().unwrap_or("no stage accounts for the rest");
        return html! {
            "The plan allows an item every " (period) ", but the run reached one every " (reached) ": " (cause)
            ". Closing that gap is worth up to " (times(gap)) "; only then would the limit be " (binding) "."
        };
    }
    html! {
        (capitalised(binding)) " " (words::limited(&plan.binding)) " the run: the plan allows an item every " (period)
        @if let Some(reached) = reached {
            ", and the run reached one every " (reached)
            @if let Some(cause) = &run.summary.likely_cause { " (" (cause) ")" }
        }
        ". "
        // What would help is said with the reason for downtime, where that is known.
        @if run.summary.kernel.as_ref().is_none_or(|kernel| kernel.why.is_none()) {
            @match Change::best(run) {
                Some(change) => {
                    (capitalised(&change.what)) " would make that " (Time(change.plan.period_s())) ", "
                    (times(change.factor)) " as fast by the plan."
                }
                None => "No single change of threads, buffer sets or lanes would make it faster.",
            }
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
