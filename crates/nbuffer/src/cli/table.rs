//! The closing table: how the run went, in words a person can use.

use std::fmt::Write;

use nbuffer::plan::Time;
use nbuffer::summary::{Buffers, PlanSummary, Reached, Summary};

/// The closing table of a run: how it went, in words.
pub fn closing(summary: &Summary) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            writeln!(text, "  {name:<12}{value}").expect("a string takes what is written");
        }
    };
    let items = &summary.items;
    let mut ended = format!("{} ok", items.ok);
    for (count, what) in [(items.failed, "failed"), (items.cancelled, "cancelled")] {
        if count > 0 {
            ended += &format!(", {count} {what}");
        }
    }
    if items.retried > 0 {
        ended += &format!(" ({} begun again on another lane)", items.retried);
    }
    row("items", format!("{ended}, in {} ({:.1} a second)", time(summary.wall_s), summary.items_per_s));
    if let Some(accuracy) = summary.accuracy {
        let right = (accuracy * items.ok as f64).round();
        row(
            "accuracy",
            format!("{:.2} % ({right} of {} by the names of their folders)", accuracy * 100.0, items.ok),
        );
    }
    let engine = summary.engine.as_ref().map_or(String::new(), |engine| format!(", values by {engine}"));
    row("device", format!("{}{engine}", summary.device.join(" + ")));
    for (index, device) in summary.devices.iter().enumerate() {
        let busy = 100.0 * (1.0 - device.downtime_fraction);
        let lost = match device.lanes_lost {
            0 => String::new(),
            lost => format!(", {lost} of them lost"),
        };
        let (name, lanes, calls) = (&device.name, plural(device.lanes, "lane"), device.kernels);
        row(
            if index == 0 { "each" } else { "" },
            format!("{name}: {lanes}{lost}, {calls} kernels, busy {busy:.1} % of its steady time"),
        );
    }
    let double = if summary.double_buffer { ", double buffering" } else { "" };
    row(
        "ran with",
        format!(
            "{}, {} each{double}, {}",
            plural(summary.lanes, "lane"),
            sets(&summary.buffers),
            plural(summary.host_threads, "host thread")
        ),
    );
    row("buffers", summary.buffers.why.clone());
    if let Some(latency) = &summary.latency_s {
        let [mean, p99, max] = [latency.mean, latency.p99, latency.max].map(time);
        row("latency", format!("mean {mean}, 99 % within {p99}, longest {max}"));
    }
    let stages: Vec<_> = ["preprocess", "write", "kernel", "read", "postprocess"]
        .iter()
        .filter_map(|name| Some(format!("{name} {}", time(summary.stages.get(*name)?.mean_s))))
        .collect();
    row("stages", stages.join(", "));
    if let Some(kernel) = &summary.kernel {
        let busy = 100.0 * (1.0 - kernel.downtime_fraction);
        let [down, fill, drain] = [kernel.downtime_s, kernel.fill_s, kernel.drain_s].map(time);
        row(
            "busy",
            format!(
                "the device computed {busy:.1} % of its steady time (idle {down}; fill {fill}, drain {drain})"
            ),
        );
        if let Some(why) = &kernel.why {
            row("why", why.clone());
        }
    }
    if let Some(plan) = &summary.plan {
        row("limit", limit(plan, summary));
    }
    for remark in &summary.remarks {
        row("note", remark.clone());
    }
    text
}

fn sets(buffers: &Buffers) -> String {
    if buffers.inputs == buffers.outputs {
        return plural(buffers.depth, "buffer set");
    }
    format!("{} + {} input and output sets", buffers.inputs, buffers.outputs)
}

/// What limited the run, and what would help.
fn limit(plan: &PlanSummary, summary: &Summary) -> String {
    let binding = match &*plan.binding {
        "device" => "the device itself",
        "write" => "the link to the device",
        "read" => "the link from the device",
        "link" => "the link",
        "host" => "the host threads",
        "cores" => "the cores of this machine",
        "buffers" => "too few buffer sets",
        "source" => "the source",
        other => other,
    };
    let mut text = format!("{binding}: {} an item planned", time(plan.period_s));
    if let Some(Reached { measured_period_s, efficiency }) = plan.reached {
        let difference = 100.0 * (1.0 / efficiency - 1.0);
        text += &format!(", {} measured ({difference:+.1} %)", time(measured_period_s));
    }
    if let Some(cause) = &summary.likely_cause {
        text += &format!(": {cause}");
    }
    let sets = summary.buffers.depth * summary.lanes;
    match &*plan.binding {
        "host" if plan.host_threads_enough > summary.host_threads => {
            text += &format!("; {} host threads would be enough", plan.host_threads_enough);
        }
        "buffers" => {
            text += &format!("; {} buffer sets in all would be enough, not {sets}", plan.buffers_enough)
        }
        _ => {}
    }
    text
}

/// A time with the unit that suits it.
fn time(seconds: f64) -> String {
    Time(seconds).to_string()
}

fn plural(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        let shown = [2.0, 0.0215, 0.000_004, 0.000_000_05, 0.0].map(time);
        assert_eq!(shown, ["2.00 s", "21.50 ms", "4.0 us", "50 ns", "0 ns"]);
    }
}
