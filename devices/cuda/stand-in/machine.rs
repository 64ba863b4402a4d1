//! Streams with a thread each, events, and the engines that streams share.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::faults::{Fault, strike};
use crate::kernels::Function;
use crate::memory::memory;

pub(crate) const INVALID_VALUE: u32 = 1;
pub(crate) const OUT_OF_MEMORY: u32 = 2;
pub(crate) const NOT_INITIALIZED: u32 = 3;
pub(crate) const INVALID_DEVICE: u32 = 101;
pub(crate) const INVALID_CONTEXT: u32 = 201;
pub(crate) const NO_BINARY_FOR_GPU: u32 = 209;
pub(crate) const INVALID_PTX: u32 = 218;
pub(crate) const UNSUPPORTED_PTX_VERSION: u32 = 222;
pub(crate) const INVALID_HANDLE: u32 = 400;
pub(crate) const NOT_FOUND: u32 = 500;
pub(crate) const NOT_READY: u32 = 600;
pub(crate) const ILLEGAL_ADDRESS: u32 = 700;
pub(crate) const CAPTURE_UNSUPPORTED: u32 = 900;
pub(crate) const CAPTURE_INVALIDATED: u32 = 901;

/// What a kernel's or a copy's error left: every call fails with it from then on.
static STUCK: AtomicU32 = AtomicU32::new(0);

pub(crate) fn stuck() -> Result<(), u32> {
    match STUCK.load(Ordering::Acquire) {
        0 => Ok(()),
        code => Err(code),
    }
}

/// How fast it is: `NBUFFER_STAND_IN_COPY_GBPS` for each direction, `NBUFFER_STAND_IN_KERNEL_NS` for a work item.
struct Speed {
    copy_bytes_ns: f64,
    kernel_ns: f64,
}

fn speed() -> &'static Speed {
    static SPEED: OnceLock<Speed> = OnceLock::new();
    SPEED.get_or_init(|| {
        let number = |name: &str, otherwise| {
            std::env::var(name)
                .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
        };
        Speed {
            copy_bytes_ns: number("NBUFFER_STAND_IN_COPY_GBPS", 4.0),
            kernel_ns: number("NBUFFER_STAND_IN_KERNEL_NS", 0.25),
        }
    })
}

/// What does one thing at a time, for all streams.
static WRITES: Mutex<()> = Mutex::new(());
static READS: Mutex<()> = Mutex::new(());
static KERNELS: Mutex<()> = Mutex::new(());

/// A piece of work.
#[derive(Clone)]
pub(crate) enum Op {
    Write {
        to: u64,
        from: usize,
        len: usize,
    },
    Read {
        to: usize,
        from: u64,
        len: usize,
    },
    Copy {
        to: u64,
        from: u64,
        len: usize,
    },
    Set {
        to: u64,
        value: u8,
        len: usize,
    },
    Launch {
        function: Arc<Function>,
        arguments: Vec<Vec<u8>>,
        work_items: u64,
    },
    Wait(Arc<Event>, u64),
    Reach(Arc<Event>, u64),
    /// Of a graph: the event is recorded when the launch gets there.
    RecordAndReach(Arc<Event>),
    Graph(Arc<Vec<Op>>),
}

pub(crate) struct Stream {
    queue: Mutex<Sender<Op>>,
    capture: Mutex<Option<Capture>>,
    done: Arc<Event>,
}

#[derive(Default)]
pub(crate) struct Capture {
    pub(crate) ops: Vec<Op>,
    pub(crate) invalid: bool,
}

impl Stream {
    pub(crate) fn new() -> Self {
        let (queue, work) = channel();
        thread::Builder::new().name("stream".into()).spawn(move || work_off(&work)).expect("a thread");
        Stream { queue: Mutex::new(queue), capture: Mutex::default(), done: Arc::new(Event::new(false)) }
    }

    /// Gives work to the stream, or to its capture.
    pub(crate) fn push(&self, op: Op) {
        match &mut *self.capture() {
            Some(capture) => capture.ops.push(op),
            None => self.queue.lock().unwrap().send(op).expect("the thread runs as long as the stream"),
        }
    }

    pub(crate) fn capture(&self) -> std::sync::MutexGuard<'_, Option<Capture>> {
        self.capture.lock().unwrap()
    }

    pub(crate) fn synchronise(&self) -> Result<(), u32> {
        self.push(Op::Reach(Arc::clone(&self.done), self.done.record()));
        self.done.wait()
    }
}

pub(crate) struct Event {
    pub(crate) is_timed: bool,
    state: Mutex<Recorded>,
    reached: Condvar,
}

#[derive(Default)]
struct Recorded {
    /// How often it was recorded, and how many of these were reached.
    recorded: u64,
    reached: u64,
    at: Option<Instant>,
}

impl Event {
    pub(crate) fn new(is_timed: bool) -> Self {
        Event { is_timed, state: Mutex::default(), reached: Condvar::new() }
    }

