//! Finds hazards within a core.
//!
//! What is ordered follows from flags and barriers alone, not from when things happened to run: each pipe knows, of every other,
//! how many instructions are complete for certain (a vector clock). So a missing flag is found even when this profile's times happen to hide
//! it.

use std::ops::Range;
use std::panic::Location;

use super::hazard::{Hazard, HazardKind, Party, Place};
use super::strip::Strip;
use super::touched::Touched;
use super::unsettled::Unsettled;
use crate::instruction::Opcode;
use crate::pipe::Pipe;
use crate::position::Space;

const PIPES: usize = Pipe::ALL.len();

/// Of each pipe, how many of its instructions are complete for certain.
pub(super) type Clock = [u64; PIPES];

fn merge(into: &mut Clock, other: &Clock) {
    for (known, more) in into.iter_mut().zip(other) {
        *known = (*known).max(*more);
    }
}

/// Bytes that an instruction touches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) space: Space,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) writes: bool,
}

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    pub(super) pipe: Pipe,
    pub(super) opcode: Opcode,
    pub(super) number: u64,
    pub(super) at: &'static Location<'static>,
}

/// An instruction that touched some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    who: Who,
    pub(super) writes: bool,
    /// Its number among the instructions of its pipe, from 1.
    own: u64,
}

impl Access {
    /// Whether it makes the other one superfluous: whoever is ordered behind this is ordered behind that.
    pub(super) fn succeeds(&self, other: &Access) -> bool {
        (self.who.pipe, self.writes) == (other.who.pipe, other.writes)
    }

    /// Whether it is over when another instruction begins, whose pipe knows this much. What the scalar core reads it has before it
    /// issues anything more.
    fn is_before(&self, who: &Who, known: &Clock) -> bool {
        known[self.who.pipe as usize] >= self.own
            || self.who.pipe == Pipe::S && !self.writes && self.who.number < who.number
    }
}

impl Who {
    /// As a party to a hazard.
    pub(super) fn of_core(self, core: usize) -> Party {
        let Who { pipe, opcode, number, at } = self;
        Party { core, pipe, name: opcode.name(), number, at }
    }
}

/// What one core's pipes know of each other, and what was touched.
#[derive(Debug)]
pub(super) struct Watcher {
    core: usize,
    clocks: [Clock; PIPES],
    issued: Clock,
    /// By memory.
    touched: [Touched; Space::ALL.len()],
    global: Unsettled,
    /// Whether a pipe has read and written global memory.
    reads_global: [bool; PIPES],
    writes_global: [bool; PIPES],
    /// Whether a pipe's instructions wait for those before them on the same pipe.
    in_order: [bool; PIPES],
}

impl Watcher {
    /// `auto_sync`: dependent vector instructions are ordered, as the compiler does by default.
    pub(super) fn new(core: usize, auto_sync: bool) -> Self {
        let mut in_order = [true; PIPES];
        in_order[Pipe::V as usize] = auto_sync;
        in_order[Pipe::Mte2 as usize] = false;
        in_order[Pipe::Mte3 as usize] = false;
        Watcher {
            core,
            clocks: [[0; PIPES]; PIPES],
            issued: [0; PIPES],
            touched: Default::default(),
            global: Unsettled::new(),
            reads_global: [false; PIPES],
            writes_global: [false; PIPES],
            in_order,
        }
    }

    /// What a flag that `pipe` sets now tells whoever waits for it: all of the pipe's instructions are complete.
    pub(super) fn set(&mut self, pipe: Pipe) -> Clock {
        self.barrier(pipe);
        self.clocks[pipe as usize]
    }

    /// A pipe has waited for a flag.
    pub(super) fn waited(&mut self, pipe: Pipe, told: &Clock) {
        merge(&mut self.clocks[pipe as usize], told);
    }

    /// A pipe has finished all it had.
    pub(super) fn barrier(&mut self, pipe: Pipe) {
        self.clocks[pipe as usize][pipe as usize] = self.issued[pipe as usize];
    }

    /// All pipes have finished all they had.
    pub(super) fn barrier_all(&mut self) {
        self.clocks = [self.issued; PIPES];
    }

