//! Flags for what goes wrong, or otherwise than at first.

use std::str::FromStr;

use anyhow::bail;
use nbuffer::measure::{Nanos, Stage};
use nbuffer::plan::Setting;
use nbuffer::schedule::Sequence;
use nbuffer::virtual_time::{Fault, LONGEST, Setup, Times};

use super::super::duration::Seconds;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What goes wrong")]
pub(super) struct FaultArgs {
    /// Let an item's kernel fail, or another stage as in preprocess:7; may repeat
    #[arg(long, value_name = "[STAGE:]ITEM", allow_hyphen_values = true)]
    fail: Vec<Fail>,
    /// Let the source have an item, and all after it, so much later than otherwise, as in 50:100ms: without
    /// --source-interval, so long after the beginning; may repeat
    #[arg(long, value_name = "ITEM:TIME", allow_hyphen_values = true)]
    stall: Vec<Stall>,
    /// Lose a lane's device, as in 0@20ms; may repeat
    #[arg(long, value_name = "LANE@TIME", allow_hyphen_values = true)]
    lose_lane: Vec<LoseLane>,
    /// Cancel the stream
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    cancel_at: Option<Seconds>,
    /// From an item on, host stages take so many times as long, as in 50:2.5
    #[arg(long, value_name = "ITEM:FACTOR", allow_hyphen_values = true)]
    host_change: Option<HostChange>,
}

impl FaultArgs {
    /// Whether anything is to go wrong; a change is nothing wrong.
    pub(super) fn any(&self) -> bool {
        !self.fail.is_empty()
            || !self.stall.is_empty()
            || !self.lose_lane.is_empty()
            || self.cancel_at.is_some()
    }

    /// Whether all items there speak of are among the stream's.
    pub(super) fn check_items(&self, items: u64) -> anyhow::Result<()> {
        let fails = self.fail.iter().map(|fail| ("--fail", fail.item));
        let stalls = self.stall.iter().map(|stall| ("--stall", stall.item));
        let change = self.host_change.map(|change| ("--host-change", change.from));
        for (flag, item) in fails.chain(stalls).chain(change) {
            if item >= items {
                bail!("{flag}: there is no item {item}: {items} items are numbered from 0 to {}", items - 1);
            }
        }
        Ok(())
    }

    pub(super) fn put_into(&self, setup: &mut Setup) {
        setup.faults.extend(self.fail.iter().map(|&Fail { stage, item }| Fault::Stage(stage, item)));
        setup
            .faults
            .extend(self.stall.iter().map(|&Stall { item, lasts }| Fault::Stall { before: item, lasts }));
        setup.faults.extend(self.lose_lane.iter().map(|&LoseLane { lane, at }| Fault::LaneLost { lane, at }));
        setup.faults.extend(self.cancel_at.map(|at| Fault::Cancel { at: nanos(at) }));
        if let Some(HostChange { from, factor }) = self.host_change {
            let of = Box::new(setup.times.clone());
            setup.times = Times::Drifting { of, from, factor: [factor, 1.0, 1.0, 1.0, factor] };
        }
    }

    /// The first item with other times than at first.
    pub(super) fn changes_at(&self) -> Option<Sequence> {
        self.host_change.map(|change| change.from)
    }

    /// The setting with the times that host stages have in the end.
    pub(super) fn after_change(&self, setting: &Setting) -> Setting {
        let mut setting = *setting;
        let factor = self.host_change.map_or(1.0, |change| change.factor);
        setting.times.preprocess_s *= factor;
        setting.times.postprocess_s *= factor;
        setting
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Fail {
    stage: Stage,
    item: Sequence,
}

impl FromStr for Fail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const STAGES: [Stage; 3] = [Stage::Preprocess, Stage::Kernel, Stage::Postprocess];
        let (stage, item) = text.split_once(':').unwrap_or((Stage::Kernel.name(), text));
        let stage = STAGES.into_iter().find(|of| of.name() == stage);
        let failing = stage.zip(item.parse().ok()).map(|(stage, item)| Fail { stage, item });
        failing.ok_or_else(|| {
            "the number of an item is expected, as in 7, or with preprocess, kernel or postprocess in front, as in \
             preprocess:7"
                .to_owned()
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stall {
    item: Sequence,
    lasts: Nanos,
}

impl FromStr for Stall {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (item, lasts) = number_and_time(text, ':').filter(|&(_, lasts)| lasts <= LONGEST).ok_or(
            "the number of an item and a time with its unit, up to 1h, are expected, as in 50:100ms",
        )?;
        Ok(Stall { item, lasts })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct LoseLane {
    lane: usize,
    at: Nanos,
}

impl FromStr for LoseLane {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (lane, at) = number_and_time(text, '@')
            .ok_or("the number of a lane and a time with its unit are expected, as in 0@20ms")?;
        Ok(LoseLane { lane, at })
    }
}

fn number_and_time<N: FromStr>(text: &str, between: char) -> Option<(N, Nanos)> {
    let (number, time) = text.split_once(between)?;
    Some((number.parse().ok()?, nanos(time.parse().ok()?)))
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct HostChange {
    from: Sequence,
    factor: f64,
}

/// The largest factor by which host stages change: more is a mistake.
const FACTOR_MAX: f64 = 1000.0;

impl FromStr for HostChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (item, factor) = text.split_once(':')?;
            let (from, factor): (_, f64) = (item.parse().ok()?, factor.parse().ok()?);
            (factor > 0.0 && factor <= FACTOR_MAX).then_some(HostChange { from, factor })
        };
        read().ok_or_else(|| {
            format!(
                "the number of an item and a factor above 0, up to {FACTOR_MAX}, are expected, as in 50:2.5"
            )
        })
    }
}

fn nanos(Seconds(seconds): Seconds) -> Nanos {
    (seconds * 1e9).round() as Nanos
}
