//! A lane whose requests are started by whoever submits, and waited for by a thread of its own.
//!
//! OpenVINO computes the requests of a lane one after the other on the lane's stream, and goes from one to the next
//! by itself: while results are told, the next request is at work already.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use ::openvino::CompiledModel;
use nbuffer_runtime::{
    Called, Completions, DeviceError, DeviceSpan, DeviceSpans, Flight, InputSet, OutputSet, QueuedLane,
};

use super::request::{Ports, Request};
use super::run_failed;

type Tell = Completions<InputSet, OutputSet>;

/// Requests that nothing is bound to. There are as many as were ever in flight at once.
type Idle = Arc<Mutex<Vec<Request>>>;

/// One lane's queue.
///
/// Dropping it waits for the requests in flight, since OpenVINO still writes to their buffers.
pub(super) struct Queue {
    compiled: CompiledModel,
    ports: Ports,
    idle: Idle,
    started: Option<Sender<Started>>,
    waiter: Option<JoinHandle<()>>,
    completions: Option<Tell>,
}

/// An item between its submit and its end.
struct Started {
    request: Request,
    flight: Flight<InputSet, OutputSet>,
    at: Instant,
    completions: Tell,
}

impl Queue {
    /// # Errors
    ///
    /// When OpenVINO gives no request, or the system no thread.
    pub(super) fn new(mut compiled: CompiledModel, ports: Ports) -> Result<Self, String> {
        let idle: Idle = Arc::new(Mutex::new(vec![Request::new(&mut compiled)?]));
        let (started, inbox) = channel();
        let back = Arc::clone(&idle);
        let waiter = thread::Builder::new()
            .name("openvino waiter".to_owned())
            .spawn(move || wait_for_all(&inbox, &back))
            .map_err(|error: io::Error| format!("no thread can be started: {error}"))?;
        Ok(Queue { compiled, ports, idle, started: Some(started), waiter: Some(waiter), completions: None })
    }

    /// The queue, once it knows whom to tell.
    pub(super) fn open(mut self, completions: Tell) -> Self {
        self.completions = Some(completions);
        self
    }

    fn start(&mut self, flight: &Flight<InputSet, OutputSet>) -> Result<Request, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut request = match idle {
            Some(request) => request,
            None => Request::new(&mut self.compiled)?,
        };
        request.start(&self.ports, &flight.input, &flight.output)?;
        Ok(request)
    }
}

impl QueuedLane<InputSet, OutputSet> for Queue {
    fn submit(&mut self, flight: Flight<InputSet, OutputSet>) {
        let completions = self.completions.clone().expect("a queue is opened before it takes a submit");
        let at = Instant::now();
        match self.start(&flight) {
            Ok(request) => {
                let started = self.started.as_ref().expect("the sender lives until the queue is dropped");
                let sent = started.send(Started { request, flight, at, completions });
                assert!(sent.is_ok(), "the waiter lives as long as its inbox");
            }
            Err(why) => completions.complete(Called::failed(flight, run_failed(why).into())),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.started = None;
        if let Some(waiter) = self.waiter.take() {
            // A completion may be what drops the lane, on the waiter itself.
            if waiter.thread().id() != thread::current().id() {
                let _ = waiter.join();
            }
        }
    }
}

/// The waiter: requests end in the order in which they were started.
fn wait_for_all(inbox: &Receiver<Started>, idle: &Idle) {
    let mut last_end = None;
    for Started { mut request, mut flight, at, completions } in inbox {
        let ended = request.wait(&mut flight.output);
        let end = Instant::now();
        // The stream was at work on the one before until that ended.
        let start = last_end.map_or(at, |last_end: Instant| at.max(last_end));
        last_end = Some(end);
        idle.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let called = match ended {
            Ok(()) => {
                let kernel = Some(DeviceSpan { start, end });
                Called::landed(flight, DeviceSpans { kernel, ..DeviceSpans::default() }.into())
            }
            Err(why) => Called::failed(flight, DeviceError::from(run_failed(why))),
        };
        // A panic in a completion is the runtime's to report, and must not leave requests unwaited.
        let _ = catch_unwind(AssertUnwindSafe(|| completions.complete(called)));
    }
}