    /// An instruction begins. The hazards it has with earlier ones.
    ///
    /// `global` is what it touches of global memory, and whether it writes that.
    pub(super) fn begin(
        &mut self,
        who: Who,
        touches: &[Touch],
        global: Option<(Strip, bool)>,
        found: &mut Vec<Hazard>,
    ) {
        let pipe = who.pipe as usize;
        if self.in_order[pipe] {
            self.clocks[pipe][pipe] = self.issued[pipe];
        }
        self.issued[pipe] += 1;
        let own = self.issued[pipe];
        let (core, known) = (self.core, &self.clocks[pipe]);
        // All are looked at before any is kept: what an instruction does itself is no hazard to it, and hides none.
        for (operand, touch) in touches.iter().enumerate() {
            let Touch { space, start, end, writes } = *touch;
            let now = Access { who, writes, own };
            let first = found.len();
            self.touched[space as usize].look(operand, start..end, |bytes, before| {
                if (before.writes || writes) && !before.is_before(&who, known) {
                    let bytes = bytes.start.into()..bytes.end.into();
                    add(found, first, hazard(core, Place::Local(space), bytes, before, &now));
                }
            });
        }
        for (operand, touch) in touches.iter().enumerate() {
            let Touch { space, start, end, writes } = *touch;
            let is_ordered = |before: &Access| before.is_before(&who, known);
            self.touched[space as usize].keep(operand, start..end, Access { who, writes, own }, is_ordered);
        }
        if let Some((strip, writes)) = global {
            self.touch_global(Access { who, writes, own }, strip, found);
        }
    }

    fn touch_global(&mut self, access: Access, strip: Strip, found: &mut Vec<Hazard>) {
        let pipe = access.who.pipe as usize;
        let used = if access.writes { &mut self.writes_global } else { &mut self.reads_global };
        used[pipe] = true;
        let (core, first) = (self.core, found.len());
        let known = &self.clocks[pipe];
        self.global.look(&strip, |(start, end), before| {
            if (before.writes || access.writes) && !before.is_before(&access.who, known) {
                add(found, first, hazard(core, Place::Global(strip.tensor), start..end, before, &access));
            }
        });
        // Of a write everybody must know, of a read those who write.
        let Watcher { clocks, reads_global, writes_global, .. } = self;
        let is_settled = |before: &Access| {
            let knows = |pipe: usize| clocks[pipe][before.who.pipe as usize] >= before.own;
            let concerns = |pipe: &usize| writes_global[*pipe] || before.writes && reads_global[*pipe];
            (0..PIPES).any(|pipe| writes_global[pipe]) && (0..PIPES).filter(concerns).all(knows)
        };
        self.global.keep(strip, access, is_settled);
    }
}

/// The hazard of an instruction that begins with an earlier access to these bytes.
fn hazard(core: usize, place: Place, bytes: Range<u64>, before: &Access, now: &Access) -> Hazard {
    let (first, second) = if before.who.number < now.who.number { (before, now) } else { (now, before) };
    Hazard {
        kind: HazardKind::of(first.writes, second.writes),
        place,
        start: bytes.start,
        end: bytes.end,
        first: first.who.of_core(core),
        second: second.who.of_core(core),
    }
}

