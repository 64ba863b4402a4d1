//! Where results go: lines on stdout, and a line of JSON an item in a file.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use nbuffer::{Answer, Failure, Finished};
use serde::Serialize;

/// One item in the JSON Lines output.
#[derive(Serialize)]
struct Line<'a> {
    sequence: u64,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// The results' way out.
pub(super) struct Sink {
    /// `None` once its reader has gone.
    stdout: Option<Stdout>,
    file: Option<(PathBuf, BufWriter<File>)>,
    quiet: bool,
    pace: Pace,
}

/// How items come in, and so how results go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// All are there: results go to files and pipes in blocks.
    Stored,
    /// They may pause: no result is held back until the next one comes.
    Live,
}

struct Stdout {
    out: BufWriter<io::Stdout>,
    /// Results go to a person as they come, and to a pipe in blocks unless the source is live.
    flush_each: bool,
}

/// Opens a file to be written, and leaves what is in it: a set-up that still fails must not cost an old result.
/// [`begin`] empties it.
pub(super) fn open_to_write(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(false).open(path)
}

/// Empties a file that is about to be written.
pub(super) fn begin(file: &File) -> io::Result<()> {
    // Pipes and devices have no length to set.
    if file.metadata()?.is_file() { file.set_len(0) } else { Ok(()) }
}

/// Whether the results still go anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Read,
    /// Stdout has been closed, and there is no file.
    NoReader,
}

impl Sink {
    pub(super) fn open(file: Option<&Path>, quiet: bool, pace: Pace) -> anyhow::Result<Self> {
        let open = |path: &Path| -> anyhow::Result<_> {
            let file =
                open_to_write(path).with_context(|| format!("cannot write --output `{}`", path.display()))?;
            Ok((path.to_owned(), BufWriter::new(file)))
        };
        let stdout = io::stdout();
        let flush_each = pace == Pace::Live || stdout.is_terminal();
        Ok(Sink {
            stdout: Some(Stdout { out: BufWriter::new(stdout), flush_each }),
            file: file.map(open).transpose()?,
            quiet,
            pace,
        })
    }

    /// Empties the file, now that there will be results.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        match &self.file {
            Some((path, file)) => {
                begin(file.get_ref()).with_context(|| format!("cannot write --output `{}`", path.display()))
            }
            None => Ok(()),
        }
    }

    /// Writes what became of one item.
    pub(super) fn write(&mut self, item: &Finished<Arc<Path>, Answer>) -> anyhow::Result<Reach> {
        let source = item.item.to_string_lossy();
        if let Some((path, file)) = &mut self.file {
            let error = match &item.result {
                Ok(_) => None,
                Err(Failure::Failed(why)) => Some(why.why.as_str()),
                Err(Failure::Cancelled) => Some("cancelled"),
            };
            let line =
                Line { sequence: item.sequence, source: &source, result: item.result.as_ref().ok(), error };
            serde_json::to_writer(&mut *file, &line)
                .map_err(io::Error::from)
                .and_then(|()| file.write_all(b"\n"))
                .and_then(|()| if self.pace == Pace::Live { file.flush() } else { Ok(()) })
                .with_context(|| format!("cannot write --output `{}`", path.display()))?;
        }
        if self.quiet {
            return Ok(Reach::Read);
        }
        if let (Some(stdout), Ok(answer)) = (&mut self.stdout, &item.result) {
            let written = print(&mut stdout.out, &source, answer)
                .and_then(|()| if stdout.flush_each { stdout.out.flush() } else { Ok(()) });
            self.after_stdout(written)?;
        }
        Ok(self.reach())
    }

    /// Writes out what is buffered.
    pub(super) fn finish(&mut self) -> anyhow::Result<Reach> {
        if let Some((path, file)) = &mut self.file {
            file.flush().with_context(|| format!("cannot write --output `{}`", path.display()))?;
        }
        if let Some(stdout) = &mut self.stdout {
            let written = stdout.out.flush();
            self.after_stdout(written)?;
        }
        Ok(self.reach())
    }

    fn reach(&self) -> Reach {
        if self.stdout.is_none() && self.file.is_none() { Reach::NoReader } else { Reach::Read }
    }

    fn after_stdout(&mut self, written: io::Result<()>) -> anyhow::Result<()> {
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                // What is still buffered for it would be tried again on drop.
                if let Some(Stdout { out, .. }) = self.stdout.take() {
                    drop(out.into_parts());
                }
                match &self.file {
                    Some((path, _)) => {
                        tell!("note: stdout was closed; results go on to `{}`", path.display())
                    }
                    None => tell!("note: stdout was closed; the run stops here"),
                }
                Ok(())
            }
            Err(error) => Err(error).context("cannot write to stdout"),
        }
    }
}

fn print(out: &mut impl Write, source: &str, answer: &Answer) -> io::Result<()> {
    match answer {
        Answer::Class(class) => writeln!(out, "{source}\t{}\t{:.3}", class.label, class.score),
        Answer::Outputs { outputs } => {
            let digests: Vec<_> = outputs.iter().map(|output| output.checksum.as_str()).collect();
            writeln!(out, "{source}\t{}", digests.join("\t"))
        }
    }
}
