//! Perfetto's format: a protocol buffer, `perfetto.protos.Trace`, which is a row of packets.
//!
//! The messages here have those fields of Perfetto's own that are written, with their numbers. Times are nanoseconds
//! of the trace's own clock, which is the default.

use std::collections::HashMap;
use std::io::{self, Write};

use prost::Message;

use super::Writer;
use crate::measure::Nanos;
use crate::trace::events::{Arg, Event, Flow, Kind, Place, Slice, Track, TrackId};

/// Writes a packet for each event. All packets are one sequence.
pub(super) struct Perfetto<W> {
    out: W,
    /// The values that each track's counters have.
    values: Vec<Vec<u64>>,
    event_names: Names,
    arg_names: Names,
    /// Where a packet is put together.
    bytes: Vec<u8>,
}

/// Names that are written once, and by their numbers from then on.
#[derive(Default)]
struct Names(HashMap<String, u64>);

/// The most names that get a number; those beyond are written out, so that memory is bounded.
const NAMES_MAX: usize = 4096;

#[derive(Clone, PartialEq, Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    packet: Vec<TracePacket>,
}

#[derive(Clone, PartialEq, Message)]
struct TracePacket {
    #[prost(uint64, optional, tag = "8")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    trusted_packet_sequence_id: Option<u32>,
    #[prost(message, optional, tag = "11")]
    track_event: Option<TrackEvent>,
    #[prost(message, optional, tag = "12")]
    interned_data: Option<InternedData>,
    #[prost(uint32, optional, tag = "13")]
    sequence_flags: Option<u32>,
    #[prost(message, optional, tag = "60")]
    track_descriptor: Option<TrackDescriptor>,
}

/// The one sequence. Any number but 0 would do.
const SEQUENCE: u32 = 1;

/// `sequence_flags`: the first packet begins a list of names, and the others refer to it.
const STATE_CLEARED: u32 = 1;
const NEEDS_STATE: u32 = 2;

#[derive(Clone, PartialEq, Message)]
struct TrackDescriptor {
    #[prost(uint64, optional, tag = "1")]
    uuid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(message, optional, tag = "3")]
    process: Option<ProcessDescriptor>,
    #[prost(uint64, optional, tag = "5")]
    parent_uuid: Option<u64>,
    #[prost(message, optional, tag = "8")]
    counter: Option<CounterDescriptor>,
    #[prost(int32, optional, tag = "11")]
    child_ordering: Option<i32>,
    #[prost(int32, optional, tag = "12")]
    sibling_order_rank: Option<i32>,
    #[prost(int32, optional, tag = "19")]
    process_ordering: Option<i32>,
}

