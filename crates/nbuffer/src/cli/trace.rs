//! `--trace`: what happened when, in a file for a viewer.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nbuffer::trace::Trace;
use nbuffer::trace_file::{self, Format};

use super::{Status, sink};

/// The most items whose journeys are kept: half of them of the beginning, half of the end.
pub(super) const ITEMS_MAX: usize = 262_144;

/// A file that a trace will go to.
#[derive(Debug)]
pub(super) struct TraceFile {
    path: PathBuf,
    format: Format,
    file: File,
}

impl TraceFile {
    /// Opens it, before anything runs: a path that cannot be written must not cost a run. What is in it stays until
    /// there is a trace.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let format = Format::of(path).context("--trace")?;
        let file = sink::open_to_write(path)
            .with_context(|| format!("cannot write --trace `{}`", path.display()))?;
        Ok(TraceFile { path: path.to_owned(), format, file })
    }

    /// Writes it, once results are out: that it cannot be written costs nothing but the file, and is told here.
    pub(super) fn write(self, trace: &Trace) -> Status {
        let TraceFile { path, format, file } = self;
        let written = sink::begin(&file).and_then(|()| trace_file::write(trace.events(), format, &file));
        if let Err(error) = written {
            let path = path.display();
            tell!("error: cannot write --trace `{path}`: {error}; what is in it is not complete");
            return Status::SomeFailed;
        }
        if let Some(note) = left_out(trace) {
            tell!("note: {note}");
        }
        Status::Ok
    }
}

/// What the file does not have, since a trace's memory is bounded.
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
