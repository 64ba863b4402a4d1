//! What a kernel can do wrong, found in program order, before any time is simulated.

use std::fmt;
use std::panic::Location;

use crate::element::DType;
use crate::pipe::{Event, Pipe};
use crate::position::Space;

/// A mistake of a kernel, with the line that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// The call.
    pub at: &'static Location<'static>,
    /// The core that ran into it, once that is known.
    pub core: Option<usize>,
}

impl KernelError {
    pub(crate) fn new(kind: ErrorKind, at: &'static Location<'static>) -> Self {
        KernelError { kind, at, core: None }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(core) = self.core {
            write!(f, "core {core}, ")?;
        }
        write!(f, "{}:{}: {}", self.at.file(), self.at.line(), self.kind)
    }
}

impl std::error::Error for KernelError {}

/// A queue or buffer in a table of what a memory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its name: position and number, or what the kernel called it.
    pub name: String,
    /// Blocks.
    pub num: u32,
    /// Bytes of one.
    pub len: u64,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A memory is too small for its queues.
    #[error("{}", overflow(*space, *capacity, *reserved, shares))]
    Overflow {
        /// The memory.
        space: Space,
        /// Bytes that kernels may use.
        capacity: u64,
        /// Bytes of it that the system keeps.
        reserved: u64,
        /// What is to lie in it; the last one does not fit.
        shares: Vec<Share>,
    },
    /// `init_buffer` with a count or a length that is none.
    #[error(
        "init_buffer of {name} with {num} blocks of {len} B: from 1 to 64 blocks of at least 1 B are possible"
    )]
    Buffer {
        /// The queue.
        name: String,
        /// Blocks.
        num: u32,
        /// Bytes of one.
        len: u64,
    },
    /// More queues, blocks and buffers than a pipe can hold.
    #[error("{count} blocks over all queues: a TPipe holds 64; merge inputs into one block, with offsets")]
    Handles {
        /// Blocks in all.
        count: usize,
    },
    /// `alloc_tensor` of a queue none of whose blocks is free.
    #[error(
        "alloc_tensor of {name}: none of its {num} blocks is free ({}); on hardware this waits for ever: free or enque one \
         before, or give the queue more blocks", held(*occupied, *enqueued, *dequeued)
    )]
    NoFreeBlock {
        /// The queue.
        name: String,
        /// Its blocks.
        num: u32,
        /// Allocated and not enqueued.
        occupied: u32,
        /// Enqueued and not dequeued.
        enqueued: u32,
        /// Dequeued and not freed.
        dequeued: u32,
    },
    /// `deque` of an empty queue.
    #[error("deque of {name}: nothing is enqueued")]
    Empty {
        /// The queue.
        name: String,
    },
    /// More `enque` than the depth.
    #[error(
        "enque into {name}: as many blocks are enqueued as its depth of {depth} allows; deque one before, or give it a \
         greater depth"
    )]
    Depth {
        /// The queue.
        name: String,
        /// Its depth.
        depth: u32,
    },
    /// A tensor that another queue gave.
    #[error("{call} of {name}: the tensor is a block of {other}")]
    Foreign {
        /// The call.
        call: &'static str,
        /// The queue.
        name: String,
        /// The queue it belongs to.
        other: String,
    },
    /// `free_tensor` of a block that was not dequeued.
    #[error("free_tensor of {name}: the block was allocated and not enqueued yet")]
    FreeBeforeEnque {
        /// The queue.
        name: String,
    },
    /// A tensor that was taken and never given back.
    #[error("a tensor of {name} was taken here and never given back: enque or free it")]
    Forgotten {
        /// The queue.
        name: String,
    },
    /// Blocks that are not free when the kernel ends.
    #[error("the kernel ends while blocks of {name} are not free: {}", held(*occupied, *enqueued, *dequeued))]
    Left {
        /// The queue.
        name: String,
        /// Allocated and not enqueued.
        occupied: u32,
        /// Enqueued and not dequeued.
        enqueued: u32,
        /// Dequeued and not freed.
        dequeued: u32,
    },
    /// No event id is left.
    #[error(
        "{name}: all {ids} ids of event {event} that kernels have are in use; on hardware the kernel hangs: enqueue fewer blocks of this \
         position at once, or merge inputs into one block, with offsets"
    )]
    Ids {
        /// The queue.
        name: String,
        /// The event.
        event: Event,
        /// How many ids it has.
        ids: u32,
    },
    /// A flag that cannot be: a pipe with itself, or an id that there is not.
    #[error("flag {event} with id {id}: {why}")]
    Flag {
        /// The event.
        event: Event,
        /// The id.
        id: u32,
        /// What is wrong.
        why: &'static str,
    },
    /// A flag set twice without a wait between.
    #[error(
        "set_flag {event} {id}: it is set already and nobody waited for it; what hardware does then is undefined"
    )]
    SetTwice {
        /// The event.
        event: Event,
        /// The id.
        id: u32,
    },
    /// A flag set that nobody waits for.
    #[error("set_flag {event} {id}: the kernel ends and nobody waited for it")]
    NeverWaited {
        /// The event.
        event: Event,
        /// The id.
        id: u32,
    },
    /// A wait for a flag that is never set.
    #[error("wait_flag {event} {id}: nothing sets it; on hardware pipe {} hangs", event.to)]
    NeverSet {
        /// The event.
        event: Event,
        /// The id.
        id: u32,
    },
    /// Pipes that wait for each other.
    #[error("pipe {pipe} waits for ever: {why}")]
    Deadlock {
        /// The pipe.
        pipe: Pipe,
        /// For what.
        why: String,
    },
    /// `pipe_barrier` of the scalar pipe.
    #[error("pipe_barrier of pipe S: it is not allowed; the scalar core runs in order")]
    ScalarBarrier,
    /// An address that is no multiple of what it must be.
    #[error("{what} at byte {address} of {space}: the address must be a multiple of {alignment}")]
    Unaligned {
        /// The operand.
        what: &'static str,
        /// Its address.
        address: u32,
        /// Its memory.
        space: Space,
        /// What it must be a multiple of.
        alignment: u32,
    },
    /// A copy whose size hardware would round down in silence.
    #[error(
        "data_copy of {count} {dtype}: {bytes} B are no multiple of 32, and hardware copies {} B without a word; use \
         data_copy_pad", bytes / 32 * 32
    )]
    RoundedDown {
        /// Elements.
        count: u64,
        /// Their type.
        dtype: DType,
        /// Their bytes.
        bytes: u64,
    },
    /// More elements than there are.
    #[error("{what}: {needed} {dtype} are needed, {limit} are there")]
    OutOfBounds {
        /// The operand.
        what: &'static str,
        /// Elements needed, from its beginning.
        needed: u64,
        /// Elements there.
        limit: u64,
        /// Their type.
        dtype: DType,
    },
    /// A parameter beyond its range.
    #[error("{what} is {value}: {range} is possible")]
    Range {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: i64,
        /// What is possible.
        range: &'static str,
    },
    /// An operand in a memory that the instruction cannot reach, or of a position it does not take.
    #[error("{what} lies in {space}: {call} takes {expected}")]
    Place {
        /// The call.
        call: &'static str,
        /// The operand.
        what: &'static str,
        /// Where it lies.
        space: Space,
        /// Where it should lie.
        expected: &'static str,
    },
    /// Source and destination that overlap in part.
    #[error("{call}: source and destination overlap in part; they must be the same or apart")]
    Overlap {
        /// The call.
        call: &'static str,
    },
    /// An instruction that this architecture or element type does not have.
    #[error("{call}: {why}")]
    Unsupported {
        /// The call.
        call: &'static str,
        /// Why.
        why: String,
    },
    /// A call of Ascend C that the model does not have.
    #[error("{call} is not modelled: {instead}")]
    NotModelled {
        /// The call.
        call: &'static str,
        /// Why, and what to do instead.
        instead: &'static str,
    },
    /// Two cores write one place of global memory.
    #[error(
        "cores {first} and {second} both write bytes {start}..{end} of global tensor {tensor}: what stays is chance"
    )]
    SharedWrite {
        /// A core.
        first: usize,
        /// The other one.
        second: usize,
        /// The tensor.
        tensor: u32,
        /// First byte.
        start: u64,
        /// Behind the last byte.
        end: u64,
    },
    /// A second `TPipe` at once.
    #[error("a second TPipe: a kernel has one at a time")]
    SecondPipe,
    /// More cores than the device has, or none.
    #[error("{asked} cores: device {device} has {available}")]
    Cores {
        /// Cores asked for.
        asked: usize,
        /// Cores there are.
        available: usize,
        /// The device.
        device: String,
    },
    /// The launch was given up because of another core's error.
    #[error("another core's error ended the launch")]
    Stopped,
    /// The kernel's code panicked.
    #[error("the kernel panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

