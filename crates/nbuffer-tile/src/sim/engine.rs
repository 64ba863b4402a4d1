//! The simulation itself: pipes start their instructions in order and run side by side; everything happens in the order of cycles.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::Location;

use super::cost::VectorCosts;
use super::feed::{Feed, Issued};
use super::footprint::{Conflict, Footprint};
use super::hazard::{Clock, Hazard, Party, Watcher};
use super::memory::{CoreMemory, GlobalMemory};
use super::sharing::{Sharing, Which};
use super::spans::{Kept, TileSpan};
use super::stats::{CoreReport, Run, Wait};
use super::values::{self, Pending};
use crate::error::{ErrorKind, KernelError};
use crate::instruction::{Op, Route};
use crate::launch::Launch;
use crate::pipe::{Event, Pipe};
use crate::profile::Profile;

const PIPES: usize = Pipe::ALL.len();

/// Ids of an event that there can be at most.
const IDS: usize = 16;

/// The most hazards kept.
const HAZARDS_MAX: usize = 100;

/// Something that will happen. What happens at one time happens in the order in which it was foreseen.
#[derive(Clone, Copy, Debug)]
struct Happening {
    at: f64,
    number: u64,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// A pipe can look again.
    Wake(usize, Pipe),
    /// An instruction of this slot is over.
    Over(Which),
}

impl PartialEq for Happening {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Happening {}

impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Happening {
    /// The earliest is the greatest, as a heap wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at).then(other.number.cmp(&self.number))
    }
}

/// An instruction in front of its pipe.
#[derive(Debug)]
struct Queued {
    instruction: Issued,
    number: u64,
    /// When the scalar core has issued it.
    issued: f64,
}

/// An instruction at work.
#[derive(Debug)]
struct Running {
    instruction: Issued,
    number: u64,
    start: f64,
    tile: u64,
    /// What it will write.
    result: Pending,
}

#[derive(Debug)]
struct PipeState {
    queue: VecDeque<Queued>,
    /// By slot.
    running: Vec<Option<Running>>,
    n_running: usize,
    /// When the next instruction may start.
    next_start: f64,
    /// Since when nothing has run.
    idle_since: f64,
    /// What it has waited for last.
    waits_for: Option<Wait>,
    /// When it is to be woken, so that it is not woken twice; infinite if it is not.
    woken_at: f64,
    /// Tiles that it has begun, and whether its next instruction begins another one.
    tiles: u64,
    begins_tile: bool,
}

impl Default for PipeState {
    fn default() -> Self {
        PipeState {
            queue: VecDeque::new(),
            running: Vec::new(),
            n_running: 0,
            next_start: 0.0,
            idle_since: 0.0,
            waits_for: None,
            woken_at: f64::INFINITY,
            tiles: 0,
            begins_tile: true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Flag {
    at: f64,
    clock: Clock,
    set_by: u64,
}

/// Why the scalar core stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// This pipe's queue is full.
    Full(Pipe),
    /// At a barrier of all pipes.
    Drain,
}

struct CoreState {
    feed: Feed,
    ended: bool,
    /// The scalar core's own time.
    scalar: f64,
    held: Option<Held>,
    /// What the scalar core could not issue.
    pending: Option<Issued>,
    pipes: [PipeState; PIPES],
    /// Flags that are set, by event and id. A set that comes before the one before it was waited for is counted, not lost.
    flags: Vec<VecDeque<Flag>>,
    memory: Option<CoreMemory>,
    watcher: Watcher,
    footprint: Footprint,
    report: CoreReport,
}

/// Runs the cores' streams.
pub(crate) struct Engine<'a> {
    profile: &'a Profile,
    global: &'a mut GlobalMemory,
    cores: Vec<CoreState>,
    sharing: Sharing,
    agenda: BinaryHeap<Happening>,
    foreseen: u64,
    now: f64,
    hazards: Vec<Hazard>,
    found: Vec<Hazard>,
    n_hazards: u64,
    costs: VectorCosts,
    spans: Kept,
    /// The line that launched the kernel.
    launched_at: &'static Location<'static>,
}

impl<'a> Engine<'a> {
    pub(crate) fn new(
        profile: &'a Profile,
        global: &'a mut GlobalMemory,
        feeds: Vec<Feed>,
        how: &Launch,
        launched_at: &'static Location<'static>,
    ) -> Self {
        let core = |(index, feed)| CoreState {
            feed,
            ended: false,
            scalar: 0.0,
            held: None,
            pending: None,
            pipes: Default::default(),
            flags: vec![VecDeque::new(); Event::COUNT * IDS],
            memory: how.values.then(|| CoreMemory::new(profile)),
            watcher: Watcher::new(index, how.auto_sync),
            footprint: Footprint::new(),
            report: CoreReport::default(),
        };
        Engine {
            sharing: Sharing::new(profile, feeds.len(), profile.fits_l2(global.len_bytes())),
            profile,
            global,
            cores: feeds.into_iter().enumerate().map(core).collect(),
            agenda: BinaryHeap::new(),
            foreseen: 0,
            now: 0.0,
            hazards: Vec::new(),
            found: Vec::new(),
            n_hazards: 0,
            costs: VectorCosts::default(),
            spans: Kept::new(how.spans),
            launched_at,
        }
    }

