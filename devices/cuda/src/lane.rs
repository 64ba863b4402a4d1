//! A lane: three streams tied by events, or a graph for each pair of sets.
//!
//! ```text
//! write stream    [wait: consumed] W |written
//! kernel stream                      [wait: written] K |computed |consumed
//! read stream                                         [wait: computed] R |landed
//! ```
//!
//! A submit gives the device all of an item's work and returns; [`Waiters`] tell what became of it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use nbuffer_runtime::{Called, Completions, DeviceError, Flight, InputSet, OutputSet, QueuedLane};

use crate::buffers::{Buffer, own};
use crate::clock::{Clock, Reference};
use crate::driver::{Context, Event, Failure, Graph, Stream};
use crate::program::Prepared;
use crate::waiters::{Issued, Marks, Waiters};
use crate::work::Work;

type CudaFlight = Flight<InputSet, OutputSet>;

/// What takes the submits of one lane.
pub(crate) struct CudaLane {
    prepared: Arc<Prepared>,
    clock: Clock,
    queue: Queue,
    waiters: Waiters,
}

/// How items are given to the device.
enum Queue {
    Streams(Streams),
    Graphs(Graphs),
}

/// One stream for each direction of the link and one for kernels, so that the stages of successive items overlap.
struct Streams {
    write: Stream,
    kernel: Stream,
    read: Stream,
}

/// A stream for each input set, and a graph for each pair of an input and an output set that came up.
///
/// One call launches an item. Items of different streams overlap as the device sees fit: nothing orders their kernels.
#[derive(Default)]
struct Graphs {
    streams: HashMap<u64, Stream>,
    pairs: HashMap<(u64, u64), Pair>,
}

struct Pair {
    graph: Graph,
    marks: Arc<Marks>,
}

/// Why an item was not given to the device.
enum Refusal {
    /// Nothing of it was. It costs the item.
    Untouched(DeviceError),
    /// Some of it was, and is over when these marks are reached. It costs the item.
    Begun(Arc<Marks>, DeviceError),
    /// It costs the lane, and the device may go on with the item's sets.
    Lost(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure.is_contained() {
            true => Refusal::Untouched(call_failed(failure)),
            false => Refusal::Lost(failure),
        }
    }
}

impl From<DeviceError> for Refusal {
    fn from(error: DeviceError) -> Self {
        Refusal::Untouched(error)
    }
}

fn call_failed(failure: Failure) -> DeviceError {
    DeviceError::Call { why: failure.to_string() }
}

impl CudaLane {
    /// A lane whose threads run.
    pub(crate) fn new(prepared: &Arc<Prepared>, lane: usize) -> Result<Self, DeviceError> {
        let unavailable = |failure| DeviceError::Unavailable {
            device: prepared.device.clone(),
            why: format!("lane {lane} gets no streams: {failure}"),
        };
        let context = &prepared.context;
        let queue = match prepared.graphs {
            true => Queue::Graphs(Graphs::default()),
            false => Queue::Streams(Streams::new(context).map_err(unavailable)?),
        };
        let clock = Clock::new(context).map_err(unavailable)?;
        let waiters = Waiters::start(prepared, lane)?;
        Ok(CudaLane { prepared: Arc::clone(prepared), clock, queue, waiters })
    }

    /// The lane, once it knows whom to tell.
    pub(crate) fn open(self, completions: Completions<InputSet, OutputSet>) -> Self {
        self.waiters.shared().open(completions);
        self
    }

    /// Gives an item's work to the device.
    fn give(&mut self, flight: &CudaFlight) -> Result<(Arc<Marks>, Arc<Reference>), Refusal> {
        let (inputs, outputs) = (own(&flight.input)?, own(&flight.output)?);
        self.prepared.context.bind()?;
        let reference = Arc::clone(self.clock.reference()?);
        let work = &self.prepared.work;
        let marks = match &mut self.queue {
            Queue::Streams(streams) => {
                let marks = self.waiters.shared().marks()?;
                streams.issue(work, &inputs, &outputs, &marks)?;
                marks
            }
            Queue::Graphs(graphs) => graphs.launch(&self.prepared.context, work, &inputs, &outputs)?,
        };
        Ok((marks, reference))
    }

    fn follow(
        &mut self,
        flight: CudaFlight,
        given_at: Instant,
        marks: Arc<Marks>,
        end: Result<Arc<Reference>, DeviceError>,
    ) {
        let Flight { id, input, output } = flight;
        let read_by_kernel =
            own(&input).into_iter().flatten().map(|input| Arc::clone(&input.device)).collect();
        self.waiters.follow(Issued { id, input: Some(input), output, read_by_kernel, given_at, marks, end });
    }
}

impl QueuedLane<InputSet, OutputSet> for CudaLane {
    fn submit(&mut self, flight: CudaFlight) {
        if self.waiters.shared().is_lost() {
            // The loss has cost the item; its sets go the way of all that are still inside.
            return mem::forget(flight);
        }
        let given_at = Instant::now();
        match self.give(&flight) {
            Ok((marks, reference)) => self.follow(flight, given_at, marks, Ok(reference)),
            Err(Refusal::Begun(marks, error)) => self.follow(flight, given_at, marks, Err(error)),
            Err(Refusal::Untouched(error)) => self.waiters.shared().tell(Called::failed(flight, error)),
            Err(Refusal::Lost(failure)) => {
                mem::forget(flight);
                self.waiters.shared().lose(failure);
            }
        }
    }
}

