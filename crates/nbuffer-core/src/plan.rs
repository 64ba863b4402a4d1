//! What period the stage times allow, and which resource sets it.
//!
//! The bounds are those of five stages in item order over N buffer sets: no resource can be used for longer
//! than a period per item, and a token pool of N buffer sets lets N items in per unloaded latency. The
//! largest bound is the period.

use serde::Serialize;

/// What can set the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The compute units, or a lane whose call does write, kernel and read one after the other.
    Device,
    /// The host-to-device direction of a full-duplex link.
    Write,
    /// The device-to-host direction of a full-duplex link.
    Read,
    /// A half-duplex link.
    Link,
    /// The host threads.
    Host,
    /// The buffer sets.
    Buffers,
    /// The source, which gives items more slowly than anything else takes them.
    Source,
}

impl Resource {
    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Device => "device",
            Resource::Write => "write",
            Resource::Read => "read",
            Resource::Link => "link",
            Resource::Host => "host",
            Resource::Buffers => "buffers",
            Resource::Source => "source",
        }
    }
}

/// Mean stage times of one item, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// Ip, on a host thread.
    pub preprocess_s: f64,
    /// W.
    pub write_s: f64,
    /// K.
    pub kernel_s: f64,
    /// R.
    pub read_s: f64,
    /// Op, on a host thread.
    pub postprocess_s: f64,
    /// What a call takes in all on a lane that blocks, with what is neither transfer nor kernel; 0 when that
    /// is not known, and for a queued lane.
    pub call_s: f64,
}

/// How a lane's transfers and kernels share its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// A call does write, kernel and read one after the other.
    None,
    /// A call does all three at once, for three items: it lasts as long as the longest (double buffering).
    InLane,
    /// Write, kernel and read are engines of their own, each with a queue.
    Queued,
}

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Mean stage times.
    pub times: StageTimes,
    /// Lanes, each a compute unit (D).
    pub lanes: usize,
    /// Buffer sets in all.
    pub buffers: usize,
    /// Host threads (C).
    pub host_threads: usize,
    /// How a lane's stages overlap.
    pub overlap: Overlap,
    /// Whether both directions of the link share one channel.
    pub half_duplex: bool,
    /// Seconds between two items of the source, where it is known.
    pub source_s: f64,
}

/// The bound of one resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The resource.
    pub resource: Resource,
    /// The smallest period it allows, in seconds.
    pub period_s: f64,
}

/// What a [`Setting`] allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The bound of every resource that is used, the largest first.
    pub bounds: Vec<Bound>,
    /// The least number of buffer sets, over all lanes, that does not hold any other resource back.
    pub buffers_enough: usize,
    /// The least number of host threads that does not hold any other resource back.
    pub host_threads_enough: usize,
    /// The unloaded time of one item from preprocess to the end of postprocess, in seconds.
    pub latency_s: f64,
}

impl Plan {
    /// Plans for a setting with finite, non-negative times.
    ///
    /// Token rule and bounds: an item holds one buffer set from preprocess to postprocess, so
    /// `period >= latency / buffers`; with lag, a set also waits in the lane for the two calls after its own.
    pub fn new(setting: &Setting) -> Plan {
        let t = setting.times;
        let lanes = setting.lanes.max(1) as f64;
        let host_s = t.preprocess_s + t.postprocess_s;
        let serial_s = t.write_s + t.kernel_s + t.read_s;
        let longest_s = t.write_s.max(t.kernel_s).max(t.read_s);
        let mut bounds = Vec::with_capacity(6);
        let mut bound = |resource, period_s: f64| bounds.push(Bound { resource, period_s });
        let in_lane_s = match setting.overlap {
            Overlap::None => {
                let call_s = serial_s.max(t.call_s);
                bound(Resource::Device, call_s / lanes);
                call_s
            }
            Overlap::InLane => {
                let call_s = longest_s.max(t.call_s);
                bound(Resource::Device, call_s / lanes);
                3.0 * call_s
            }
            Overlap::Queued => {
                bound(Resource::Device, t.kernel_s / lanes);
                serial_s
            }
        };
        if setting.overlap == Overlap::Queued {
            if setting.half_duplex {
                bound(Resource::Link, t.write_s + t.read_s);
            } else {
                bound(Resource::Write, t.write_s);
                bound(Resource::Read, t.read_s);
            }
        }
        if setting.source_s > 0.0 {
            bound(Resource::Source, setting.source_s);
        }
        let without_host = bounds.iter().map(|b| b.period_s).fold(0.0, f64::max);
        bounds
            .push(Bound { resource: Resource::Host, period_s: host_s / setting.host_threads.max(1) as f64 });
        let without_buffers = bounds.iter().map(|b| b.period_s).fold(0.0, f64::max);
        let latency_s = t.preprocess_s + in_lane_s + t.postprocess_s;
        bounds
            .push(Bound { resource: Resource::Buffers, period_s: latency_s / setting.buffers.max(1) as f64 });
        bounds.sort_by(|a, b| b.period_s.total_cmp(&a.period_s));
        Plan {
            buffers_enough: enough(latency_s, without_buffers).max(setting.lanes),
            host_threads_enough: enough(host_s, without_host),
            latency_s,
            bounds,
        }
    }

