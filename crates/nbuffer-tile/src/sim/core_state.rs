//! A core: its program as far as it was issued, its pipes, flags and memories.

use super::cost::VectorCosts;
use super::feed::{Feed, Issued};
use super::footprint::Footprint;
use super::hazard::Hazard;
use super::memory::CoreMemory;
use super::pipe_state::{Look, PipeState, Queued};
use super::scalar::Registers;
use super::stats::{CoreReport, Wait};
use super::values;
use super::watcher::{Clock, Watcher, Who};
use crate::chunk::Step;
use crate::error::{ErrorKind, KernelError};
use crate::instruction::Work;
use crate::launch::Launch;
use crate::pipe::{Event, Pipe};
use crate::profile::Profile;

/// A flag that is set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    event: Event,
    id: u8,
    pub(super) at: f64,
    pub(super) clock: Clock,
    pub(super) set_by: u64,
}

/// The flags that are set, in the order in which they were: a handful. A set that comes before the one before it was waited
/// for is counted, not lost.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<Flag>);

impl Flags {
    pub(super) fn set(&mut self, (event, id): (Event, u8), at: f64, clock: Clock, set_by: u64) {
        self.0.push(Flag { event, id, at, clock, set_by });
    }

    /// Takes the oldest of this event and id.
    pub(super) fn take(&mut self, (event, id): (Event, u8)) -> Option<Flag> {
        let index = self.0.iter().position(|flag| flag.event == event && flag.id == id)?;
        Some(self.0.remove(index))
    }
}

pub(super) struct CoreState {
    feed: Feed,
    ended: bool,
    /// The scalar core's own time, ahead of everybody's.
    pub(super) scalar: f64,
    /// What the scalar core stands still at: its pipe's queue is full, it is a barrier of all pipes, or it is the scalar core's own.
    pub(super) held: Option<Issued>,
    pub(super) pipes: [PipeState; Pipe::ALL.len()],
    pub(super) flags: Flags,
    pub(super) registers: Registers,
    pub(super) memory: Option<CoreMemory>,
    pub(super) watcher: Watcher,
    pub(super) footprint: Footprint,
    pub(super) report: CoreReport,
}

impl CoreState {
    pub(super) fn new(index: usize, feed: Feed, profile: &Profile, how: &Launch) -> Self {
        CoreState {
            feed,
            ended: false,
            scalar: 0.0,
            held: None,
            pipes: Pipe::ALL.map(|_| PipeState::new(profile.scalar.fifo)),
            flags: Flags::default(),
            registers: Registers::default(),
            memory: how.values.then(|| CoreMemory::new(profile)),
            watcher: Watcher::new(index, how.auto_sync),
            footprint: Footprint::new(),
            report: CoreReport::default(),
        }
    }

    /// The scalar core goes on with its program until a queue is full, a barrier holds it, or the program ends. The pipes that
    /// got instructions.
    pub(super) fn issue(&mut self, now: f64, profile: &Profile, costs: &mut VectorCosts) -> Look {
        let unit = &profile.scalar;
        let mut look = Look::NONE;
        if self.ended {
            return look;
        }
        loop {
            let issued = match self.held.take() {
                Some(held) => held,
                None => {
                    let Some(next) = self.feed.next(profile, costs) else {
                        self.ended = true;
                        return look;
                    };
                    self.run_for(unit.queue_call * f64::from(next.instruction.calls));
                    self.report.instructions += 1;
                    next
                }
            };
            let step = issued.instruction.step;
            let pipe = step.pipe();
            let must_wait = match step {
                Step::Scalar(_) => true,
                Step::Set(..) | Step::Wait(..) if pipe == Pipe::S => true,
                Step::BarrierAll => self.pipes.iter().any(PipeState::is_busy),
                _ => self.pipes[pipe as usize].is_full(),
            };
            if must_wait {
                self.held = Some(issued);
                return look;
            }
            if matches!(step, Step::BarrierAll) {
                self.drained(now);
                continue;
            }
            self.scalar = self.scalar.max(self.pipes[pipe as usize].free_since());
            self.run_for(unit.issue);
            let (number, at) = (self.report.instructions, self.scalar);
            let scalar = if pipe == Pipe::V { issued.scalar(&self.registers) } else { [0; 4] };
            let queued = Queued { issued, number, at, scalar };
            self.pipes[pipe as usize].push(queued);
            look.add(Look::at(pipe));
        }
    }

    /// All pipes are done with what came before a barrier of all of them.
    fn drained(&mut self, now: f64) {
        self.watcher.barrier_all();
        let emptied = self.pipes.iter().map(PipeState::emptied).fold(now, f64::max);
        if emptied <= self.scalar {
            return;
        }
        self.scalar = emptied;
        for pipe in &mut self.pipes {
            pipe.waits_for = Some(Wait::Barrier);
            pipe.begins_tile = true;
        }
    }

    /// An instruction touches memory.
    pub(super) fn touch(&mut self, who: Who, work: Work<'_>, found: &mut Vec<Hazard>) {
        let (touches, n_touches) = values::touches(work);
        let global = values::global_touch(work);
        self.watcher.begin(who, &touches[..n_touches], global, found);
        if let Some((strip, writes)) = global {
            self.footprint.add(who, writes, strip);
        }
    }

    /// The scalar core is busy.
    pub(super) fn run_for(&mut self, cycles: f64) {
        self.scalar += cycles;
        self.report.pipes[Pipe::S as usize].busy += cycles;
    }

    /// Nothing will happen any more: has everything happened?
    pub(super) fn check_ended(&self, index: usize) -> Result<(), KernelError> {
        // Of pipes that wait for each other, the one whose wait comes first in the program.
        let heads = Pipe::ALL.into_iter().filter_map(|pipe| {
            let head = self.pipes[pipe as usize].head()?;
            Some((head.number, pipe, head.issued.instruction))
        });
        let held = self.held.as_ref().map(|held| (self.report.instructions, Pipe::S, held.instruction));
        let first = heads.chain(held).min_by_key(|(number, ..)| *number);
        let Some((_, pipe, head)) = first else { return Ok(()) };
        let why = match head.step {
            Step::Wait(event, id) => format!(
                "nothing sets flag {event} {id} that does not itself wait for {pipe}; a loop's first wait needs a flag that is \
                 set before the loop"
            ),
            _ => "what it is to do next cannot start".to_owned(),
        };
        Err(KernelError { core: Some(index), ..KernelError::new(ErrorKind::Deadlock { pipe, why }, head.at) })
    }

    pub(super) fn finish(mut self) -> CoreReport {
        let end = self.report.end;
        for pipe in &mut self.report.pipes {
            let reason = if pipe.instructions > 0 { Wait::Drain } else { Wait::Fill };
            pipe.waits.add(reason, end - if pipe.instructions > 0 { pipe.last } else { 0.0 });
        }
        self.report
    }
}
