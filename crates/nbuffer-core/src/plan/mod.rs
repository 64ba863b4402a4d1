//! What period the stage times allow, which resource sets it, and how many buffer sets and host threads are
//! enough.
//!
//! Five stages in item order: preprocess (Ip), write (W), kernel (K), read (R), postprocess (Op). No resource
//! can be used for longer than a period per item, and no [pool of buffer sets](crate::schedule::Sets) lets in more
//! items than it has sets. Each is a bound of the period; the largest is the period [`Plan`] gives.
//!
//! | resource | bound |
//! |---|---|
//! | device | K/D on queued lanes, with the overhead of a launch; a call/D on lanes that block: W + K + R, or the longest of them with double buffering |
//! | write, read | W, R; over D where each lane has a link of its own |
//! | link (half duplex) | W + R; over D likewise |
//! | host threads | (Ip + Op)/C; Ip/Ci and Op/Co where they are for one stage only |
//! | cores | (Ip + a call + Op)/cores, where lanes compute on the cores that host threads use |
//! | buffer sets | the time a set is held, over D N |
//! | source | A |
//!
//! With times that never vary the period is
//!
//! - **exact** with dedicated servers: a full-duplex link and host threads for one stage only (or no fewer than
//!   can have work, D N), for any N and D and either layout; all but double-buffered lanes with split sets and
//!   fewer than three outputs, or with up to three sets beside other lanes, where it is a lower bound;
//! - **a lower bound** with shared ones (a half-duplex link, host threads for both stages), since two stages of
//!   one server can get in each other's way; with the spare sets of [`BufferNeed`] it is nearly always reached;
//! - **a lower bound** where times vary: then it speaks of means.
//!
//! Intel publishes times of its n_way_buffering sample, 100 launches at N = 1, 2 and 5, for two boards. From the
//! rows for N = 1 alone the others follow within 4 % (`tests/plan.rs`). `tests/plan_in_virtual_time` compares plans
//! with the schedule itself.
//!
//! ```
//! use nbuffer_core::plan::{Plan, Resource, Setting, StageTimes};
//! use nbuffer_core::schedule::{HostThreads, Sets};
//!
//! let times = StageTimes {
//!     preprocess_s: 0.004, write_s: 0.0005, kernel_s: 0.002, read_s: 0.0005, postprocess_s: 0.001, call_s: 0.0,
//! };
//! let plan = Plan::new(&Setting::new(times, 1, Sets::Joint(4), HostThreads::Shared(2)))?;
//! assert_eq!(plan.binding().resource, Resource::Host);
//! assert!(plan.advice()[0].starts_with("host-bound: 3 host threads instead of 2 give 1.25x"));
//! # Ok::<(), nbuffer_core::plan::SettingError>(())
//! ```

mod advice;
mod buffers;
mod cause;
mod error;
mod intel;
mod measured;
mod pools;
mod setting;

use serde::Serialize;

pub use advice::Time;
pub(crate) use advice::sets;
pub use buffers::{BufferNeed, Cap, Spare};
pub use error::{Field, SettingError};
pub use intel::{IntelRule, Verdict};
use pools::{Pool, fits};
pub use setting::{CV_MAX, LONGEST_S, Limits, Link, Overlap, SetBytes, Setting, StageCv, StageTimes};

use crate::schedule::{Duplex, HostThreads, Sets};

/// What can set the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// The compute units, or a lane whose call does write, kernel and read.
    Device,
    /// The host-to-device direction of a full-duplex link.
    Write,
    /// The device-to-host direction of a full-duplex link.
    Read,
    /// A half-duplex link.
    Link,
    /// The source, which gives items more slowly than anything else takes them.
    Source,
    /// The host threads.
    Host,
    /// The host threads for preprocess only.
    PreprocessThreads,
    /// The host threads for postprocess only.
    PostprocessThreads,
    /// The cores of this machine, which host threads share with lanes that compute on them.
    Cores,
    /// The buffer sets.
    Buffers,
    /// The input sets, where they are recycled apart from outputs.
    Inputs,
    /// The output sets, where they are recycled apart from inputs.
    Outputs,
}

impl Resource {
    /// The lower-case name, as in a summary.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Device => "device",
            Resource::Write => "write",
            Resource::Read => "read",
            Resource::Link => "link",
            Resource::Source => "source",
            Resource::Host => "host",
            Resource::PreprocessThreads => "preprocess_threads",
            Resource::PostprocessThreads => "postprocess_threads",
            Resource::Cores => "cores",
            Resource::Buffers => "buffers",
            Resource::Inputs => "inputs",
            Resource::Outputs => "outputs",
        }
    }
}

