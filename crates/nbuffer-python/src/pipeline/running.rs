//! A stream that runs: results, items that are submitted, and its end.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nbuffer::schedule::Offered;
use nbuffer::{Canceller, Cause, Entrance, Failure, Step, TimedOut};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::arrays;
use super::item::{Failed, Item};
use super::report::Report;
use super::stages::{Outcome, Raised, Stages};
use crate::counted::{Counted, STREAMS};

/// How often a thread that waits lets Python look at its signals.
const TICK: Duration = Duration::from_millis(50);

/// A stream that runs.
#[pyclass(frozen, module = "nbuffer._native")]
pub(crate) struct Running {
    /// Gone when the stream was closed. Locked without the interpreter only, since the threads behind it need it.
    running: Mutex<Option<Open>>,
    canceller: Canceller,
    /// Where items are submitted, if they are, and whether they are images.
    entrance: Option<(Entrance<Arc<Item>>, bool)>,
    failed: Failed,
}

/// Lanes, threads and what is on its way.
struct Open {
    running: nbuffer::Running<Stages>,
    _counted: Counted,
}

/// What a result comes to in Python: number, item, token, value, and (step, why, exception) in place of a value.
type Told = (u64, Py<PyAny>, Option<Py<PyAny>>, Py<PyAny>, Option<(String, String, Option<PyErr>)>);

type Done = nbuffer::Finished<Arc<Item>, Outcome>;

impl Running {
    pub(crate) fn new(
        running: nbuffer::Running<Stages>,
        entrance: Option<(Entrance<Arc<Item>>, bool)>,
        failed: Failed,
    ) -> Self {
        let canceller = running.canceller();
        let open = Open { running, _counted: Counted::new(&STREAMS) };
        Running { running: Mutex::new(Some(open)), canceller, entrance, failed }
    }

    fn wait(&self, py: Python<'_>) -> PyResult<Option<Done>> {
        loop {
            let next = py.detach(|| match &mut *self.lock() {
                Some(open) => open.running.next_within(TICK),
                None => Ok(None),
            });
            match next {
                Ok(finished) => return Ok(finished),
                Err(TimedOut) => py.check_signals()?,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[pymethods]
impl Running {
    /// The next result, or `None` at the end. Waits as long as it takes, and lets signals through meanwhile.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        // To give the interpreter up and to get it back costs more than a result that is there.
        let ready = self.running.try_lock().ok().and_then(|mut open| open.as_mut()?.running.next_ready());
        let finished = match ready {
            Some(ready) => Some(ready),
            None => self.wait(py)?,
        };
        let Some(finished) = finished else {
            return Ok(None);
        };
        let item = &finished.item;
        let (value, failure) = match finished.result {
            Ok(Outcome::Object(object)) => (object, None),
            Ok(Outcome::Arrays(outs)) => (arrays::list(py, outs)?.into_any().unbind(), None),
            Err(Failure::Cancelled) => {
                (py.None(), Some(("cancelled".to_owned(), "the stream was cancelled".to_owned(), None)))
            }
            Err(Failure::Failed(cause)) => (py.None(), Some(in_python(py, &cause))),
        };
        let token = item.token.as_ref().map(|token| token.clone_ref(py));
        let result: Told = (finished.sequence, item.object.clone_ref(py), token, value, failure);
        result.into_pyobject(py).map(Some)
    }

    /// What the iterable of the items raised, if it ended so; told once.
    fn source_error(&self) -> Option<PyErr> {
        self.failed.lock().expect("nothing panics while it holds this lock").take()
    }

    /// Why the stream ended before its items did, if it did.
    fn cut_short(&self, py: Python<'_>) -> Option<String> {
        py.detach(|| self.lock().as_ref()?.running.cut_short())
    }

    /// Submits an item. Gives the token of the item that makes room by the policy, which may be this one; raises
    /// `TimeoutError` when there is no room in time, and `RuntimeError` when the stream takes no more.
    #[pyo3(signature = (item, token, timeout_s))]
    fn submit(
        &self,
        py: Python<'_>,
        item: Bound<'_, PyAny>,
        token: Py<PyAny>,
        timeout_s: Option<f64>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let Some((entrance, images)) = &self.entrance else {
            return Err(PyRuntimeError::new_err("this stream takes its items from an iterable"));
        };
        let timeout = timeout_s.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        // To give the interpreter up and to get it back costs more than an item that finds room.
        let mut offered = entrance.offer_within(Item::new(item, Some(token), *images), Duration::ZERO);
        loop {
            let item = match offered {
                Offered::Entered => return Ok(None),
                Offered::Dropped(dropped) => {
                    return Ok(dropped.token.as_ref().map(|token| token.clone_ref(py)));
                }
                Offered::Closed(_) => {
                    return Err(PyRuntimeError::new_err("the pipeline takes no more items: it was closed"));
                }
                Offered::Full(item) => item,
            };
            py.check_signals()?;
            let left = deadline.map_or(TICK, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                let why = "the inbox is full, and there was no room for the item in the time given";
                return Err(pyo3::exceptions::PyTimeoutError::new_err(why));
            }
            offered = py.detach(|| entrance.offer_within(item, left.min(TICK)));
        }
    }

    /// No more items are submitted; those that were are done.
    fn finish(&self, py: Python<'_>) {
        if let Some((entrance, _)) = &self.entrance {
            py.detach(|| entrance.close());
        }
    }

    /// What has not started ends as cancelled.
    fn cancel(&self, py: Python<'_>) {
        py.detach(|| self.canceller.cancel());
    }

    /// Items by what became of them at the entrance: offered, dropped, waiting.
    fn offered(&self) -> Option<(u64, u64, u64)> {
        let totals = self.entrance.as_ref()?.0.totals();
        Some((totals.offered, totals.dropped, totals.waiting))
    }

    /// How it has gone so far; `None` once it was closed.
    fn report(&self, py: Python<'_>) -> Option<Report> {
        py.detach(|| Some(Report::of(&self.lock().as_ref()?.running)))
    }

    /// Ends the stream: what has not started is cancelled, and its threads are joined. Safe to call at any time.
    fn close(&self, py: Python<'_>) {
        py.detach(|| {
            if let Some((entrance, _)) = &self.entrance {
                entrance.close();
            }
            self.canceller.cancel();
            // The lock is not held while threads are joined.
            let open = self.lock().take();
            drop(open);
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let open = self.lock().take();
        if let Some(open) = open {
            if let Some((entrance, _)) = &self.entrance {
                entrance.close();
            }
            // The threads that are joined may need the interpreter, which whoever drops this holds.
            match Python::try_attach(|py| py.detach(|| drop(open))) {
                Some(()) => {}
                None => self.canceller.cancel(),
            }
        }
    }
}

fn in_python(py: Python<'_>, cause: &Cause) -> (String, String, Option<PyErr>) {
    let raised = cause.source.as_deref().and_then(|source| source.downcast_ref::<Raised>());
    let step = match cause.step {
        Step::Device => "device".to_owned(),
        step => step.to_string(),
    };
    (step, cause.why.clone(), raised.map(|raised| raised.error.clone_ref(py)))
}
