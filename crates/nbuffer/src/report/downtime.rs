//! What compute units waited for.

use maud::{Markup, html};

use super::tabular::Column::{Bar, Number, Text};
use super::tabular::tabular;
use super::units::bar;
use super::{Run, words};

pub(super) fn section(run: &Run<'_>) -> Markup {
    html! {
        section id="downtime" aria-labelledby="downtime-title" {
            h2 #downtime-title { "Why the device was idle" }
            (body(run))
        }
    }
}

fn body(run: &Run<'_>) -> Markup {
    let n = run.numbers;
    let Some(kernel) = &run.summary.kernel else {
        return html! { p .missing { "Too few kernels were seen to tell how long the device was idle." } };
    };
    let whole_s: f64 = kernel.causes_s.values().sum();
    let mut causes: Vec<_> = kernel.causes_s.iter().filter(|(_, seconds)| **seconds > 0.0).collect();
    causes.sort_by(|a, b| b.1.total_cmp(a.1));
    html! {
        p {
            "Between its first kernel and its last, the device was idle for "
            (n.seconds("kernel.downtime_s", kernel.downtime_s)) ", "
            (n.percent("kernel.downtime_fraction", kernel.downtime_fraction))
            " of that time. Fill, before the first kernel, took " (n.seconds("kernel.fill_s", kernel.fill_s))
            ", and drain, after the last, " (n.seconds("kernel.drain_s", kernel.drain_s)) "."
            @if run.summary.lanes > 1 { " These are sums over all compute units." }
        }
        @if causes.is_empty() {
            p .missing {
                "Not traced: the causes of idle time are known only of a run that was traced"
                @if kernel.downtime_s == 0.0 { ", and here there was none" } "."
            }
        } @else {
            (tabular(
                "Causes of idle time",
                Some(html! { "What the idle time that was traced was spent waiting for." }),
                &[Text("Waiting for"), Number("time"), Number("share"), Bar, Text("since")],
                html! {
                    @for (name, &seconds) in causes {
                        @let (what, why) = words::cause(name);
                        tr {
                            th scope="row" { (what) }
                            td .number { (n.seconds(&format!("kernel.causes_s.{name}"), seconds)) }
                            td .number { (super::numbers::percent(seconds / whole_s)) }
                            td .wide { (bar(&[("idle", seconds / whole_s)])) }
                            td { (why) }
                        }
                    }
                },
            ))
        }
    }
}