/// The bound of one resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The resource.
    pub resource: Resource,
    /// The smallest period it allows, in seconds per item of all lanes.
    pub period_s: f64,
}

/// What a [`Setting`] allows. All periods are seconds per item of all lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it was made for.
    pub setting: Setting,
    /// The bound of every resource that is used: the binding one first, then from the largest to the smallest.
    pub bounds: Vec<Bound>,
    /// P_res, the largest bound but those of buffer sets: the period that enough of them reach.
    pub resource_period_s: f64,
    /// How many buffer sets are enough.
    pub buffers: BufferNeed,
    /// The least host threads that do not hold any other resource back, buffer sets aside.
    pub host_threads_enough: HostThreads,
    /// L, the time of one item from preprocess to the end of postprocess when it waits for nothing: the time
    /// to the first result. With double buffering it counts three calls, and the first result of a longer
    /// stream waits for the preprocess of the next two items too.
    pub latency_s: f64,
    /// How long an item stays on average from the start of preprocess to the end of postprocess, waiting
    /// included.
    ///
    /// While the source is never waited for, all joint sets are in use: N periods of a lane, and never less
    /// than L. That is exact where the period is, unless sets wait for a thread to preprocess with; then, and
    /// with split sets, of which an item holds two kinds, it is an upper bound. Where the source sets the
    /// period nothing waits and it is L; but on a double-buffered lane for the calls of two later items.
    /// (Flush calls of a source that pauses bring results out sooner.)
    pub residence_s: f64,
}

impl Plan {
    /// Plans for a setting.
    ///
    /// # Errors
    ///
    /// A value that is out of range, a memory limit below one buffer set per lane, or a latency limit that no
    /// number of buffer sets meets.
    pub fn new(setting: &Setting) -> Result<Plan, SettingError> {
        setting.validate()?;
        let mut bounds = device_bounds(setting);
        let without_host_s = largest(&bounds);
        bounds.extend(host_bounds(setting));
        bounds.extend(setting.seats().map(|cores| Bound {
            resource: Resource::Cores,
            period_s: (setting.times.host_s() + setting.call_s()) / cores as f64,
        }));
        let resource_period_s = largest(&bounds);
        let binding = binding(&bounds).resource;
        let pools = Pool::of(setting);
        let buffers =
            BufferNeed::of(setting, &pools, Bound { resource: binding, period_s: resource_period_s })?;
        bounds.extend(
            pools.iter().map(|p| Bound { resource: p.resource, period_s: p.period_s(setting.lanes) }),
        );
        let first = self::binding(&bounds);
        bounds.retain(|bound| *bound != first);
        bounds.sort_by(|a, b| b.period_s.total_cmp(&a.period_s));
        bounds.insert(0, first);
        Ok(Plan {
            setting: *setting,
            resource_period_s,
            buffers,
            host_threads_enough: host_threads_enough(setting, without_host_s),
            latency_s: setting.latency_s(),
            residence_s: buffers::residence_s(setting, first),
            bounds,
        })
    }

    /// The smallest period possible, in seconds.
    pub fn period_s(&self) -> f64 {
        self.binding().period_s
    }

    /// The resource that sets the period. Of several at the same period it is the first in the order of
    /// [`Resource`], so that buffers and threads are never called the limit of a device that is busy.
    pub fn binding(&self) -> Bound {
        self.bounds[0]
    }

    /// How much longer each item could use a resource before it set the period, as a fraction of the period: 0
    /// for the binding one. `None` for a resource this setting does not have.
    pub fn slack(&self, resource: Resource) -> Option<f64> {
        let bound = self.bounds.iter().find(|bound| bound.resource == resource)?;
        Some(1.0 - bound.period_s / self.period_s())
    }

    /// Seconds for a stream of `items`, from the first preprocess to the end of the last postprocess.
    ///
    /// An upper bound where the period is exact, too large by at most three periods of a lane. The end of a stream
    /// flushes double-buffered lanes: results that then come at once may add two read and postprocess times for
    /// each lane; and of such lanes it may be too large by a few calls more.
    pub fn time_for_s(&self, items: u64) -> f64 {
        if items == 0 { 0.0 } else { self.latency_s + (items - 1) as f64 * self.period_s() }
    }

    /// Host threads at work on average.
    pub fn cores_busy(&self) -> f64 {
        self.setting.times.host_s() / self.period_s()
    }

    /// The fraction of time each compute unit computes: K/(D P).
    pub fn device_busy(&self) -> f64 {
        self.setting.times.kernel_s / (self.setting.lanes as f64 * self.period_s())
    }

