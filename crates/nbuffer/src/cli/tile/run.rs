//! `nbuffer tile run`: one kernel, once.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use nbuffer::trace_file::{self, Format};
use nbuffer_tile::catalog::{Checked, Task};
use nbuffer_tile::{Advice, GlobalMemory, Launch, Run, TileReport, launch};
use serde::Serialize;

use super::super::picture::{Out, PictureArgs};
use super::super::plan::row;
use super::super::{Status, emit, sink};
use super::task::{Chosen, TaskArgs};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: nbuffer tile run add --cores 8 --elements 80M --tile 20480 --num 1 --repeat-op 8\n\n\
    Exit status: 0 values are right and nothing was left to chance; 1 values differ, hazards were found, or the trace could \
    not be written (all else is there); 2 the kernel's program is wrong, or the command is."
)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    task: TaskArgs,
    /// As JSON
    #[arg(long, conflicts_with = "timeline")]
    json: bool,
    /// Write what ran when, for ui.perfetto.dev or chrome://tracing: .json, or .pftrace, which is smaller
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Only time: move and compute no values
    #[arg(long)]
    no_values: bool,
    // Last, since its heading holds for all that follows.
    #[command(flatten)]
    picture: PictureArgs,
}

/// Tensors of more bytes are not held in memory: values are checked on a part.
const VALUES_MAX: u64 = 2 << 30;

/// Tensors of that part have about so many bytes.
const SAMPLE: u64 = 64 << 20;

/// Instructions whose spans are kept, for a trace and for a timeline.
const TRACED: usize = 2_000_000;
const DRAWN: usize = 400_000;

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let chosen = args.task.chosen()?;
    let file = args.trace.as_deref().map(TraceFile::open).transpose()?;
    let spans = match (&file, args.picture.timeline) {
        (Some(_), _) => TRACED,
        (None, true) => DRAWN,
        (None, false) => 0,
    };
    let (run, values) = run(&chosen, !args.no_values, spans)?;
    let advice = Advice::of(&chosen.profile, chosen.kernel, &chosen.task, chosen.cores)?;
    let report = TileReport::new(&run, &chosen.profile, advice);
    let said = Said { kernel: chosen.kernel.name(), task: &chosen.task, values: &values, report: &report };
    let text = if args.json {
        serde_json::to_string_pretty(&said)? + "\n"
    } else {
        said.text(args.picture.timeline.then(|| picture(&run, &chosen, &args.picture)))
    };
    emit(&text)?;
    let written = file.map_or(Status::Ok, |file| file.write(&run, &chosen));
    let is_right = report.hazards.count == 0 && values.is_right();
    Ok(if is_right { written } else { Status::SomeFailed })
}

/// Whether what was computed is what the reference computes.
#[derive(Debug, Serialize)]
struct Values {
    /// `all`, `sample` or `none`.
    checked: &'static str,
    compared: u64,
    differing: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Values {
    fn of(checked: &'static str, found: Checked, note: Option<String>) -> Self {
        let differs = found
            .first
            .map(|(index, expected, found)| format!("element {index} is {found}, and should be {expected}"));
        let Checked { compared, differing, .. } = found;
        Values { checked, compared, differing, note: differs.or(note) }
    }

    fn is_right(&self) -> bool {
        self.differing == 0
    }

    fn words(&self) -> String {
        let note = self.note.as_ref().map_or(String::new(), |note| format!(": {note}"));
        match (self.checked, self.differing) {
            ("none", _) => format!("not computed{note}"),
            (_, 0) => format!("{} compared with a plain reference, all equal{note}", self.compared),
            (_, n) => format!("{n} of {} differ from a plain reference{note}", self.compared),
        }
    }
}

fn run(chosen: &Chosen, values: bool, spans: usize) -> anyhow::Result<(Run, Values)> {
    let none = |note: Option<&str>| Values::of("none", Checked::default(), note.map(str::to_owned));
    if !values {
        let (run, _) = launched(chosen, &chosen.task, GlobalMemory::hollow(), spans)?;
        return Ok((run, none(None)));
    }
    let mut hollow = GlobalMemory::hollow();
    chosen.kernel.prepare(&chosen.task, &mut hollow);
    let bytes = hollow.len_bytes();
    if bytes <= VALUES_MAX {
        let (run, checked) = launched(chosen, &chosen.task, GlobalMemory::new(), spans)?;
        if checked.left_out == 0 {
            return Ok((run, Values::of("all", checked, None)));
        }
        let note = format!("a sample, as all {} would take too long", checked.compared + checked.left_out);
        return Ok((run, Values::of("sample", checked, Some(note))));
    }
    let (run, _) = launched(chosen, &chosen.task, GlobalMemory::hollow(), spans)?;
    // The same tiles on the same cores, fewer of them.
    let whole = u64::from(chosen.task.tile) * chosen.cores as u64;
    let elements = (u128::from(chosen.task.elements) * u128::from(SAMPLE) / u128::from(bytes)) as u64;
    let row = chosen.kernel.row(&chosen.task).into();
    let elements = elements.next_multiple_of(whole).next_multiple_of(row).min(chosen.task.elements);
    let sample = Task { elements, ..chosen.task };
    let mut hollow = GlobalMemory::hollow();
    chosen.kernel.prepare(&sample, &mut hollow);
    let needs = format!("the tensors have {}", ByteSize(bytes).display().iec());
    if hollow.len_bytes() > VALUES_MAX {
        return Ok((run, none(Some(&format!("{needs}, and one tile a core too many for a check")))));
    }
    let (_, checked) = launched(chosen, &sample, GlobalMemory::new(), 0)?;
    let note = format!("a sample, since {needs}: a run of its own on {elements} elements");
    Ok((run, Values::of("sample", checked, Some(note))))
}

/// Launches the kernel once. Without values nothing is compared.
pub(super) fn launched(
    chosen: &Chosen,
    task: &Task,
    mut memory: GlobalMemory,
    spans: usize,
) -> anyhow::Result<(Run, Checked)> {
    let prepared = chosen.kernel.prepare(task, &mut memory);
    let how = Launch { spans, ..Launch::on(chosen.cores) };
    let run = launch(&chosen.profile, &mut memory, &how, prepared.program)
        .map_err(|error| anyhow!("kernel {}: {error}", chosen.kernel.name()))?;
    let checked =
        if memory.holds_values() { (prepared.check)(&memory, chosen.cores) } else { Checked::default() };
    Ok((run, checked))
}

/// What is said of a run.
#[derive(Serialize)]
struct Said<'a> {
    kernel: &'static str,
    #[serde(serialize_with = "task_fields")]
    task: &'a Task,
    values: &'a Values,
    #[serde(flatten)]
    report: &'a TileReport,
}

