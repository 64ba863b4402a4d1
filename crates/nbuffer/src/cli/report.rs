//! `nbuffer report`: the summary of a run, or of two, as a page to look at.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nbuffer::report::{Comparison, RunReport};
use nbuffer::summary::{FORMAT, Summary};
use serde_json::Value;

use super::Status;
use super::files::SideFile;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: nbuffer run MODEL IMAGES --summary run.json; nbuffer report run.json -o run.html\n\n\
    A summary holds no trace: a report that the run itself writes (--report) shows what ran when, too."
)]
pub(super) struct Args {
    /// The summary of a run (`run --summary`, `simulate --json`); with two of them, both side by side
    #[arg(value_name = "RUN.json", required = true, num_args = 1..=2)]
    summaries: Vec<PathBuf>,
    /// Where the page goes: one file that opens without a network
    #[arg(long, short, value_name = "FILE.html")]
    output: PathBuf,
}

pub(super) fn main(args: &Args) -> anyhow::Result<Status> {
    let summaries = args.summaries.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(path) = args.summaries.iter().find(|path| is_same_file(path, &args.output)) {
        bail!("--output `{}` is the summary itself: name another file", path.display());
    }
    let file = SideFile::open(&args.output, "--output")?;
    Ok(match &summaries[..] {
        [a, b] => {
            let names = names(&args.summaries[0], &args.summaries[1]);
            let comparison = Comparison::new([&names[0], &names[1]], [a, b])?;
            file.write(|out| comparison.write(out))
        }
        all => file.write(|out| RunReport::new(&all[0]).write(out)),
    })
}

/// Reads a summary, and says what is wrong with a file that is none.
fn read(path: &Path) -> anyhow::Result<Summary> {
    let named = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read `{named}`"))?;
    let value: Value = serde_json::from_str(&text)
        .with_context(|| format!("`{named}` is not JSON: give the summary of a run (`run --summary`)"))?;
    let Some(format) = value.get("format") else {
        bail!("`{named}` is not the summary of a run (`run --summary`): it has no `format`");
    };
    if *format != FORMAT {
        bail!(
            "`{named}` has summary format {format}, and nbuffer {} reads format {FORMAT}: make the report with the \
             nbuffer that wrote the summary, or run again with this one",
            env!("CARGO_PKG_VERSION")
        );
    }
    serde_json::from_value(value).with_context(|| format!("`{named}` is not the whole summary of a run"))
}

/// What two files are called beside each other: by their names, and where these are the same, by their paths.
fn names(a: &Path, b: &Path) -> [String; 2] {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    match (name(a), name(b)) {
        (Some(a), Some(b)) if a != b => [a, b],
        _ if a == b => [format!("{} (first)", a.display()), format!("{} (second)", b.display())],
        _ => [a.display().to_string(), b.display().to_string()],
    }
}

/// Whether both paths lead to one file that is there.
fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
