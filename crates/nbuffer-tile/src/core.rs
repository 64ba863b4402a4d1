//! A core as a kernel sees it: it runs the kernel's program in order and leaves instructions for its pipes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use crate::chunk::{Chunk, Draft};
use crate::error::{ErrorKind, KernelError, Share};
use crate::instruction::Op;
use crate::pipe::{Event, Pipe};
use crate::position::{Space, TPosition};
use crate::profile::{Arch, Profile};
use crate::queue::{BlockId, Queue};

/// The most queues' blocks and buffers that a `TPipe` holds (vendor source, kernel_tpipe.h).
pub(crate) const HANDLES: usize = 64;

/// One core that runs a kernel.
///
/// The kernel's code runs in program order: queue states change at once, and every instruction goes to the end of its pipe's
/// stream. When the instructions run, and on which data, is decided by the simulator.
#[derive(Debug)]
pub struct Core {
    index: usize,
    cores: usize,
    profile: Arc<Profile>,
    /// Bytes of each tensor in global memory.
    tensors: Arc<[u64]>,
    recorder: RefCell<Recorder>,
}

#[derive(Debug)]
struct Recorder {
    draft: Draft,
    /// Queue operations since the last instruction.
    calls: u16,
    simulator: SyncSender<Chunk>,
    has_pipe: bool,
    queues: Vec<Queue>,
    /// Next free byte of each memory.
    bump: HashMap<Space, u64>,
    handles: usize,
    /// Ids in use, one bit each, by event.
    ids: Vec<u16>,
    /// Flags set by hand and not waited for, and those waited for and not set, in program order.
    set: HashMap<(Event, u8), &'static Location<'static>>,
    awaited: HashMap<(Event, u8), &'static Location<'static>>,
    /// Registers of the scalar core, and whether each is in use.
    registers: Vec<bool>,
    /// The first thing that went wrong where nothing could be returned.
    failed: Option<KernelError>,
}

impl Core {
    pub(crate) fn new(
        index: usize,
        cores: usize,
        profile: Arc<Profile>,
        tensors: Arc<[u64]>,
        simulator: SyncSender<Chunk>,
    ) -> Self {
        let recorder = Recorder {
            draft: Draft::new(),
            calls: 0,
            simulator,
            has_pipe: false,
            queues: Vec::new(),
            bump: HashMap::new(),
            handles: 0,
            ids: Event::all().map(|event| profile.arch.reserved_ids(event)).collect(),
            set: HashMap::new(),
            awaited: HashMap::new(),
            registers: Vec::new(),
            failed: None,
        };
        Core { index, cores, profile, tensors, recorder: RefCell::new(recorder) }
    }

    /// This core's number among those that run the kernel (`GetBlockIdx`).
    pub fn block_idx(&self) -> usize {
        self.index
    }

    /// How many cores run the kernel (`GetBlockNum`).
    pub fn block_num(&self) -> usize {
        self.cores
    }

    /// The device it belongs to.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Sets a flag once all earlier instructions of `event.from` are complete (`SetFlag`).
    ///
    /// # Errors
    ///
    /// An event or id that there is not, or a flag that is set already.
    #[track_caller]
    pub fn set_flag(&self, event: Event, id: u8) -> Result<(), KernelError> {
        let at = Location::caller();
        self.check_flag(event, id, at)?;
        let mut recorder = self.recorder.borrow_mut();
        if recorder.awaited.remove(&(event, id)).is_none() && recorder.set.insert((event, id), at).is_some() {
            return Err(KernelError::new(ErrorKind::SetTwice { event, id: id.into() }, at));
        }
        recorder.issue(Op::Set(event, id), at)
    }

    /// Holds `event.to` until a flag is set, and clears it (`WaitFlag`).
    ///
    /// # Errors
    ///
    /// An event or id that there is not. A wait for a flag that is never set is found when the kernel ends.
    #[track_caller]
    pub fn wait_flag(&self, event: Event, id: u8) -> Result<(), KernelError> {
        let at = Location::caller();
        self.check_flag(event, id, at)?;
        let mut recorder = self.recorder.borrow_mut();
        if recorder.set.remove(&(event, id)).is_none() && recorder.awaited.insert((event, id), at).is_some() {
            return Err(KernelError::new(ErrorKind::NeverSet { event, id: id.into() }, at));
        }
        recorder.issue(Op::Wait(event, id), at)
    }

    /// Lets a pipe finish what it has before it goes on (`PipeBarrier`).
    ///
    /// # Errors
    ///
    /// The scalar pipe, which has no barrier.
    #[track_caller]
    pub fn pipe_barrier(&self, pipe: Pipe) -> Result<(), KernelError> {
        let at = Location::caller();
        if pipe == Pipe::S {
            return Err(KernelError::new(ErrorKind::ScalarBarrier, at));
        }
        self.check_pipe("pipe_barrier", pipe, at)?;
        self.issue(Op::Barrier(pipe), at)
    }

