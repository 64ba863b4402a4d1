//! `TPipe`, `TQue` and `TBuf`: blocks of the core's memories, handed from pipe to pipe.

use std::marker::PhantomData;
use std::panic::Location;

use crate::core::{Core, Ids, Issuer};
use crate::element::Element;
use crate::error::{ErrorKind, KernelError, Share};
use crate::instruction::Op;
use crate::pipe::Event;
use crate::position::{Position, TPosition};
use crate::tensor::{Local, LocalTensor};

/// Which block of which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockId {
    pub(crate) queue: usize,
    pub(crate) block: usize,
}

/// The life of a block, which changes in program order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockState {
    Free,
    Occupied,
    /// With the id of the event its user waits for.
    Enqueued(u8),
    Dequeued,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    state: BlockState,
    /// The id of the event that its filler waits for before it fills it again.
    freed: Option<u8>,
    /// When it was allocated last.
    taken_at: &'static Location<'static>,
}

/// A queue's blocks as the core keeps them.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) position: TPosition,
    forward: Event,
    depth: u32,
    len: u32,
    base: u32,
    blocks: Vec<Block>,
    /// Where the search for a free block begins.
    cursor: usize,
    /// Enqueued blocks, oldest first.
    order: std::collections::VecDeque<usize>,
}

impl Queue {
    pub(crate) fn new(
        name: String,
        position: TPosition,
        forward: Event,
        depth: u32,
        num: u32,
        len: u32,
        base: u32,
    ) -> Self {
        let block = Block { state: BlockState::Free, freed: None, taken_at: Location::caller() };
        let blocks = vec![block; num as usize];
        Queue { name, position, forward, depth, len, base, blocks, cursor: 0, order: Default::default() }
    }

    pub(crate) fn share(&self) -> Share {
        Share { name: self.name.clone(), num: self.blocks.len() as u32, len: self.len.into() }
    }

    /// Blocks that are allocated, enqueued and dequeued.
    fn held(&self) -> [u32; 3] {
        let count =
            |is: fn(&BlockState) -> bool| self.blocks.iter().filter(|block| is(&block.state)).count() as u32;
        [
            count(|state| *state == BlockState::Occupied),
            count(|state| matches!(state, BlockState::Enqueued(_))),
            count(|state| *state == BlockState::Dequeued),
        ]
    }

    pub(crate) fn check_end(&self) -> Result<(), KernelError> {
        let Some(left) = self.blocks.iter().find(|block| block.state != BlockState::Free) else {
            return Ok(());
        };
        let [occupied, enqueued, dequeued] = self.held();
        let name = self.name.clone();
        Err(KernelError::new(ErrorKind::Left { name, occupied, enqueued, dequeued }, left.taken_at))
    }

    fn backward(&self) -> Event {
        Event::new(self.forward.to, self.forward.from)
    }
}

/// Hands out the memories of a core. A kernel has one at a time.
#[derive(Debug)]
pub struct TPipe<'c> {
    core: &'c Core,
}

impl<'c> TPipe<'c> {
    /// The core's pipe.
    ///
    /// # Errors
    ///
    /// A second one.
    #[track_caller]
    pub fn new(core: &'c Core) -> Result<Self, KernelError> {
        core.begin_pipe(Location::caller())?;
        Ok(TPipe { core })
    }

    /// Makes a queue of `num` blocks of `len` bytes each, rounded up to 32 (`InitBuffer`): 1 block is no double
    /// buffering, 2 are. `DEPTH`, how many blocks may be enqueued at once, is another matter; a depth of 0, which asks for calls in
    /// place, is not modelled.
    ///
    /// # Errors
    ///
    /// Counts out of range, or a memory that is too small, with a table of all its queues.
    #[track_caller]
    pub fn init_buffer<A: Position, B: Position, const DEPTH: u32>(
        &self,
        num: u32,
        len: u64,
    ) -> Result<TQueBind<'c, A, B, DEPTH>, KernelError> {
        let at = Location::caller();
        if DEPTH == 0 {
            let instead = "calls in place are not there; give the queue a depth of 1";
            return Err(KernelError::new(ErrorKind::NotModelled { call: "a queue of depth 0", instead }, at));
        }
        let index = self.core.add_queue(A::POSITION, B::POSITION, DEPTH, num, len, at)?;
        Ok(TQueBind { core: self.core, index, positions: PhantomData })
    }

    /// Makes a buffer of `len` bytes for intermediate results.
    ///
    /// # Errors
    ///
    /// As [`init_buffer`](TPipe::init_buffer).
    #[track_caller]
    pub fn init_tbuf<P: Position>(&self, len: u64) -> Result<TBuf<'c, P>, KernelError> {
        let at = Location::caller();
        let index = self.core.add_queue(P::POSITION, P::POSITION, 1, 1, len, at)?;
        Ok(TBuf { core: self.core, index, position: PhantomData })
    }
}

