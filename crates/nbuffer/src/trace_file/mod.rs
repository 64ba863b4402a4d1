//! Trace files, for Perfetto's viewer (<https://ui.perfetto.dev>) and `chrome://tracing`.
//!
//! What they show is in [`trace::events`](crate::trace::events); how it is written, in a file for each format. Events
//! are written one by one as they come, so that no file is ever in memory.
//!
//! ```
//! use nbuffer::trace_file::{Format, write};
//! use nbuffer::virtual_time::{DeviceModel, Setup, Simulation, Times};
//! # use nbuffer::{schedule::{Config, LaneConfig, Sets}, trace::Tracer};
//!
//! # let lanes = vec![LaneConfig { sets: Sets::Joint(2), lag: 0 }];
//! let setup = Setup::new(Config::new(lanes, 2), DeviceModel::Queued, Times::Fixed([1_000; 5]), 10);
//! let mut tracer = Tracer::new(1000, setup.schedule.window);
//! Simulation::watched(&setup, &mut tracer)?.run();
//!
//! let format = Format::of("run.json".as_ref())?;
//! let mut file = Vec::new();
//! write(tracer.trace(setup.topology()).events(), format, &mut file)?;
//! assert!(file.starts_with(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":["));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chrome;
mod perfetto;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use self::chrome::Chrome;
use self::perfetto::Perfetto;
use crate::trace::events::Event;

/// How a trace file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Chrome's Trace Event Format: JSON, with times in microseconds to the nanosecond.
    Chrome,
    /// Perfetto's protocol buffers: about a third of the size, and faster to load.
    Perfetto,
}

/// The ends of names, and the format each stands for.
const EXTENSIONS: [(&str, Format); 4] = [
    ("json", Format::Chrome),
    ("pftrace", Format::Perfetto),
    ("perfetto-trace", Format::Perfetto),
    ("pb", Format::Perfetto),
];

impl Format {
    /// The format that a file's name asks for: Chrome's for `.json`, Perfetto's for `.pftrace`, `.perfetto-trace`
    /// and `.pb`.
    ///
    /// # Errors
    ///
    /// A name that ends in none of these.
    pub fn of(path: &Path) -> Result<Self, UnknownFormat> {
        let named = |(end, _): &&(&str, Format)| path.extension().is_some_and(|extension| extension == *end);
        let known = EXTENSIONS.iter().find(named).map(|(_, format)| *format);
        known.ok_or_else(|| UnknownFormat { path: path.to_owned() })
    }
}

/// A name that does not say how a trace file is to be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{path}` does not say which format: name a trace .json (Chrome), or .pftrace, .perfetto-trace or .pb (Perfetto)"
)]
pub struct UnknownFormat {
    /// The name.
    pub path: PathBuf,
}

/// Writes a trace file. It is complete when this returns.
///
/// # Errors
///
/// What the file says; what was written of it then breaks off somewhere.
pub fn write<'a>(
    events: impl IntoIterator<Item = Event<'a>>,
    format: Format,
    file: impl Write,
) -> io::Result<()> {
    // Writers hand over an event in pieces.
    let mut file = BufWriter::with_capacity(1 << 16, file);
    let events = events.into_iter();
    match format {
        Format::Chrome => written(events, Chrome::begin(&mut file)?)?,
        Format::Perfetto => written(events, Perfetto::begin(&mut file)?)?,
    }
    file.flush()
}

/// What writes one format.
trait Writer {
    /// Writes one event.
    fn event(&mut self, event: Event<'_>) -> io::Result<()>;

    /// Writes what comes after the last event.
    fn end(self) -> io::Result<()>;
}

fn written<'a>(mut events: impl Iterator<Item = Event<'a>>, mut writer: impl Writer) -> io::Result<()> {
    events.try_for_each(|event| writer.event(event))?;
    writer.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_format() {
        let of = |name: &str| Format::of(Path::new(name)).ok();
        assert_eq!(of("a.json"), Some(Format::Chrome));
        for name in ["a.pftrace", "b/a.perfetto-trace", "a.json.pb"] {
            assert_eq!(of(name), Some(Format::Perfetto), "{name}");
        }
        assert_eq!([of("a"), of("json"), of("a.txt"), of("a.JSON")], [None; 4]);
    }
}