fn held(occupied: u32, enqueued: u32, dequeued: u32) -> String {
    let states = [(occupied, "allocated"), (enqueued, "enqueued"), (dequeued, "dequeued and not freed")];
    let held = states.iter().filter(|(count, _)| *count > 0);
    held.map(|(count, state)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

/// A table of what is to lie in a memory, and what would fit.
fn overflow(space: Space, capacity: u64, reserved: u64, shares: &[Share]) -> String {
    let bytes = |share: &Share| u64::from(share.num).saturating_mul(share.len);
    let total = |shares: &[Share]| shares.iter().map(bytes).fold(0, u64::saturating_add);
    let needed = total(shares);
    let mut text = format!(
        "{space} overflow: {needed} B are needed, {capacity} B are there{}\n",
        if reserved > 0 { format!(" (the system keeps {reserved} B more)") } else { String::new() }
    );
    for share in shares {
        let part = bytes(share);
        let percent = 100.0 * part as f64 / capacity as f64;
        text += &format!(
            "  {:<12} {:>3} x {:>8} B = {part:>9} B {percent:>6.1} %\n",
            share.name, share.num, share.len
        );
    }
    let Some((last, before)) = shares.split_last() else { return text };
    let left = capacity.saturating_sub(total(before));
    let (num, len) = (left / last.len.max(1), left / u64::from(last.num.max(1)) / 32 * 32);
    let mut fits = Vec::new();
    if num > 0 {
        fits.push(format!("with {num} x {} B", last.len));
    }
    if len > 0 {
        fits.push(format!("with {} x {len} B", last.num));
    }
    text += &match fits.is_empty() {
        true => format!("  nothing is left for {}", last.name),
        false => format!("  {} fits {}", last.name, fits.join(" or ")),
    };
    let percent = (1000.0 * capacity as f64 / needed as f64).floor() / 10.0;
    text + &format!("; all fit with blocks of {percent:.1} % of their size")
}