impl Streams {
    fn new(context: &Arc<Context>) -> Result<Self, Failure> {
        Ok(Streams {
            write: Stream::new(context)?,
            kernel: Stream::new(context)?,
            read: Stream::new(context)?,
        })
    }

    fn issue(
        &self,
        work: &Work,
        inputs: &[&Buffer],
        outputs: &[&Buffer],
        marks: &Arc<Marks>,
    ) -> Result<(), Refusal> {
        let Err(failure) = self.stages(work, inputs, outputs, marks) else { return Ok(()) };
        if !failure.is_contained() {
            return Err(Refusal::Lost(failure));
        }
        // What was given to the device before the call that failed must be over before the sets are given back.
        match self.fence(inputs, marks) {
            Ok(()) => Err(Refusal::Begun(Arc::clone(marks), call_failed(failure))),
            Err(failure) => Err(Refusal::Lost(failure)),
        }
    }

    fn stages(
        &self,
        work: &Work,
        inputs: &[&Buffer],
        outputs: &[&Buffer],
        marks: &Marks,
    ) -> Result<(), Failure> {
        let Streams { write, kernel, read } = self;
        let consumed = inputs.first().map(|input| &input.set.consumed);
        if let Some(consumed) = consumed {
            write.wait(consumed)?;
        }
        marks.write.start.record(write)?;
        for input in inputs {
            // SAFETY: the sets are kept, and not touched, until the marks are reached: by the waiters, or by being forgotten.
            // The kernel that used this device memory last is over: that is what the stream waits for.
            unsafe { write.write(&input.device, &input.host)? };
        }
        marks.write.end.record(write)?;

        kernel.wait(&marks.write.end)?;
        marks.kernel.start.record(kernel)?;
        // SAFETY: as above. The inputs are written: that is what the stream waits for. The last reads of the outputs were
        // over when their set came back, and the kernels of this lane run one after the other.
        unsafe { work.issue(kernel, inputs, outputs)? };
        marks.kernel.end.record(kernel)?;
        if let Some(consumed) = consumed {
            consumed.record(kernel)?;
        }

        read.wait(&marks.kernel.end)?;
        marks.read.start.record(read)?;
        for output in outputs {
            // SAFETY: as above. The outputs are computed: that is what the stream waits for.
            unsafe { read.read(&output.host, &output.device)? };
        }
        marks.read.end.record(read)
    }

    /// Moves the marks to the end of all that the streams have been given.
    fn fence(&self, inputs: &[&Buffer], marks: &Marks) -> Result<(), Failure> {
        marks.write.end.record(&self.write)?;
        self.kernel.wait(&marks.write.end)?;
        marks.kernel.end.record(&self.kernel)?;
        if let Some(input) = inputs.first() {
            input.set.consumed.record(&self.kernel)?;
        }
        self.read.wait(&marks.kernel.end)?;
        marks.read.end.record(&self.read)
    }
}

impl Graphs {
    fn launch(
        &mut self,
        context: &Arc<Context>,
        work: &Work,
        inputs: &[&Buffer],
        outputs: &[&Buffer],
    ) -> Result<Arc<Marks>, Refusal> {
        let number = |set: &[&Buffer]| set.first().map_or(u64::MAX, |buffer| buffer.set.number);
        let key = (number(inputs), number(outputs));
        let stream = match self.streams.entry(key.0) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Stream::new(context)?),
        };
        let pair = match self.pairs.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Pair::capture(stream, work, inputs, outputs)?),
        };
        // SAFETY: the sets are kept, and not touched, until the marks are reached: by the waiters, or by being forgotten. The
        // last item of this input set ran on this stream, so it is over; the output set came back when its last was.
        unsafe { pair.graph.launch(stream)? };
        // A graph that has been launched cannot be taken back, and the marks in it say when it is over only once it is.
        let landed = pair.marks.landed.as_ref().expect("the marks of a graph have one of their own");
        landed.record(stream).map_err(Refusal::Lost)?;
        Ok(Arc::clone(&pair.marks))
    }
}

impl Pair {
    fn capture(
        stream: &Stream,
        work: &Work,
        inputs: &[&Buffer],
        outputs: &[&Buffer],
    ) -> Result<Self, Failure> {
        let marks = Marks::of_graph(stream.context())?;
        let mark = |event: &Event| event.record_in_graph(stream);
        let graph = stream.capture(|| {
            mark(&marks.write.start)?;
            for input in inputs {
                // SAFETY: nothing runs now; what holds for the launch is said there.
                unsafe { stream.write(&input.device, &input.host)? };
            }
            mark(&marks.write.end)?;
            mark(&marks.kernel.start)?;
            // SAFETY: as above.
            unsafe { work.issue(stream, inputs, outputs)? };
            mark(&marks.kernel.end)?;
            mark(&marks.read.start)?;
            for output in outputs {
                // SAFETY: as above.
                unsafe { stream.read(&output.host, &output.device)? };
            }
            mark(&marks.read.end)
        })?;
        Ok(Pair { graph, marks: Arc::new(marks) })
    }
}