    /// Lets all pipes finish what they have before anything else is issued (`PipeBarrier<PIPE_ALL>`): the usual way to lose
    /// all overlap.
    ///
    /// # Errors
    ///
    /// When the launch has been given up.
    #[track_caller]
    pub fn pipe_barrier_all(&self) -> Result<(), KernelError> {
        self.issue(Op::BarrierAll, Location::caller())
    }

    fn check_flag(&self, event: Event, id: u8, at: &'static Location<'static>) -> Result<(), KernelError> {
        let arch = self.profile.arch;
        let why = if event.from == event.to {
            "a pipe does not wait for itself; use pipe_barrier"
        } else if !arch.has(event.from) || !arch.has(event.to) {
            "this architecture has no pipe FIX"
        } else if arch.splits(event) {
            "these pipes are on different cores of this architecture"
        } else if u32::from(id) >= self.profile.event_ids {
            "there are fewer ids of an event on this device"
        } else if arch.reserved_ids(event) >> id & 1 == 1 {
            "the system keeps this id"
        } else {
            return Ok(());
        };
        Err(KernelError::new(ErrorKind::Flag { event, id: id.into(), why }, at))
    }

    pub(crate) fn check_pipe(
        &self,
        call: &'static str,
        pipe: Pipe,
        at: &'static Location<'static>,
    ) -> Result<(), KernelError> {
        if self.profile.arch.has(pipe) {
            return Ok(());
        }
        let Profile { arch, name, .. } = &*self.profile;
        let why = format!(
            "architecture {arch} of device {name} has no pipe {pipe}; the way from L0C through V that it has is not modelled"
        );
        Err(KernelError::new(ErrorKind::Unsupported { call, why }, at))
    }

    /// Bytes of a tensor in global memory; none if it is of another memory.
    pub(crate) fn tensor_bytes(&self, buffer: u32) -> u64 {
        self.tensors.get(buffer as usize).copied().unwrap_or(0)
    }

    pub(crate) fn issue(&self, op: Op, at: &'static Location<'static>) -> Result<(), KernelError> {
        self.recorder.borrow_mut().issue(op, at)
    }

    pub(crate) fn begin_pipe(&self, at: &'static Location<'static>) -> Result<(), KernelError> {
        let mut recorder = self.recorder.borrow_mut();
        if recorder.has_pipe {
            return Err(KernelError::new(ErrorKind::SecondPipe, at));
        }
        recorder.has_pipe = true;
        Ok(())
    }

    /// Makes a queue of `num` blocks of `len` bytes, rounded up to 32. Gives its number.
    pub(crate) fn add_queue(
        &self,
        source: TPosition,
        destination: TPosition,
        depth: u32,
        num: u32,
        len: u64,
        at: &'static Location<'static>,
    ) -> Result<usize, KernelError> {
        let mut recorder = self.recorder.borrow_mut();
        let count = recorder.queues.iter().filter(|queue| queue.position == source).count();
        let name = format!("{source} {count}");
        let error = |kind| Err(KernelError::new(kind, at));
        if num == 0 || num as usize > HANDLES || len == 0 {
            return error(ErrorKind::Buffer { name, num, len });
        }
        let handles = recorder.handles + num as usize;
        if handles > HANDLES {
            return error(ErrorKind::Handles { count: handles });
        }
        let (space, len) = (source.space(), len.checked_next_multiple_of(32).unwrap_or(u64::MAX));
        let base = recorder.bump.get(&space).copied().unwrap_or(0);
        let end = base.saturating_add(len.saturating_mul(num.into()));
        let capacity = self.profile.usable(space);
        if end > capacity {
            let there = recorder.queues.iter().filter(|queue| queue.position.space() == space);
            let mut shares: Vec<Share> = there.map(Queue::share).collect();
            shares.push(Share { name, num, len });
            let reserved = self.profile.size(space) - capacity;
            return error(ErrorKind::Overflow { space, capacity, reserved, shares });
        }
        recorder.handles = handles;
        recorder.bump.insert(space, end);
        let arch = self.profile.arch;
        let forward = Event::new(source.pipes(arch).0, destination.pipes(arch).1);
        recorder.queues.push(Queue::new(name, source, forward, depth, num, len as u32, base as u32));
        Ok(recorder.queues.len() - 1)
    }

