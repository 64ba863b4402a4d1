//! The simulation itself: pipes start their instructions in order and run side by side; everything happens in the order of cycles.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::Location;

use super::feed::Feed;
use super::footprint::{Conflict, Footprint};
use super::hazard::{Clock, Hazard, Party, Watcher};
use super::memory::{CoreMemory, GlobalMemory};
use super::sharing::{Foreseen, Sharing, Which};
use super::stats::{CoreReport, Run, TileSpan, Wait};
use super::values::{self, Pending};
use crate::error::{ErrorKind, KernelError};
use crate::instruction::{Instruction, Op, Route};
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
    Over(usize, Pipe, usize),
    /// A copy is over, unless its speed has changed.
    Copied(Foreseen),
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
    instruction: Instruction,
    number: u64,
    /// When the scalar core has issued it.
    issued: f64,
}

/// An instruction at work.
#[derive(Debug)]
struct Running {
    instruction: Instruction,
    number: u64,
    start: f64,
    /// What it will write.
    result: Pending,
}

#[derive(Debug, Default)]
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
    pending: Option<Instruction>,
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
    changes: Vec<Foreseen>,
    n_hazards: u64,
    spans: Vec<TileSpan>,
    spans_max: usize,
    spans_left_out: u64,
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
        let fits_l2 = global.len_bytes() <= profile.global.l2_bytes;
        Engine {
            sharing: Sharing::new(profile, fits_l2),
            profile,
            global,
            cores: feeds.into_iter().enumerate().map(core).collect(),
            agenda: BinaryHeap::new(),
            foreseen: 0,
            now: 0.0,
            hazards: Vec::new(),
            found: Vec::new(),
            changes: Vec::new(),
            n_hazards: 0,
            spans: Vec::new(),
            spans_max: how.spans,
            spans_left_out: 0,
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
            self.issue(core);
        }
        while let Some(Happening { at, what, .. }) = self.agenda.pop() {
            self.now = at;
            match what {
                What::Wake(core, pipe) => self.go_on(core, pipe),
                What::Over(core, pipe, slot) => self.over(core, pipe, slot),
                What::Copied(foreseen) => {
                    if self.sharing.end(at, foreseen, &mut self.changes) {
                        self.foresee_copies();
                        let Which { core, pipe, slot } = foreseen.of;
                        self.over(core, pipe, slot);
                    }
                }
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
        Ok(Run {
            cycles,
            cores: self.cores.into_iter().map(finish).collect(),
            hazards: self.hazards,
            n_hazards: self.n_hazards,
            unchecked_writes,
            spans: self.spans,
            spans_left_out: self.spans_left_out,
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

    /// Copies have other speeds now, and other ends.
    fn foresee_copies(&mut self) {
        let mut changes = std::mem::take(&mut self.changes);
        for foreseen in changes.drain(..) {
            self.foresee(foreseen.at, What::Copied(foreseen));
        }
        self.changes = changes;
    }

    /// The scalar core goes on with its program until a queue is full, a barrier holds it, or the program ends.
    fn issue(&mut self, index: usize) {
        let mut touched = [false; PIPES];
        let scalar = self.profile.scalar;
        let core = &mut self.cores[index];
        while core.held.is_none() {
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
                    } else {
                        core.watcher.barrier_all();
                    }
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
            touched[pipe as usize] = true;
        }
        for pipe in Pipe::ALL {
            if touched[pipe as usize] {
                self.go_on(index, pipe);
            }
        }
    }

    /// A queue has room, or a pipe is idle: the scalar core may go on.
    fn release(&mut self, index: usize) {
        let core = &mut self.cores[index];
        let free = match core.held {
            None => return,
            Some(Held::Full(pipe)) => core.pipes[pipe as usize].queue.len() < self.profile.scalar.fifo,
            Some(Held::Drain) => !core.pipes.iter().any(PipeState::is_busy),
        };
        if !free {
            return;
        }
        if core.held == Some(Held::Drain) {
            core.watcher.barrier_all();
            for pipe in &mut core.pipes {
                pipe.waits_for = Some(Wait::Barrier);
            }
        }
        core.held = None;
        core.scalar = core.scalar.max(self.now);
        self.issue(index);
    }

    /// A pipe starts what it can.
    fn go_on(&mut self, index: usize, pipe: Pipe) {
        while self.start_next(index, pipe) {}
        self.release(index);
    }

    /// Whether the pipe's next instruction is done with or at work.
    fn start_next(&mut self, index: usize, pipe: Pipe) -> bool {
        let now = self.now;
        let profile = self.profile;
        let core = &mut self.cores[index];
        let state = &mut core.pipes[pipe as usize];
        let Some(head) = state.queue.front() else { return false };
        let (number, op) = (head.number, head.instruction.op);
        if head.issued > now {
            let at = head.issued;
            state.waits_for = state.waits_for.or(Some(Wait::Issue));
            self.foresee(at, What::Wake(index, pipe));
            return false;
        }
        if state.next_start > now {
            let at = state.next_start;
            self.foresee(at, What::Wake(index, pipe));
            return false;
        }
        match op {
            Op::Set(event, id) => {
                if state.n_running > 0 {
                    return false;
                }
                state.queue.pop_front();
                let clock = core.watcher.set(pipe);
                let at = now + profile.scalar.flag;
                state.next_start = at;
                let flag = Flag { at, clock, set_by: number };
                core.flags[event.index() * IDS + usize::from(id)].push_back(flag);
                self.keep_span(index, pipe, "SET_FLAG", number, now, now, None);
                self.foresee(at, What::Wake(index, event.to));
            }
            Op::Wait(event, id) => {
                let flags = &mut core.flags[event.index() * IDS + usize::from(id)];
                if flags.front().is_none_or(|flag| flag.at > now) {
                    state.waits_for = Some(Wait::of(event));
                    return false;
                }
                let flag = flags.pop_front().expect("it is there");
                state.queue.pop_front();
                state.next_start = now + profile.scalar.flag;
                core.watcher.waited(pipe, &flag.clock);
                self.keep_span(index, pipe, "WAIT_FLAG", number, now, now, Some(flag.set_by));
            }
            Op::Barrier(_) => {
                if state.n_running > 0 {
                    return false;
                }
                state.queue.pop_front();
                core.watcher.barrier(pipe);
                self.keep_span(index, pipe, "BAR", number, now, now, None);
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
            let why = state.waits_for.unwrap_or(Wait::Issue);
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
        state.running[place] = Some(Running { instruction, number, start: now, result });
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
        match &instruction.op {
            Op::Copy(copy) => {
                report.bytes += copy.bytes();
                if matches!(copy.route, Route::Out | Route::Fixpipe(_)) {
                    core.footprint.add(copy);
                }
                state.next_start = now + profile.copies.interval;
                if let Some(curve) = copy.curve(profile) {
                    let which = Which { core: index, pipe, slot: place };
                    self.sharing.begin(now, which, copy, curve, &mut self.changes);
                    self.foresee_copies();
                } else {
                    self.foresee(now + copy.load_cycles(profile), What::Over(index, pipe, place));
                }
            }
            Op::Vector(vector) => {
                let cost = vector.cost(profile);
                report.startup += cost.startup;
                report.conflicts += cost.conflicts;
                self.foresee(now + cost.cycles(), What::Over(index, pipe, place));
            }
            Op::Mmad(mmad) => {
                let cycles = mmad.cost(profile);
                self.foresee(now + cycles, What::Over(index, pipe, place));
            }
            _ => unreachable!("flags and barriers take no time"),
        }
    }

    /// An instruction ends: what it wrote is there.
    fn over(&mut self, index: usize, pipe: Pipe, place: usize) {
        let now = self.now;
        let core = &mut self.cores[index];
        let state = &mut core.pipes[pipe as usize];
        let running = state.running[place].take().expect("it was running");
        state.n_running -= 1;
        let report = &mut core.report.pipes[pipe as usize];
        if state.n_running == 0 {
            report.busy += now - state.idle_since;
            state.idle_since = now;
        }
        report.last = now;
        core.report.end = now;
        if let Some(memory) = &mut core.memory {
            values::store(&running.instruction.op, running.result, memory, self.global);
        }
        let name = running.instruction.op.name();
        let line = running.instruction.at.line();
        self.keep(TileSpan {
            core: index,
            pipe,
            name,
            number: running.number,
            start: running.start,
            end: now,
            line,
            set_by: None,
        });
        self.go_on(index, pipe);
    }

    #[expect(clippy::too_many_arguments, reason = "what a span is")]
    fn keep_span(
        &mut self,
        core: usize,
        pipe: Pipe,
        name: &'static str,
        number: u64,
        start: f64,
        end: f64,
        set_by: Option<u64>,
    ) {
        self.keep(TileSpan { core, pipe, name, number, start, end, line: 0, set_by });
    }

    fn keep(&mut self, span: TileSpan) {
        if self.spans.len() < self.spans_max {
            self.spans.push(span);
        } else {
            self.spans_left_out += 1;
        }
    }
}

impl PipeState {
    fn is_busy(&self) -> bool {
        self.n_running > 0 || !self.queue.is_empty()
    }
}

impl CoreState {
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
