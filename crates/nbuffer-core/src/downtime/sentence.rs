//! What a report says of downtime, in a sentence.

use super::{Cause, Downtime};
use crate::measure::Stage;
use crate::plan::{Overlap, Plan, Resource, sets};

/// Less downtime than this is nothing to speak of.
const LITTLE: f64 = 0.01;

impl Downtime {
    /// How much of its time the device was idle, why, and what would help, if there is a plan made from what the run
    /// measured.
    ///
    /// A plan knows means. Where it expects another limit than the trace shows the sentence says so, with the stage
    /// whose times vary most if there is one.
    pub fn sentence(&self, plan: Option<&Plan>) -> String {
        let Some(cause) = self.main_cause().filter(|_| self.fraction() >= LITTLE) else {
            return format!("idle {} of its steady time: no downtime to speak of", percent(self.fraction()));
        };
        // Cores that are at work are not traced by themselves: they show as what their threads kept.
        let cores = plan.filter(|plan| plan.binding().resource == Resource::Cores);
        let on_cores = cores.is_some() && KEPT_BY_CORES.contains(&cause);
        let share = match on_cores {
            true => KEPT_BY_CORES.iter().map(|&cause| self.by_cause.fraction(cause)).sum(),
            false => self.by_cause.fraction(cause),
        };
        let part = match share {
            0.995.. => "all of it",
            0.9.. => "nearly all of it",
            0.6.. => "most of it",
            _ => "the largest part",
        };
        let because = if on_cores { "because the cores were at other work" } else { because(cause) };
        let of_it = if share < 0.995 { format!(" ({:.0} %)", 100.0 * share) } else { String::new() };
        let mut text =
            format!("idle {} of its steady time, {part}{of_it} {because}", percent(self.fraction()));
        if let Some(&(second, _)) = self.by_cause.largest_first().get(1).filter(|_| share < 0.6 && !on_cores)
        {
            let share = self.by_cause.fraction(second);
            text += &format!(", and {:.0} % {}", 100.0 * share, self::because(second));
        }
        if let Some(plan) = plan {
            text += "; ";
            text += &plan.about(cause);
        }
        text
    }
}

/// What is missing where a core is.
const KEPT_BY_CORES: [Cause; 3] = [Cause::Host, Cause::Buffers, Cause::Delivery];

fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

fn because(cause: Cause) -> &'static str {
    match cause {
        Cause::Source => "because the source had not given the next item yet",
        Cause::Host => "because the next item was still with the host threads",
        Cause::Write => "because the next item was still on its way to the device",
        Cause::Read => "because results were still on their way from the device",
        Cause::Buffers => "because there was no free buffer set for the next item",
        Cause::Launch => "because of what a launch or a call takes beside its stages",
        Cause::Delivery => "because the reorder window was full of results",
        Cause::Unknown => "for reasons that the trace does not tell",
    }
}

impl Plan {
    /// What the plan says where a trace shows this cause.
    fn about(&self, cause: Cause) -> String {
        let advice = self.advice().swap_remove(0);
        if self.explains(cause) {
            return advice;
        }
        let spare = &self.buffers.spare;
        if spare.jitter == 0 && spare.jitter_covered {
            return format!("by the mean stage times alone the run would be {advice}");
        }
        let (now, advised) = (self.setting.sets, self.buffers.advised);
        let is_more = advised.inputs() > now.inputs() || advised.outputs() > now.outputs();
        let cure = match is_more {
            true => format!("{} a lane are advised against it", sets(advised)),
            false if spare.jitter_covered => "more buffer sets than there are would help little".to_owned(),
            false => "no small number of buffer sets makes up for so much".to_owned(),
        };
        let stage = self.least_steady();
        let cv = 100.0 * self.setting.cv.of(stage);
        format!("stage times vary, those of {stage} the most (by {cv:.0} %): {cure}")
    }

    /// Whether the resource that sets the period is what was waited for.
    fn explains(&self, cause: Cause) -> bool {
        let resource = self.binding().resource;
        if resource == Resource::Cores {
            return KEPT_BY_CORES.contains(&cause);
        }
        match cause {
            Cause::Source => resource == Resource::Source,
            Cause::Host => matches!(
                resource,
                Resource::Host | Resource::PreprocessThreads | Resource::PostprocessThreads
            ),
            Cause::Buffers => matches!(resource, Resource::Buffers | Resource::Inputs | Resource::Outputs),
            Cause::Write => matches!(resource, Resource::Write | Resource::Link) || self.is_call(resource),
            Cause::Read => matches!(resource, Resource::Read | Resource::Link) || self.is_call(resource),
            Cause::Launch => resource == Resource::Device,
            Cause::Delivery | Cause::Unknown => false,
        }
    }

    /// Whether this is the device of a lane that blocks: then it is held by whole calls, with their transfers.
    fn is_call(&self, resource: Resource) -> bool {
        resource == Resource::Device && self.setting.overlap != Overlap::Queued
    }

    /// The stage with the largest standard deviation.
    fn least_steady(&self) -> Stage {
        let deviation = |stage: &Stage| self.setting.times.of(*stage) * self.setting.cv.of(*stage);
        let stages = Stage::ALL.into_iter();
        stages.max_by(|a, b| deviation(a).total_cmp(&deviation(b))).unwrap_or(Stage::Kernel)
    }
}