    /// Works on a queue, with whatever it needs of the core.
    pub(crate) fn with_queue<R>(
        &self,
        index: usize,
        work: impl FnOnce(&mut Queue, &mut Issuer<'_>, &mut Ids<'_>) -> R,
        at: &'static Location<'static>,
    ) -> R {
        let recorder = &mut *self.recorder.borrow_mut();
        let Recorder { queues, draft, calls, simulator, ids, failed, .. } = recorder;
        let issuer = &mut Issuer { draft, calls, simulator, failed, at };
        let ids = &mut Ids { bits: ids, of_event: self.profile.event_ids, arch: self.profile.arch };
        work(&mut queues[index], issuer, ids)
    }

    /// The first register that is not in use, and now is.
    pub(crate) fn take_register(&self) -> u32 {
        let registers = &mut self.recorder.borrow_mut().registers;
        let free = registers.iter().position(|is_used| !is_used).unwrap_or(registers.len());
        if free == registers.len() {
            registers.push(true);
        }
        registers[free] = true;
        free as u32
    }

    pub(crate) fn free_register(&self, register: u32) {
        self.recorder.borrow_mut().registers[register as usize] = false;
    }

    /// The name of a queue.
    pub(crate) fn queue_name(&self, index: usize) -> String {
        self.recorder.borrow().queues[index].name.clone()
    }

    /// A tensor went without being given back. Nothing can be returned where that is found: the next call does.
    pub(crate) fn forgotten(&self, block: BlockId, at: &'static Location<'static>) {
        let recorder = &mut *self.recorder.borrow_mut();
        // After another error the kernel returns early, and its tensors go as they are.
        if recorder.failed.is_none() && !std::thread::panicking() {
            let name = recorder.queues[block.queue].name.clone();
            recorder.failed = Some(KernelError::new(ErrorKind::Forgotten { name }, at));
        }
    }

    /// The kernel is over: everything must be given back, and every flag waited for.
    pub(crate) fn finish(&self, kernel: Result<(), KernelError>) -> Result<(), KernelError> {
        let recorder = &mut *self.recorder.borrow_mut();
        // What the kernel returned comes before what its early return left lying.
        kernel?;
        if let Some(failed) = recorder.failed.take() {
            return Err(failed);
        }
        for queue in &recorder.queues {
            queue.check_end()?;
        }
        let first = |flags: &HashMap<(Event, u8), &'static Location<'static>>| {
            flags.iter().min_by_key(|(flag, _)| **flag).map(|((event, id), at)| (*event, u32::from(*id), *at))
        };
        if let Some((event, id, at)) = first(&recorder.awaited) {
            return Err(KernelError::new(ErrorKind::NeverSet { event, id }, at));
        }
        if let Some((event, id, at)) = first(&recorder.set) {
            return Err(KernelError::new(ErrorKind::NeverWaited { event, id }, at));
        }
        let _ = recorder.simulator.send(recorder.draft.take());
        Ok(())
    }
}

/// The ids of events.
pub(crate) struct Ids<'a> {
    bits: &'a mut [u16],
    of_event: u32,
    arch: Arch,
}

impl Ids<'_> {
    /// The lowest id of an event that is not in use.
    pub(crate) fn take(&mut self, event: Event) -> Option<u8> {
        let bits = &mut self.bits[event.index()];
        let id = bits.trailing_ones();
        (id < self.of_event).then(|| {
            *bits |= 1 << id;
            id as u8
        })
    }

    pub(crate) fn give_back(&mut self, event: Event, id: u8) {
        self.bits[event.index()] &= !(1 << id);
    }

    /// How many ids of an event kernels have.
    pub(crate) fn of_event(&self, event: Event) -> u32 {
        self.of_event - self.arch.reserved_ids(event).count_ones()
    }
}

impl Recorder {
    fn issue(&mut self, op: Op, at: &'static Location<'static>) -> Result<(), KernelError> {
        let Recorder { draft, calls, simulator, failed, .. } = self;
        Issuer { draft, calls, simulator, failed, at }.issue(op)
    }
}

/// Puts the instructions of one call behind those before.
pub(crate) struct Issuer<'a> {
    draft: &'a mut Draft,
    calls: &'a mut u16,
    simulator: &'a SyncSender<Chunk>,
    failed: &'a Option<KernelError>,
    at: &'static Location<'static>,
}

impl Issuer<'_> {
    /// The scalar core runs the code of a queue operation.
    pub(crate) fn queue_call(&mut self) {
        *self.calls = self.calls.saturating_add(1);
    }

    pub(crate) fn issue(&mut self, op: Op) -> Result<(), KernelError> {
        if let Some(failed) = self.failed {
            return Err(failed.clone());
        }
        self.draft.push(op, std::mem::take(self.calls), self.at);
        let Some(full) = self.draft.take_full() else { return Ok(()) };
        // Nobody listens any more once another core has failed.
        self.simulator.send(full).map_err(|_| KernelError::new(ErrorKind::Stopped, self.at))
    }
}