    /// Runs everything.
    ///
    /// # Errors
    ///
    /// Pipes that wait for each other for ever.
    pub(crate) fn run(mut self) -> Result<Run, KernelError> {
        for core in 0..self.cores.len() {
            self.go_on(core, 0);
        }
        loop {
            let next = self.agenda.peek().map_or(f64::INFINITY, |happening| happening.at);
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
            let Some(Happening { at, what, .. }) = self.agenda.pop() else { break };
            self.now = at;
            match what {
                What::Wake(core, pipe) => {
                    self.cores[core].pipes[pipe as usize].woken_at = f64::INFINITY;
                    self.go_on(core, bit(pipe));
                }
                What::Over(of) => self.over(of),
            }
        }
        for (index, core) in self.cores.iter().enumerate() {
            core.check_ended(index)?;
        }
        self.check_writes()?;
        let cycles = self.cores.iter().map(|core| core.report.end).fold(0.0, f64::max);
        let unchecked_writes = self.cores.iter().map(|core| core.footprint.left_out()).sum();
        let finish = |mut core: CoreState| {
            core.finish();
            core.report
        };
        let (spans, spans_left_out) = self.spans.finish();
        Ok(Run {
            cycles,
            cores: self.cores.into_iter().map(finish).collect(),
            hazards: self.hazards,
            n_hazards: self.n_hazards,
            unchecked_writes,
            spans,
            spans_left_out,
        })
    }

    /// No two cores have written one place of global memory.
    fn check_writes(&self) -> Result<(), KernelError> {
        let footprints: Vec<&Footprint> = self.cores.iter().map(|core| &core.footprint).collect();
        let Some(conflict) = Footprint::conflict(&footprints) else { return Ok(()) };
        let Conflict { first, second, tensor, start, end } = conflict;
        Err(KernelError::new(ErrorKind::SharedWrite { first, second, tensor, start, end }, self.launched_at))
    }

    fn foresee(&mut self, at: f64, what: What) {
        self.foreseen += 1;
        self.agenda.push(Happening { at, number: self.foreseen, what });
    }

    /// A pipe looks again at a time to come, unless it does before.
    fn wake(&mut self, core: usize, pipe: Pipe, at: f64) {
        let woken_at = &mut self.cores[core].pipes[pipe as usize].woken_at;
        if at < *woken_at {
            *woken_at = at;
            self.foresee(at, What::Wake(core, pipe));
        }
    }

    /// A core goes on: pipes start what they can, the scalar core issues what there is room for.
    ///
    /// `look`: the pipes that may be able to start something, one bit each.
    fn go_on(&mut self, index: usize, mut look: u8) {
        loop {
            for pipe in Pipe::ALL {
                if look & bit(pipe) != 0 {
                    while self.start_next(index, pipe) {}
                }
            }
            look = self.issue(index);
            if look == 0 {
                return;
            }
        }
    }

    /// The scalar core goes on with its program until a queue is full, a barrier holds it, or the program ends. The pipes that
    /// got instructions.
    fn issue(&mut self, index: usize) -> u8 {
        let mut touched = 0;
        let scalar = self.profile.scalar;
        let core = &mut self.cores[index];
        if core.ended || !core.release(self.now, scalar.fifo) {
            return 0;
        }
        loop {
            let Some(instruction) = core.pending.take().or_else(|| core.feed.next()) else {
                core.ended = true;
                break;
            };
            match instruction.op {
                Op::Scalar => {
                    core.scalar += scalar.queue_call;
                    core.report.pipes[Pipe::S as usize].busy += scalar.queue_call;
                    continue;
                }
                Op::BarrierAll => {
                    core.report.instructions += 1;
                    if core.pipes.iter().any(PipeState::is_busy) {
                        core.held = Some(Held::Drain);
                        break;
                    }
                    core.watcher.barrier_all();
                    continue;
                }
                _ => {}
            }
            let pipe = instruction.op.pipe();
            let state = &mut core.pipes[pipe as usize];
            if state.queue.len() >= scalar.fifo {
                core.pending = Some(instruction);
                core.held = Some(Held::Full(pipe));
                break;
            }
            core.scalar += scalar.issue;
            core.report.pipes[Pipe::S as usize].busy += scalar.issue;
            core.report.instructions += 1;
            let number = core.report.instructions;
            state.queue.push_back(Queued { instruction, number, issued: core.scalar });
            touched |= bit(pipe);
        }
        touched
    }

