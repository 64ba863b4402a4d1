//! A run for trace files and timelines: the rows and names that the vendor's tools show.

use std::collections::HashMap;

use nbuffer_core::measure::{Nanos, Stage};
use nbuffer_core::trace::events::{Event, Flow, InOrder, Kind, Place, Slice, TrackId};
use nbuffer_core::trace::{Interval, Span, Unit};

use crate::pipe::Pipe;
use crate::profile::{Arch, Profile};
use crate::sim::{Run, TileSpan};

/// Cubes and vector units of each core are apart: two vector units to a cube.
const VECTOR_CORES: usize = 2;

impl Run {
    /// What a trace file shows of the run, in the order of time: a group for each core (`core0.veccore0`), a row for each of its pipes,
    /// an arrow from each flag's set to the wait for it. Times are in nanoseconds of the device's clock.
    pub fn events(&self, profile: &Profile) -> impl Iterator<Item = Event<'static>> + use<> {
        let mut events = InOrder::default();
        let mut rows = HashMap::new();
        for core in 0..self.cores.len() {
            let group = events.track(None, self.core_name(core, profile), core as u32, Kind::Group);
            let used = |pipe: &Pipe| self.spans.iter().any(|span| (span.core, span.pipe) == (core, *pipe));
            for (rank, pipe) in (0..).zip(Pipe::ALL).filter(|(_, pipe)| used(pipe)) {
                rows.insert((core, pipe), events.track(Some(group), pipe.lane(), rank, Kind::Row));
            }
        }
        // An arrow needs both its ends: where one was not kept, there is none.
        let set_by = |span: &TileSpan| Some((span.core, span.set_by?));
        let kept: HashMap<_, _> = self.spans.iter().filter_map(set_by).zip(1..).collect();
        let sets: HashMap<_, u64> = self
            .spans
            .iter()
            .filter(|span| span.name == "SET_FLAG")
            .filter_map(|span| Some(((span.core, span.number), *kept.get(&(span.core, span.number))?)))
            .collect();
        for span in &self.spans {
            let flow = |id: &u64, place| Flow { id: *id, place };
            let comes = set_by(span).and_then(|set| sets.get(&set)).map(|id| flow(id, Place::Last));
            let leaves = sets.get(&(span.core, span.number)).map(|id| flow(id, Place::First));
            let mut slice = Slice::new(span.name).with("number", span.number);
            slice.args.extend(span.tile.map(|tile| ("tile", tile.into())));
            slice.args.extend((span.line > 0).then(|| ("line", u64::from(span.line).into())));
            slice.flow = comes.or(leaves);
            let row: TrackId = rows[&(span.core, span.pipe)];
            events.slice(row, interval(span, profile), slice);
        }
        events.settle(None);
        std::iter::from_fn(move || events.pop())
    }

    /// The spans of a core for a timeline: copies in are what goes in on its link, copies out what comes back, an item is a tile.
    pub fn timeline(&self, core: usize, profile: &Profile) -> Vec<Span> {
        let mut tiles: HashMap<(Pipe, u64), Span> = HashMap::new();
        for span in self.spans.iter().filter(|span| span.core == core) {
            let Some(sequence) = span.tile else { continue };
            let (unit, stage) = match span.pipe {
                Pipe::Mte2 => (Unit::LinkIn(0), Stage::Write),
                Pipe::Mte1 => (Unit::LinkIn(1), Stage::Write),
                Pipe::Mte3 => (Unit::LinkOut(0), Stage::Read),
                Pipe::Fix => (Unit::LinkOut(1), Stage::Read),
                Pipe::V => (Unit::Kernel(0), Stage::Kernel),
                Pipe::M => (Unit::Kernel(1), Stage::Kernel),
                Pipe::S => continue,
            };
            let Interval { start, end } = interval(span, profile);
            let whole = tiles.entry((span.pipe, sequence)).or_insert(Span {
                unit,
                stage,
                lane: 0,
                sequence,
                start,
                end,
            });
            (whole.start, whole.end) = (whole.start.min(start), whole.end.max(end));
        }
        let mut spans: Vec<Span> = tiles.into_values().collect();
        spans.sort_by_key(|span| (span.start, span.unit, span.sequence));
        spans
    }

    fn core_name(&self, core: usize, profile: &Profile) -> String {
        let cube = [Pipe::M, Pipe::Mte1, Pipe::Fix];
        match profile.arch {
            Arch::A2201 if cube.into_iter().any(|pipe| self.cores[core].pipe(pipe).instructions > 0) => {
                format!("core{core}.cubecore0")
            }
            Arch::A2201 => format!("core{}.veccore{}", core / VECTOR_CORES, core % VECTOR_CORES),
            Arch::A1001 | Arch::A2002 => format!("core{core}"),
        }
    }
}

fn interval(span: &TileSpan, profile: &Profile) -> Interval {
    let nanos = |cycles: f64| (1e3 * profile.us(cycles)).round() as Nanos;
    Interval::new(nanos(span.start), nanos(span.end))
}
