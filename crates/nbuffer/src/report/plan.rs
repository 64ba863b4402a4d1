//! What the plan says: throughput against N, and what was measured beside what was planned.

use maud::{Markup, html};
use nbuffer_core::plan::{Plan, Setting};
use nbuffer_core::summary::{ChosenBy, PlanSummary, Reached};
use serde::Serialize;

use super::numbers::rate;
use super::tabular::Column::{Bar, Number, Text};
use super::tabular::tabular;
use super::{Run, words};

/// Throughput for each N, all else as it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Curve {
    /// N and items a second.
    planned: Vec<(usize, f64)>,
    /// The N that ran: the larger of inputs and outputs.
    chosen: usize,
    /// What the run reached, in items a second of its steady state.
    measured: Option<f64>,
    /// The least N that is as fast as any.
    enough: usize,
}

/// The most values of N that are drawn.
const N_MAX: usize = 64;

impl Curve {
    /// From N = 1 until well beyond what is enough and what was chosen.
    pub(super) fn of(setting: &Setting, run: &Run<'_>) -> Option<Curve> {
        let enough = Plan::new(setting).ok()?.buffers.enough;
        let enough = enough.inputs().max(enough.outputs());
        let chosen = setting.sets.inputs().max(setting.sets.outputs());
        let last = (enough.saturating_mul(3) / 2).max(enough + 2).max(chosen + 1).clamp(6, N_MAX);
        let planned =
            (1..=last).filter_map(|n| Some((n, 1.0 / Plan::new(&setting.with_sets(n)).ok()?.period_s())));
        let reached = run.summary.plan.as_ref().and_then(|plan| plan.reached);
        let measured = reached.filter(|reached| reached.measured_period_s > 0.0);
        Some(Curve {
            planned: planned.collect(),
            chosen,
            measured: measured.map(|reached| 1.0 / reached.measured_period_s),
            enough,
        })
    }
}

pub(super) fn throughput(run: &Run<'_>, curve: Option<&Curve>) -> Markup {
    html! {
        section id="throughput" aria-labelledby="throughput-title" {
            h2 #throughput-title { "Throughput against the number of buffer sets" }
            @match curve {
                None => p .missing { "No plan can be made from this summary, so that no other N can be compared." },
                Some(curve) => (drawn(run, curve)),
            }
        }
    }
}

fn drawn(run: &Run<'_>, curve: &Curve) -> Markup {
    let buffers = &run.summary.buffers;
    let why = match buffers.chosen_by {
        ChosenBy::Auto => format!("chosen by nbuffer: {}", buffers.why),
        ChosenBy::User => "as asked for".to_owned(),
    };
    let ends = |at: Option<&(usize, f64)>| {
        at.map_or(String::new(), |(n, rate_)| format!("{} at N = {n}", rate(*rate_)))
    };
    let label = format!(
        "Items a second by the plan: {}, {}. {} ran.",
        ends(curve.planned.first()),
        ends(curve.planned.last()),
        words::sets(buffers)
    );
    html! {
        p {
            "The run had " (words::sets(buffers)) " a lane, " (why) ". By the plan, N = "
            (curve.enough) " is enough for the highest throughput"
            @if curve.enough > curve.planned.len() { " (not drawn)" }
            @if buffers.inputs != buffers.outputs { "; the chart has as many inputs as outputs" } "."
        }
        figure {
            div #throughput-chart .chart role="img" aria-label=(label) {}
            figcaption {
                "Line: items a second by the plan for each N. Ring: the N that ran"
                @if curve.measured.is_some() { "; cross: what was measured" } "."
            }
        }
        details {
            summary { "The chart as a table" }
            (tabular(
                "Throughput for each N",
                Some(html! { "Items a second for each number of buffer sets a lane (N)." }),
                &[Number("N"), Number("planned"), Text("remarks")],
                html! {
                    @for (n, planned) in &curve.planned {
                        tr {
                            th scope="row" .number { (n) }
                            td .number { (rate(*planned)) }
                            td {
                                @if *n == curve.chosen {
                                    "this run"
                                    @if let Some(measured) = curve.measured { ": " (rate(measured)) " measured" }
                                }
                                @if *n == curve.enough { @if *n == curve.chosen { "; " } "enough" }
                            }
                        }
                    }
                },
            ))
        }
    }
}

