//! Two runs side by side: which is faster, by how much, and what differs.

use std::io;

use maud::{Markup, html};
use nbuffer_core::summary::Summary;

use super::frame::{Embedded, Frame};
use super::numbers::{Numbers, count, percent, times};
use super::tabular::Column::{Number, Text};
use super::tabular::tabular;
use super::units::key;
use super::{Run, table, words};

/// Two runs, each under a name that tells them apart.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    names: [&'a str; 2],
    summaries: [&'a Summary; 2],
}

/// Why two runs cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Incomparable {
    /// A run without a result has no speed.
    #[error("`{name}` has no result of {taken} items taken, so that there is no speed to compare")]
    NoResult {
        /// The run.
        name: String,
        /// Items it took.
        taken: u64,
    },
}

const IDS: [&str; 2] = ["summary-a", "summary-b"];

/// Closer than this, two numbers count as the same.
const SAME: f64 = 0.01;

impl<'a> Comparison<'a> {
    /// Two summaries and what to call them.
    ///
    /// # Errors
    ///
    /// A run without results. Other models, devices and machines can be compared: the page says so.
    pub fn new(names: [&'a str; 2], summaries: [&'a Summary; 2]) -> Result<Self, Incomparable> {
        for (name, summary) in names.into_iter().zip(summaries) {
            if summary.items.ok == 0 || summary.items_per_s <= 0.0 {
                return Err(Incomparable::NoResult { name: name.to_owned(), taken: summary.items.taken });
            }
        }
        Ok(Comparison { names, summaries })
    }

    /// Writes the page, in UTF-8.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: impl io::Write) -> io::Result<()> {
        let [a, b] = [0, 1].map(|i| Run::of(self.summaries[i], Numbers::of(IDS[i])));
        let names = self.names;
        let body = html! {
            (self.answer(&a, &b))
            (self.configuration())
            (self.times(&a, &b))
            section id="changes" aria-labelledby="changes-title" {
                h2 #changes-title { "What would help each" }
                @for (name, summary) in names.iter().zip(self.summaries) {
                    h3 { (name) }
                    @match summary.plan.as_ref().filter(|plan| !plan.advice.is_empty()) {
                        Some(plan) => ul { @for advice in &plan.advice { li { (advice) } } },
                        None => p .missing { "No plan was made of it: the run was shorter than 16 kernels a lane." },
                    }
                }
            }
            @if self.summaries.iter().any(|summary| !summary.remarks.is_empty()) {
                section id="remarks" aria-labelledby="remarks-title" {
                    h2 #remarks-title { "Remarks" }
                    @for (name, summary) in names.iter().zip(self.summaries) {
                        @if !summary.remarks.is_empty() {
                            h3 { (name) }
                            ul { @for remark in &summary.remarks { li { (remark) } } }
                        }
                    }
                }
            }
            (table::section(&[(names[0], &a), (names[1], &b)]))
        };
        let title = format!("{} beside {}", names[0], names[1]);
        let summaries = [0, 1].map(|i| Embedded { id: IDS[i], summary: self.summaries[i] });
        Frame { title: &title, summaries: &summaries, data: None, body }.write(out)
    }

    fn answer(&self, a: &Run<'_>, b: &Run<'_>) -> Markup {
        let speed = b.summary.items_per_s / a.summary.items_per_s;
        // The faster one is told first.
        let ((faster, fast), (slower, slow), ratio) = if speed >= 1.0 {
            ((self.names[1], b), (self.names[0], a), speed)
        } else {
            ((self.names[0], a), (self.names[1], b), 1.0 / speed)
        };
        let rate = |run: &Run<'_>| run.numbers.rate("items_per_s", run.summary.items_per_s);
        html! {
            section id="answer" aria-labelledby="answer-title" {
                h2 #answer-title .unseen { "The answer" }
                p .answer {
                    @if ratio < 1.0 + SAME {
                        "Both are as fast as each other, within 1 %: " (rate(a)) " and " (rate(b)) " items a second."
                    } @else {
                        b { (faster) } " is " (times(ratio)) " as fast as " b { (slower) } ": " (rate(fast)) " items a second instead of "
                        (rate(slow)) "."
                    }
                }
                @let why = why(a, b, self.names);
                @if !why.is_empty() { ul { @for reason in why { li { (reason) } } } }
                @for note in self.notes() { p .warning { strong { "Note. " } (note) } }
            }
        }
    }

    /// What makes the comparison less than fair.
    fn notes(&self) -> Vec<String> {
        let [a, b] = self.summaries;
        let mut notes = Vec::new();
        if a.model != b.model {
            let name =
                |summary: &Summary| summary.model.clone().unwrap_or_else(|| "stage times only".to_owned());
            notes.push(format!("The models differ: {} and {}.", name(a), name(b)));
        }
        if a.device.is_empty() != b.device.is_empty() {
            notes.push(
                "One run was in virtual time, in which hand-offs take none, the other on a device."
                    .to_owned(),
            );
        }
        for (name, summary) in self.names.iter().zip(self.summaries) {
            let items = summary.items;
            if items.failed > 0 {
                notes.push(format!(
                    "In {name}, {} of {} items failed.",
                    count(items.failed),
                    count(items.taken)
                ));
            }
            if summary.interrupted {
                notes.push(format!("{name} was stopped before its source ended."));
            }
        }
        notes
    }

    /// Configuration side by side, what changed marked.
    fn configuration(&self) -> Markup {
        let [a, b] = self.summaries.map(configured);
        html! {
            section id="configuration" aria-labelledby="configuration-title" {
                h2 #configuration-title { "Configuration" }
                (tabular(
                    "Configuration of both runs",
                    None,
                    &[Text("What"), Text(self.names[0]), Text(self.names[1])],
                    html! {
                        @for ((name, a), (_, b)) in a.into_iter().zip(b) {
                            @let changed = a != b;
                            tr .changed[changed] {
                                th scope="row" { (name) @if changed { " " strong { "changed" } } }
                                td { (a) } td { (b) }
                            }
                        }
                    },
                ))
            }
        }
    }

    fn times(&self, a: &Run<'_>, b: &Run<'_>) -> Markup {
        html! {
            section id="times" aria-labelledby="times-title" {
                h2 #times-title { "Numbers side by side" }
                (tabular(
                    "Numbers of both runs",
                    Some(html! {
                        "Ratios are the second run over the first; less than 1 % is called the same."
                    }),
                    &[Text("What"), Number(self.names[0]), Number(self.names[1]), Number("ratio"), Text("which is")],
                    html! {
                        @for row in ROWS { (row.markup(a, b)) }
                    },
                ))
            }
        }
    }
}

