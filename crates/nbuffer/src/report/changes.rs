//! What to change next: what the plan advises, and what single changes would give.

use maud::{Markup, html};
use nbuffer_core::plan::{Plan, Setting, Time};
use nbuffer_core::schedule::{HostThreads, Sets};
use nbuffer_core::summary::PlanSummary;

use super::numbers::{plural, times};
use super::tabular::Column::{Number, Text};
use super::tabular::tabular;
use super::{Run, words};

/// One thing that could be changed, and the plan with it.
pub(super) struct Change {
    /// In words that begin a sentence or end one.
    pub(super) what: String,
    pub(super) plan: Plan,
    /// The period of today's plan over that of the changed one.
    pub(super) factor: f64,
}

/// A change that gives less is none.
const WORTH_IT: f64 = 1.005;

impl Change {
    /// More host threads, buffer sets and lanes: one more of each, and as many as the plan calls enough.
    fn all(plan: &Plan) -> Vec<Change> {
        let now = plan.setting;
        let mut changes = Vec::new();
        let mut add = |what: String, setting: Setting| {
            if let Ok(changed) = Plan::new(&setting) {
                let factor = plan.period_s() / changed.period_s();
                changes.push(Change { what, plan: changed, factor });
            }
        };
        if let HostThreads::Shared(threads) = now.host_threads {
            let with = |threads| Setting { host_threads: HostThreads::Shared(threads), ..now };
            add("one more host thread".to_owned(), with(threads + 1));
            if let HostThreads::Shared(enough) = plan.host_threads_enough
                && enough > threads + 1
            {
                add(plural(enough as u64, "host thread"), with(enough));
            }
        }
        let with = |sets| Setting { sets, ..now };
        let (inputs, outputs) = (now.sets.inputs(), now.sets.outputs());
        let more = match now.sets {
            Sets::Joint(n) => Sets::Joint(n + 1),
            Sets::Split { .. } => Sets::Split { inputs: inputs + 1, outputs: outputs + 1 },
        };
        let one_more = match now.sets {
            Sets::Joint(_) => "one more buffer set a lane",
            Sets::Split { .. } => "one more input and output set a lane",
        };
        add(one_more.to_owned(), with(more));
        let advised = plan.buffers.advised;
        if advised.inputs() > inputs + 1 || advised.outputs() > outputs + 1 {
            let advised = match advised {
                Sets::Joint(n) => Sets::Joint(n),
                Sets::Split { inputs: i, outputs: o } => {
                    Sets::Split { inputs: i.max(inputs), outputs: o.max(outputs) }
                }
            };
            let what = match advised {
                Sets::Joint(n) => format!("{n} buffer sets a lane"),
                Sets::Split { inputs, outputs } => format!("{inputs} input and {outputs} output sets a lane"),
            };
            add(what, with(advised));
        }
        add("one more lane".to_owned(), Setting { lanes: now.lanes + 1, ..now });
        changes
    }

    /// The one that gives most; of those that give the same, the first.
    pub(super) fn best(run: &Run<'_>) -> Option<Change> {
        let changes = Change::all(run.plan.as_ref()?).into_iter().filter(|change| change.factor >= WORTH_IT);
        changes.reduce(|best, next| if next.factor > best.factor * WORTH_IT { next } else { best })
    }
}

/// A run this much slower than its plan is limited by something that the plan does not know.
const GAP: f64 = 1.1;

/// How many times as fast the run would be if it went as planned, where that is much.
pub(super) fn gap(plan: &PlanSummary) -> Option<f64> {
    let gap = plan.reached?.measured_period_s / plan.period_s;
    (gap > GAP && gap.is_finite()).then_some(gap)
}

pub(super) fn section(run: &Run<'_>) -> Markup {
    html! {
        section id="changes" aria-labelledby="changes-title" {
            h2 #changes-title { "What to change next" }
            @if let Some(plan) = &run.summary.plan {
                @if let Some(gap) = gap(plan) {
                    p {
                        "First the gap between plan and run, worth up to " (times(gap)) ": what follows is what the plan \
                         says, which this run was far from."
                    }
                }
                @if !plan.advice.is_empty() {
                    ul { @for advice in &plan.advice { li { (advice) } } }
                }
            }
            @match &run.plan {
                Some(plan) => (table(run, plan)),
                None => p .missing {
                    "No plan can be made from this summary, so that nothing can be said about changes: the run was \
                     shorter than 16 kernels a lane, or its stage times are missing."
                }
            }
        }
    }
}

fn table(run: &Run<'_>, plan: &Plan) -> Markup {
    let row = |what: &str, of: &Plan, factor: Option<f64>| {
        html! {
            tr {
                th scope="row" { (what) }
                td .number { (Time(of.period_s())) }
                td .number {
                    @match factor {
                        None => "",
                        Some(factor) if factor < WORTH_IT => "nothing",
                        Some(factor) => (times(factor)),
                    }
                }
                td { (words::resource_of(of.binding().resource)) }
            }
        }
    };
    html! {
        (tabular(
            "What single changes would give",
            Some(html! {
                "What single changes would give, by the plan. A period is the time from one item to the next."
            }),
            &[Text("With"), Number("period"), Number("gain"), Text("then the limit is")],
            html! {
                (row("what there is", plan, None))
                @for change in Change::all(plan) { (row(&change.what, &change.plan, Some(change.factor))) }
            },
        ))
        (unlike(run, plan))
    }
}

/// A plan that could not be rebuilt exactly says so.
fn unlike(run: &Run<'_>, plan: &Plan) -> Markup {
    let told = run.summary.plan.as_ref().map(|plan| plan.period_s);
    let Some(told_s) = told.filter(|told_s| (plan.period_s() / told_s - 1.0).abs() > 1e-6) else {
        return html! {};
    };
    html! {
        p .missing {
            "The run's own plan gives " (run.numbers.seconds("plan.period_s", told_s)) " and the one made again from \
             its summary " (Time(plan.period_s())) ": the overhead of a launch, and threads for one stage only, are \
             not in a summary."
        }
    }
}
