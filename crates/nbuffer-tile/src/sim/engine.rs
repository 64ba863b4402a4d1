//! The simulation itself: pipes start their instructions in order and run side by side; everything that takes time or touches data
//! happens in the order of cycles.
//!
//! Flags and barriers touch no data, and when they happen follows from what came before on their own pipe and from the flag itself. So
//! they are done with as soon as that is known, at the time at which they happen, which may be still to come.

use super::agenda::{Agenda, What};
use super::core_state::CoreState;
use super::cost::VectorCosts;
use super::feed::Feed;
use super::footprint::{Conflict, Footprint};
use super::hazard::{Hazard, HazardKind, Place};
use super::memory::GlobalMemory;
use super::pipe_state::{Look, Queued, Running};
use super::sharing::{Sharing, Which};
use super::spans::{Kept, TileSpan};
use super::stats::{Run, Wait};
use super::values::{self, Pending};
use super::watcher::Who;
use crate::chunk::Step;
use crate::error::{ErrorKind, KernelError};
use crate::instruction::{Scalar, Work};
use crate::launch::Launch;
use crate::pipe::Pipe;
use crate::profile::Profile;

/// The most hazards kept.
const HAZARDS_MAX: usize = 100;

/// Runs the cores' streams.
pub(crate) struct Engine<'a> {
    profile: &'a Profile,
    global: &'a mut GlobalMemory,
    cores: Vec<CoreState>,
    sharing: Sharing,
    agenda: Agenda,
    now: f64,
    hazards: Vec<Hazard>,
    found: Vec<Hazard>,
    n_hazards: u64,
    costs: VectorCosts,
    spans: Kept,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(
        profile: &'a Profile,
        global: &'a mut GlobalMemory,
        feeds: Vec<Feed>,
        how: &Launch,
    ) -> Self {
        let core = |(index, feed)| CoreState::new(index, feed, profile, how);
        Engine {
            sharing: Sharing::new(profile, feeds.len(), profile.fits_l2(global.len_bytes())),
            profile,
            global,
            cores: feeds.into_iter().enumerate().map(core).collect(),
            agenda: Agenda::default(),
            now: 0.0,
            hazards: Vec::new(),
            found: Vec::new(),
            n_hazards: 0,
            costs: VectorCosts::default(),
            spans: Kept::new(how.spans),
        }
    }

    /// Runs everything.
    ///
    /// # Errors
    ///
    /// Pipes that wait for each other for ever.
    pub(crate) fn run(mut self) -> Result<Run, KernelError> {
        for core in 0..self.cores.len() {
            self.go_on(core, Look::NONE);
        }
        loop {
            let next = self.agenda.next();
            // Copies that begin or end at one time are looked at together.
            if next > self.now {
                let copied = self.sharing.next_end(self.now);
                if copied <= next {
                    if copied == f64::INFINITY {
                        break;
                    }
                    self.now = copied;
                    while let Some(of) = self.sharing.take_ended(copied) {
                        self.over(of);
                    }
                    continue;
                }
            }
            let Some((at, what)) = self.agenda.take() else { break };
            self.now = at;
            match what {
                What::Wake(core, pipe) => {
                    let core = core as usize;
                    self.cores[core].pipes[pipe as usize].woken_at = f64::INFINITY;
                    self.go_on(core, Look::at(pipe));
                }
                What::Over(of) => self.over(of),
            }
        }
        for (index, core) in self.cores.iter().enumerate() {
            core.check_ended(index)?;
        }
        self.compare_cores()?;
        let cycles = self.cores.iter().map(|core| core.report.end).fold(0.0, f64::max);
        let unchecked_copies = self.cores.iter().map(|core| core.footprint.left_out()).sum();
        let (spans, spans_left_out) = self.spans.finish();
        Ok(Run {
            cycles,
            cores: self.cores.into_iter().map(CoreState::finish).collect(),
            hazards: self.hazards,
            n_hazards: self.n_hazards,
            unchecked_copies,
            spans,
            spans_left_out,
        })
    }

    /// No two cores have written one place of global memory. What one wrote and another one read is a hazard: within a launch, nothing
    /// orders cores.
    fn compare_cores(&mut self) -> Result<(), KernelError> {
        let footprints: Vec<&Footprint> = self.cores.iter().map(|core| &core.footprint).collect();
        let mut both_write = None;
        Footprint::conflicts(&footprints, |Conflict { accesses: [a, b], tensor, start, end }| {
            if a.writes && b.writes {
                let (first, second) = (a.core, b.core);
                let kind = ErrorKind::SharedWrite { first, second, tensor, start, end };
                both_write.get_or_insert_with(|| KernelError::new(kind, b.who.at));
                return;
            }
            let (writer, reader) = if a.writes { (a, b) } else { (b, a) };
            self.found.push(Hazard {
                kind: HazardKind::ReadAfterWrite,
                place: Place::Global(tensor),
                start,
                end,
                first: writer.who.of_core(writer.core),
                second: reader.who.of_core(reader.core),
            });
            keep_hazards(&mut self.found, &mut self.hazards, &mut self.n_hazards);
        });
        both_write.map_or(Ok(()), Err)
    }

    /// A pipe looks again at a time to come, unless it does before.
    fn wake(&mut self, core: usize, pipe: Pipe, at: f64) {
        let woken_at = &mut self.cores[core].pipes[pipe as usize].woken_at;
        if at < *woken_at {
            *woken_at = at;
            self.agenda.foresee(at, What::Wake(core as u32, pipe));
        }
    }

    /// A core goes on: pipes start what they can, the scalar core issues what there is room for.
    fn go_on(&mut self, index: usize, mut look: Look) {
        loop {
            while let Some(pipe) = look.take() {
                while let Some(others) = self.start_next(index, pipe) {
                    look.add(others);
                }
            }
            look = self.cores[index].issue(self.now, self.profile, &mut self.costs);
            if let Some(others) = self.scalar_next(index) {
                look.add(others);
            } else if look == Look::NONE {
                return;
            }
        }
    }

    /// Starts the pipe's next instruction, if it can: the other pipes that may go on because of that.
    fn start_next(&mut self, index: usize, pipe: Pipe) -> Option<Look> {
        let now = self.now;
        let flag_cycles = self.profile.scalar.flag;
        let core = &mut self.cores[index];
        let state = &mut core.pipes[pipe as usize];
        let head = state.head()?;
        let (number, issued, step) = (head.number, head.at, head.issued.instruction.step);
        let ready = state.ready(head);
        match step {
            Step::Set(event, id) => {
                if state.n_running > 0 {
                    return None;
                }
                let start = ready.max(state.changed);
                let at = start + flag_cycles;
                state.pop(start);
                (state.next_start, state.begins_tile) = (at, true);
                core.report.pipes[pipe as usize].flags += 1;
                let clock = core.watcher.set(pipe);
                core.flags.set((event, id), at, clock, number);
                self.keep(index, pipe, "SET_FLAG", number, start..at, None);
                return Some(Look::at(event.to));
            }
            Step::Wait(event, id) => {
                let flag = core.flags.take((event, id))?;
                if flag.at > ready {
                    state.waits_for = Some(Wait::of(event));
                }
                let start = ready.max(flag.at);
                let end = start + flag_cycles;
                state.pop(start);
                (state.next_start, state.begins_tile) = (end, true);
                core.report.pipes[pipe as usize].flags += 1;
                core.watcher.waited(pipe, &flag.clock);
                self.keep(index, pipe, "WAIT_FLAG", number, start..end, Some(flag.set_by));
            }
            Step::Barrier(_) => {
                if state.n_running > 0 {
                    return None;
                }
                let start = ready.max(state.changed);
                state.pop(start);
                state.begins_tile = true;
                core.watcher.barrier(pipe);
                self.keep(index, pipe, "BAR", number, start..start, None);
            }
            Step::BarrierAll => unreachable!("the scalar core keeps these"),
            Step::Scalar(_) => unreachable!("the scalar core does these itself"),
            Step::Copy(..) | Step::Vector(_) | Step::Mmad(_) => {
                let at_once = if pipe == Pipe::Mte2 { self.profile.copies.in_flight as usize } else { 1 };
                if state.n_running >= at_once {
                    return None;
                }
                if ready > now {
                    if issued == ready {
                        state.waits_for = state.waits_for.or(Some(Wait::Issue));
                    }
                    self.wake(index, pipe, ready);
                    return None;
                }
                self.start(index, pipe);
            }
        }
        Some(Look::NONE)
    }

    /// The instruction at the head of the queue begins.
    fn start(&mut self, index: usize, pipe: Pipe) {
        let now = self.now;
        let profile = self.profile;
        let core = &mut self.cores[index];
        let report = &mut core.report.pipes[pipe as usize];
        let state = &mut core.pipes[pipe as usize];
        let Queued { issued, number, scalar, .. } = state.pop(now);
        if report.instructions == 0 {
            report.first = now;
            report.waits.add(Wait::Fill, now);
        } else if state.n_running == 0 {
            let why = state.waits_for.unwrap_or(Wait::Flags);
            report.waits.add(why, now - state.changed);
        }
        state.waits_for = None;
        report.instructions += 1;
        let work = issued.work();
        let who = Who { pipe, opcode: work.opcode(), number, at: issued.instruction.at };
        core.touch(who, work, &mut self.found);
        let result = match &core.memory {
            Some(memory) => values::compute(work, scalar, memory, self.global),
            None => Pending::default(),
        };
        let report = &mut core.report.pipes[pipe as usize];
        let state = &mut core.pipes[pipe as usize];
        state.tiles += u64::from(std::mem::take(&mut state.begins_tile));
        let tile = state.tiles - 1;
        let which = Which { core: index as u32, pipe, slot: state.free_slot() };
        match work {
            Work::Copy(copy) => {
                report.bytes += copy.bytes();
                state.next_start = now + profile.copies.interval;
                if let Some(curve) = copy.curve(profile) {
                    self.sharing.begin(now, which, copy, curve);
                } else {
                    self.agenda.foresee(now + copy.load_cycles(profile), What::Over(which));
                }
            }
            Work::Vector(_) => {
                let cost = issued.cost();
                report.startup += cost.startup;
                report.conflicts += cost.conflicts;
                report.elements += cost.elements;
                report.elements_max += cost.elements_max;
                self.agenda.foresee(now + cost.cycles(), What::Over(which));
            }
            Work::Mmad(mmad) => self.agenda.foresee(now + mmad.cost(profile), What::Over(which)),
            Work::Scalar(_) => unreachable!("the scalar core does these itself"),
        }
        state.begin(Running { issued, number, start: now, tile, result }, now);
        keep_hazards(&mut self.found, &mut self.hazards, &mut self.n_hazards);
    }

    /// What the scalar core does itself, if it stands at something like that, and can: the pipes that may go on because of that.
    fn scalar_next(&mut self, index: usize) -> Option<Look> {
        let flag_cycles = self.profile.scalar.flag;
        let core = &mut self.cores[index];
        let step = core.held.as_ref()?.instruction.step;
        let number = core.report.instructions;
        let is_writing = core.pipes[Pipe::S as usize].n_running > 0;
        match step {
            Step::Set(event, id) if event.from == Pipe::S => {
                if is_writing {
                    return None;
                }
                let start = core.scalar.max(core.pipes[Pipe::S as usize].changed);
                core.scalar = start + flag_cycles;
                core.report.pipes[Pipe::S as usize].flags += 1;
                let clock = core.watcher.set(Pipe::S);
                core.flags.set((event, id), core.scalar, clock, number);
                core.held = None;
                self.keep(index, Pipe::S, "SET_FLAG", number, start..start + flag_cycles, None);
                Some(Look::at(event.to))
            }
            Step::Wait(event, id) if event.to == Pipe::S => {
                let flag = core.flags.take((event, id))?;
                let start = core.scalar.max(flag.at);
                core.scalar = start + flag_cycles;
                core.report.pipes[Pipe::S as usize].flags += 1;
                core.watcher.waited(Pipe::S, &flag.clock);
                core.held = None;
                let when = start..start + flag_cycles;
                self.keep(index, Pipe::S, "WAIT_FLAG", number, when, Some(flag.set_by));
                Some(Look::NONE)
            }
            Step::Scalar(_) => {
                let at = core.scalar;
                if at > self.now {
                    self.wake(index, Pipe::S, at);
                    return None;
                }
                self.scalar_work(index, is_writing)
            }
            _ => None,
        }
    }

    /// The scalar core reads, computes or writes.
    fn scalar_work(&mut self, index: usize, is_writing: bool) -> Option<Look> {
        let (now, unit) = (self.now, &self.profile.scalar);
        let core = &mut self.cores[index];
        let issued = core.held.take()?;
        let work = issued.work();
        let Work::Scalar(scalar) = work else { unreachable!("it is the scalar core's own") };
        // What it writes itself it reads as written.
        if is_writing && matches!(scalar, Scalar::Load { .. }) {
            core.held = Some(issued);
            return None;
        }
        core.scalar = core.scalar.max(now);
        let number = core.report.instructions;
        let who = Who { pipe: Pipe::S, opcode: work.opcode(), number, at: issued.instruction.at };
        core.touch(who, work, &mut self.found);
        let cycles = scalar.cycles(unit);
        let report = &mut core.report.pipes[Pipe::S as usize];
        report.instructions += 1;
        match *scalar {
            Scalar::Load { to, .. } => {
                if let Some(memory) = &core.memory {
                    let Pending(value) = values::compute(work, [0; 4], memory, self.global);
                    core.registers.set(to, &value);
                }
                core.run_for(cycles);
            }
            Scalar::Compute { op, dtype, a, b, to } => {
                let value = core.registers.computed(op, dtype, a, b);
                core.registers.set(to, &value);
                core.run_for(cycles);
            }
            Scalar::Store { value, .. } => {
                let result = Pending(core.registers.of(value).to_vec());
                core.run_for(unit.issue);
                let state = &mut core.pipes[Pipe::S as usize];
                let running = Running { issued, number, start: now, tile: 0, result };
                let slot = state.begin(running, now);
                let which = Which { core: index as u32, pipe: Pipe::S, slot };
                self.agenda.foresee(now + cycles, What::Over(which));
                keep_hazards(&mut self.found, &mut self.hazards, &mut self.n_hazards);
                return Some(Look::NONE);
            }
        }
        let end = core.scalar;
        core.report.pipes[Pipe::S as usize].last = end;
        core.report.end = core.report.end.max(end);
        keep_hazards(&mut self.found, &mut self.hazards, &mut self.n_hazards);
        if self.spans.is_on() {
            let (name, line) = (who.opcode.name(), who.at.line());
            let (pipe, tile, set_by) = (Pipe::S, None, None);
            self.spans.keep(TileSpan {
                core: index,
                pipe,
                name,
                number,
                tile,
                start: now,
                end,
                line,
                set_by,
            });
        }
        Some(Look::NONE)
    }

    /// An instruction ends: what it wrote is there.
    fn over(&mut self, Which { core: index, pipe, slot }: Which) {
        let (now, index, slot) = (self.now, index as usize, usize::from(slot));
        let core = &mut self.cores[index];
        let state = &mut core.pipes[pipe as usize];
        let running = state.running[slot].take().expect("it was running");
        state.n_running -= 1;
        let report = &mut core.report.pipes[pipe as usize];
        if state.n_running == 0 {
            // The scalar core goes on while it writes.
            report.busy += if pipe == Pipe::S { 0.0 } else { now - state.changed };
            state.changed = now;
        }
        report.last = now;
        core.report.end = core.report.end.max(now);
        let Running { issued, number, start, tile, result } = running;
        if let Some(memory) = &mut core.memory {
            values::store(issued.work(), result, memory, self.global);
        }
        if self.spans.is_on() {
            let (name, line) = (issued.work().opcode().name(), issued.instruction.at.line());
            let (tile, set_by) = (Some(tile), None);
            self.spans.keep(TileSpan {
                core: index,
                pipe,
                name,
                number,
                tile,
                start,
                end: now,
                line,
                set_by,
            });
        }
        self.go_on(index, Look::at(pipe));
    }

    /// Keeps the span of a flag or barrier.
    fn keep(
        &mut self,
        core: usize,
        pipe: Pipe,
        name: &'static str,
        number: u64,
        when: std::ops::Range<f64>,
        set_by: Option<u64>,
    ) {
        if self.spans.is_on() {
            let (start, end) = (when.start, when.end);
            self.spans.keep(TileSpan { core, pipe, name, number, tile: None, start, end, line: 0, set_by });
        }
    }
}

/// A loop meets the same lines again and again: hazards of the same lines are counted, and kept once.
fn keep_hazards(found: &mut Vec<Hazard>, kept: &mut Vec<Hazard>, count: &mut u64) {
    *count += found.len() as u64;
    for hazard in found.drain(..) {
        let is_new = kept.len() < HAZARDS_MAX && !kept.iter().any(|known| known.is_like(&hazard));
        kept.extend(is_new.then_some(hazard));
    }
}
