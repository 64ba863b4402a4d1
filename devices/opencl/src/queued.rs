//! A lane: three in-order queues, and a thread that tells what has ended.
//!
//! OpenCL calls back when the last write and the last read of an item have ended. It does so on a thread of its own,
//! where nothing may block, so the callback leaves a note and no more. The lane's thread takes the notes and
//! tells the runtime, in the order in which things happened: inputs that have been written go back while their
//! item is still being computed.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nbuffer_core::schedule::Transit;
use nbuffer_runtime::model::Argument;
use nbuffer_runtime::{
    Called, Completions, DeviceError, DeviceSpan, DeviceSpans, Ended, Flight, InputSet, OutputSet, QueuedLane,
};

use crate::cl::{ClError, Event, Kernel, Queue, Times, wait_for};
use crate::clock::Seen;
use crate::memory::{DeviceSet, Pool};
use crate::program::{Prepared, Work};

type ClFlight = Flight<InputSet, OutputSet>;
type ClCalled = Called<InputSet, OutputSet>;

/// One lane's queues. Submits are numbered from 0; the number is the item's key in here.
///
/// Dropping it ends its thread. Items still in flight are then not told as ended, and their memory is never freed, since
/// the device may still use it. It must not be dropped under a lock that telling takes.
pub(crate) struct OpenClQueue {
    shared: Arc<Shared>,
    write: Queue,
    run: Queue,
    read: Queue,
    kernel: Kernel,
    work: Work,
    notes: Sender<Note>,
    thread: Option<JoinHandle<()>>,
    submits: u64,
}

struct Shared {
    prepared: Arc<Prepared>,
    pool: Pool,
    completions: OnceLock<Completions<InputSet, OutputSet>>,
    flights: Mutex<Flights>,
}

#[derive(Default)]
struct Flights {
    by_submit: BTreeMap<u64, InFlight>,
    /// The runtime has been told that the lane is lost.
    is_lost: bool,
}

impl Flights {
    /// Whether no item before this one is inside.
    fn is_oldest(&self, submit: u64) -> bool {
        self.by_submit.first_key_value().is_none_or(|(&first, _)| first >= submit)
    }

    /// Leaves what the device may still use where it is, for ever.
    fn abandon_all(&mut self) {
        std::mem::take(&mut self.by_submit).into_values().for_each(std::mem::forget);
    }
}

/// An item between its submit and its end. What the device may use is in here and nowhere else.
struct InFlight {
    id: Transit,
    /// Until it has been written.
    input: Option<InputSet>,
    output: OutputSet,
    set: DeviceSet,
    commands: Commands,
    submitted: Instant,
}

/// The commands of an item, as far as they have been queued.
#[derive(Default)]
struct Commands {
    writes: Vec<Event>,
    kernel: Option<Event>,
    reads: Vec<Event>,
}

/// What a callback leaves for the lane's thread.
enum Note {
    /// The device has read the item's inputs.
    Written(u64),
    /// The item's last command has ended, well or not.
    Ended(u64, Instant),
    /// The lane is being dropped.
    Close,
}

/// Why an item was not queued. None of its commands runs any more, unless the lane is lost.
enum Refused {
    Item(DeviceError),
    Lane(ClError),
}

impl OpenClQueue {
    /// Queues whose thread runs.
    ///
    /// # Errors
    ///
    /// When the device has no room for queues, or the system has no thread left.
    pub(crate) fn new(prepared: &Arc<Prepared>, lane: usize, pool: Pool) -> Result<Self, DeviceError> {
        let context = &prepared.hardware.context;
        let shared = Arc::new(Shared {
            prepared: Arc::clone(prepared),
            pool,
            completions: OnceLock::new(),
            flights: Mutex::default(),
        });
        let (notes, inbox) = channel();
        let mut queue = OpenClQueue {
            write: Queue::new(context)?,
            run: Queue::new(context)?,
            read: Queue::new(context)?,
            kernel: prepared.kernel()?,
            work: prepared.work.clone(),
            shared: Arc::clone(&shared),
            notes,
            thread: None,
            submits: 0,
        };
        let builder = thread::Builder::new().name(format!("opencl lane {lane}"));
        let thread = builder.spawn(move || shared.take_notes(&inbox)).map_err(|error| {
            let device = prepared.hardware.name.clone();
            DeviceError::Unavailable { device, why: format!("lane {lane} cannot start a thread: {error}") }
        })?;
        queue.thread = Some(thread);
        Ok(queue)
    }

    /// The queues, once they know whom to tell.
    pub(crate) fn open(self, completions: Completions<InputSet, OutputSet>) -> Self {
        // The lane is opened once, and nothing is told before its first submit.
        let _ = self.shared.completions.set(completions);
        self
    }

