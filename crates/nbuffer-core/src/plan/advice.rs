//! What would make a setting faster, and what it has too much of, in sentences.
//!
//! Every gain is the period of this plan over that of a plan with the change made.

use std::fmt;

use super::{Overlap, Plan, Resource, Setting};
use crate::schedule::{Duplex, HostThreads, LIMIT, Sets};

impl Plan {
    /// What limits the period, what a change would give, and what is superfluous: the limit first.
    pub fn advice(&self) -> Vec<String> {
        let mut advice = vec![self.limit()];
        advice.extend(self.too_many_sets());
        advice.extend(self.too_many_threads());
        advice.extend(self.broken_limits());
        advice
    }

    fn limit(&self) -> String {
        let s = &self.setting;
        let lanes = |s: &mut Setting| s.lanes += 1;
        match self.binding().resource {
            Resource::Device => {
                let more = self.gain(lanes);
                let count = plural(s.lanes + 1, "lane");
                let mut text = format!(
                    "device-bound: {count} instead of {}, each with a compute unit, give {more}",
                    s.lanes
                );
                if s.overlap == Overlap::None {
                    let double = self.gain(double_buffer);
                    if double.factor > 1.0 {
                        text += &format!("; double buffering gives {double}");
                    }
                }
                text + "; more buffer sets or host threads give nothing"
            }
            Resource::Write => {
                self.faster_link("half the bytes to the device give", |s| s.times.write_s /= 2.0)
            }
            Resource::Read => {
                self.faster_link("half the bytes from the device give", |s| s.times.read_s /= 2.0)
            }
            Resource::Link => self.faster_link("a full-duplex link gives", |s| s.link.duplex = Duplex::Full),
            Resource::Source => {
                let rest = self.gain(|s| s.source_s = 0.0);
                format!(
                    "source-bound: an item comes every {}; a faster source gives up to {rest}; anything else gives nothing",
                    Time(s.source_s)
                )
            }
            Resource::Host | Resource::PreprocessThreads | Resource::PostprocessThreads => {
                self.more_threads()
            }
            Resource::Cores => self.more_cores(),
            Resource::Buffers | Resource::Inputs | Resource::Outputs => self.more_sets(),
        }
    }

    fn faster_link(&self, change: &str, how: impl FnOnce(&mut Setting)) -> String {
        let gain = self.gain(how);
        let lanes = if self.setting.link.shared {
            "more buffer sets, host threads or lanes give nothing".to_owned()
        } else {
            let more = self.gain(|s| s.lanes += 1);
            format!(
                "one more lane with its own link gives {more}; more buffer sets or host threads give nothing"
            )
        };
        format!("link-bound: {change} {gain}; {lanes}")
    }

    fn more_threads(&self) -> String {
        let (now, enough) =
            (self.setting.host_threads, at_least(self.host_threads_enough, self.setting.host_threads));
        if exceeds(enough) {
            return format!(
                "host-bound: {now} are too few, and so would be {LIMIT}; more buffer sets give nothing",
                now = threads(now)
            );
        }
        let gain = self.gain(|s| s.host_threads = enough);
        let instead = match now {
            HostThreads::Shared(n) => n.to_string(),
            HostThreads::Split { preprocess, postprocess } => format!("{preprocess} + {postprocess}"),
        };
        format!(
            "host-bound: {} instead of {instead} give {gain}; more buffer sets give nothing",
            threads(enough)
        )
    }

    fn more_cores(&self) -> String {
        let now = self.setting.seats().unwrap_or(1);
        let more = self.gain(|s| {
            s.cores = Some(now + 1);
            s.lanes += 1;
            s.host_threads = HostThreads::Shared(now + 1);
        });
        let elsewhere = self.gain(|s| *s = Setting { cores: None, ..s.with_sets(LIMIT) });
        format!(
            "core-bound: {} instead of {now} give {more}; a device that computes as fast with cores of its own gives {elsewhere}; \
             more buffer sets, host threads or lanes give nothing",
            plural(now + 1, "core")
        )
    }

    fn more_sets(&self) -> String {
        let now = self.setting.sets;
        let enough = match (self.buffers.enough, now) {
            (Sets::Split { inputs, outputs }, Sets::Split { inputs: i, outputs: o }) => {
                Sets::Split { inputs: inputs.max(i), outputs: outputs.max(o) }
            }
            (enough, _) => enough,
        };
        let gain = self.gain(|s| s.sets = enough);
        let instead = match now {
            Sets::Joint(n) => n.to_string(),
            Sets::Split { inputs, outputs } => format!("{inputs} + {outputs}"),
        };
        format!(
            "buffer-bound: {} a lane instead of {instead} give {gain}; more host threads give nothing",
            sets(enough)
        )
    }

    fn too_many_sets(&self) -> Option<String> {
        let (now, advised) = (self.setting.sets, self.buffers.advised);
        let wasted = match (now, advised) {
            (Sets::Joint(n), Sets::Joint(m)) => n > m,
            (Sets::Split { inputs, outputs }, Sets::Split { inputs: i, outputs: o }) => {
                inputs > i || outputs > o
            }
            _ => false,
        };
        wasted.then(|| {
            let leaner = self.with(|s| {
                s.sets = match (now, advised) {
                    (Sets::Split { inputs, outputs }, Sets::Split { inputs: i, outputs: o }) => {
                        Sets::Split { inputs: inputs.min(i), outputs: outputs.min(o) }
                    }
                    _ => advised,
                }
            });
            let saved_s = leaner.map_or(0.0, |leaner| self.residence_s - leaner.residence_s);
            let latency = if saved_s > 0.0 {
                format!("; the others make each item {} later", Time(saved_s))
            } else {
                String::new()
            };
            format!("{} a lane are enough{latency}", sets(advised))
        })
    }