/// What is configured, by name.
fn configured(summary: &Summary) -> Vec<(&'static str, String)> {
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    let devices = words::devices(summary);
    let of_plan = |f: fn(&nbuffer_core::summary::PlanSummary) -> &str| or_none(summary.plan.as_ref().map(f));
    vec![
        ("Model", or_none(summary.model.as_deref())),
        ("Device", if devices.is_empty() { "virtual time".to_owned() } else { devices }),
        ("Engine", or_none(summary.engine.as_deref())),
        ("Lanes", summary.lanes.to_string()),
        ("Lanes are", of_plan(|plan| &plan.lane).replace('_', "-")),
        ("Link", of_plan(|plan| &plan.link)),
        ("Buffer sets a lane", words::sets(&summary.buffers)),
        ("Layout", summary.buffers.layout.to_string()),
        ("Double buffering", if summary.double_buffer { "on" } else { "off" }.to_owned()),
        ("Host threads", summary.host_threads.to_string()),
    ]
}

/// A number of a summary, if it has it.
type Get = fn(&Summary) -> Option<f64>;

/// A line of numbers side by side.
struct Row {
    name: &'static str,
    /// Of which stage it is, if of one.
    stage: Option<&'static str>,
    path: &'static str,
    kind: Kind,
    get: Get,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// More is better.
    Rate,
    /// Less is better.
    Seconds,
    /// More is better.
    Share,
    /// A share shown as what it leaves.
    Rest,
}

macro_rules! stage {
    ($name:literal) => {
        Row {
            name: concat!($name, ", mean"),
            stage: Some($name),
            path: concat!("stages.", $name, ".mean_s"),
            kind: Kind::Seconds,
            get: |summary| summary.stages.get($name).map(|stage| stage.mean_s),
        }
    };
}

const fn row(name: &'static str, path: &'static str, kind: Kind, get: Get) -> Row {
    Row { name, stage: None, path, kind, get }
}

const ROWS: [Row; 13] = [
    row("Items a second", "items_per_s", Kind::Rate, |s| Some(s.items_per_s)),
    row("Period, measured", "plan.measured_period_s", Kind::Seconds, |s| {
        Some(s.plan.as_ref()?.reached?.measured_period_s)
    }),
    row("Period, planned", "plan.period_s", Kind::Seconds, |s| Some(s.plan.as_ref()?.period_s)),
    row("Of the planned speed", "plan.efficiency", Kind::Share, |s| {
        Some(s.plan.as_ref()?.reached?.efficiency)
    }),
    row("Device busy", "kernel.downtime_fraction", Kind::Rest, |s| {
        Some(s.kernel.as_ref()?.downtime_fraction)
    }),
    row("Latency, median", "latency_s.p50", Kind::Seconds, |s| Some(s.latency_s?.p50)),
    row("Latency, 99 % within", "latency_s.p99", Kind::Seconds, |s| Some(s.latency_s?.p99)),
    row("Time in all", "wall_s", Kind::Seconds, |s| Some(s.wall_s)),
    stage!("preprocess"),
    stage!("write"),
    stage!("kernel"),
    stage!("read"),
    stage!("postprocess"),
];