    /// Queues the commands of an item.
    fn enqueue(&mut self, submit: u64, flight: &mut ClFlight, set: &DeviceSet) -> Result<Commands, Refused> {
        let mut commands = Commands::default();
        match self.enqueue_each(submit, flight, set, &mut commands) {
            Ok(()) => Ok(commands),
            Err(error) if error.is_lost() => Err(Refused::Lane(error)),
            // What has been queued already still uses the item's memory.
            Err(error) => match commands.wait() {
                Ok(()) => Err(Refused::Item(error.into())),
                Err(lost) => Err(Refused::Lane(lost)),
            },
        }
    }

    fn enqueue_each(
        &mut self,
        submit: u64,
        flight: &mut ClFlight,
        set: &DeviceSet,
        commands: &mut Commands,
    ) -> Result<(), ClError> {
        for (source, target) in flight.input.iter().zip(&set.inputs).filter(|(source, _)| !source.is_empty())
        {
            // SAFETY: the sizes are equal, as the runtime has checked. The input is in the flight, and the device set
            // with it, until the command has ended: `submit` keeps both in `by_submit`, or `enqueue` waits.
            let event = unsafe { self.write.write(target, source.bytes().as_ptr()) }?;
            commands.writes.push(event);
        }
        if let Some(last) = commands.writes.last() {
            self.note(last, move || Note::Written(submit))?;
        }

        for (index, argument) in self.shared.prepared.arguments.iter().enumerate() {
            match *argument {
                Argument::Input(input) => self.kernel.set_buffer(index, &set.inputs[input])?,
                Argument::Output(output) => self.kernel.set_buffer(index, &set.outputs[output])?,
                Argument::U32(_) | Argument::I32(_) | Argument::U64(_) | Argument::F32(_) => {}
            }
        }
        let Work { global, local } = &self.work;
        // SAFETY: every argument is set: the values by `Prepared::kernel`, the buffers above, to those of a device set
        // that no other item has. The queue is in order, so that the last write has all before it behind it.
        let event =
            unsafe { self.run.launch(&self.kernel, global, local.as_deref(), commands.writes.last()) }?;
        let kernel = commands.kernel.insert(event);

        let outputs = set.outputs.iter().zip(flight.output.iter_mut());
        for (source, target) in outputs.filter(|(_, target)| !target.is_empty()) {
            // SAFETY: as for the writes, and nobody looks into the output meanwhile. The kernel that writes `source`
            // has ended before.
            let event = unsafe { self.read.read(source, target.bytes_mut().as_mut_ptr(), kernel) }?;
            commands.reads.push(event);
        }
        let last = commands.reads.last().unwrap_or(kernel);
        self.note(last, move || Note::Ended(submit, Instant::now()))?;
        [&self.write, &self.run, &self.read].into_iter().try_for_each(Queue::flush)
    }

    /// Leaves a note when a command has ended.
    fn note(&self, event: &Event, note: impl FnOnce() -> Note + Send + 'static) -> Result<(), ClError> {
        let notes = self.notes.clone();
        event.on_end(move |_| {
            // The thread has gone when the lane was dropped, and does not miss it.
            let _ = notes.send(note());
        })
    }
}

impl QueuedLane<InputSet, OutputSet> for OpenClQueue {
    fn submit(&mut self, mut flight: ClFlight) {
        let submit = self.submits;
        self.submits += 1;
        let shared = Arc::clone(&self.shared);
        // Held until the item is in its place: what has been queued may end at once.
        let mut flights = shared.flights();
        if flights.is_lost {
            // The loss covers every set inside the lane, and this one came too late to be anything else.
            return;
        }
        let Some(set) = shared.pool.take() else {
            drop(flights);
            let why = "there are more items in the lane than output sets were taken from it".to_owned();
            return shared.tell(Called::failed(flight, DeviceError::Call { why }));
        };
        let submitted = Instant::now();
        match self.enqueue(submit, &mut flight, &set) {
            Ok(commands) => {
                let Flight { id, input, output } = flight;
                let in_flight = InFlight { id, input: Some(input), output, set, commands, submitted };
                flights.by_submit.insert(submit, in_flight);
            }
            Err(refused) => {
                drop(flights);
                match refused {
                    Refused::Item(error) => {
                        shared.pool.give_back(set);
                        shared.tell(Called::failed(flight, error));
                    }
                    Refused::Lane(error) => {
                        // The device may still use it.
                        std::mem::forget((flight, set));
                        shared.lose(error);
                    }
                }
            }
        }
    }
}