pub(super) fn reached(run: &Run<'_>) -> Markup {
    html! {
        section id="reached" aria-labelledby="reached-title" {
            h2 #reached-title { "Measured beside planned" }
            @match &run.summary.plan {
                None => p .missing {
                    "The run was shorter than 16 kernels a lane: its period means nothing, and no plan was made."
                },
                Some(plan) => (beside(run, plan)),
            }
        }
    }
}

fn beside(run: &Run<'_>, plan: &PlanSummary) -> Markup {
    let (summary, n) = (run.summary, run.numbers);
    let row = |what: &str, measured: Markup, planned: Markup, says: Markup| {
        html! { tr { th scope="row" { (what) } td .number { (measured) } td .number { (planned) } td { (says) } } }
    };
    let none = || html! { span .missing { "not measured" } };
    let sets = summary.buffers.depth.saturating_mul(summary.lanes);
    let enough = n.count("plan.buffers_enough", plan.buffers_enough as u64);
    let advised = n.count("plan.buffers_advised", plan.buffers_advised as u64);
    html! {
        (tabular(
            "Measured beside planned",
            Some(html! { "What the run did, and what the plan made of its stage times says." }),
            &[Text("What"), Number("this run"), Number("plan"), Text("which means")],
            html! {
                @match plan.reached {
                    Some(Reached { measured_period_s, efficiency }) => {
                        (row("Period", n.seconds("plan.measured_period_s", measured_period_s),
                            n.seconds("plan.period_s", plan.period_s),
                            html! { (n.percent("plan.efficiency", efficiency)) " of the planned throughput" }))
                    }
                    None => (row("Period", none(), n.seconds("plan.period_s", plan.period_s), html! {})),
                }
                (row("Buffer sets in all", html! { (sets) }, advised.clone(),
                    html! { (enough) " are enough; " (advised) " are advised: " (plan.buffers_why) }))
                (row("Host threads", n.count("host_threads", summary.host_threads as u64),
                    n.count("plan.host_threads_enough", plan.host_threads_enough as u64),
                    html! { (n.plain("plan.cores_busy", plan.cores_busy)) " at work on average" }))
                @if let Some(kernel) = &summary.kernel {
                    (row("Device busy", n.rest("kernel.downtime_fraction", kernel.downtime_fraction),
                        n.percent("plan.device_busy", plan.device_busy), html! { "share of the steady time" }))
                }
                @if let Some(latency) = &summary.latency_s {
                    (row("Time an item stays", n.seconds("latency_s.mean", latency.mean),
                        n.seconds("plan.residence_s", plan.residence_s),
                        html! {
                            "on average; " (n.seconds("plan.latency_s", plan.latency_s)) " if it waited for nothing"
                        }))
                }
            },
        ))
        @if let Some(cause) = &summary.likely_cause { p { "Likely cause of the difference: " (cause) "." } }
        (bounds(plan, run))
    }
}

/// The period that each resource alone would allow.
fn bounds(plan: &PlanSummary, run: &Run<'_>) -> Markup {
    let mut slack: Vec<_> = plan.slack.iter().map(|(name, slack)| (&**name, *slack)).collect();
    slack.sort_by(|a, b| a.1.total_cmp(&b.1));
    html! {
        (tabular(
            "What each resource allows",
            Some(html! {
                "How much of a planned period each resource is used. What is left is its slack."
            }),
            &[Text("Resource"), Number("used"), Bar, Number("slack")],
            html! {
                tr {
                    th scope="row" { (words::resource(&plan.binding)) }
                    td .number { "100.0 %" }
                    td .wide { (super::units::bar(&[("used", 1.0)])) }
                    td .number { "sets the period" }
                }
                @for (name, slack) in slack {
                    @let path = format!("plan.slack.{name}");
                    tr {
                        th scope="row" { (words::resource(name)) }
                        td .number { (run.numbers.rest(&path, slack)) }
                        td .wide { (super::units::bar(&[("used", 1.0 - slack)])) }
                        td .number { (run.numbers.percent(&path, slack)) }
                    }
                }
            },
        ))
    }
}
