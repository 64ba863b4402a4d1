//! How many buffer sets are enough, how many more are wise, and how many the limits allow.

use super::pools::Pool;
use super::{Bound, Overlap, Resource, Setting, SettingError};
use crate::measure::Stage;
use crate::schedule::{LIMIT, Sets};

/// How many buffer sets each lane needs.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferNeed {
    /// N*, the least number that does not hold any other resource back: with dedicated servers and times that
    /// never vary one less gives a longer period, and this many give the best one.
    pub enough: Sets,
    /// How many to use: N* and the spare ones, as far as the limits allow.
    pub advised: Sets,
    /// What shared servers and jitter ask for beyond N*.
    pub spare: Spare,
    /// What the limits allow, if there are any.
    pub cap: Option<Cap>,
    /// Why this many, in words.
    pub why: String,
}

/// Buffer sets beyond N*. With split sets they count for inputs and outputs each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spare {
    /// For a half-duplex link, fewer host threads than N* sets, or cores, that serve two stages, first come, first
    /// served: 1 where something else binds, 2 where they do.
    ///
    /// In virtual time two reach the bound in all but a few of 10,000 random settings with shared threads, and in
    /// 97 of 100 with a half-duplex link. In the others all sets go round in one bunch, for ever if times never
    /// vary, and the link waits while they are with the host.
    pub shared: usize,
    /// For times that vary.
    pub jitter: usize,
    /// Whether the spare sets for jitter keep 99 % of the throughput; beyond a coefficient of variation of 0.5
    /// or so no small number does.
    pub jitter_covered: bool,
}

/// The most buffer sets of a lane that the limits allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// So many; with split sets so many inputs and outputs each, or with a latency limit so many inputs: a result that
    /// waits for no thread leaves at once, however many outputs there are.
    pub sets: usize,
    /// The limit: `"host memory"`, `"device memory"` or `"latency"`.
    pub limit: &'static str,
}

impl BufferNeed {
    /// For the resources' largest bound.
    pub(super) fn of(setting: &Setting, pools: &[Pool], res: Bound) -> Result<Self, SettingError> {
        let lanes = setting.lanes;
        let each: Vec<usize> = pools.iter().map(|pool| pool.enough(res.period_s, lanes)).collect();
        let sets = |f: &dyn Fn(usize) -> usize| match each[..] {
            [inputs, outputs] => Sets::Split { inputs: f(inputs), outputs: f(outputs) },
            _ => Sets::Joint(f(each[0])),
        };
        let enough = sets(&|n| n);
        let spare = Spare::of(setting, enough, res);
        let cap = Cap::of(setting, enough, res)?;
        let wished = sets(&|n| n.saturating_add(spare.shared + spare.jitter).min(LIMIT));
        let advised = match (wished, cap) {
            (_, None) => wished,
            (Sets::Joint(n), Some(cap)) => Sets::Joint(n.min(cap.sets)),
            (Sets::Split { inputs, outputs }, Some(cap)) => {
                let most = if cap.limit == LATENCY { cap.sets.max(enough.outputs()) } else { cap.sets };
                Sets::Split { inputs: inputs.min(cap.sets), outputs: outputs.min(most) }
            }
        };
        let why = why(setting, enough, &spare, cap.filter(|_| wished != advised));
        Ok(BufferNeed { enough, advised, spare, cap, why })
    }
}

impl Spare {
    fn of(setting: &Setting, enough: Sets, res: Bound) -> Self {
        if setting.keeps_cores_busy() {
            return Spare { jitter_covered: true, ..Spare::default() };
        }
        let shared = setting.shared_servers(enough).map(|s| if s == res.resource { 2 } else { 1 }).max();
        let (jitter, jitter_covered) = jitter_spare(setting, res.period_s);
        Spare { shared: shared.unwrap_or(0), jitter, jitter_covered }
    }
}

/// The name of the limit that is not one of memory.
const LATENCY: &str = "latency";

/// A kernel that varies less than this counts as one that does not vary: measured times always vary a little.
const KERNEL_STEADY: f64 = 0.05;