/// A queue whose blocks are filled at position `A` and used at position `B`.
#[derive(Debug)]
pub struct TQueBind<'c, A: Position, B: Position, const DEPTH: u32 = 1> {
    core: &'c Core,
    index: usize,
    positions: PhantomData<(A, B)>,
}

/// A queue at one position.
pub type TQue<'c, P, const DEPTH: u32 = 1> = TQueBind<'c, P, P, DEPTH>;

impl<'c, A: Position, B: Position, const DEPTH: u32> TQueBind<'c, A, B, DEPTH> {
    /// Takes a free block to fill (`AllocTensor`). Its filler waits until the block's last user is done.
    ///
    /// # Errors
    ///
    /// No free block. On hardware that waits for ever.
    #[track_caller]
    pub fn alloc_tensor<T: Element>(&self) -> Result<LocalTensor<'c, T, A>, KernelError> {
        let at = Location::caller();
        let taken = |queue: &mut Queue, issuer: &mut Issuer<'_>, ids: &mut Ids<'_>| {
            let num = queue.blocks.len();
            let is_free = |block: &usize| queue.blocks[*block].state == BlockState::Free;
            let Some(block) = (0..num).map(|i| (queue.cursor + i) % num).find(is_free) else {
                let [occupied, enqueued, dequeued] = queue.held();
                let (name, num) = (queue.name.clone(), num as u32);
                let kind = ErrorKind::NoFreeBlock { name, num, occupied, enqueued, dequeued };
                return Err(KernelError::new(kind, at));
            };
            queue.cursor = (block + 1) % num;
            let freed = queue.blocks[block].freed.take();
            queue.blocks[block] = Block { state: BlockState::Occupied, freed: None, taken_at: at };
            issuer.queue_call();
            if let Some(id) = freed {
                issuer.issue(Op::Wait(queue.backward(), id))?;
                ids.give_back(queue.backward(), id);
            }
            Ok((block, queue.base + block as u32 * queue.len, queue.len))
        };
        let (block, address, len) = self.core.with_queue(self.index, taken, at)?;
        Ok(self.tensor(block, address, len, at))
    }

    /// Hands a filled block on (`EnQue`): its user waits until its filler is done.
    ///
    /// # Errors
    ///
    /// Another queue's block, more blocks than the depth, or no event id left.
    #[track_caller]
    pub fn enque<T: Element>(&self, tensor: LocalTensor<'c, T, A>) -> Result<(), KernelError> {
        let at = Location::caller();
        let block = self.own(tensor.give_back(), "enque", at)?;
        let enqueued = |queue: &mut Queue, issuer: &mut Issuer<'_>, ids: &mut Ids<'_>| {
            let name = || queue.name.clone();
            if queue.order.len() as u32 >= queue.depth {
                return Err(KernelError::new(ErrorKind::Depth { name: name(), depth: queue.depth }, at));
            }
            let Some(id) = ids.take(queue.forward) else {
                let kind =
                    ErrorKind::Ids { name: name(), event: queue.forward, ids: ids.of_event(queue.forward) };
                return Err(KernelError::new(kind, at));
            };
            queue.blocks[block].state = BlockState::Enqueued(id);
            queue.order.push_back(block);
            issuer.queue_call();
            issuer.issue(Op::Set(queue.forward, id))
        };
        self.core.with_queue(self.index, enqueued, at)
    }

    /// Takes the oldest enqueued block (`DeQue`).
    ///
    /// # Errors
    ///
    /// An empty queue.
    #[track_caller]
    pub fn deque<T: Element>(&self) -> Result<LocalTensor<'c, T, B>, KernelError> {
        let at = Location::caller();
        let dequeued = |queue: &mut Queue, issuer: &mut Issuer<'_>, ids: &mut Ids<'_>| {
            let Some(block) = queue.order.pop_front() else {
                return Err(KernelError::new(ErrorKind::Empty { name: queue.name.clone() }, at));
            };
            let BlockState::Enqueued(id) = queue.blocks[block].state else {
                unreachable!("a block in the queue is enqueued");
            };
            queue.blocks[block].state = BlockState::Dequeued;
            issuer.queue_call();
            issuer.issue(Op::Wait(queue.forward, id))?;
            ids.give_back(queue.forward, id);
            Ok((block, queue.base + block as u32 * queue.len, queue.len))
        };
        let (block, address, len) = self.core.with_queue(self.index, dequeued, at)?;
        Ok(self.tensor(block, address, len, at))
    }

    /// Gives a block back (`FreeTensor`). It is free at once in program order; whoever fills it next waits until its user is
    /// done.
    ///
    /// # Errors
    ///
    /// Another queue's block, one that was never enqueued, or no event id left.
    #[track_caller]
    pub fn free_tensor<T: Element>(&self, tensor: LocalTensor<'c, T, B>) -> Result<(), KernelError> {
        let at = Location::caller();
        let block = self.own(tensor.give_back(), "free_tensor", at)?;
        let freed = |queue: &mut Queue, issuer: &mut Issuer<'_>, ids: &mut Ids<'_>| {
            let name = || queue.name.clone();
            if queue.blocks[block].state != BlockState::Dequeued {
                return Err(KernelError::new(ErrorKind::FreeBeforeEnque { name: name() }, at));
            }
            let event = queue.backward();
            let Some(id) = ids.take(event) else {
                let kind = ErrorKind::Ids { name: name(), event, ids: ids.of_event(event) };
                return Err(KernelError::new(kind, at));
            };
            let block = &mut queue.blocks[block];
            (block.state, block.freed) = (BlockState::Free, Some(id));
            issuer.queue_call();
            issuer.issue(Op::Set(event, id))
        };
        self.core.with_queue(self.index, freed, at)
    }

    /// Makes the queue's filler wait now for all that its blocks' users are to be done with, so that the ids of these events are free for
    /// others (`FreeAllEvent`).
    ///
    /// # Errors
    ///
    /// When the launch has been given up.
    #[track_caller]
    pub fn free_all_event(&self) -> Result<(), KernelError> {
        let at = Location::caller();
        let waited = |queue: &mut Queue, issuer: &mut Issuer<'_>, ids: &mut Ids<'_>| {
            let event = queue.backward();
            for id in queue.blocks.iter_mut().filter_map(|block| block.freed.take()) {
                issuer.issue(Op::Wait(event, id))?;
                ids.give_back(event, id);
            }
            Ok(())
        };
        self.core.with_queue(self.index, waited, at)
    }

    /// How many blocks are enqueued (`GetTensorCountInQue`).
    pub fn tensor_count(&self) -> usize {
        self.look(|queue| queue.order.len())
    }

    /// Whether any block is enqueued (`HasTensorInQue`).
    pub fn has_tensor(&self) -> bool {
        self.tensor_count() > 0
    }

    /// Whether another block may be enqueued (`VacantInQue`).
    pub fn has_vacancy(&self) -> bool {
        self.look(|queue| (queue.order.len() as u32) < queue.depth)
    }

    /// Whether a block is free (`HasIdleBuffer`).
    pub fn has_idle_buffer(&self) -> bool {
        self.look(|queue| queue.blocks.iter().any(|block| block.state == BlockState::Free))
    }

    fn look<R>(&self, at_what: impl FnOnce(&Queue) -> R) -> R {
        self.core.with_queue(self.index, |queue, _, _| at_what(queue), Location::caller())
    }

    fn own(
        &self,
        id: BlockId,
        call: &'static str,
        at: &'static Location<'static>,
    ) -> Result<usize, KernelError> {
        if id.queue == self.index {
            return Ok(id.block);
        }
        let (name, other) = (self.core.queue_name(self.index), self.core.queue_name(id.queue));
        Err(KernelError::new(ErrorKind::Foreign { call, name, other }, at))
    }

    fn tensor<T: Element, P: Position>(
        &self,
        block: usize,
        address: u32,
        len: u32,
        at: &'static Location<'static>,
    ) -> LocalTensor<'c, T, P> {
        let view = Local::new(A::POSITION.space(), address, len / T::DTYPE.size());
        LocalTensor::new(self.core, BlockId { queue: self.index, block }, view, at)
    }
}

/// A buffer for intermediate results: one block, which nobody waits for.
#[derive(Debug)]
pub struct TBuf<'c, P: Position> {
    core: &'c Core,
    index: usize,
    position: PhantomData<P>,
}

impl<P: Position> TBuf<'_, P> {
    /// Its elements, for an instruction (`Get`).
    pub fn get<T: Element>(&self) -> Local<'_, T> {
        let place = |queue: &mut Queue| (queue.base, queue.len);
        let (address, len) = self.core.with_queue(self.index, |queue, _, _| place(queue), Location::caller());
        Local::new(P::POSITION.space(), address, len / T::DTYPE.size())
    }
}
