//! Where the bars of a timeline go, in cells: columns of text, or whatever a drawing measures width in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Span, Unit, cut};
use crate::measure::Nanos;

/// How much room a drawing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its width.
    pub cells: usize,
    /// The width of the mark that says that time was left out.
    pub cut: usize,
    /// The narrowest bar that is easy to read. A run is cut if its periods would be narrower.
    pub readable: usize,
}

/// A part of a run that is cut to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The begin of the run, until the pipeline is full.
    Fill,
    /// A slice of the steady state.
    Steady,
    /// The end of the run.
    Drain,
}

impl Phase {
    /// Its name in words.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Fill => "fill",
            Phase::Steady => "steady state",
            Phase::Drain => "drain",
        }
    }
}

/// A stretch of time that is drawn without a cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What it shows of a run that is cut; `None` when there is one segment only.
    pub phase: Option<Phase>,
    /// The time it shows.
    pub time: Range<Nanos>,
    /// Where it is drawn.
    pub cells: Range<usize>,
}

impl Segment {
    fn length(&self) -> u128 {
        u128::from(self.time.end.saturating_sub(self.time.start)).max(1)
    }

    /// The cell an instant lies in; one past the last cell for the segment's end.
    pub fn cell(&self, time: Nanos) -> usize {
        self.half_cell(u128::from(time.saturating_sub(self.time.start)) * 2) / 2
    }

    /// The border between cells that is nearest to an instant.
    fn border(&self, time: Nanos) -> usize {
        self.half_cell(u128::from(time.saturating_sub(self.time.start)) * 2).div_ceil(2)
    }

    /// Twice the distance to the drawing's left edge, in cells, of a point `twice` half nanoseconds in.
    fn half_cell(&self, twice: u128) -> usize {
        2 * self.cells.start + (twice * self.cells.len() as u128 / self.length()) as usize
    }

    /// The part of a span that the segment shows, if any. A span without length is shown at both ends.
    fn clip(&self, span: &Span) -> Option<Range<Nanos>> {
        let start = span.start.max(self.time.start);
        let end = span.end.max(span.start).min(self.time.end);
        let touches = span.end <= span.start && start == end;
        (start < end || touches).then_some(start..end)
    }
}

/// A span, or several short ones, as drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Where it is drawn; never empty.
    pub cells: Range<usize>,
    /// The span; the first one if there are several.
    pub span: Span,
    /// How many spans share the bar: more than one only where each is shorter than a cell.
    pub spans: usize,
    /// Whether the span's start is shown: it does not begin before the segment.
    pub starts: bool,
    /// Whether the span's end is shown.
    pub ends: bool,
    /// Whether the span is shorter than a cell.
    short: bool,
}

/// The bars of one row, from left to right, no two of them in the same cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose row it is. A unit has several rows where its spans overlap.
    pub unit: Unit,
    /// The unit's name, without its number if it is the only one of its kind; empty from its second row on.
    pub label: String,
    /// What is drawn in it.
    pub bars: Vec<Bar>,
}

/// A timeline in cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The stretches of time shown, from left to right. All have the same scale.
    pub segments: Vec<Segment>,
    /// The rows from top to bottom.
    pub rows: Vec<Row>,
}

impl Layout {
    /// Lays out the spans that fall into a window, or those of the whole run, cut if it is too long for
    /// `room`.
    ///
    /// A span no shorter than a cell has at least one cell of its own. Shorter ones get a cell where one is
    /// free or a longer neighbour can spare one, and share it with each other; between neighbours of one
    /// cell each they are left out.
    pub fn new(spans: &[Span], room: Room, window: Option<Range<Nanos>>) -> Self {
        let room = Room { cells: room.cells.max(1), ..room };
        let segments = match window {
            Some(time) => vec![Segment { phase: None, time, cells: 0..room.cells }],
            None => cut::segments(spans, room),
        };
        let labels = labels(spans);
        let mut spans = spans.to_vec();
        // By all that tells spans apart, so that their order does not matter.
        spans.sort_by_key(|span| {
            (span.unit, span.start, span.end, span.sequence, span.stage as usize, span.lane)
        });
        let mut rows = Vec::new();
        for spans in spans.chunk_by(|a, b| a.unit == b.unit) {
            let unit = spans[0].unit;
            for (index, track) in tracks(spans, &segments).into_iter().enumerate() {
                let label = if index == 0 { labels[&unit].clone() } else { String::new() };
                rows.push(Row { unit, label, bars: track.bars });
            }
        }
        Layout { segments, rows }
    }
}

