//! What ran on what, and what a reader must know beside the numbers.

use maud::{Markup, html};
use nbuffer_core::summary::{BufferChange, ChosenBy, Summary};

use super::tabular::Column::{Number, Text};
use super::tabular::tabular;
use super::{Run, words};

pub(super) fn section(run: &Run<'_>, machine: Option<&str>) -> Markup {
    html! {
        section id="configuration" aria-labelledby="configuration-title" {
            h2 #configuration-title { "Configuration and machine" }
            dl .facts { @for (name, value) in facts(run, machine) { div { dt { (name) } dd { (value) } } } }
            @if !run.summary.buffers.changes.is_empty() { (choices(run)) }
            @if !run.summary.remarks.is_empty() {
                h3 { "Remarks" }
                ul { @for remark in &run.summary.remarks { li { (remark) } } }
            }
        }
    }
}

/// Name and value, in the order in which they are told.
fn facts(run: &Run<'_>, machine: Option<&str>) -> Vec<(&'static str, Markup)> {
    let (summary, n) = (run.summary, run.numbers);
    let Summary { buffers, plan, .. } = summary;
    let on_or_off = |on| if on { "on: results come two calls late" } else { "off" };
    let chosen = match buffers.chosen_by {
        ChosenBy::Auto => "chosen by nbuffer",
        ChosenBy::User => "asked for",
    };
    let layout = match &*buffers.layout {
        "joint" => "joint: sets travel whole",
        "split" => "split: inputs and outputs are recycled apart",
        other => other,
    };
    let mut facts = vec![
        ("Model", html! { (summary.model.as_deref().unwrap_or("none: stage times only")) }),
        (
            "Device",
            html! { @if summary.device.is_empty() { "none: virtual time" } @else { (words::devices(summary)) } },
        ),
        ("Engine", html! { (summary.engine.as_deref().unwrap_or("none")) }),
        ("Lanes", n.count("lanes", summary.lanes as u64)),
        ("Buffer sets a lane", html! { (words::sets(buffers)) ", " (chosen) }),
        ("Why so many", html! { (buffers.why) }),
        ("Layout", html! { (layout) }),
        ("Double buffering", html! { (on_or_off(summary.double_buffer)) }),
        ("Host threads", n.count("host_threads", summary.host_threads as u64)),
    ];
    if let Some(plan) = plan {
        let lane = match &*plan.lane {
            "blocking" => "blocking: a call writes, computes and reads",
            "double_buffered" => "double-buffered: a call does all three at once, for three items",
            "queued" => "queued: write, kernel and read are engines of their own",
            other => other,
        };
        facts.push(("Lanes are", html! { (lane) }));
        facts.push(("Link", html! { (plan.link) " duplex" }));
    }
    if let Some(accuracy) = summary.accuracy {
        facts.push(("Accuracy", html! { (n.percent("accuracy", accuracy)) " by the names of the folders" }));
    }
    if summary.bytes != Default::default() {
        facts.push(("Memory on the host", n.bytes("bytes.host", summary.bytes.host)));
        facts.push(("Memory on the device", n.bytes("bytes.device", summary.bytes.device)));
    }
    facts.push(("Machine", html! { (machine.unwrap_or("not in a summary")) }));
    let format = n.count("format", summary.format.into());
    let version = env!("CARGO_PKG_VERSION");
    facts.push(("This page", html! { "written by nbuffer " (version) ", summary format " (format) }));
    facts
}

/// What was chosen while the stream ran.
fn choices(run: &Run<'_>) -> Markup {
    let n = run.numbers;
    html! {
        h3 { "Chosen while the stream ran" }
        (tabular(
            "Chosen while the stream ran",
            None,
            &[Number("at"), Number("after items"), Number("inputs"), Number("outputs"), Number("host threads"), Text("why")],
            html! {
                @for (i, change) in run.summary.buffers.changes.iter().enumerate() {
                    @let BufferChange { at_s, after_items, inputs, outputs, host_threads, why } = change;
                    @let path = |field: &str| format!("buffers.changes.{i}.{field}");
                    tr {
                        td .number { (n.seconds(&path("at_s"), *at_s)) }
                        td .number { (n.count(&path("after_items"), *after_items)) }
                        td .number { (n.count(&path("inputs"), *inputs as u64)) }
                        td .number { (n.count(&path("outputs"), *outputs as u64)) }
                        td .number { (n.count(&path("host_threads"), *host_threads as u64)) }
                        td { (why) }
                    }
                }
            },
        ))
    }
}