    /// Bytes of all buffer sets, on the host and again on the devices.
    pub fn memory_bytes(&self) -> u64 {
        self.setting.memory_bytes()
    }

    /// Intel's rule for the same stage times, beside this plan.
    pub fn intel_rule(&self) -> IntelRule {
        IntelRule::of(self)
    }
}

impl Setting {
    /// L: the time of one item when it waits for nothing.
    fn latency_s(&self) -> f64 {
        self.times.host_s() + self.in_lane_s()
    }

    /// The servers that two stages use when each lane has `sets`, and whose bounds are therefore not always
    /// reached.
    fn shared_servers(&self, sets: Sets) -> impl Iterator<Item = Resource> + use<> {
        let t = &self.times;
        let both = |a: f64, b: f64| a > 0.0 && b > 0.0;
        let link = self.link.duplex == Duplex::Half
            && both(t.write_s, t.read_s)
            && (self.overlap == Overlap::Queued || self.link.shared && self.lanes > 1);
        let of_lane = match sets {
            Sets::Joint(n) => n,
            Sets::Split { inputs, outputs } => inputs.saturating_add(outputs),
        };
        // As many threads as there can be items on the host are as good as threads for one stage only.
        let too_few = |threads| threads < of_lane.saturating_mul(self.lanes);
        let host = matches!(self.host_threads, HostThreads::Shared(threads) if too_few(threads))
            && both(t.preprocess_s, t.postprocess_s);
        // A core that could help has to wait where the one lane is at work.
        let cores = self.cores.is_some() && both(t.host_s(), self.call_s());
        let shared = [(link, Resource::Link), (host, Resource::Host), (cores, Resource::Cores)];
        shared.into_iter().filter(|(is, _)| *is).map(|(_, r)| r)
    }
}

/// Device, link and source.
fn device_bounds(setting: &Setting) -> Vec<Bound> {
    let t = &setting.times;
    let lanes = setting.lanes as f64;
    let mut bounds = vec![Bound { resource: Resource::Device, period_s: setting.call_s() / lanes }];
    // A lane that blocks has its own transfers in its call; only those of the others can add to them.
    if setting.overlap == Overlap::Queued || setting.link.shared && setting.lanes > 1 {
        let links = if setting.link.shared { 1.0 } else { lanes };
        let uses: &[(Resource, f64)] = match setting.link.duplex {
            Duplex::Full => &[(Resource::Write, t.write_s), (Resource::Read, t.read_s)],
            Duplex::Half => &[(Resource::Link, t.write_s + t.read_s)],
        };
        bounds.extend(uses.iter().map(|&(resource, used_s)| Bound { resource, period_s: used_s / links }));
    }
    if setting.source_s > 0.0 {
        bounds.push(Bound { resource: Resource::Source, period_s: setting.source_s });
    }
    bounds
}

fn host_bounds(setting: &Setting) -> Vec<Bound> {
    let t = &setting.times;
    let bound = |resource, used_s, threads| Bound { resource, period_s: used_s / threads as f64 };
    match setting.host_threads {
        HostThreads::Shared(threads) => vec![bound(Resource::Host, t.host_s(), threads)],
        HostThreads::Split { preprocess, postprocess } => vec![
            bound(Resource::PreprocessThreads, t.preprocess_s, preprocess),
            bound(Resource::PostprocessThreads, t.postprocess_s, postprocess),
        ],
    }
}

fn host_threads_enough(setting: &Setting, period_s: f64) -> HostThreads {
    let t = &setting.times;
    match (setting.host_threads, setting.cores) {
        // A core that finds no call to make must find a host stage to do.
        (HostThreads::Shared(_), Some(cores)) => HostThreads::Shared(cores),
        (HostThreads::Shared(_), None) => HostThreads::Shared(fits(t.host_s(), period_s)),
        (HostThreads::Split { .. }, _) => HostThreads::Split {
            preprocess: fits(t.preprocess_s, period_s),
            postprocess: fits(t.postprocess_s, period_s),
        },
    }
}

fn largest(bounds: &[Bound]) -> f64 {
    bounds.iter().map(|bound| bound.period_s).fold(0.0, f64::max)
}

/// The first of those that are the largest, but for the last digits of a division.
fn binding(bounds: &[Bound]) -> Bound {
    let largest_s = largest(bounds);
    let first = bounds.iter().find(|bound| bound.period_s >= largest_s * (1.0 - 1e-12));
    *first.expect("a device has a bound")
}
