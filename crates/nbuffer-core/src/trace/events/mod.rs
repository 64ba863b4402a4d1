//! What a trace file shows: a tree of tracks, and on them slices, instants and counters, in the order of time.
//!
//! Nothing here knows of stages, lanes or items. [`Trace::events`](super::Trace::events) says a run in these words;
//! whatever else has something to show says it in them too, with the help of [`InOrder`], and every file format is
//! written from them alone.
//!
//! Times never go back from one event to the next. The slices of a row never overlap: each is over before the next
//! one begins.

mod in_order;
mod of_trace;
mod sets;

use std::borrow::Cow;

pub use in_order::InOrder;
pub use of_trace::Events;

use crate::measure::Nanos;

/// A track, by its number: tracks are numbered from 0 as they are declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u32);

/// Something to be written to a trace file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// There is a track. Nothing happens on it before this.
    Track(Track<'a>),
    /// A slice begins on a row.
    Begin {
        /// The row.
        track: TrackId,
        /// When.
        at: Nanos,
        /// What begins.
        slice: Slice<'a>,
    },
    /// The row's slice ends.
    End {
        /// The row.
        track: TrackId,
        /// When.
        at: Nanos,
    },
    /// Something that has no length.
    Instant {
        /// The row.
        track: TrackId,
        /// When.
        at: Nanos,
        /// Its name.
        name: Cow<'a, str>,
        /// What else there is to say of it.
        args: Args<'a>,
    },
    /// Counters have other values from now on.
    Counters {
        /// The track.
        track: TrackId,
        /// When.
        at: Nanos,
        /// One for each of the track's series.
        values: Vec<u64>,
    },
}

/// A track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track<'a> {
    /// Its number.
    pub id: TrackId,
    /// The group it belongs to; `None` for a group.
    pub parent: Option<TrackId>,
    /// Its name, unlike those of its siblings.
    pub name: Cow<'a, str>,
    /// Its place among its siblings, from the top.
    pub rank: u32,
    /// What it shows.
    pub kind: Kind,
}

/// What a track shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Other tracks, as a process shows its threads.
    Group,
    /// Slices and instants, as a thread does.
    Row,
    /// Counters, by the names of their series.
    Counters(&'static [&'static str]),
}

/// Something that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// What else there is to say of it.
    pub args: Args<'a>,
    /// The flow it is a part of.
    pub flow: Option<Flow>,
}

impl<'a> Slice<'a> {
    /// A slice with nothing but a name.
    pub fn new(name: impl Into<Cow<'a, str>>) -> Self {
        Slice { name: name.into(), args: Vec::new(), flow: None }
    }

    /// The same, with something else to say of it.
    pub fn with(mut self, name: &'static str, arg: impl Into<Arg<'a>>) -> Self {
        self.args.push((name, arg.into()));
        self
    }
}

/// What else there is to say of something, by name.
pub type Args<'a> = Vec<(&'static str, Arg<'a>)>;

/// Something said of a slice or an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg<'a> {
    /// A number.
    Number(u64),
    /// Words.
    Text(Cow<'a, str>),
}

impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Arg::Number(number)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Arg::Text(text.into())
    }
}

impl From<String> for Arg<'_> {
    fn from(text: String) -> Self {
        Arg::Text(text.into())
    }
}

/// A slice's part in a flow: slices that follow from one another, joined by arrows in the order of their begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The flow, from 1.
    pub id: u64,
    /// Where in it.
    pub place: Place,
}

/// Where in a flow a slice is. Each flow has one first and one last slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// An arrow leaves it.
    First,
    /// An arrow comes and one leaves.
    Between,
    /// An arrow comes.
    Last,
}
