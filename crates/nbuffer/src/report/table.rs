//! Everything in a summary, name by name.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use super::Run;
use super::numbers::Numbers;
use super::tabular::Column::{Number, Text};
use super::tabular::tabular;

/// The numbers of some runs beside each other, each with its name.
pub(super) fn section(runs: &[(&str, &Run<'_>)]) -> Markup {
    let told: Vec<Told<'_>> = runs.iter().map(|(name, run)| Told::of(name, run)).collect();
    // In the order of the first that has it.
    let mut seen = BTreeSet::new();
    let paths = told.iter().flat_map(|told| &told.leaves).map(|(path, _)| path);
    let paths: Vec<&String> = paths.filter(|path| seen.insert(*path)).collect();
    let columns: Vec<_> =
        [Text("Name")].into_iter().chain(told.iter().map(|told| Number(told.name))).collect();
    html! {
        section id="numbers" aria-labelledby="numbers-title" {
            h2 #numbers-title { "All numbers" }
            p {
                "By their names in the summary, which is in this file too, as JSON, in the "
                code { "script" } " elements with the ids "
                @for (i, (_, run)) in runs.iter().enumerate() {
                    @if i > 0 { " and " } code { (run.numbers.id()) }
                }
                "."
            }
            (tabular(
                "All numbers",
                None,
                &columns,
                html! {
                    @for path in paths {
                        tr {
                            th scope="row" { code { (path) } }
                            @for Told { numbers, leaves, .. } in &told {
                                @match leaves.iter().find(|(other, _)| other == path) {
                                    Some((_, value)) => (cell(*numbers, path, value)),
                                    None => td .number { "\u{2013}" },
                                }
                            }
                        }
                    }
                },
            ))
        }
    }
}

/// What one summary holds, value by value.
struct Told<'a> {
    name: &'a str,
    numbers: Numbers,
    leaves: Vec<(String, Value)>,
}

impl<'a> Told<'a> {
    fn of(name: &'a str, run: &Run<'_>) -> Self {
        let mut leaves = Vec::new();
        let value = serde_json::to_value(run.summary).unwrap_or_default();
        flatten(String::new(), value, &mut leaves);
        Told { name, numbers: run.numbers, leaves }
    }
}

/// Every value that is no list or map, with the names that lead to it.
fn flatten(path: String, value: Value, leaves: &mut Vec<(String, Value)>) {
    let below = |name: String| if path.is_empty() { name } else { format!("{path}.{name}") };
    match value {
        Value::Object(map) => map.into_iter().for_each(|(name, value)| flatten(below(name), value, leaves)),
        Value::Array(list) => {
            list.into_iter().enumerate().for_each(|(i, value)| flatten(below(i.to_string()), value, leaves));
        }
        leaf => leaves.push((path, leaf)),
    }
}

/// A value, in the unit that its name tells.
fn cell(n: Numbers, path: &str, value: &Value) -> Markup {
    let Value::Number(number) = value else {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return html! { td .text { (text) } };
    };
    let name = path.rsplit('.').next().unwrap_or(path);
    let whole = number.as_u64();
    let number = number.as_f64().unwrap_or(f64::NAN);
    let shown = match path {
        _ if name.ends_with("_per_s") => n.rate(path, number),
        _ if name.ends_with("_s")
            || path.starts_with("latency_s.")
            || path.starts_with("kernel.causes_s.") =>
        {
            n.seconds(path, number)
        }
        "kernel.downtime_fraction" | "plan.efficiency" | "plan.device_busy" | "accuracy" => {
            n.percent(path, number)
        }
        _ if path.starts_with("plan.slack.") => n.percent(path, number),
        "bytes.host" | "bytes.device" => n.bytes(path, whole.unwrap_or(0)),
        _ => match whole {
            Some(whole) => n.count(path, whole),
            None => n.plain(path, number),
        },
    };
    html! { td .number { (shown) } }
}