/// Spare sets against jitter, by simulation: 60 random kernel-bound settings, joint sets, ample host threads,
/// full duplex, lognormal times, 5,000 items. For each coefficient of variation the fewest spare sets at which
/// the kernel kept on average at least 99 % of its throughput, and whether there are such.
///
/// For other layouts and other binding resources it is a guide.
fn jitter_spare(setting: &Setting, period_s: f64) -> (usize, bool) {
    let kernel_varies = setting.cv.kernel > KERNEL_STEADY;
    let steps: &[(f64, usize)] = if kernel_varies {
        // At a coefficient of variation of 1, 4 spare sets keep 97.5 %, and as many again no more.
        &[(0.3, 1), (0.5, 2)]
    } else {
        &[(0.1, 0), (0.3, 1), (0.5, 1), (1.0, 4)]
    };
    let spread = spread(setting, kernel_varies, period_s);
    steps.iter().find(|(up_to, _)| spread <= *up_to).map_or((4, false), |&(_, spare)| (spare, true))
}

/// One coefficient of variation for the stages that vary: of their standard deviations to their times, both as the
/// root of the sum of squares. So it is that of the stages where they all have the same, and a stage that takes next
/// to nothing does not count, however much it varies. Stages that together take less than a period count for less.
fn spread(setting: &Setting, kernel_varies: bool, period_s: f64) -> f64 {
    let varies = |stage: &Stage| kernel_varies || *stage != Stage::Kernel;
    let times = Stage::ALL.into_iter().filter(varies).map(|s| (setting.times.of(s), setting.cv.of(s)));
    let [mut sum, mut squares, mut variances] = [0.0; 3];
    for (time_s, cv) in times {
        sum += time_s;
        squares += time_s * time_s;
        variances += (time_s * cv).powi(2);
    }
    if squares > 0.0 { (variances / squares).sqrt() * (sum / period_s).min(1.0) } else { 0.0 }
}

impl Cap {
    /// Whether the limit allows a lane so many sets.
    pub fn allows(&self, sets: Sets) -> bool {
        let outputs = if self.limit == LATENCY { 0 } else { sets.outputs() };
        sets.inputs().max(outputs) <= self.sets
    }

    fn of(setting: &Setting, enough: Sets, res: Bound) -> Result<Option<Cap>, SettingError> {
        let one = setting.with_sets(1).memory_bytes();
        let memory = |limit: Option<u64>, name| {
            let sets = (limit? / one.max(1)).min(LIMIT as u64) as usize;
            Some(Cap { sets, limit: name })
        };
        let limits = &setting.limits;
        let latency = match limits.latency_s {
            Some(limit_s) => Some(within_latency(setting, enough, res, limit_s)?),
            None => None,
        };
        let caps = [memory(limits.host_bytes, "host memory"), memory(limits.device_bytes, "device memory")];
        Ok(caps.into_iter().chain([latency]).flatten().min_by_key(|cap| cap.sets))
    }
}

/// The most sets of a lane whose items stay no longer than the limit.
fn within_latency(setting: &Setting, enough: Sets, res: Bound, limit_s: f64) -> Result<Cap, SettingError> {
    let residence_of = |n: usize| {
        let sets = match enough {
            Sets::Joint(_) => Sets::Joint(n),
            Sets::Split { outputs, .. } => Sets::Split { inputs: n, outputs },
        };
        let sized = Setting { sets, ..*setting };
        let pools = Pool::of(&sized).into_iter();
        let pools = pools.map(|p| Bound { resource: p.resource, period_s: p.period_s(sized.lanes) });
        let binding = pools.fold(res, |most, pool| if pool.period_s > most.period_s { pool } else { most });
        residence_s(&sized, binding)
    };
    let cap = |sets| Cap { sets, limit: LATENCY };
    // From N* on each further set adds a period of its lane, or nothing where the source is the limit.
    let (mut low, mut high) = (enough.inputs().min(LIMIT), LIMIT);
    if residence_of(low) <= limit_s {
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if residence_of(middle) <= limit_s { low = middle } else { high = middle - 1 }
        }
        return Ok(cap(low));
    }
    // Below it, double buffering makes the residence fall and rise again.
    (1..low).rev().find(|&n| residence_of(n) <= limit_s).map(cap).ok_or_else(|| {
        let least_s = (1..=low).map(residence_of).fold(f64::INFINITY, f64::min);
        SettingError::Latency { limit_s, least_s }
    })
}

