//! What a test tells the stand-in, and what it asks.
//!
//! `stand_in_control` takes lines, each `key=value`; the environment variable `AXRUNTIME_STAND_IN` holds the same with `;`
//! between them, for a process that cannot call.
//!
//! | key | value |
//! |---|---|
//! | `fail` | `FUNCTION@CALL:CODE:TEXT`: this call (from 0; `*` is all) fails and does nothing |
//! | `again` | `1`: forget the planned failures and the counts of calls |
//! | `fail-after` | the same, after the call has done its work |
//! | `profile` | file of the simulated device |
//! | `devices` | how many there are |
//! | `in-use` | cores of the first one that another process holds |
//! | `layout` | `tensor-dims-4`, `tensor-front`, `device-front`: a struct unlike the documented |
//! | `queue-full` | so many asynchronous calls find no place, once |
//! | `call-back-refused` | `1`: what finds no place is called back for all the same, with an error, some time |
//! | `never-call-back` | the asynchronous call with this number is never told as ended |
//! | `call-back-twice` | `1` |

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::world::World;

/// A planned failure.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    function: String,
    call: Option<u64>,
    after: bool,
    pub(crate) code: c_int,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Control {
    faults: Vec<Fault>,
    calls: HashMap<&'static str, u64>,
    pub(crate) misuses: Vec<String>,
    pub(crate) profile: Option<PathBuf>,
    pub(crate) devices: usize,
    pub(crate) in_use: usize,
    pub(crate) layout: String,
    pub(crate) queue_full: usize,
    pub(crate) call_back_refused: bool,
    pub(crate) never_call_back: Option<u64>,
    pub(crate) call_back_twice: bool,
}

impl Control {
    /// The one of this copy of the library.
    pub(crate) fn get() -> MutexGuard<'static, Control> {
        static CONTROL: LazyLock<Mutex<Control>> = LazyLock::new(|| {
            let mut control = Control {
                faults: Vec::new(),
                calls: HashMap::new(),
                misuses: Vec::new(),
                profile: None,
                devices: 1,
                in_use: 0,
                layout: String::new(),
                queue_full: 0,
                call_back_refused: false,
                never_call_back: None,
                call_back_twice: false,
            };
            let told = std::env::var("AXRUNTIME_STAND_IN").unwrap_or_default();
            told.split(';').filter(|line| !line.is_empty()).for_each(|line| control.tell(line));
            Mutex::new(control)
        });
        CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&mut self, line: &str) {
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("`{line}` is not key=value"));
        match key {
            "fail" | "fail-after" => {
                let parts: Vec<&str> = value.splitn(3, ':').collect();
                let [place, code, text] = parts[..] else {
                    panic!("`{value}` is not FUNCTION@CALL:CODE:TEXT")
                };
                let (function, call) = place.split_once('@').expect("a fault says in which call");
                self.faults.push(Fault {
                    function: function.to_owned(),
                    call: (call != "*").then(|| call.parse().expect("the number of a call")),
                    after: key == "fail-after",
                    code: code.parse().expect("a code"),
                    text: text.to_owned(),
                });
            }
            "again" => {
                self.faults.clear();
                self.calls.clear();
            }
            "profile" => self.profile = Some(value.into()),
            "devices" => self.devices = value.parse().expect("a number"),
            "in-use" => self.in_use = value.parse().expect("a number"),
            "layout" => self.layout = value.to_owned(),
            "queue-full" => self.queue_full = value.parse().expect("a number"),
            "call-back-refused" => self.call_back_refused = value == "1",
            "never-call-back" => self.never_call_back = Some(value.parse().expect("the number of a call")),
            "call-back-twice" => self.call_back_twice = value == "1",
            _ => panic!("there is no key `{key}`"),
        }
    }

    /// Counts a call and says what is planned for it: before its work, and after.
    pub(crate) fn entered(function: &'static str) -> [Option<Fault>; 2] {
        let mut control = Control::get();
        let count = control.calls.entry(function).or_default();
        let call = *count;
        *count += 1;
        [false, true].map(|after| {
            let strikes = |fault: &&Fault| {
                fault.after == after
                    && fault.function == function
                    && fault.call.is_none_or(|planned| planned == call)
            };
            control.faults.iter().find(strikes).cloned()
        })
    }

    /// Notes what no caller may do.
    pub(crate) fn misused(what: impl Into<String>) {
        Control::get().misuses.push(what.into());
    }
}

/// # Safety
///
/// `lines` ends in NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn stand_in_control(lines: *const c_char) {
    // SAFETY: the caller states that it ends in NUL.
    let lines = unsafe { CStr::from_ptr(lines) }.to_str().expect("text");
    lines.lines().filter(|line| !line.is_empty()).for_each(|line| Control::get().tell(line));
}

/// How often `function` was called.
///
/// # Safety
///
/// `function` ends in NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn stand_in_calls(function: *const c_char) -> u64 {
    // SAFETY: the caller states that it ends in NUL.
    let function = unsafe { CStr::from_ptr(function) }.to_str().expect("text");
    Control::get().calls.get(function).copied().unwrap_or(0)
}

/// How many objects of a kind (`context`, `model`, `connection`, `instance`, `properties`) are alive.
///
/// # Safety
///
/// `kind` ends in NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn stand_in_alive(kind: *const c_char) -> u64 {
    // SAFETY: the caller states that it ends in NUL.
    let kind = unsafe { CStr::from_ptr(kind) }.to_str().expect("text");
    World::get().alive(kind)
}

/// Writes what was done that must not be, a line each, and says how many there were.
///
/// # Safety
///
/// `text` has room for `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn stand_in_misuses(text: *mut u8, len: usize) -> u64 {
    let control = Control::get();
    let lines = control.misuses.join("\n");
    let n = lines.len().min(len);
    // SAFETY: the caller states that so many bytes fit, and the two do not overlap.
    unsafe { std::ptr::copy_nonoverlapping(lines.as_ptr(), text, n) };
    control.misuses.len() as u64
}