impl Drop for OpenClQueue {
    fn drop(&mut self) {
        let _ = self.notes.send(Note::Close);
        if let Some(thread) = self.thread.take()
            // A completion may be what drops the lane, on its own thread.
            && thread.thread().id() != thread::current().id()
        {
            // A panic in a completion is the runtime's to report.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, called: ClCalled) {
        if let Some(completions) = self.completions.get() {
            completions.complete(called);
        }
    }

    /// The lane's thread.
    fn take_notes(&self, notes: &Receiver<Note>) {
        let mut ends = LastEnds::default();
        // Items end in the order of their submits, but a driver's threads may tell so in another one.
        let mut early = BTreeMap::new();
        for note in notes {
            match note {
                Note::Written(submit) => self.written(submit),
                Note::Ended(submit, at) => {
                    early.insert(submit, at);
                    while let Some(first) = early.first_entry()
                        && self.flights().is_oldest(*first.key())
                    {
                        let (submit, at) = first.remove_entry();
                        self.ended(submit, at, &mut ends);
                    }
                }
                Note::Close => break,
            }
        }
        self.flights().abandon_all();
    }

    /// Gives an item's inputs back, unless its writes failed or it has ended meanwhile.
    fn written(&self, submit: u64) {
        let mut flights = self.flights();
        let Some(in_flight) = flights.by_submit.get_mut(&submit) else {
            return;
        };
        if in_flight.commands.writes.iter().any(|write| write.status().is_ok_and(|status| status < 0)) {
            return;
        }
        let input = in_flight.input.take().map(|input| (in_flight.id, input));
        drop(flights);
        self.tell(Called { input, ended: Ended::Nothing });
    }

    fn ended(&self, submit: u64, at: Instant, ends: &mut LastEnds) {
        let Some(in_flight) = self.flights().by_submit.remove(&submit) else {
            return;
        };
        let InFlight { id, input, output, set, commands, submitted } = in_flight;
        let ended = match commands.failure() {
            None => {
                let spans = self.spans(&commands, Seen { before: submitted, after: at }, ends);
                Ended::Landed(id, output, spans.into())
            }
            // Commands that wait for a failed one end with it, and so nothing of the item runs any more.
            Some(error) if !error.is_lost() && commands.wait().is_ok() => {
                Ended::Failed(id, output, Box::new(error.into()))
            }
            Some(error) => {
                std::mem::forget((input, output, set));
                return self.lose(error);
            }
        };
        self.pool.give_back(set);
        self.tell(Called { input: input.map(|input| (id, input)), ended });
    }

    /// When the stages of an item ran, as far as the driver tells.
    fn spans(&self, commands: &Commands, seen: Seen, ends: &mut LastEnds) -> DeviceSpans {
        let stages = [&commands.writes[..], commands.kernel.as_slice(), &commands.reads[..]];
        let times = stages.map(|events| {
            let (first, last) = (events.first()?.times().ok()?, events.last()?.times().ok()?);
            Some((first, last.end))
        });
        let mut clock = self.prepared.hardware.clock();
        let known = || times.iter().flatten();
        if let (Some((first, _)), Some((_, end))) = (known().next(), known().next_back()) {
            clock.learn(seen, first.queued, *end);
        }
        let [write, kernel, read] = times;
        let span = |stage: Option<(Times, u64)>, last: &mut Option<Instant>| {
            let (first, end) = stage?;
            let (start, end) = (clock.instant(first.start, seen), clock.instant(end, seen));
            // A queue runs one command after the other, also where the clock has been set anew in between.
            let start = last.map_or(start, |last| start.max(last));
            let end = end.max(start);
            *last = Some(end);
            Some(DeviceSpan { start, end })
        };
        DeviceSpans {
            write: span(write, &mut ends.write),
            kernel: span(kernel, &mut ends.kernel),
            read: span(read, &mut ends.read),
            call: None,
        }
    }

    /// Tells the loss of the lane, once. What is inside may still be used by the device: it is never freed.
    fn lose(&self, error: ClError) {
        let mut flights = self.flights();
        flights.abandon_all();
        let was_lost = std::mem::replace(&mut flights.is_lost, true);
        drop(flights);
        if !was_lost {
            self.tell(Called::lost(DeviceError::Lost { why: error.to_string() }));
        }
    }
}

/// When the last command of each queue ended.
#[derive(Default)]
struct LastEnds {
    write: Option<Instant>,
    kernel: Option<Instant>,
    read: Option<Instant>,
}

impl Commands {
    /// The commands, and what to call one that failed.
    fn named(&self) -> impl Iterator<Item = (&'static str, &Event)> {
        let named = |name| move |event| (name, event);
        let writes = self.writes.iter().map(named("writing an input"));
        let kernel = self.kernel.iter().map(named("running the kernel"));
        writes.chain(kernel).chain(self.reads.iter().map(named("reading an output")))
    }

    /// Why the item failed, if it did: the first command that did not just wait for another that failed.
    fn failure(&self) -> Option<ClError> {
        let failed = |(name, event): (&'static str, &Event)| match event.status() {
            Ok(status) if status < 0 => Some(ClError::of_command(name, status)),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        let mut errors: Vec<ClError> = self.named().filter_map(failed).collect();
        errors.sort_by_key(|error| error.is_of_another());
        errors.first().copied()
    }

    /// Waits until every command has ended, well or not; `Err` if that cannot be known.
    fn wait(&self) -> Result<(), ClError> {
        let events = self.writes.iter().chain(&self.kernel).chain(&self.reads);
        match wait_for(events) {
            Err(error) if !error.is_of_another() => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
