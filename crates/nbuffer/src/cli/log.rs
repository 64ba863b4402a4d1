//! What is said on stderr: words for a person, or with `--log` a line an event, for whoever collects those.
//!
//! With `--log` everything on stderr is such a line. Words that events tell already are left out then: the closing
//! table (the event `run ended` has its facts), the progress bar, and the list of items that failed.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::ValueEnum;
use tracing::Level;
use tracing::subscriber::set_global_default;

/// Set once, before any other thread is started.
static ON: AtomicBool = AtomicBool::new(false);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Say everything on stderr in log lines: as text, or as one JSON object a line
    #[arg(long, global = true, value_name = "text|json", value_enum, hide_possible_values = true)]
    #[arg(env = "NBUFFER_LOG", hide_env_values = true)]
    log: Option<Format>,
    /// The least severe events that --log says: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    #[arg(env = "NBUFFER_LOG_LEVEL", hide_env_values = true, value_parser = level)]
    log_level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

fn level(text: &str) -> Result<Level, String> {
    // `Level` itself also takes numbers.
    let known = ["error", "warn", "info", "debug", "trace"].contains(&text);
    let level = known.then(|| text.parse().ok()).flatten();
    level.ok_or_else(|| "error, warn, info, debug or trace is expected".to_owned())
}

impl Args {
    /// From here on events are said as asked for.
    pub(super) fn begin(&self) -> anyhow::Result<()> {
        self.log.map_or(Ok(()), |format| begin(format, self.log_level))
    }
}

/// Log lines for a command line that could not be read, if it asks for them as far as it can be read.
pub(super) fn begin_unread() -> anyhow::Result<()> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let from_environment = || std::env::var_os("NBUFFER_LOG");
    let asks_for = |name: &str| {
        let split = |pair: &[std::ffi::OsString]| pair[0] == "--log" && pair[1] == name;
        let joined = format!("--log={name}");
        words.windows(2).any(split) || words.iter().any(|word| *word == *joined)
    };
    let named = |format: &Format| {
        let name = format.to_possible_value().expect("no format is hidden").get_name().to_owned();
        asks_for(&name) || from_environment().is_some_and(|asked| asked == *name)
    };
    let asked = Format::value_variants().iter().find(|format| named(format));
    asked.map_or(Ok(()), |&format| begin(format, Level::INFO))
}

fn begin(format: Format, level: Level) -> anyhow::Result<()> {
    // A line that cannot be written is lost, as words are: nobody reads stderr then.
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    let lines = lines.log_internal_errors(false);
    let begun = match format {
        Format::Text => set_global_default(lines.finish()),
        Format::Json => {
            set_global_default(lines.json().flatten_event(true).with_current_span(false).finish())
        }
    };
    begun.context("--log: something else says events already")?;
    ON.store(true, Ordering::Relaxed);
    // A panic in a user's stage costs one item, and is no reason for another kind of line.
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panicked: {message}");
    }));
    Ok(())
}

/// Whether log lines are said in place of words.
pub(super) fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Says something on stderr: as it is, or as an event whose level is what the words begin with. Where nobody reads
/// stderr, as behind `2>&1 | head`, the run goes on; `eprintln!` would panic.
pub(super) fn tell(words: fmt::Arguments<'_>) {
    if !is_on() {
        let _ = writeln!(std::io::stderr(), "{words}");
        return;
    }
    let words = words.to_string();
    match words.split_once(": ") {
        Some(("error", rest)) => tracing::error!("{rest}"),
        Some(("note", rest)) => tracing::warn!("{rest}"),
        _ => tracing::info!("{words}"),
    }
}
