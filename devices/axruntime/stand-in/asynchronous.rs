//! The asynchronous call: a bounded queue, and a thread that works it off and calls back.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::control::Control;
use crate::instance::{Region, SimLane};
use crate::world::{Failed, RUNTIME_ERROR, SUCCESS};

pub(crate) type Callback = unsafe extern "C" fn(*mut c_void, c_int);

pub(crate) struct Work {
    pub(crate) inputs: Vec<Region>,
    pub(crate) outputs: Vec<Region>,
    pub(crate) callback: Callback,
    /// What to call back with.
    pub(crate) arg: usize,
    /// What is planned instead of the call's own end.
    pub(crate) code: Option<c_int>,
}

pub(crate) struct Queue {
    inside: Arc<AtomicUsize>,
    /// Calls that have not been called back for.
    unended: Arc<AtomicUsize>,
    places: usize,
    work: Mutex<Option<Sender<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    pub(crate) fn new(lane: Arc<Mutex<SimLane>>, places: usize) -> Self {
        let (work, inbox) = channel();
        let inside = Arc::new(AtomicUsize::new(0));
        let unended = Arc::new(AtomicUsize::new(0));
        let counts = [&inside, &unended].map(Arc::clone);
        let thread = std::thread::spawn(move || work_off(&lane, &inbox, &counts));
        Queue { inside, unended, places, work: Mutex::new(Some(work)), thread: Mutex::new(Some(thread)) }
    }

    /// How many calls have not been called back for.
    pub(crate) fn unended(&self) -> usize {
        self.unended.load(Ordering::SeqCst)
    }

    /// Takes a call, or says that there is no place for it.
    pub(crate) fn submit(&self, work: Work) -> Result<(), Failed> {
        let (refuses, calls_back) = {
            let mut control = Control::get();
            let refuses = control.queue_full > 0;
            control.queue_full = control.queue_full.saturating_sub(1);
            (refuses, control.call_back_refused)
        };
        if refuses || self.inside.load(Ordering::SeqCst) >= self.places {
            if calls_back {
                let Work { callback, arg, .. } = work;
                // SAFETY: this is what the caller asked to be called with, from a thread of the library.
                std::thread::spawn(move || unsafe {
                    callback(std::ptr::without_provenance_mut(arg), RUNTIME_ERROR);
                });
            }
            return Err((RUNTIME_ERROR, "Inference queue is full".to_owned()));
        }
        self.inside.fetch_add(1, Ordering::SeqCst);
        self.unended.fetch_add(1, Ordering::SeqCst);
        let sender = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = sender.as_ref().is_some_and(|sender| sender.send(work).is_ok());
        if sent { Ok(()) } else { Err((RUNTIME_ERROR, "the instance has ended".to_owned())) }
    }

    pub(crate) fn end(&self) {
        drop(self.work.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It has nothing to say but through callbacks.
            let _ = thread.join();
        }
    }
}

fn work_off(lane: &Mutex<SimLane>, inbox: &Receiver<Work>, [inside, unended]: &[Arc<AtomicUsize>; 2]) {
    for (number, Work { inputs, outputs, callback, arg, code }) in (0..).zip(inbox) {
        let (never, twice) = {
            let control = Control::get();
            (control.never_call_back == Some(number), control.call_back_twice)
        };
        let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the regions are the library's until it calls back.
        let ended = unsafe { lane.run(&inputs, &outputs) };
        drop(lane);
        let code = code.unwrap_or(ended.map_or_else(|(code, _)| code, |()| SUCCESS));
        if never {
            continue;
        }
        unended.fetch_sub(1, Ordering::SeqCst);
        for _ in 0..if twice { 2 } else { 1 } {
            // SAFETY: this is what the caller asked to be called with, from a thread of the library.
            unsafe { callback(std::ptr::without_provenance_mut(arg), code) };
        }
        // The place becomes free only now: the next submit may come too early.
        inside.fetch_sub(1, Ordering::SeqCst);
    }
}