    /// Whether the pipe's next instruction is done with or at work.
    fn start_next(&mut self, index: usize, pipe: Pipe) -> bool {
        let now = self.now;
        let profile = self.profile;
        let core = &mut self.cores[index];
        let state = &mut core.pipes[pipe as usize];
        let Some(head) = state.queue.front() else { return false };
        let number = head.number;
        if head.issued > now {
            let at = head.issued;
            state.waits_for = state.waits_for.or(Some(Wait::Issue));
            self.wake(index, pipe, at);
            return false;
        }
        if state.next_start > now {
            let at = state.next_start;
            self.wake(index, pipe, at);
            return false;
        }
        match head.instruction.op {
            Op::Set(event, id) => {
                if state.n_running > 0 {
                    return false;
                }
                state.queue.pop_front();
                state.begins_tile = true;
                let clock = core.watcher.set(pipe);
                let at = now + profile.scalar.flag;
                state.next_start = at;
                core.report.pipes[pipe as usize].flags += 1;
                let flag = Flag { at, clock, set_by: number };
                core.flags[event.index() * IDS + usize::from(id)].push_back(flag);
                let awaits = |head: &Queued| matches!(head.instruction.op, Op::Wait(of, it) if (of, it) == (event, id));
                let is_awaited = core.pipes[event.to as usize].queue.front().is_some_and(awaits);
                self.keep(index, pipe, "SET_FLAG", number, at, None);
                if is_awaited {
                    self.wake(index, event.to, at);
                }
            }
            Op::Wait(event, id) => {
                let flags = &mut core.flags[event.index() * IDS + usize::from(id)];
                let Some(flag) = flags.front().copied().filter(|flag| flag.at <= now) else {
                    let at = flags.front().map(|flag| flag.at);
                    state.waits_for = Some(Wait::of(event));
                    if let Some(at) = at {
                        self.wake(index, pipe, at);
                    }
                    return false;
                };
                flags.pop_front();
                state.queue.pop_front();
                state.begins_tile = true;
                state.next_start = now + profile.scalar.flag;
                let end = state.next_start;
                core.report.pipes[pipe as usize].flags += 1;
                core.watcher.waited(pipe, &flag.clock);
                self.keep(index, pipe, "WAIT_FLAG", number, end, Some(flag.set_by));
            }
            Op::Barrier(_) => {
                if state.n_running > 0 {
                    return false;
                }
                state.queue.pop_front();
                state.begins_tile = true;
                core.watcher.barrier(pipe);
                self.keep(index, pipe, "BAR", number, now, None);
            }
            Op::Scalar | Op::BarrierAll => unreachable!("the scalar core keeps these"),
            Op::Copy(_) | Op::Vector(_) | Op::Mmad(_) => {
                let at_once = if pipe == Pipe::Mte2 { profile.copies.in_flight as usize } else { 1 };
                if state.n_running >= at_once {
                    return false;
                }
                self.start(index, pipe);
            }
        }
        true
    }

    /// The instruction at the head of the queue begins.
    fn start(&mut self, index: usize, pipe: Pipe) {
        let now = self.now;
        let profile = self.profile;
        let core = &mut self.cores[index];
        let report = &mut core.report.pipes[pipe as usize];
        let state = &mut core.pipes[pipe as usize];
        let Queued { instruction, number, .. } = state.queue.pop_front().expect("there is a head");
        if report.instructions == 0 {
            report.first = now;
            report.waits.add(Wait::Fill, now);
        } else if state.n_running == 0 {
            let why = state.waits_for.unwrap_or(Wait::Flags);
            report.waits.add(why, now - state.idle_since);
        }
        state.waits_for = None;
        report.instructions += 1;
        let party = Party { pipe, name: instruction.op.name(), number, at: instruction.at };
        let (touches, n_touches) = values::touches(&instruction.op);
        core.watcher.begin(party, &touches[..n_touches], &mut self.found);
        let result = match &core.memory {
            Some(memory) => values::compute(&instruction.op, memory, self.global),
            None => Pending::default(),
        };
        let place = state.running.iter().position(Option::is_none).unwrap_or_else(|| {
            state.running.push(None);
            state.running.len() - 1
        });
        state.tiles += u64::from(std::mem::take(&mut state.begins_tile));
        let tile = state.tiles - 1;
        state.running[place] =
            Some(Running { instruction: instruction.clone(), number, start: now, tile, result });
        if state.n_running == 0 {
            state.idle_since = now;
        }
        state.n_running += 1;
        self.n_hazards += self.found.len() as u64;
        for hazard in self.found.drain(..) {
            // A loop meets the same lines again and again.
            let is_new =
                self.hazards.len() < HAZARDS_MAX && !self.hazards.iter().any(|known| known.is_like(&hazard));
            self.hazards.extend(is_new.then_some(hazard));
        }
        let which = Which { core: index, pipe, slot: place };
        match &instruction.op {
            Op::Copy(copy) => {
                report.bytes += copy.bytes();
                if matches!(copy.route, Route::Out | Route::Fixpipe(_)) {
                    core.footprint.add(copy);
                }
                state.next_start = now + profile.copies.interval;
                if let Some(curve) = copy.curve(profile) {
                    self.sharing.begin(now, which, copy, curve);
                } else {
                    self.foresee(now + copy.load_cycles(profile), What::Over(which));
                }
            }
            Op::Vector(vector) => {
                let cost = self.costs.of(profile, vector);
                report.startup += cost.startup;
                report.conflicts += cost.conflicts;
                report.elements += cost.elements;
                report.elements_max += cost.elements_max;
                self.foresee(now + cost.cycles(), What::Over(which));
            }
            Op::Mmad(mmad) => {
                self.foresee(now + mmad.cost(profile), What::Over(which));
            }
            _ => unreachable!("flags and barriers take no time"),
        }
    }