impl Row {
    fn markup(&self, a: &Run<'_>, b: &Run<'_>) -> Markup {
        let (first, second) = ((self.get)(a.summary), (self.get)(b.summary));
        let shown = |run: &Run<'_>, value: Option<f64>| match value {
            None => html! { "\u{2013}" },
            Some(value) => match self.kind {
                Kind::Rate => run.numbers.rate(self.path, value),
                Kind::Seconds => run.numbers.seconds(self.path, value),
                Kind::Share => run.numbers.percent(self.path, value),
                Kind::Rest => run.numbers.rest(self.path, value),
            },
        };
        let of = |value: f64| if self.kind == Kind::Rest { 1.0 - value } else { value };
        let ratio = first.zip(second).map(|(first, second)| of(second) / of(first)).filter(|r| r.is_finite());
        let says = |ratio: f64| match (self.kind, ratio) {
            (_, r) if (r - 1.0).abs() < SAME => "the same",
            (Kind::Rate, r) => {
                if r > 1.0 {
                    "faster"
                } else {
                    "slower"
                }
            }
            (Kind::Seconds, r) => {
                if r < 1.0 {
                    "shorter"
                } else {
                    "longer"
                }
            }
            (Kind::Share | Kind::Rest, r) => {
                if r > 1.0 {
                    "more"
                } else {
                    "less"
                }
            }
        };
        html! {
            @if first.or(second).is_some() {
                tr {
                    th scope="row" { @if let Some(stage) = self.stage { (key(stage)) } (self.name) }
                    td .number { (shown(a, first)) }
                    td .number { (shown(b, second)) }
                    td .number { @if let Some(ratio) = ratio { (times(ratio)) } }
                    td { @if let Some(ratio) = ratio { (says(ratio)) } }
                }
            }
        }
    }
}

/// Why one is faster, as far as the summaries tell: what changed, what limits each, the stages that take longer.
fn why(a: &Run<'_>, b: &Run<'_>, names: [&str; 2]) -> Vec<String> {
    let mut reasons = Vec::new();
    let changed = configured(a.summary).into_iter().zip(configured(b.summary)).filter(|(a, b)| a != b);
    let changed: Vec<String> = changed
        .map(|((name, a), (_, b))| {
            format!("{}: {a} in {}, {b} in {}", name.to_lowercase(), names[0], names[1])
        })
        .collect();
    if changed.is_empty() {
        reasons.push("Both ran with the same configuration.".to_owned());
    } else {
        reasons.push(format!("What changed: {}.", changed.join("; ")));
    }
    if let (Some(of_a), Some(of_b)) = (&a.summary.plan, &b.summary.plan) {
        let limit = |name: &str| words::resource(name).to_owned();
        reasons.push(if of_a.binding == of_b.binding {
            format!("The limit of both is {}.", limit(&of_a.binding))
        } else {
            format!(
                "The limit is {} in {}, and {} in {}.",
                limit(&of_a.binding),
                names[0],
                limit(&of_b.binding),
                names[1]
            )
        });
    }
    if let (Some(of_a), Some(of_b)) = (&a.summary.kernel, &b.summary.kernel) {
        let [idle_a, idle_b] = [of_a, of_b].map(|kernel| kernel.downtime_fraction);
        if (idle_a - idle_b).abs() >= SAME {
            reasons.push(format!(
                "The device was idle {} of its steady time in {}, {} in {}.",
                percent(idle_a),
                names[0],
                percent(idle_b),
                names[1]
            ));
        }
    }
    let longer = words::STAGES.iter().filter_map(|(stage, ..)| {
        let of = |run: &Run<'_>| Some(run.summary.stages.get(*stage)?.mean_s).filter(|mean_s| *mean_s > 0.0);
        let ratio = of(b)? / of(a)?;
        ((ratio - 1.0).abs() >= 0.05).then(|| format!("{stage} takes {} as long", times(ratio)))
    });
    let longer: Vec<String> = longer.collect();
    if !longer.is_empty() {
        reasons.push(format!("In {}, {}.", names[1], longer.join(", ")));
    }
    reasons
}
