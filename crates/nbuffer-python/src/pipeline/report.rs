//! How a stream went, kept when the stream is gone; plans and streams in virtual time.

use std::ffi::OsString;

use nbuffer::cli::Simulated;
use nbuffer::measure::Durations;
use nbuffer::report::RunReport;
use nbuffer::summary::Summary;
use nbuffer::trace::{Span, Timeline, Trace};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::stages::Stages;

/// A summary, and the trace it was made with.
#[pyclass(frozen, module = "nbuffer._native")]
pub(crate) struct Report {
    summary: Summary,
    trace: Option<Trace>,
    latencies: Durations,
}

impl Report {
    pub(crate) fn of(running: &nbuffer::Running<Stages>) -> Self {
        Report { summary: running.summary(), trace: running.trace(), latencies: running.latencies() }
    }
}

/// A step of an item, as a row of a table: item, stage, unit, lane, start and end in nanoseconds.
type Row = (u64, &'static str, String, usize, u64, u64);

/// A plan, as JSON.
#[pyfunction]
pub(crate) fn plan(py: Python<'_>, flags: Vec<OsString>) -> PyResult<String> {
    py.detach(|| nbuffer::cli::planned(flags)).map_err(PyValueError::new_err)
}

/// A stream in virtual time.
#[pyfunction]
pub(crate) fn simulate(py: Python<'_>, flags: Vec<OsString>) -> PyResult<Report> {
    let simulated = py.detach(|| nbuffer::cli::simulated(flags)).map_err(PyValueError::new_err)?;
    let Simulated { summary, trace, latencies } = simulated;
    Ok(Report { summary, trace: Some(trace), latencies })
}

#[pymethods]
impl Report {
    /// What was traced, a row a step.
    fn spans(&self) -> Vec<Row> {
        let Some(trace) = &self.trace else {
            return Vec::new();
        };
        let spans = trace.journeys.iter().flat_map(|journey| journey.spans(&trace.topology));
        let row = |span: Span| {
            (span.sequence, span.stage.name(), span.unit.to_string(), span.lane, span.start, span.end)
        };
        spans.map(row).collect()
    }

    /// The summary, as JSON.
    fn json(&self) -> PyResult<String> {
        serde_json::to_string(&self.summary).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// What `nbuffer run` says at its end.
    fn text(&self) -> String {
        nbuffer::cli::closing(&self.summary)
    }

    /// The timeline in characters.
    fn timeline(&self, width: usize) -> String {
        let spans = self.trace.as_ref().map(Trace::excerpt).unwrap_or_default();
        Timeline::new(&spans).width(width.clamp(20, 10_000)).to_string()
    }

    /// The timeline as a picture, in SVG.
    fn svg(&self) -> String {
        let spans = self.trace.as_ref().map(Trace::excerpt).unwrap_or_default();
        nbuffer::report::timeline_svg(&spans)
    }

    /// The page that `nbuffer run --report` writes.
    fn page(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| {
            let mut page = Vec::new();
            let machine = nbuffer::machine::machine();
            let report = RunReport {
                trace: self.trace.as_ref(),
                latencies: Some(&self.latencies),
                machine: Some(&machine),
                ..RunReport::new(&self.summary)
            };
            report.write(&mut page)?;
            String::from_utf8(page).map_err(|error| PyRuntimeError::new_err(error.to_string()))
        })
    }
}