/// Adds a hazard to those found from `first` on. The same two instructions on the bytes behind are the same hazard.
fn add(found: &mut Vec<Hazard>, first: usize, hazard: Hazard) {
    let of = |hazard: &Hazard| (hazard.kind, hazard.first.number, hazard.second.number);
    match found[first..].iter_mut().find(|known| of(known) == of(&hazard)) {
        Some(known) => known.end = hazard.end,
        None => found.push(hazard),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::instruction::VectorOp;

    const BYTES: u32 = 24;
    const ON: [Pipe; 4] = [Pipe::S, Pipe::V, Pipe::Mte2, Pipe::Mte3];

    #[derive(Clone, Debug)]
    enum Event {
        /// A pipe begins an instruction that reads and writes these bytes.
        Begin(Pipe, Vec<Range<u32>>, Option<Range<u32>>),
        /// A flag from a pipe to another one, waited for at once.
        Flag(Pipe, Pipe),
        Barrier(Pipe),
        BarrierAll,
    }

    fn event() -> impl Strategy<Value = Event> {
        let pipe = || prop::sample::select(&ON[..]);
        let bytes = || (0..BYTES, 1..9_u32).prop_map(|(start, len)| start..BYTES.min(start + len));
        prop_oneof![
            8 => (pipe(), prop::collection::vec(bytes(), 0..3), prop::option::of(bytes()))
                .prop_map(|(pipe, reads, write)| Event::Begin(pipe, reads, write)),
            4 => (pipe(), pipe()).prop_map(|(from, to)| Event::Flag(from, to)),
            1 => pipe().prop_map(Event::Barrier),
            1 => Just(Event::BarrierAll),
        ]
    }

    /// An access as a watcher keeps it that forgets nothing.
    #[derive(Clone, Debug)]
    struct Kept {
        access: Access,
        bytes: Range<u32>,
        known: Clock,
    }

    impl Kept {
        fn is_ordered_before(&self, other: &Kept) -> bool {
            self.access.is_before(&other.access.who, &other.known)
        }

        fn conflicts(&self, now: &Kept, byte: u32) -> bool {
            self.bytes.contains(&byte)
                && (self.access.writes || now.access.writes)
                && self.access.who.number != now.access.who.number
                && !self.is_ordered_before(now)
        }
    }

    /// The hazards of an access with all that were before, found byte by byte: those with the last of each pipe in each way, and
    /// not with what a write came behind. And the bytes that have any at all.
    fn naive(all: &[Kept], now: &Kept) -> (Vec<Hazard>, Vec<u32>) {
        let mut found: Vec<Hazard> = Vec::new();
        let mut bytes = Vec::new();
        for (index, before) in all.iter().enumerate() {
            let is_last = |byte: &u32| {
                !all[index + 1..].iter().any(|later| {
                    later.bytes.contains(byte)
                        && (later.access.succeeds(&before.access)
                            || later.access.writes && before.is_ordered_before(later))
                })
            };
            let both: Vec<u32> = now.bytes.clone().filter(|byte| before.conflicts(now, *byte)).collect();
            bytes.extend(&both);
            let last: Vec<u32> = both.into_iter().filter(is_last).collect();
            if let [first, ..] = last[..] {
                let bytes = first.into()..u64::from(last[last.len() - 1]) + 1;
                let hazard = hazard(0, Place::Local(Space::Ub), bytes, &before.access, &now.access);
                // Two operands of one instruction.
                let same = |known: &&mut Hazard| {
                    (known.kind, known.first, known.second) == (hazard.kind, hazard.first, hazard.second)
                };
                match found.iter_mut().find(same) {
                    Some(known) => {
                        (known.start, known.end) = (known.start.min(hazard.start), known.end.max(hazard.end))
                    }
                    None => found.push(hazard),
                }
            }
        }
        (found, bytes)
    }

    fn in_order(hazards: &[Hazard]) -> Vec<(u64, u64, u64, u64, HazardKind)> {
        let key = |h: &Hazard| (h.first.number, h.second.number, h.start, h.end, h.kind);
        let mut keys: Vec<_> = hazards.iter().map(key).collect();
        keys.sort_unstable();
        keys
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn the_same_hazards_as_looking_at_every_pair(
            events in prop::collection::vec(event(), 0..40),
            auto_sync in any::<bool>(),
        ) {
            let mut watcher = Watcher::new(0, auto_sync);
            let mut all: Vec<Kept> = Vec::new();
            for (number, event) in (0..).zip(events) {
                match event {
                    Event::Flag(from, to) => {
                        let told = watcher.set(from);
                        watcher.waited(to, &told);
                    }
                    Event::Barrier(pipe) => watcher.barrier(pipe),
                    Event::BarrierAll => watcher.barrier_all(),
                    Event::Begin(pipe, reads, write) => {
                        let opcode = Opcode::Vector(VectorOp::Add);
                        let who = Who { pipe, opcode, number, at: Location::caller() };
                        let given = reads.into_iter().map(|bytes| (bytes, false));
                        let given: Vec<_> = given.chain(write.map(|bytes| (bytes, true))).collect();
                        let touch = |(bytes, writes): &(Range<u32>, bool)| {
                            Touch { space: Space::Ub, start: bytes.start, end: bytes.end, writes: *writes }
                        };
                        let touches: Vec<Touch> = given.iter().map(touch).collect();
                        let mut found = Vec::new();
                        watcher.begin(who, &touches, None, &mut found);

                        let (known, own) = (watcher.clocks[pipe as usize], watcher.issued[pipe as usize]);
                        let mut expected = Vec::new();
                        let keep = |(bytes, writes)| Kept { access: Access { who, writes, own }, bytes, known };
                        let all_now: Vec<Kept> = given.into_iter().map(keep).collect();
                        for now in &all_now {
                            let (hazards, conflicts) = naive(&all, now);
                            for byte in conflicts {
                                let has = |h: &Hazard| (h.start..h.end).contains(&byte.into());
                                prop_assert!(hazards.iter().any(has), "byte {} of {:?}", byte, now);
                            }
                            expected.extend(hazards);
                        }
                        all.extend(all_now);
                        prop_assert_eq!(in_order(&found), in_order(&expected));
                    }
                }
                let bounds = &watcher.touched[Space::Ub as usize].bounds();
                prop_assert!(bounds.is_sorted_by(|a, b| a.1 <= b.0) && bounds.iter().all(|b| b.0 < b.1));
            }
        }
    }
}
