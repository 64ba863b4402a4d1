//! From a summary back to what its plan was made for.

use super::{StageTime, Summary};
use crate::measure::Stage;
use crate::plan::{CV_MAX, Link, Overlap, Plan, Setting, StageCv, StageTimes};
use crate::schedule::{Duplex, HostThreads, Sets};

impl Summary {
    /// The setting of the run's plan, so that other plans can be made from it; `None` where the summary has no plan,
    /// or one that no setting gives.
    ///
    /// A summary does not say whether lanes share a link: the answer that gives the period of its plan is taken. Sizes,
    /// limits, the overhead of a launch and host threads for one stage only are not in a summary either. Where they
    /// mattered, a plan of this setting has another period than the summary's.
    pub fn setting(&self) -> Option<Setting> {
        let plan = self.plan.as_ref()?;
        let of = |stage: Stage| plan.stages.get(stage.name());
        let mean_s = |stage| of(stage).map_or(0.0, |time: &StageTime| time.mean_s);
        let cv = |stage| of(stage).map_or(0.0, |time: &StageTime| time.cv.min(CV_MAX));
        let times = StageTimes {
            preprocess_s: mean_s(Stage::Preprocess),
            write_s: mean_s(Stage::Write),
            kernel_s: mean_s(Stage::Kernel),
            read_s: mean_s(Stage::Read),
            postprocess_s: mean_s(Stage::Postprocess),
            call_s: plan.call_s.unwrap_or(0.0),
        };
        let cv = StageCv {
            preprocess: cv(Stage::Preprocess),
            write: cv(Stage::Write),
            kernel: cv(Stage::Kernel),
            read: cv(Stage::Read),
            postprocess: cv(Stage::Postprocess),
        };
        let sets = match &*self.buffers.layout {
            "split" => Sets::Split { inputs: self.buffers.inputs, outputs: self.buffers.outputs },
            _ => Sets::Joint(self.buffers.depth),
        };
        let overlaps = [Overlap::None, Overlap::InLane, Overlap::Queued];
        let overlap = overlaps.into_iter().find(|overlap| overlap.name() == plan.lane)?;
        let duplexes = [Duplex::Full, Duplex::Half].into_iter();
        let duplex = duplexes
            .map(|duplex| Link { duplex, shared: false })
            .find(|link| link.name() == plan.link)?
            .duplex;
        let with = |shared| Setting {
            cv,
            overlap,
            cores: plan.cores,
            link: Link { duplex, shared },
            source_s: plan.source_s.unwrap_or(0.0),
            ..Setting::new(times, self.lanes, sets, HostThreads::Shared(self.host_threads))
        };
        let off = |setting: Setting| {
            let off = (Plan::new(&setting).ok()?.period_s() / plan.period_s - 1.0).abs();
            off.is_finite().then_some((off, setting))
        };
        // Of equal ones the first: what the calls of a run share is in what they took.
        let shared = overlap == Overlap::Queued;
        let settings = [shared, !shared].map(with).into_iter().filter_map(off);
        settings.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, setting)| setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::PlanSummary;

    /// A summary with nothing in it but a plan and what it was made for.
    fn summary_of(setting: &Setting) -> Summary {
        let sets = setting.sets;
        let summary = serde_json::json!({
            "format": 1,
            "lanes": setting.lanes,
            "buffers": {
                "depth": sets.inputs().max(sets.outputs()),
                "layout": if matches!(sets, Sets::Joint(_)) { "joint" } else { "split" },
                "inputs": sets.inputs(),
                "outputs": sets.outputs(),
                "chosen_by": "user",
                "why": "asked for",
            },
            "double_buffer": false,
            "host_threads": setting.host_threads.total(),
            "items": { "taken": 0, "ok": 0, "failed": 0, "cancelled": 0 },
            "interrupted": false,
            "wall_s": 0.0,
            "items_per_s": 0.0,
            "stages": {},
            "plan": PlanSummary::of(&Plan::new(setting).unwrap(), None),
        });
        serde_json::from_value(summary).unwrap()
    }

    #[test]
    fn a_setting_comes_back_from_the_summary_of_its_plan() {
        let times = StageTimes {
            preprocess_s: 0.004,
            write_s: 0.003,
            kernel_s: 0.002,
            read_s: 0.001,
            postprocess_s: 0.001,
            call_s: 0.0,
        };
        for overlap in [Overlap::None, Overlap::InLane, Overlap::Queued] {
            for (duplex, shared) in [(Duplex::Full, true), (Duplex::Half, true), (Duplex::Half, false)] {
                for sets in [Sets::Joint(9), Sets::Split { inputs: 8, outputs: 9 }] {
                    let setting = Setting {
                        overlap,
                        link: Link { duplex, shared },
                        cv: StageCv::all(0.1),
                        source_s: 0.001,
                        ..Setting::new(times, 2, sets, HostThreads::Shared(40))
                    };
                    let period_s = |setting: &Setting| Plan::new(setting).unwrap().period_s();
                    let back = summary_of(&setting).setting().unwrap();
                    assert_eq!(period_s(&back), period_s(&setting), "{setting:?}");
                    // Whether the link is shared shows only where it sets the period.
                    let link = back.link;
                    assert_eq!(Setting { link: setting.link, ..back }, setting);
                    assert_eq!(link.duplex, duplex, "{setting:?}");
                }
            }
        }
    }

    #[test]
    fn a_summary_without_a_plan_has_no_setting() {
        let times = StageTimes { kernel_s: 0.001, ..StageTimes::default() };
        let mut summary = summary_of(&Setting::new(times, 1, Sets::Joint(2), HostThreads::Shared(1)));
        assert!(summary.setting().is_some());
        summary.lanes = 0;
        assert_eq!(summary.setting(), None);
        summary.plan = None;
        assert_eq!(summary.setting(), None);
    }
}
