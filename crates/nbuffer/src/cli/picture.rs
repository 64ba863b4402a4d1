//! `--timeline`: the schedule drawn in the terminal.

use clap::ColorChoice;
use console::Term;
use nbuffer::trace::{Span, Style, Timeline, Trace};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Timeline")]
pub(super) struct PictureArgs {
    /// Draw who was busy with which item when; of a long stream its beginning, a slice of its middle and its end
    #[arg(long)]
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

/// Where words go: those of a command that has no other results to stdout.
#[derive(Clone, Copy, Debug)]
pub(super) enum Out {
    Stdout,
    Stderr,
}

/// Items whose journeys a timeline needs at most: those of its beginning, its middle and its end.
pub(super) const JOURNEYS: usize = 16_384;

/// Fewer columns show nothing.
const WIDTHS: std::ops::RangeInclusive<usize> = 20..=10_000;

fn columns(text: &str) -> Result<usize, String> {
    let columns = text.parse().ok().filter(|columns| WIDTHS.contains(columns));
    let (least, most) = (WIDTHS.start(), WIDTHS.end());
    columns.ok_or_else(|| format!("a whole number from {least} to {most} is expected"))
}

impl PictureArgs {
    /// Draws a run for where it is to be read.
    pub(super) fn draw(&self, trace: &Trace, to: Out) -> String {
        self.draw_spans(&trace.excerpt(), to)
    }

    /// Draws spans for where they are to be read.
    pub(super) fn draw_spans(&self, spans: &[Span], to: Out) -> String {
        let (terminal, has_colours) = match to {
            Out::Stdout => (Term::stdout(), console::colors_enabled()),
            Out::Stderr => (Term::stderr(), console::colors_enabled_stderr()),
        };
        let width = self.width.or_else(|| Some(usize::from(terminal.size_checked()?.1))).unwrap_or(80);
        let style = if self.ascii || !is_utf8() { Style::Ascii } else { Style::Unicode };
        let colour = match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => has_colours,
        };
        Timeline::new(spans).width(width).style(style).colour(colour).to_string()
    }
}

/// Whether text may hold other characters than ASCII, as POSIX has it: the first of these that is set says so.
fn is_utf8() -> bool {
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(std::env::var_os);
    let locale = variables.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    let locale = locale.to_string_lossy().to_lowercase();
    cfg!(windows) || locale.contains("utf-8") || locale.contains("utf8")
}
