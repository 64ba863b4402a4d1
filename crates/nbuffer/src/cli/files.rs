//! Files that a command leaves beside its results: a trace, a page, a summary.
//!
//! They are opened before anything runs, so that a path that cannot be written costs no run, and written when the results are out, so
//! that a disk that is full costs no result.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use nbuffer::report::RunReport;
use nbuffer::trace::Trace;
use nbuffer::trace_file::{self, Format};

use super::{Status, picture, sink};

/// The most items whose journeys a trace file has: half of them of the beginning, half of the end.
pub(super) const TRACED: usize = 262_144;

/// The files that show what a run did.
#[derive(Debug, clap::Args)]
pub(super) struct FileArgs {
    /// Write what happened when, for ui.perfetto.dev or chrome://tracing: .json, or .pftrace, which is smaller
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write a page to look at: what ran when, where the time went, what would help
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// The same, opened.
#[derive(Debug)]
pub(super) struct Files {
    trace: Option<(Format, SideFile)>,
    report: Option<SideFile>,
}

impl FileArgs {
    /// Opens what is asked for.
    pub(super) fn open(&self) -> anyhow::Result<Files> {
        let trace = |path: &PathBuf| {
            let format = Format::of(path).context("--trace")?;
            anyhow::Ok((format, SideFile::open(path, "--trace")?))
        };
        Ok(Files {
            trace: self.trace.as_ref().map(trace).transpose()?,
            report: self.report.as_ref().map(|path| SideFile::open(path, "--report")).transpose()?,
        })
    }

    /// Items whose journeys are to be kept. The causes of downtime are always told, and a timeline needs no more.
    pub(super) fn journeys(&self) -> usize {
        if self.trace.is_some() { TRACED } else { picture::JOURNEYS }
    }
}

impl Files {
    /// Writes them all. One that cannot be written costs nothing but itself, and is told here.
    pub(super) fn write(self, trace: &Trace, report: &RunReport<'_>) -> Status {
        let mut status = Status::Ok;
        if let Some((format, file)) = self.trace {
            status = status.and(file.write(|out| trace_file::write(trace.events(), format, out)));
            if let Some(note) = left_out(trace) {
                tell!("note: {note}");
            }
        }
        if let Some(file) = self.report {
            status = status.and(file.write(|out| report.write(out)));
        }
        status
    }
}

/// A file that is open and keeps what is in it until it is written.
#[derive(Debug)]
pub(super) struct SideFile {
    option: &'static str,
    path: PathBuf,
    file: File,
}

impl SideFile {
    /// Opens it; `option` names it in errors.
    pub(super) fn open(path: &Path, option: &'static str) -> anyhow::Result<Self> {
        let file = sink::open_to_write(path)
            .with_context(|| format!("cannot write {option} `{}`", path.display()))?;
        Ok(SideFile { option, path: path.to_owned(), file })
    }

    /// Writes it, in place of what it holds.
    pub(super) fn write(self, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Status {
        let SideFile { option, path, file } = self;
        let written = sink::begin(&file).and_then(|()| {
            let mut out = BufWriter::new(&file);
            write(&mut out)?;
            out.flush()
        });
        let Err(error) = written else { return Status::Ok };
        let path = path.display();
        tell!(
            "error: cannot write {option} `{path}`: {error}; what is in it is not complete, and all else is there"
        );
        Status::SomeFailed
    }
}

/// What the trace file does not have, since a trace's memory is bounded.
fn left_out(trace: &Trace) -> Option<String> {
    let (head, tail, between) = (trace.head, trace.journeys.len() - trace.head, trace.left_out);
    (between > 0).then(|| {
        format!("--trace has the first {head} and the last {tail} items; {between} between them are left out")
    })
}

#[cfg(test)]
mod tests {
    use nbuffer::schedule::Outcome;
    use nbuffer::trace::{Interval, Topology, Tracer};

    use super::*;

    #[track_caller]
    fn check_left_out(items: u64, journeys: usize, expected: Option<&str>) {
        let mut tracer = Tracer::new(journeys, 1);
        for item in 0..items {
            tracer.taken(item, Interval::at(item));
            tracer.delivered(item, Outcome::Ok, item);
        }
        assert_eq!(left_out(&tracer.trace(Topology::new("device", &[], 1))).as_deref(), expected);
    }

    #[test]
    fn what_a_long_run_leaves_out_is_told() {
        check_left_out(100, 100, None);
        let told = "--trace has the first 50 and the last 50 items; 1 between them are left out";
        check_left_out(101, 100, Some(told));
    }
}
