//! Chrome's Trace Event Format: a JSON object with a list of events.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::Writer;
use crate::measure::Nanos;
use crate::trace::events::{Arg, Event, Flow, Kind, Place, Track, TrackId};

/// Writes a line for each event. Groups are processes and rows threads, numbered as tracks are, from 1.
pub(super) struct Chrome<W> {
    out: W,
    tracks: Vec<Known>,
    is_first: bool,
}

/// What is needed of a track after it was declared.
struct Known {
    /// Its group's number.
    pid: u32,
    name: String,
    series: &'static [&'static str],
}

/// One event, with the names that the format has for its parts. What it does not need is left out.
#[derive(Clone, Copy, Default, Serialize)]
struct Line<'a> {
    /// What it is: `B`egin and `E`nd of a slice, `i`nstant, `C`ounters, `M`etadata, `s`, `t` and `f` of a flow.
    ph: &'static str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    /// In microseconds. A double tells nanoseconds apart for the first 100 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Parts of a flow belong together when category, name and number agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    /// `e`: an arrow ends at the slice around it, not at the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'static str>,
    /// `t`: an instant is drawn as high as its thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "as_map")]
    args: &'a [(&'static str, Arg<'a>)],
}

impl<W: Write> Chrome<W> {
    pub(super) fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(br#"{"displayTimeUnit":"ns","traceEvents":["#)?;
        Ok(Chrome { out, tracks: Vec::new(), is_first: true })
    }

    fn track(&mut self, Track { id, parent, name, rank, kind }: Track<'_>) -> io::Result<()> {
        let pid = parent.unwrap_or(id).0 + 1;
        let (names, series): (_, &[_]) = match kind {
            Kind::Group => (Some(("process_name", "process_sort_index")), &[]),
            Kind::Row => (Some(("thread_name", "thread_sort_index")), &[]),
            // Counters are declared by being written.
            Kind::Counters(series) => (None, series),
        };
        if let Some((name_is, sort_index_is)) = names {
            let line = Line { ph: "M", pid, tid: Some(id.0 + 1), ..Line::default() };
            let named = [("name", Arg::from(&*name))];
            self.line(&Line { name: Some(name_is), args: &named, ..line })?;
            let placed = [("sort_index", u64::from(rank).into())];
            self.line(&Line { name: Some(sort_index_is), args: &placed, ..line })?;
        }
        self.tracks.push(Known { pid, name: name.into_owned(), series });
        Ok(())
    }

    fn flow(&mut self, on: Line<'_>, Flow { id, place }: Flow) -> io::Result<()> {
        let (ph, bp) = match place {
            Place::First => ("s", None),
            Place::Between => ("t", None),
            Place::Last => ("f", Some("e")),
        };
        self.line(&Line { ph, bp, id: Some(id), cat: Some("flow"), name: Some("flow"), ..on })
    }

    fn counters(&mut self, track: TrackId, at: Nanos, values: &[u64]) -> io::Result<()> {
        let Known { pid, name, series } = &self.tracks[track.0 as usize];
        let args: Vec<_> = series.iter().copied().zip(values.iter().map(|&value| value.into())).collect();
        let line = Line { ph: "C", pid: *pid, ts: Some(micros(at)), args: &args, ..Line::default() };
        write_line(&mut self.out, &mut self.is_first, &Line { name: Some(name), ..line })
    }

    /// A line of something that happens on a row.
    fn on(&self, track: TrackId, at: Nanos) -> Line<'static> {
        let pid = self.tracks[track.0 as usize].pid;
        Line { pid, tid: Some(track.0 + 1), ts: Some(micros(at)), ..Line::default() }
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        write_line(&mut self.out, &mut self.is_first, line)
    }
}

impl<W: Write> Writer for Chrome<W> {
    fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Track(track) => self.track(track),
            Event::Begin { track, at, slice } => {
                let on = self.on(track, at);
                self.line(&Line { ph: "B", name: Some(&slice.name), args: &slice.args, ..on })?;
                slice.flow.map_or(Ok(()), |flow| self.flow(on, flow))
            }
            Event::End { track, at } => {
                let on = self.on(track, at);
                self.line(&Line { ph: "E", ..on })
            }
            Event::Instant { track, at, name, args } => {
                let on = self.on(track, at);
                self.line(&Line { ph: "i", name: Some(&name), s: Some("t"), args: &args, ..on })
            }
            Event::Counters { track, at, values } => self.counters(track, at, &values),
        }
    }

    fn end(mut self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")
    }
}

fn write_line(mut out: impl Write, is_first: &mut bool, line: &Line<'_>) -> io::Result<()> {
    out.write_all(if std::mem::take(is_first) { b"\n" } else { b",\n" })?;
    Ok(serde_json::to_writer(out, line)?)
}

fn micros(at: Nanos) -> f64 {
    at as f64 / 1e3
}

fn as_map<S: Serializer>(args: &[(&str, Arg<'_>)], serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(Some(args.len()))?;
    for (name, arg) in args {
        match arg {
            Arg::Number(number) => map.serialize_entry(name, number)?,
            Arg::Text(text) => map.serialize_entry(name, text)?,
        }
    }
    map.end()
}
