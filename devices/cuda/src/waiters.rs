//! What waits for the device, and tells what became of each item.
//!
//! Two threads a lane, in a row: the first waits for writes and gives inputs back, so that they are filled again while the
//! kernel runs; the second waits for reads and tells results. An item passes from the first to the second, so its input is
//! always told before its result.
//!
//! Why threads that wait, and no host functions in the streams: a host function may not call the driver, so it could read
//! no times; it is not called at all once something has failed; and it holds its stream up until it has returned.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nbuffer_runtime::{
    Called, Completions, DeviceError, DeviceSpan, DeviceSpans, Ended, InputSet, OutputSet, Transit,
};

use crate::clock::Reference;
use crate::driver::{Context, DeviceMemory, Event, Failure};
use crate::program::Prepared;

type CudaCalled = Called<InputSet, OutputSet>;

/// An item the device has been given.
pub(crate) struct Issued {
    pub(crate) id: Transit,
    /// Until it is given back.
    pub(crate) input: Option<InputSet>,
    pub(crate) output: OutputSet,
    /// What the kernel reads. It outlives an input that is given back, and dropped, before the kernel has run.
    pub(crate) read_by_kernel: Vec<Arc<DeviceMemory>>,
    /// When the submit began.
    pub(crate) given_at: Instant,
    pub(crate) marks: Arc<Marks>,
    /// What its times count from; or why it fails once its marks are reached.
    pub(crate) end: Result<Arc<Reference>, DeviceError>,
}

/// The points of an item's way.
#[derive(Debug)]
pub(crate) struct Marks {
    pub(crate) write: Stretch,
    pub(crate) kernel: Stretch,
    pub(crate) read: Stretch,
    /// In a graph: all of it is over. What a graph records itself can be waited for only after that.
    pub(crate) landed: Option<Event>,
}

/// Where a stage begins and ends.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) start: Event,
    pub(crate) end: Event,
}

impl Marks {
    fn of_streams(context: &Arc<Context>) -> Result<Self, Failure> {
        let awaited = || Ok(Stretch { start: Event::timed(context)?, end: Event::awaited(context)? });
        Ok(Marks { write: awaited()?, kernel: Stretch::timed(context)?, read: awaited()?, landed: None })
    }

    pub(crate) fn of_graph(context: &Arc<Context>) -> Result<Self, Failure> {
        let timed = || Stretch::timed(context);
        Ok(Marks {
            write: timed()?,
            kernel: timed()?,
            read: timed()?,
            landed: Some(Event::awaited(context)?),
        })
    }

    /// Waits until the item is over.
    fn wait(&self) -> Result<(), Failure> {
        self.landed.as_ref().unwrap_or(&self.read.end).wait()
    }
}

impl Stretch {
    fn timed(context: &Arc<Context>) -> Result<Self, Failure> {
        Ok(Stretch { start: Event::timed(context)?, end: Event::timed(context)? })
    }
}