fn task_fields<S: serde::Serializer>(task: &&Task, to: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct;

    let Task { dtype, elements, tile, num, repeat_op, columns, inner, bypass_l2 } = **task;
    let mut fields = to.serialize_struct("Task", 8)?;
    fields.serialize_field("dtype", dtype.name())?;
    fields.serialize_field("elements", &elements)?;
    fields.serialize_field("tile", &tile)?;
    fields.serialize_field("num", &num)?;
    fields.serialize_field("repeat_op", &repeat_op)?;
    fields.serialize_field("columns", &columns)?;
    fields.serialize_field("inner", &inner)?;
    fields.serialize_field("l2", if bypass_l2 { "bypass" } else { "on" })?;
    fields.end()
}

impl Said<'_> {
    fn text(&self, picture: Option<String>) -> String {
        let mut out = String::new();
        let Task { dtype, elements, tile, num, .. } = self.task;
        let plural = if *num == 1 { "" } else { "s" };
        say!(out, "{}: {elements} x {dtype}, tiles of {tile}, {num} block{plural} a queue", self.kernel);
        if let Some(picture) = picture {
            say!(out, "\n{picture}");
        }
        out += &self.report.to_string();
        say!(out, "");
        row(&mut out, "values", &self.values.words());
        out
    }
}

fn picture(run: &Run, chosen: &Chosen, picture: &PictureArgs) -> String {
    let mut text = picture.draw_spans(&run.timeline(0, &chosen.profile), Out::Stdout);
    text += "core 0; link in is MTE2, kernel V, link out MTE3; numbers are tiles\n";
    if run.spans_left_out > 0 {
        say!(text, "(drawn from the first and the last instructions; {} are left out)", run.spans_left_out);
    }
    text
}

/// A file that a trace will go to, opened before anything runs.
struct TraceFile {
    path: PathBuf,
    format: Format,
    file: File,
}

impl TraceFile {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let format = Format::of(path).context("--trace")?;
        let file = sink::open_to_write(path)
            .with_context(|| format!("cannot write --trace `{}`", path.display()))?;
        Ok(TraceFile { path: path.to_owned(), format, file })
    }

    fn write(self, run: &Run, chosen: &Chosen) -> Status {
        let TraceFile { path, format, file } = self;
        let events = run.events(&chosen.profile);
        let written = sink::begin(&file).and_then(|()| trace_file::write(events, format, &file));
        if let Err(error) = written {
            let path = path.display();
            tell!("error: cannot write --trace `{path}`: {error}; what is in it is not complete");
            return Status::SomeFailed;
        }
        if run.spans_left_out > 0 {
            let (kept, out) = (run.spans.len(), run.spans_left_out);
            tell!(
                "note: --trace has the first and the last instructions, {kept} in all; {out} between them are left out"
            );
        }
        Status::Ok
    }
}
