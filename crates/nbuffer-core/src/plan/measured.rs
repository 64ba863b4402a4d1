//! Stage times for a plan, from what a run measured.

use super::{CV_MAX, Setting, StageCv, StageTimes};
use crate::measure::{Stage, Tallies};

impl Setting {
    /// The same with the stage times, their spread and the source that were measured.
    pub fn with_measured(&self, measured: &Tallies) -> Setting {
        let seconds = |stage| measured.of(stage).mean() / 1e9;
        let cv = |stage| measured.of(stage).cv().min(CV_MAX);
        let times = StageTimes {
            preprocess_s: seconds(Stage::Preprocess),
            write_s: seconds(Stage::Write),
            kernel_s: seconds(Stage::Kernel),
            read_s: seconds(Stage::Read),
            postprocess_s: seconds(Stage::Postprocess),
            call_s: measured.call.mean() / 1e9,
        };
        let cv = StageCv {
            preprocess: cv(Stage::Preprocess),
            write: cv(Stage::Write),
            kernel: cv(Stage::Kernel),
            read: cv(Stage::Read),
            postprocess: cv(Stage::Postprocess),
        };
        Setting { times, cv, source_s: measured.source.mean() / 1e9, ..*self }
    }
}