/// The threads of one lane. Dropping it ends them: at once if the lane is empty, and otherwise, without waiting for it, when
/// the device is done with what it holds.
pub(crate) struct Waiters {
    shared: Arc<Shared>,
    writes: Option<Sender<Issued>>,
    reads: Option<Sender<Issued>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a lane shares with its threads. It keeps the code loaded that may still run.
pub(crate) struct Shared {
    prepared: Arc<Prepared>,
    completions: OnceLock<Completions<InputSet, OutputSet>>,
    lost: AtomicBool,
    inside: AtomicUsize,
    /// Marks that no item uses.
    spare: Mutex<Vec<Arc<Marks>>>,
}

impl Waiters {
    pub(crate) fn start(prepared: &Arc<Prepared>, lane: usize) -> Result<Self, DeviceError> {
        let shared = Arc::new(Shared {
            prepared: Arc::clone(prepared),
            completions: OnceLock::new(),
            lost: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            spare: Mutex::default(),
        });
        let (writes, written) = channel();
        let (reads, landing) = channel();
        let mut waiters =
            Waiters { shared, writes: Some(writes), reads: Some(reads.clone()), threads: Vec::new() };
        let spawn = |role: &str, body: Box<dyn FnOnce() + Send>| {
            let name = format!("cuda {role} {lane}");
            thread::Builder::new().name(name).spawn(body).map_err(|error| DeviceError::Unavailable {
                device: prepared.device.clone(),
                why: format!("lane {lane} cannot start a thread: {error}"),
            })
        };
        let shared = Arc::clone(&waiters.shared);
        let body = move || shared.give_inputs_back(&written, &reads);
        waiters.threads.push(spawn("writes", Box::new(body))?);
        let shared = Arc::clone(&waiters.shared);
        let body = move || shared.tell_results(&landing);
        waiters.threads.push(spawn("reads", Box::new(body))?);
        Ok(waiters)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Tells of this item when the time comes.
    pub(crate) fn follow(&self, issued: Issued) {
        // Relaxed: only the lane's owner reads it, after its own additions; a subtraction seen late makes it not wait.
        self.shared.inside.fetch_add(1, Ordering::Relaxed);
        let next = if issued.marks.landed.is_some() { &self.reads } else { &self.writes };
        let next = next.as_ref().expect("the senders live until the lane is dropped");
        if let Err(unsent) = next.send(issued) {
            // The threads end early only when they panic, and the device may still work with the sets.
            mem::forget(unsent);
        }
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        for thread in self.threads.drain(..) {
            // A completion may be what drops the lane, on one of its own threads; and a device that hangs is not waited for.
            let is_idle = self.shared.inside.load(Ordering::Relaxed) == 0;
            if is_idle && thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    /// Says whom to tell. Nothing is told before a lane's first submit.
    pub(crate) fn open(&self, completions: Completions<InputSet, OutputSet>) {
        let _ = self.completions.set(completions);
    }

    pub(crate) fn is_lost(&self) -> bool {
        // Acquire pairs with the AcqRel in `lose`.
        self.lost.load(Ordering::Acquire)
    }

    /// Tells of the lane's end, once.
    pub(crate) fn lose(&self, failure: Failure) {
        // AcqRel: of two threads that find it lost, one tells.
        if !self.lost.swap(true, Ordering::AcqRel) {
            let why = format!("{failure}; the device is of no more use to this process");
            self.tell(Called::lost(DeviceError::Lost { why }));
        }
    }

    pub(crate) fn tell(&self, called: CudaCalled) {
        if let Some(completions) = self.completions.get() {
            completions.complete(called);
        }
    }

    /// Marks for an item that goes through the streams.
    pub(crate) fn marks(&self) -> Result<Arc<Marks>, Failure> {
        let spare = self.spare().pop();
        spare.map_or_else(|| Marks::of_streams(&self.prepared.context).map(Arc::new), Ok)
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Marks>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first thread.
    fn give_inputs_back(&self, written: &Receiver<Issued>, reads: &Sender<Issued>) {
        let bound = self.prepared.context.bind();
        for mut issued in written {
            if let Err(failure) = bound.and_then(|()| issued.marks.write.end.wait()) {
                self.abandon(issued, failure);
                continue;
            }
            if let Some(input) = issued.input.take() {
                self.tell(Called { input: Some((issued.id, input)), ended: Ended::Nothing });
            }
            if let Err(unsent) = reads.send(issued) {
                mem::forget(unsent);
            }
        }
    }

    /// The second thread.
    fn tell_results(&self, landing: &Receiver<Issued>) {
        let bound = self.prepared.context.bind();
        let mut units = Units::default();
        for issued in landing {
            let spans = bound.and_then(|()| issued.marks.wait()).and_then(|()| match &issued.end {
                Ok(reference) => units.spans(reference, issued.given_at, &issued.marks).map(Some),
                Err(_) => Ok(None),
            });
            let spans = match spans {
                Ok(spans) => spans.unwrap_or_default(),
                Err(failure) => {
                    self.abandon(issued, failure);
                    continue;
                }
            };
            let Issued { id, input, output, read_by_kernel, marks, end, .. } = issued;
            drop(read_by_kernel);
            if marks.landed.is_none() {
                self.spare().push(marks);
            }
            self.inside.fetch_sub(1, Ordering::Relaxed);
            let ended = match end {
                Ok(_) => Ended::Landed(id, output, spans.into()),
                Err(error) => Ended::Failed(id, output, error.into()),
            };
            self.tell(Called { input: input.map(|input| (id, input)), ended });
        }
    }

    /// The lane is lost, and the device may still write to the sets: they are never freed.
    fn abandon(&self, issued: Issued, failure: Failure) {
        mem::forget(issued);
        self.inside.fetch_sub(1, Ordering::Relaxed);
        self.lose(failure);
    }
}

/// When each unit of the device was last done with something.
#[derive(Default)]
struct Units {
    write: Option<Instant>,
    kernel: Option<Instant>,
    read: Option<Instant>,
}

impl Units {
    /// The spans of an item that is over. A unit does one thing at a time: what the driver's clock has otherwise, by half a
    /// microsecond or where graphs overlap, is counted from the end of what the unit did before. And nothing was before the
    /// submit, nor is after now, however far off the reference may be.
    fn spans(
        &mut self,
        reference: &Reference,
        given_at: Instant,
        marks: &Marks,
    ) -> Result<DeviceSpans, Failure> {
        let now = Instant::now();
        let span = |unit: &mut Option<Instant>, not_before: Instant, stretch: &Stretch| {
            let not_before = unit.map_or(not_before, |end| end.max(not_before));
            let start = reference.time_of(&stretch.start)?.max(not_before).min(now);
            let end = reference.time_of(&stretch.end)?.max(start).min(now);
            *unit = Some(end);
            Ok(DeviceSpan { start, end })
        };
        let write = span(&mut self.write, given_at, &marks.write)?;
        let kernel = span(&mut self.kernel, write.end, &marks.kernel)?;
        let read = span(&mut self.read, kernel.end, &marks.read)?;
        Ok(DeviceSpans { write: Some(write), kernel: Some(kernel), read: Some(read), call: None })
    }
}
