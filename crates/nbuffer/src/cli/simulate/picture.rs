//! `--timeline`: the schedule drawn in the terminal.

use clap::ColorChoice;
use nbuffer::trace::{Span, Style, Timeline};
use nbuffer::virtual_time::Spans;

use super::stream::{Stream, Streamed};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Timeline")]
pub(super) struct PictureArgs {
    /// Draw who was busy with which item when; of a long stream its beginning, a slice of its middle and its end
    #[arg(long, conflicts_with = "sweep")]
    pub(super) timeline: bool,
    /// Columns of the timeline [default: those of the terminal, 80 in a pipe]
    #[arg(long, value_name = "COLUMNS", value_parser = columns, requires = "timeline", allow_negative_numbers = true)]
    width: Option<usize>,
    /// Draw with ASCII only [default: where the locale is not UTF-8]
    #[arg(long, requires = "timeline")]
    ascii: bool,
    /// Colour by stage
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", requires = "timeline")]
    color: ColorChoice,
}

/// Fewer columns show nothing.
const WIDTHS: std::ops::RangeInclusive<usize> = 20..=10_000;

fn columns(text: &str) -> Result<usize, String> {
    let columns = text.parse().ok().filter(|columns| WIDTHS.contains(columns));
    let (least, most) = (WIDTHS.start(), WIDTHS.end());
    columns.ok_or_else(|| format!("a whole number from {least} to {most} is expected"))
}

impl PictureArgs {
    /// Simulates the stream again, now that its length is known, and draws it.
    pub(super) fn draw(&self, stream: &Stream, streamed: &Streamed) -> anyhow::Result<String> {
        let spans = spans(stream, streamed)?;
        let terminal = console::Term::stdout();
        let width = self.width.or_else(|| Some(usize::from(terminal.size_checked()?.1))).unwrap_or(80);
        let style = if self.ascii || !is_utf8() { Style::Ascii } else { Style::Unicode };
        let colour = match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => console::colors_enabled(),
        };
        Ok(Timeline::new(&spans).width(width).style(style).colour(colour).to_string())
    }
}

/// The spans of the stream's first items, of those in its middle and of its last: more than a picture shows, and
/// however long the stream is no more.
fn spans(stream: &Stream, streamed: &Streamed) -> anyhow::Result<Vec<Span>> {
    let taken = streamed.run.totals.taken;
    let lanes = stream.setup.schedule.lanes.len() as u64;
    let part = 256 + 16 * lanes + 4 * stream.setup.schedule.window as u64;
    let middle = taken / 2;
    let parts =
        [0..part, middle.saturating_sub(part / 2)..middle + part / 2, taken.saturating_sub(part)..taken];
    let mut spans = Vec::new();
    stream.run(Spans(|span: Span| {
        if parts.iter().any(|part| part.contains(&span.sequence)) {
            spans.push(span);
        }
    }))?;
    Ok(spans)
}

/// Whether text may hold other characters than ASCII, as POSIX has it: the first of these that is set says so.
fn is_utf8() -> bool {
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os);
    let locale = variables.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_string_lossy().to_lowercase();
    cfg!(windows) || locale.contains("utf-8") || locale.contains("utf8")
}