    /// Records it once more; the number is to be reached.
    pub(crate) fn record(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.recorded += 1;
        state.recorded
    }

    pub(crate) fn recorded(&self) -> u64 {
        self.state.lock().unwrap().recorded
    }

    fn reach(&self, number: u64) {
        let mut state = self.state.lock().unwrap();
        if number > state.reached {
            state.reached = number;
            state.at = Some(Instant::now());
        }
        self.reached.notify_all();
    }

    /// Waits until what is recorded now is reached, or an error sticks.
    pub(crate) fn wait(&self) -> Result<(), u32> {
        self.wait_for(self.recorded())
    }

    fn wait_for(&self, number: u64) -> Result<(), u32> {
        let mut state = self.state.lock().unwrap();
        while state.reached < number {
            stuck()?;
            state = self.reached.wait_timeout(state, Duration::from_millis(5)).unwrap().0;
        }
        stuck()
    }

    pub(crate) fn is_reached(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.reached >= state.recorded
    }

    pub(crate) fn reached_at(&self) -> Result<Instant, u32> {
        let state = self.state.lock().unwrap();
        match state.at {
            Some(_) if state.reached < state.recorded => Err(NOT_READY),
            Some(at) => Ok(at),
            None => Err(INVALID_HANDLE),
        }
    }
}

/// A stream's thread.
fn work_off(work: &Receiver<Op>) {
    for op in work {
        if stuck().is_err() {
            continue;
        }
        if let Err(code) = run(&op) {
            let _ = STUCK.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

fn run(op: &Op) -> Result<(), u32> {
    match op {
        &Op::Write { to, from, len } => {
            let _one = WRITES.lock().unwrap();
            in_halves(len, |start, end| {
                let (bytes, offset) = memory().device(to, len)?;
                let pinned = memory().pinned(from, len).map_err(|_| ILLEGAL_ADDRESS)?;
                let _kept = &pinned;
                // SAFETY: the allocation is kept meanwhile and has these bytes; the driver's rules forbid to write them now.
                let from =
                    unsafe { std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(from), len) };
                bytes.lock().unwrap()[offset..][start..end].copy_from_slice(&from[start..end]);
                Ok(())
            })
        }
        &Op::Read { to, from, len } => {
            let _one = READS.lock().unwrap();
            in_halves(len, |start, end| {
                let (bytes, offset) = memory().device(from, len)?;
                let pinned = memory().pinned(to, len).map_err(|_| ILLEGAL_ADDRESS)?;
                let _kept = &pinned;
                let to = std::ptr::with_exposed_provenance_mut::<u8>(to);
                // SAFETY: the allocation is kept meanwhile and has these bytes; the driver's rules forbid to touch them now.
                let to = unsafe { std::slice::from_raw_parts_mut(to, len) };
                to[start..end].copy_from_slice(&bytes.lock().unwrap()[offset..][start..end]);
                Ok(())
            })
        }
        &Op::Copy { to, from, len } => {
            let _one = KERNELS.lock().unwrap();
            let (from, at) = memory().device(from, len)?;
            let copied = from.lock().unwrap()[at..][..len].to_vec();
            let (to, at) = memory().device(to, len)?;
            to.lock().unwrap()[at..][..len].copy_from_slice(&copied);
            Ok(())
        }
        &Op::Set { to, value, len } => {
            let (to, at) = memory().device(to, len)?;
            to.lock().unwrap()[at..][..len].fill(value);
            Ok(())
        }
        Op::Launch { function, arguments, work_items } => {
            let _one = KERNELS.lock().unwrap();
            match strike("kernel") {
                Some(Fault::Code(code)) => return Err(code),
                Some(Fault::Hang) => loop {
                    thread::park();
                },
                None => {}
            }
            let start = Instant::now();
            function.run(arguments, *work_items)?;
            last_until(start, *work_items as f64 * speed().kernel_ns * function.effort(arguments));
            Ok(())
        }
        Op::Wait(event, number) => event.wait_for(*number),
        Op::Reach(event, number) => {
            event.reach(*number);
            Ok(())
        }
        Op::RecordAndReach(event) => {
            event.reach(event.record());
            Ok(())
        }
        Op::Graph(ops) => ops.iter().try_for_each(run),
    }
}

/// A copy: half of it at its beginning, half at its end.
fn in_halves(len: usize, copy: impl Fn(usize, usize) -> Result<(), u32>) -> Result<(), u32> {
    let start = Instant::now();
    copy(0, len / 2)?;
    last_until(start, len as f64 / speed().copy_bytes_ns);
    copy(len / 2, len)
}

fn last_until(start: Instant, ns: f64) {
    let rest = Duration::from_nanos(ns as u64).saturating_sub(start.elapsed());
    if rest.is_zero() { thread::yield_now() } else { thread::sleep(rest) }
}
