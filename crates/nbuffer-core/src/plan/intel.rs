//! Intel's rule for N-way buffering, as its sample's README gives it, beside a [`Plan`].
//!
//! > max(R + Op, Ip + W) <= (N - 1) K  and  R + W <= K, with (N - 1) * 2 host cores
//!
//! It asks for the N that keeps one kernel busy.

use serde::Serialize;

use super::{Overlap, Plan, Setting};
use crate::schedule::{Duplex, HostThreads, Sets};

/// What Intel's rule says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IntelRule {
    /// The least N that meets it; `None` when none does, since R + W > K.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffers: Option<usize>,
    /// The host cores it asks for, 2(N - 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    /// How its N compares with the plan's N*, at a period as good as the device, the link and the source allow.
    pub verdict: Verdict,
    /// Why.
    pub why: &'static str,
    /// How its cores compare with the host threads that are enough.
    pub cores_verdict: Verdict,
    /// What this setting has that the rule does not speak of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silent_on: Vec<&'static str>,
}

/// How a rule compares with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It asks for as much.
    Agrees,
    /// It asks for too little, or promises too much.
    Hopeful,
    /// It asks for more than is needed, or refuses what works.
    Careful,
    /// It does not speak of this case.
    Silent,
}

impl Verdict {
    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Hopeful => "too hopeful",
            Verdict::Careful => "too careful",
            Verdict::Silent => "silent",
        }
    }

    fn of(asked: usize, needed: usize) -> Self {
        match asked.cmp(&needed) {
            std::cmp::Ordering::Less => Verdict::Hopeful,
            std::cmp::Ordering::Equal => Verdict::Agrees,
            std::cmp::Ordering::Greater => Verdict::Careful,
        }
    }
}

impl IntelRule {
    pub(super) fn of(plan: &Plan) -> IntelRule {
        let setting = &plan.setting;
        let t = &setting.times;
        let silent_on = silent_on(plan);
        let silent = |why| IntelRule {
            buffers: None,
            cores: None,
            verdict: Verdict::Silent,
            why,
            cores_verdict: Verdict::Silent,
            silent_on: silent_on.clone(),
        };
        if t.kernel_s == 0.0 {
            return silent("it counts in kernels, and there is none");
        }
        // The rule has a host thread for everything, so what it is measured by has them too.
        let Some(ample) = with_ample_threads(setting) else {
            return silent("the host work is too much for any number of threads");
        };
        let kernel_bound_s = t.kernel_s / setting.lanes as f64;
        let reached = ample.resource_period_s <= kernel_bound_s * (1.0 + 1e-9);
        if t.write_s + t.read_s > t.kernel_s * (1.0 + 1e-9) {
            let (verdict, why) = if reached && setting.link.duplex == Duplex::Full {
                (Verdict::Careful, "it refuses R + W > K; on a full-duplex link max(R, W) <= K is enough")
            } else if reached {
                (
                    Verdict::Careful,
                    "it refuses R + W > K; here transfers do not share one channel with all others",
                )
            } else {
                (Verdict::Agrees, "transfers or calls take longer than the kernel: no N keeps it busy")
            };
            return IntelRule { verdict, ..silent(why) };
        }
        let longer_s = (t.read_s + t.postprocess_s).max(t.preprocess_s + t.write_s);
        let rest = if longer_s > 0.0 { super::fits(longer_s, t.kernel_s) } else { 0 };
        let buffers = rest.saturating_add(1);
        let cores = rest.saturating_mul(2);
        let needed = match ample.buffers.enough {
            Sets::Joint(n) => n,
            Sets::Split { inputs, outputs } => inputs.max(outputs),
        };
        let (verdict, why) = if reached {
            let verdict = Verdict::of(buffers, needed);
            (verdict, reason(setting, verdict))
        } else if buffers > needed {
            (Verdict::Careful, "it counts in kernels, and items come or go more slowly than that")
        } else {
            (Verdict::Hopeful, "it promises an item per kernel, which device, link or source do not allow")
        };
        let threads = match ample.host_threads_enough {
            HostThreads::Shared(n) => n,
            HostThreads::Split { preprocess, postprocess } => preprocess.saturating_add(postprocess),
        };
        let cores_verdict = Verdict::of(cores, threads);
        IntelRule { buffers: Some(buffers), cores: Some(cores), verdict, why, cores_verdict, silent_on }
    }
}

fn silent_on(plan: &Plan) -> Vec<&'static str> {
    let (setting, spare) = (&plan.setting, plan.buffers.spare);
    let all = [
        (setting.lanes > 1, "several lanes"),
        (setting.launch_s > 0.0, "launch overhead"),
        (setting.source_s > 0.0, "the source"),
        (spare.shared > 0, "stages that share a server"),
        (spare.jitter > 0, "jitter"),
    ];
    all.into_iter().filter(|(has, _)| *has).map(|(_, what)| what).collect()
}

/// The plan with host threads that never bind.
fn with_ample_threads(setting: &Setting) -> Option<Plan> {
    let most = crate::schedule::LIMIT;
    let host_threads = match setting.host_threads {
        HostThreads::Shared(_) => HostThreads::Shared(most),
        HostThreads::Split { .. } => HostThreads::Split { preprocess: most, postprocess: most },
    };
    let plan = Plan::new(&Setting { host_threads, limits: Default::default(), ..*setting }).ok()?;
    let host_binds = super::host_bounds(&plan.setting).iter().any(|b| b.period_s >= plan.resource_period_s);
    (!host_binds).then_some(plan)
}

fn reason(setting: &Setting, verdict: Verdict) -> &'static str {
    match (verdict, setting.sets, setting.overlap) {
        (Verdict::Hopeful, _, Overlap::InLane) => {
            "it knows no results that come two calls late, whose sets wait in the lane"
        }
        (Verdict::Hopeful, Sets::Joint(_), _) => {
            "a set here goes from Ip to Op, so Ip + W + R + Op <= (N - 1) K is needed"
        }
        (Verdict::Hopeful, Sets::Split { .. }, _) => {
            "an output here is held from the write on, so W + R + Op <= (N - 1) K is needed"
        }
        (Verdict::Careful, ..) => "it asks for the longer side on both inputs and outputs",
        _ => "the same bound",
    }
}