/// How long an item stays on average; see [`Plan::residence_s`](super::Plan::residence_s).
pub(super) fn residence_s(setting: &Setting, binding: Bound) -> f64 {
    let of_lane_s = setting.lanes as f64 * binding.period_s;
    let full_s = match setting.sets {
        Sets::Joint(n) => n as f64 * of_lane_s,
        Sets::Split { inputs, outputs } => {
            // From write to the end of the kernel an item holds both.
            let full_s = (inputs as f64 + outputs as f64) * of_lane_s - setting.input_in_lane_s();
            full_s.min(prompt_residence_s(setting, inputs, outputs, binding).unwrap_or(f64::INFINITY))
        }
    };
    if binding.resource != Resource::Source {
        return full_s;
    }
    let late_s = match setting.overlap {
        Overlap::InLane => 2.0 * (of_lane_s - setting.call_s()),
        Overlap::None | Overlap::Queued => 0.0,
    };
    full_s.min(setting.latency_s() + late_s)
}

/// The same where nothing waits once its input is free again: all inputs are in use, which makes so many periods, and
/// what comes after takes its own time. `None` where what binds makes results wait, for a thread or for the way back.
fn prompt_residence_s(setting: &Setting, inputs: usize, outputs: usize, binding: Bound) -> Option<f64> {
    let waits = matches!(
        binding.resource,
        Resource::Read | Resource::Link | Resource::Host | Resource::PostprocessThreads | Resource::Cores
    );
    let of_lane_s = setting.lanes as f64 * binding.period_s;
    let t = &setting.times;
    let after_s = match setting.overlap {
        _ if waits => return None,
        Overlap::None => t.postprocess_s,
        Overlap::Queued => t.read_s + t.postprocess_s,
        // Flush calls have their own time.
        Overlap::InLane if outputs < 3 => return None,
        Overlap::InLane => 2.0 * of_lane_s.max(setting.call_s()) + t.postprocess_s,
    };
    // Items of several lanes may come back at once, and then one after the other. So may those of one lane that waits
    // for sets, since they do not follow each other evenly.
    let is_pool = matches!(binding.resource, Resource::Inputs | Resource::Outputs);
    let in_a_bunch = if is_pool { inputs.saturating_mul(setting.lanes) } else { setting.lanes };
    let back_s = if setting.overlap == Overlap::Queued { t.read_s } else { 0.0 };
    let bunched_s = (in_a_bunch - 1) as f64 * (back_s + t.postprocess_s);
    Some(inputs as f64 * of_lane_s + after_s + bunched_s)
}

fn why(setting: &Setting, enough: Sets, spare: &Spare, cap: Option<Cap>) -> String {
    let mut why = match enough {
        Sets::Joint(n) => format!("N* = {n}"),
        Sets::Split { inputs, outputs } => format!("N* = {inputs} + {outputs}"),
    };
    if setting.overlap == Overlap::InLane {
        why += ", two of them for results that come two calls late";
    }
    if setting.keeps_cores_busy() {
        why += ", since with a set for each core every core has something to do";
    }
    if spare.shared > 0 {
        let servers: Vec<&str> = setting
            .shared_servers(enough)
            .map(|resource| match resource {
                Resource::Link => "the half-duplex link",
                Resource::Cores => "the cores",
                _ => "the host threads",
            })
            .collect();
        let limit = if spare.shared == 2 { " (the limit itself)" } else { "" };
        why += &format!(", +{} for stages that share {}{limit}", spare.shared, servers.join(" and "));
    }
    if spare.jitter > 0 {
        why += &format!(", +{} for times that vary", spare.jitter);
    }
    if !spare.jitter_covered {
        why += " (no small number makes up for so much)";
    }
    if let Some(Cap { sets, limit }) = cap {
        why += &format!("; the {limit} limit allows {sets}");
    }
    why
}