    /// An instruction ends: what it wrote is there.
    fn over(&mut self, Which { core: index, pipe, slot }: Which) {
        let now = self.now;
        let core = &mut self.cores[index];
        let state = &mut core.pipes[pipe as usize];
        let running = state.running[slot].take().expect("it was running");
        state.n_running -= 1;
        let report = &mut core.report.pipes[pipe as usize];
        if state.n_running == 0 {
            report.busy += now - state.idle_since;
            state.idle_since = now;
        }
        report.last = now;
        core.report.end = now;
        let Running { instruction, number, start, tile, result } = running;
        if let Some(memory) = &mut core.memory {
            values::store(&instruction.op, result, memory, self.global);
        }
        if self.spans.is_on() {
            let (name, line) = (instruction.op.name(), instruction.at.line());
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
        self.go_on(index, bit(pipe));
    }

    /// Keeps the span of a flag or barrier that begins now.
    fn keep(
        &mut self,
        core: usize,
        pipe: Pipe,
        name: &'static str,
        number: u64,
        end: f64,
        set_by: Option<u64>,
    ) {
        if self.spans.is_on() {
            let start = self.now;
            self.spans.keep(TileSpan { core, pipe, name, number, tile: None, start, end, line: 0, set_by });
        }
    }
}

fn bit(pipe: Pipe) -> u8 {
    1 << pipe as u8
}

impl PipeState {
    fn is_busy(&self) -> bool {
        self.n_running > 0 || !self.queue.is_empty()
    }
}

impl CoreState {
    /// Whether nothing holds the scalar core any more.
    fn release(&mut self, now: f64, fifo: usize) -> bool {
        let free = match self.held {
            None => return true,
            Some(Held::Full(pipe)) => self.pipes[pipe as usize].queue.len() < fifo,
            Some(Held::Drain) => !self.pipes.iter().any(PipeState::is_busy),
        };
        if free {
            if self.held == Some(Held::Drain) {
                self.watcher.barrier_all();
                for pipe in &mut self.pipes {
                    pipe.waits_for = Some(Wait::Barrier);
                    pipe.begins_tile = true;
                }
            }
            self.held = None;
            self.scalar = self.scalar.max(now);
        }
        free
    }

    /// Nothing will happen any more: has everything happened?
    fn check_ended(&self, index: usize) -> Result<(), KernelError> {
        // Of pipes that wait for each other, the one whose wait comes first in the program.
        let heads = Pipe::ALL.map(|pipe| self.pipes[pipe as usize].queue.front().map(|head| (pipe, head)));
        let first = heads.into_iter().flatten().min_by_key(|(_, head)| head.number);
        let Some((pipe, Queued { instruction: head, .. })) = first else { return Ok(()) };
        let why = match head.op {
            Op::Wait(event, id) => format!(
                "nothing sets flag {event} {id} that does not itself wait for {pipe}; a loop's first wait needs a flag that is \
                 set before the loop"
            ),
            _ => format!("{} cannot start", head.op.name()),
        };
        Err(KernelError { core: Some(index), ..KernelError::new(ErrorKind::Deadlock { pipe, why }, head.at) })
    }

    fn finish(&mut self) {
        let end = self.report.end;
        for pipe in &mut self.report.pipes {
            let reason = if pipe.instructions > 0 { Wait::Drain } else { Wait::Fill };
            pipe.waits.add(reason, end - if pipe.instructions > 0 { pipe.last } else { 0.0 });
        }
    }
}