/// What the units of some spans are called beside each other: without a number where there is one of a kind.
pub(super) fn labels(spans: &[Span]) -> BTreeMap<Unit, String> {
    let units: BTreeSet<Unit> = spans.iter().map(|span| span.unit).collect();
    let alone = |unit: &Unit| units.iter().filter(|other| other.kind() == unit.kind()).count() == 1;
    let label = |unit: &Unit| if alone(unit) { unit.kind().to_string() } else { unit.to_string() };
    units.iter().map(|unit| (*unit, label(unit))).collect()
}

/// The spans of one unit in as few tracks as keep overlapping ones apart, and at least one.
fn tracks(spans: &[Span], segments: &[Segment]) -> Vec<Track> {
    let mut tracks = vec![Track::default()];
    for segment in segments {
        let (short, long): (Vec<_>, Vec<_>) =
            spans.iter().filter_map(|span| Some((span, segment.clip(span)?))).partition(|(_, time)| {
                u128::from(time.end - time.start) * (segment.cells.len() as u128) < segment.length()
            });
        for (span, time) in long {
            let bar = Bar {
                cells: segment.border(time.start)..segment.border(time.end),
                span: *span,
                spans: 1,
                starts: span.start == time.start,
                ends: span.end == time.end,
                short: false,
            };
            match tracks.iter_mut().find(|track| track.end() <= bar.cells.start) {
                Some(track) => track.bars.push(bar),
                None => tracks.push(Track { bars: vec![bar] }),
            }
        }
        for (span, time) in short {
            let middle =
                u128::from(time.start - segment.time.start) + u128::from(time.end - segment.time.start);
            let cell = (segment.half_cell(middle) / 2).min(segment.cells.end - 1);
            if !tracks.iter_mut().any(|track| track.admit(*span, cell, &segment.cells)) {
                tracks.push(Track { bars: vec![Bar::short(*span, cell)] });
            }
        }
    }
    tracks
}

impl Bar {
    fn short(span: Span, cell: usize) -> Self {
        Bar { cells: cell..cell + 1, span, spans: 1, starts: true, ends: true, short: true }
    }
}

#[derive(Default)]
struct Track {
    bars: Vec<Bar>,
}

impl Track {
    fn end(&self) -> usize {
        self.bars.last().map_or(0, |bar| bar.cells.end)
    }

    /// The bar at a cell, or the place in `bars` where one there would go.
    fn at(&self, cell: usize) -> Result<usize, usize> {
        let index = self.bars.partition_point(|bar| bar.cells.end <= cell);
        let taken = self.bars.get(index).is_some_and(|bar| bar.cells.start <= cell);
        if taken { Ok(index) } else { Err(index) }
    }

    /// Finds a cell for a span that is shorter than one. False if it lies within a longer span of the track.
    fn admit(&mut self, span: Span, cell: usize, segment: &Range<usize>) -> bool {
        let index = match self.at(cell) {
            Err(index) => {
                self.bars.insert(index, Bar::short(span, cell));
                return true;
            }
            Ok(index) => index,
        };
        let bar = &mut self.bars[index];
        if bar.short {
            bar.spans += 1;
            return true;
        }
        // Rounding gave the cell to a longer neighbour: go to the next cell on this span's side of it, or
        // else take this one.
        let middle = span.start + span.end.saturating_sub(span.start) / 2;
        let after = middle >= bar.span.end;
        if !after && middle > bar.span.start {
            return false;
        }
        let next = if after { Some(cell + 1) } else { cell.checked_sub(1) };
        if let Some(next) = next.filter(|next| segment.contains(next))
            && let Err(index) = self.at(next)
        {
            self.bars.insert(index, Bar::short(span, next));
        } else if self.bars[index].cells.len() > 1 {
            let cells = &mut self.bars[index].cells;
            if after {
                cells.end -= 1;
                self.bars.insert(index + 1, Bar::short(span, cell));
            } else {
                cells.start += 1;
                self.bars.insert(index, Bar::short(span, cell));
            }
        }
        true
    }
}
