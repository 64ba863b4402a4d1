//! How a stream went, kept when the stream is gone; plans and streams in virtual time.

use std::ffi::OsString;
use std::sync::OnceLock;

use nbuffer::Record;
use nbuffer::cli::Simulated;
use nbuffer::measure::Durations;
use nbuffer::report::RunReport;
use nbuffer::summary::Summary;
use nbuffer::trace::{Span, Timeline, Trace};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::stages::Stages;

/// A summary, and the trace it is made with.
#[pyclass(frozen, module = "nbuffer._native")]
pub(crate) struct Report(Of);

enum Of {
    /// Its summary is made when it is asked for first: most streams of a server are never asked about.
    Stream(Box<(Record, OnceLock<Summary>)>),
    Simulation(Box<Simulated>),
}

impl Report {
    pub(crate) fn of(running: &nbuffer::Running<Stages>) -> Self {
        Report(Of::Stream(Box::new((running.record(), OnceLock::new()))))
    }

    fn summary(&self) -> &Summary {
        match &self.0 {
            Of::Stream(stream) => stream.1.get_or_init(|| stream.0.summary()),
            Of::Simulation(simulated) => &simulated.summary,
        }
    }

    fn trace(&self) -> Option<&Trace> {
        match &self.0 {
            Of::Stream(stream) => stream.0.trace(),
            Of::Simulation(simulated) => Some(&simulated.trace),
        }
    }

    fn latencies(&self) -> &Durations {
        match &self.0 {
            Of::Stream(stream) => stream.0.latencies(),
            Of::Simulation(simulated) => &simulated.latencies,
        }
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
    Ok(Report(Of::Simulation(Box::new(simulated))))
}

#[pymethods]
impl Report {
    /// What was traced, a row a step.
    fn spans(&self) -> Vec<Row> {
        let Some(trace) = self.trace() else {
            return Vec::new();
        };
        let spans = trace.journeys.iter().flat_map(|journey| journey.spans(&trace.topology));
        let row = |span: Span| {
            (span.sequence, span.stage.name(), span.unit.to_string(), span.lane, span.start, span.end)
        };
        spans.map(row).collect()
    }

    /// The summary, as JSON.
    fn json(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| serde_json::to_string(self.summary()))
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// What `nbuffer run` says at its end.
    fn text(&self) -> String {
        nbuffer::cli::closing(self.summary())
    }

    /// The timeline in characters.
    fn timeline(&self, width: usize) -> String {
        let spans = self.trace().map(Trace::excerpt).unwrap_or_default();
        Timeline::new(&spans).width(width.clamp(20, 10_000)).to_string()
    }

    /// The timeline as a picture, in SVG.
    fn svg(&self) -> String {
        let spans = self.trace().map(Trace::excerpt).unwrap_or_default();
        nbuffer::report::timeline_svg(&spans)
    }

    /// The page that `nbuffer run --report` writes.
    fn page(&self, py: Python<'_>) -> PyResult<String> {
        py.detach(|| {
            let mut page = Vec::new();
            let machine = nbuffer::machine::machine();
            let report = RunReport {
                trace: self.trace(),
                latencies: Some(self.latencies()),
                machine: Some(&machine),
                ..RunReport::new(self.summary())
            };
            report.write(&mut page)?;
            String::from_utf8(page).map_err(|error| PyRuntimeError::new_err(error.to_string()))
        })
    }
}
