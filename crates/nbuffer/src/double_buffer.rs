//! Whether double buffering pays on a device that can do it: tried out with a call before the stream begins.

use std::time::Duration;

use nbuffer_core::plan::Time;
use nbuffer_core::schedule::Transit;
use nbuffer_runtime::{Calls, DeviceSpans, Ended, Flight, LaneOptions, Program};

/// Calls that are made; the last one counts, since the first may have to warm up.
const CALLS: u64 = 2;

/// A call must become shorter by this to be worth results that come two calls late.
const GAIN_MIN: f64 = 0.02;

/// Whether lanes should be double-buffered, and why. Where nothing can be measured they are.
///
/// Without double buffering a call takes the sum of write, kernel and read, with it the longest of them; an item then
/// stays for three calls. So it pays unless transfers take next to nothing, or a latency limit forbids it.
pub(crate) fn probe(program: &dyn Program, latency_max: Option<Duration>) -> (bool, Option<String>) {
    let [write_s, kernel_s, read_s] = match measure(program) {
        Measured::Stages(stages_s) => stages_s,
        Measured::Whole => {
            let why =
                "on: the device can, and does not tell its transfers from its kernel to measure the gain";
            return (true, Some(why.to_owned()));
        }
        Measured::Failed => {
            return (true, Some("on: the device can, and a call to measure the gain failed".to_owned()));
        }
    };
    let serial_s = write_s + kernel_s + read_s;
    let longest_s = write_s.max(kernel_s).max(read_s);
    if serial_s - longest_s < GAIN_MIN * serial_s {
        let why =
            format!("off: transfers take {} of a call's {}", Time(serial_s - longest_s), Time(serial_s));
        return (false, Some(why));
    }
    let gain = format!("a call takes {} instead of {}", Time(longest_s), Time(serial_s));
    match latency_max.map(|limit| limit.as_secs_f64()) {
        Some(limit_s) if 3.0 * longest_s > limit_s => {
            let why = format!(
                "off: with it {gain}, but an item stays for three calls, longer than the latency limit of {}",
                Time(limit_s)
            );
            (false, Some(why))
        }
        _ => (true, Some(format!("on: {gain}"))),
    }
}

/// What a call without double buffering told of its time.
enum Measured {
    /// Seconds of write, kernel and read.
    Stages([f64; 3]),
    /// Not all three apart.
    Whole,
    Failed,
}

fn measure(program: &dyn Program) -> Measured {
    match spans(program) {
        Some(DeviceSpans { write: Some(write), kernel: Some(kernel), read: Some(read), .. }) => {
            Measured::Stages([write, kernel, read].map(|span| (span.end - span.start).as_secs_f64()))
        }
        Some(_) => Measured::Whole,
        None => Measured::Failed,
    }
}

/// Makes calls with inputs of zeros, without double buffering.
fn spans(program: &dyn Program) -> Option<DeviceSpans> {
    let lane = program.open_lane(LaneOptions { lane: 0, double_buffer: false }).ok()?;
    let Calls::Blocking(mut calls) = lane.calls else {
        return None;
    };
    let mut memory = lane.memory;
    let mut seen = None;
    for call in 0..CALLS {
        let (input, output) = (memory.input().ok()?, memory.output().ok()?);
        let flight = Flight { id: Transit::new(0, 0, 0, call), input, output };
        let Ended::Landed(_, _, spans) = calls.call(Some(flight)).ended else {
            return None;
        };
        seen = Some(*spans);
    }
    seen
}