    fn too_many_threads(&self) -> Option<String> {
        let fewer = match (self.setting.host_threads, self.host_threads_enough) {
            (HostThreads::Shared(n), HostThreads::Shared(m)) => m < n,
            (
                HostThreads::Split { preprocess, postprocess },
                HostThreads::Split { preprocess: p, postprocess: q },
            ) => p <= preprocess && q <= postprocess && p + q < preprocess + postprocess,
            _ => false,
        };
        fewer.then(|| {
            let all = threads(self.host_threads_enough);
            let verb = if self.host_threads_enough == HostThreads::Shared(1) { "is" } else { "are" };
            format!("{all} {verb} enough")
        })
    }

    fn broken_limits(&self) -> Vec<String> {
        let limits = &self.setting.limits;
        let mut broken = Vec::new();
        let fits =
            self.buffers.cap.map(|cap| format!("at most {} a lane", sets_of(self.setting.sets, cap.sets)));
        let fits = fits.unwrap_or_default();
        if let Some(limit_s) = limits.latency_s.filter(|&limit_s| self.residence_s > limit_s) {
            let stay = Time(self.residence_s);
            broken.push(format!("an item stays {stay}, longer than the limit of {}: {fits}", Time(limit_s)));
        }
        let memory = [("host", limits.host_bytes), ("device", limits.device_bytes)];
        for (side, limit) in memory {
            if limit.is_some_and(|limit| self.memory_bytes() > limit) {
                broken.push(format!(
                    "{} a lane exceed the {side} memory limit: {fits}",
                    sets(self.setting.sets)
                ));
            }
        }
        broken
    }

    /// The same setting with a change.
    fn with(&self, change: impl FnOnce(&mut Setting)) -> Option<Plan> {
        let mut setting = self.setting;
        // Limits choose N; they have no say in a period.
        setting.limits = Default::default();
        change(&mut setting);
        Plan::new(&setting).ok()
    }

    fn gain(&self, change: impl FnOnce(&mut Setting)) -> Gain {
        match self.with(change) {
            Some(plan) => {
                let (now, then) = (self.binding().resource, plan.binding().resource);
                Gain { factor: self.period_s() / plan.period_s(), then: (then != now).then_some(then) }
            }
            None => Gain { factor: 1.0, then: None },
        }
    }
}

/// What a change gives.
struct Gain {
    factor: f64,
    /// What sets the period after it, if that is something else.
    then: Option<Resource>,
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.factor < 1.005 {
            f.write_str("nothing")?;
        } else {
            write!(f, "{:.2}x", self.factor)?;
        }
        let then = match self.then {
            None => return Ok(()),
            Some(Resource::Device) => "the device is the limit",
            Some(Resource::Write) => "the link to the device is the limit",
            Some(Resource::Read) => "the link from the device is the limit",
            Some(Resource::Link) => "the link is the limit",
            Some(Resource::Source) => "the source is the limit",
            Some(Resource::Host) => "the host threads are the limit",
            Some(Resource::PreprocessThreads) => "the preprocess threads are the limit",
            Some(Resource::PostprocessThreads) => "the postprocess threads are the limit",
            Some(Resource::Cores) => "the cores are the limit",
            Some(Resource::Buffers) => "the buffer sets are the limit",
            Some(Resource::Inputs) => "the input sets are the limit",
            Some(Resource::Outputs) => "the output sets are the limit",
        };
        write!(f, " (then {then})")
    }
}

/// A time with the unit that suits it, as in `21.50 ms`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Time(
    /// Seconds.
    pub f64,
);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            s if s >= 1.0 => write!(f, "{s:.2} s"),
            s if s >= 1e-3 => write!(f, "{:.2} ms", s * 1e3),
            s if s >= 1e-6 => write!(f, "{:.1} us", s * 1e6),
            s => write!(f, "{:.0} ns", s * 1e9),
        }
    }
}

/// What a call costs beside its stages stays.
fn double_buffer(s: &mut Setting) {
    let beside_s = s.times.call_s - s.in_call_s();
    s.overlap = Overlap::InLane;
    s.times.call_s = if beside_s > 0.0 { s.in_call_s() + beside_s } else { 0.0 };
}

pub(crate) fn sets(sets: Sets) -> String {
    match sets {
        Sets::Joint(n) => plural(n, "buffer set"),
        Sets::Split { inputs, outputs } => format!("{inputs} + {}", plural(outputs, "input and output set")),
    }
}

fn sets_of(layout: Sets, n: usize) -> String {
    match layout {
        Sets::Joint(_) => sets(Sets::Joint(n)),
        Sets::Split { .. } => sets(Sets::Split { inputs: n, outputs: n }),
    }
}

fn threads(threads: HostThreads) -> String {
    match threads {
        HostThreads::Shared(n) => plural(n, "host thread"),
        HostThreads::Split { preprocess, postprocess } => {
            format!("{preprocess} + {postprocess} preprocess and postprocess threads")
        }
    }
}

/// No fewer threads of either kind than there are.
fn at_least(enough: HostThreads, now: HostThreads) -> HostThreads {
    match (enough, now) {
        (
            HostThreads::Split { preprocess: p, postprocess: q },
            HostThreads::Split { preprocess, postprocess },
        ) => HostThreads::Split { preprocess: p.max(preprocess), postprocess: q.max(postprocess) },
        (enough, _) => enough,
    }
}

fn exceeds(threads: HostThreads) -> bool {
    match threads {
        HostThreads::Shared(n) => n > LIMIT,
        HostThreads::Split { preprocess, postprocess } => preprocess.max(postprocess) > LIMIT,
    }
}

fn plural(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
