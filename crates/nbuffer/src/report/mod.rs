//! A run as a page to look at: what limited it, how its items overlapped, where the time went, what would help.
//!
//! A page is one HTML file that opens without a network and asks for nothing: styles, scripts, data and the summary it
//! speaks of are in it, and its policy forbids every request. All that is said is said in text and tables, by this
//! module; the charts (see `report.js`) draw what stands beside them. Whatever comes from outside, as names and reasons
//! do, is escaped.
//!
//! ```
//! use nbuffer::report::RunReport;
//! # let summary = serde_json::json!({ "format": 1, "lanes": 1, "buffers": { "depth": 1, "layout": "joint", "inputs": 1,
//! #     "outputs": 1, "chosen_by": "user", "why": "" }, "double_buffer": false, "host_threads": 1, "items": { "taken": 0,
//! #     "ok": 0, "failed": 0, "cancelled": 0 }, "interrupted": false, "wall_s": 0.0, "items_per_s": 0.0, "stages": {} });
//! # let summary: nbuffer::summary::Summary = serde_json::from_value(summary)?;
//! let mut page = Vec::new();
//! RunReport::new(&summary).write(&mut page)?;
//! assert!(page.starts_with(b"<!DOCTYPE html>"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod changes;
mod comparison;
mod configuration;
mod downtime;
mod frame;
mod latency;
mod numbers;
mod picture;
mod pipeline;
mod plan;
mod table;
mod tabular;
mod timeline_svg;
mod units;
mod words;

use std::io;

use maud::html;
use nbuffer_core::measure::Durations;
use nbuffer_core::plan::{Plan, Setting};
use nbuffer_core::summary::Summary;
use nbuffer_core::trace::Trace;

pub use comparison::{Comparison, Incomparable};
pub use timeline_svg::timeline_svg;

use self::frame::{Data, Embedded, Frame};
use self::numbers::Numbers;

/// As many journeys as a trace for a report needs room for: the beginning and the end of a run, with enough of the steady
/// state to say how busy each unit was.
pub const JOURNEYS: usize = 4096;

/// What a page of one run is made from. What is not given, the page says it has not.
#[derive(Clone, Copy, Debug)]
pub struct RunReport<'a> {
    /// How the run went.
    pub summary: &'a Summary,
    /// What happened when.
    pub trace: Option<&'a Trace>,
    /// From take to result, for each item.
    pub latencies: Option<&'a Durations>,
    /// The answer in a sentence; otherwise the page says one of its own.
    pub sentence: Option<&'a str>,
    /// The machine it ran on, in words.
    pub machine: Option<&'a str>,
}

impl<'a> RunReport<'a> {
    /// Of a summary alone.
    pub fn new(summary: &'a Summary) -> Self {
        RunReport { summary, trace: None, latencies: None, sentence: None, machine: None }
    }

    /// Writes the page, in UTF-8.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: impl io::Write) -> io::Result<()> {
        let run = Run::of(self.summary, Numbers::of("summary"));
        let pipeline = self.trace.and_then(picture::Picture::of);
        let latency = self.latencies.and_then(latency::Histogram::of);
        let curve = run.setting.as_ref().and_then(|setting| plan::Curve::of(setting, &run));
        let body = html! {
            (answer::section(&run, self.sentence))
            (pipeline::section(&run, self.trace, pipeline.as_ref()))
            (units::section(&run, self.trace))
            (downtime::section(&run))
            (latency::section(&run, latency.as_ref()))
            (plan::throughput(&run, curve.as_ref()))
            (plan::reached(&run))
            (changes::section(&run))
            (configuration::section(&run, self.machine))
            (table::section(&[("The run", &run)]))
        };
        let title = words::title(self.summary);
        let data =
            Data { pipeline: pipeline.as_ref(), latency: latency.as_ref(), throughput: curve.as_ref() };
        let summaries = [Embedded { id: "summary", summary: self.summary }];
        Frame { title: &title, summaries: &summaries, data: Some(&data), body }.write(out)
    }
}

/// A summary, how its numbers are referred to, and the plan that can be made from it again.
struct Run<'a> {
    summary: &'a Summary,
    numbers: Numbers,
    setting: Option<Setting>,
    plan: Option<Plan>,
}

impl<'a> Run<'a> {
    fn of(summary: &'a Summary, numbers: Numbers) -> Self {
        let setting = summary.setting();
        let plan = setting.as_ref().and_then(|setting| Plan::new(setting).ok());
        Run { summary, numbers, setting, plan }
    }
}