    /// The smallest period possible, in seconds.
    pub fn period_s(&self) -> f64 {
        self.binding().period_s
    }

    /// The resource that sets the period.
    pub fn binding(&self) -> Bound {
        self.bounds[0]
    }
}

/// The least whole number of `period_s` that holds `work_s`, at least 1.
fn enough(work_s: f64, period_s: f64) -> usize {
    if work_s <= 0.0 || period_s <= 0.0 {
        return 1;
    }
    // Measured times carry noise; a hair over a whole number is no reason for one more.
    ((work_s / period_s - 1e-9).ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(overlap: Overlap, buffers: usize, host_threads: usize) -> Setting {
        let times = StageTimes {
            preprocess_s: 0.004,
            write_s: 0.0005,
            kernel_s: 0.002,
            read_s: 0.0005,
            postprocess_s: 0.001,
            call_s: 0.0,
        };
        Setting { times, lanes: 1, buffers, host_threads, overlap, half_duplex: false, source_s: 0.0 }
    }

    #[track_caller]
    fn check(setting: Setting, binding: Resource, period_s: f64, buffers: usize, threads: usize) {
        let plan = Plan::new(&setting);
        assert_eq!(plan.binding().resource, binding);
        assert!((plan.period_s() - period_s).abs() < 1e-12, "{} s", plan.period_s());
        assert_eq!((plan.buffers_enough, plan.host_threads_enough), (buffers, threads));
    }

    #[test]
    fn too_few_host_threads_bind_and_more_buffers_give_nothing() {
        check(setting(Overlap::Queued, 8, 2), Resource::Host, 0.0025, 4, 3);
    }

    #[test]
    fn too_few_buffers_bind() {
        check(setting(Overlap::Queued, 2, 3), Resource::Buffers, 0.004, 4, 3);
    }

    #[test]
    fn a_device_that_does_one_thing_at_a_time_takes_their_sum() {
        check(setting(Overlap::None, 4, 4), Resource::Device, 0.003, 3, 2);
    }

    #[test]
    fn double_buffering_takes_the_longest_of_the_three() {
        check(setting(Overlap::InLane, 6, 4), Resource::Device, 0.002, 6, 3);
    }

    #[test]
    fn what_a_call_costs_beside_its_stages_counts() {
        let mut s = setting(Overlap::InLane, 6, 4);
        s.times.call_s = 0.0025;
        check(s, Resource::Device, 0.0025, 5, 2);
    }

    #[test]
    fn both_directions_of_a_half_duplex_link_add_up() {
        let mut s = setting(Overlap::Queued, 9, 9);
        s.half_duplex = true;
        s.times.write_s = 0.0015;
        s.times.read_s = 0.0015;
        check(s, Resource::Link, 0.003, 4, 2);
    }

    #[test]
    fn nothing_to_do_needs_one_of_each() {
        let times = StageTimes::default();
        let s = Setting { times, ..setting(Overlap::Queued, 1, 1) };
        let plan = Plan::new(&s);
        assert_eq!((plan.period_s(), plan.buffers_enough, plan.host_threads_enough), (0.0, 1, 1));
    }
}