/// `child_ordering`: by `sibling_order_rank`.
const CHILDREN_BY_RANK: i32 = 3;
/// `process_ordering`, of the root: processes too.
const PROCESSES_BY_RANK: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct ProcessDescriptor {
    #[prost(int32, optional, tag = "1")]
    pid: Option<i32>,
    #[prost(string, optional, tag = "6")]
    process_name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct CounterDescriptor {}

#[derive(Clone, PartialEq, Message)]
struct TrackEvent {
    #[prost(message, repeated, tag = "4")]
    debug_annotations: Vec<DebugAnnotation>,
    #[prost(int32, optional, tag = "9")]
    r#type: Option<i32>,
    #[prost(uint64, optional, tag = "10")]
    name_iid: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    track_uuid: Option<u64>,
    #[prost(string, optional, tag = "23")]
    name: Option<String>,
    #[prost(int64, optional, tag = "30")]
    counter_value: Option<i64>,
    #[prost(fixed64, repeated, packed = "false", tag = "47")]
    flow_ids: Vec<u64>,
    #[prost(fixed64, repeated, packed = "false", tag = "48")]
    terminating_flow_ids: Vec<u64>,
}

/// `type`.
const SLICE_BEGIN: i32 = 1;
const SLICE_END: i32 = 2;
const INSTANT: i32 = 3;
const COUNTER: i32 = 4;

#[derive(Clone, PartialEq, Message)]
struct DebugAnnotation {
    #[prost(uint64, optional, tag = "1")]
    name_iid: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    uint_value: Option<u64>,
    #[prost(string, optional, tag = "6")]
    string_value: Option<String>,
    #[prost(string, optional, tag = "10")]
    name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct InternedData {
    #[prost(message, repeated, tag = "2")]
    event_names: Vec<InternedName>,
    #[prost(message, repeated, tag = "3")]
    debug_annotation_names: Vec<InternedName>,
}

#[derive(Clone, PartialEq, Message)]
struct InternedName {
    #[prost(uint64, optional, tag = "1")]
    iid: Option<u64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

impl<W: Write> Perfetto<W> {
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut perfetto = Perfetto {
            out,
            values: Vec::new(),
            event_names: Names::default(),
            arg_names: Names::default(),
            bytes: Vec::new(),
        };
        let root = TrackDescriptor {
            uuid: Some(0),
            process_ordering: Some(PROCESSES_BY_RANK),
            ..TrackDescriptor::default()
        };
        perfetto.packet(TracePacket {
            sequence_flags: Some(STATE_CLEARED),
            track_descriptor: Some(root),
            ..TracePacket::default()
        })?;
        Ok(perfetto)
    }

    fn track(&mut self, Track { id, parent, name, rank, kind }: Track<'_>) -> io::Result<()> {
        // Counters get a track for each of their series, below one that bears their name.
        let is_process = kind == Kind::Group;
        let process = is_process.then(|| ProcessDescriptor {
            pid: Some(id.0 as i32 + 1),
            process_name: Some(name.clone().into_owned()),
        });
        self.descriptor(TrackDescriptor {
            uuid: Some(uuid(id)),
            name: Some(name.into_owned()),
            process,
            parent_uuid: parent.map(uuid),
            child_ordering: (kind != Kind::Row).then_some(CHILDREN_BY_RANK),
            sibling_order_rank: Some(rank as i32),
            ..TrackDescriptor::default()
        })?;
        let series = if let Kind::Counters(series) = kind { series } else { &[] };
        for (nth, series) in series.iter().enumerate() {
            self.descriptor(TrackDescriptor {
                uuid: Some(series_uuid(id, nth)),
                name: Some((*series).to_owned()),
                parent_uuid: Some(uuid(id)),
                counter: Some(CounterDescriptor {}),
                sibling_order_rank: Some(nth as i32),
                ..TrackDescriptor::default()
            })?;
        }
        self.values.push(Vec::new());
        Ok(())
    }

    fn descriptor(&mut self, track: TrackDescriptor) -> io::Result<()> {
        self.packet(TracePacket { track_descriptor: Some(track), ..TracePacket::default() })
    }

    /// A slice that begins, or an instant.
    fn named(&mut self, kind: i32, track: TrackId, at: Nanos, slice: Slice<'_>) -> io::Result<()> {
        let mut new = InternedData::default();
        let (name_iid, name) = self.event_names.number(&slice.name, &mut new.event_names);
        let annotation = |(name, arg)| {
            let (name_iid, name) = self.arg_names.number(name, &mut new.debug_annotation_names);
            let (uint_value, string_value) = match arg {
                Arg::Number(number) => (Some(number), None),
                Arg::Text(text) => (None, Some(text.into_owned())),
            };
            DebugAnnotation { name_iid, uint_value, string_value, name }
        };
        let debug_annotations = slice.args.into_iter().map(annotation).collect();
        let (mut flow_ids, mut terminating_flow_ids) = (Vec::new(), Vec::new());
        match slice.flow {
            Some(Flow { id, place: Place::Last }) => terminating_flow_ids.push(id),
            Some(Flow { id, .. }) => flow_ids.push(id),
            None => {}
        }
        let event =
            TrackEvent { debug_annotations, name_iid, name, flow_ids, terminating_flow_ids, ..of(kind) };
        let interned_data = (new != InternedData::default()).then_some(new);
        self.event_at(at, TrackEvent { track_uuid: Some(uuid(track)), ..event }, interned_data)
    }

    fn event_at(&mut self, at: Nanos, event: TrackEvent, names: Option<InternedData>) -> io::Result<()> {
        let is_named = event.name_iid.is_some() || !event.debug_annotations.is_empty();
        self.packet(TracePacket {
            sequence_flags: is_named.then_some(NEEDS_STATE),
            timestamp: Some(at),
            track_event: Some(event),
            interned_data: names,
            ..TracePacket::default()
        })
    }

    /// A track for each series has its own values; those that stay need not be told again.
    fn counters(&mut self, track: TrackId, at: Nanos, values: Vec<u64>) -> io::Result<()> {
        let before = std::mem::replace(&mut self.values[track.0 as usize], values.clone());
        for (nth, &value) in values.iter().enumerate() {
            if before.get(nth) == Some(&value) {
                continue;
            }
            let counter_value = Some(i64::try_from(value).unwrap_or(i64::MAX));
            let event =
                TrackEvent { track_uuid: Some(series_uuid(track, nth)), counter_value, ..of(COUNTER) };
            self.event_at(at, event, None)?;
        }
        Ok(())
    }

    /// Writes one packet of the sequence, as the one packet of a trace: the two have the same bytes.
    fn packet(&mut self, packet: TracePacket) -> io::Result<()> {
        let packet = TracePacket { trusted_packet_sequence_id: Some(SEQUENCE), ..packet };
        self.bytes.clear();
        Trace { packet: vec![packet] }.encode(&mut self.bytes)?;
        self.out.write_all(&self.bytes)
    }
}

impl<W: Write> Writer for Perfetto<W> {
    fn event(&mut self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Track(track) => self.track(track),
            Event::Begin { track, at, slice } => self.named(SLICE_BEGIN, track, at, slice),
            Event::End { track, at } => {
                self.event_at(at, TrackEvent { track_uuid: Some(uuid(track)), ..of(SLICE_END) }, None)
            }
            Event::Instant { track, at, name, args } => {
                self.named(INSTANT, track, at, Slice { name, args, flow: None })
            }
            Event::Counters { track, at, values } => self.counters(track, at, values),
        }
    }

    fn end(self) -> io::Result<()> {
        Ok(())
    }
}

impl Names {
    /// The name's number, or the name itself where it gets none. A number that is new is told as well.
    fn number(&mut self, name: &str, new: &mut Vec<InternedName>) -> (Option<u64>, Option<String>) {
        if let Some(&iid) = self.0.get(name) {
            return (Some(iid), None);
        }
        if self.0.len() == NAMES_MAX {
            return (None, Some(name.to_owned()));
        }
        let iid = self.0.len() as u64 + 1;
        self.0.insert(name.to_owned(), iid);
        new.push(InternedName { iid: Some(iid), name: Some(name.to_owned()) });
        (Some(iid), None)
    }
}

/// An event of this type, with nothing in it.
fn of(kind: i32) -> TrackEvent {
    TrackEvent { r#type: Some(kind), ..TrackEvent::default() }
}

/// A track's number in the file, where 0 is the root.
fn uuid(track: TrackId) -> u64 {
    u64::from(track.0) + 1
}

/// The number of the track of one series of counters.
fn series_uuid(track: TrackId, nth: usize) -> u64 {
    uuid(track) + ((nth as u64 + 1) << 32)
}
