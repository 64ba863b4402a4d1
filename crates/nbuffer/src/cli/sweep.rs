//! `--sweep`: the same setting with other numbers of buffer sets, host threads and lanes, side by side.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use nbuffer::plan::{Setting, Time};
use nbuffer::schedule::{HostThreads, LIMIT, Sets};

use super::chart::{Chart, Series};
use super::values::count;

/// The most settings of one sweep.
const SETTINGS_MAX: usize = 100_000;

/// The most lines a chart can show apart.
const LINES_MAX: usize = 8;

/// What to sweep, and where to write it.
#[derive(Debug, clap::Args)]
pub(super) struct SweepArgs {
    /// Try other numbers of buffers, inputs, outputs, host-threads or lanes, side by side: as in
    /// buffers=1..8,host-threads=1,2,4
    #[arg(long, value_name = "SWEEP", conflicts_with = "json")]
    pub(super) sweep: Option<Sweep>,
    /// Write the sweep as CSV
    #[arg(long, value_name = "FILE.csv", requires = "sweep")]
    csv: Option<PathBuf>,
    /// Write the sweep as a chart: throughput by the first resource, a line for each number of the second
    #[arg(long, value_name = "FILE.svg", requires = "sweep")]
    svg: Option<PathBuf>,
}

impl SweepArgs {
    /// Writes the files asked for.
    pub(super) fn write(&self, swept: &Swept) -> anyhow::Result<()> {
        let write = |path: &Path, flag: &str, text: String| {
            std::fs::write(path, text).with_context(|| format!("cannot write {flag} `{}`", path.display()))
        };
        if let Some(path) = &self.csv {
            write(path, "--csv", swept.csv())?;
        }
        if let Some(path) = &self.svg {
            write(path, "--svg", swept.svg()?)?;
        }
        Ok(())
    }
}

/// What a sweep varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Varied {
    Buffers,
    Inputs,
    Outputs,
    HostThreads,
    Lanes,
}

impl Varied {
    const ALL: [Varied; 5] =
        [Varied::Buffers, Varied::Inputs, Varied::Outputs, Varied::HostThreads, Varied::Lanes];

    fn name(self) -> &'static str {
        match self {
            Varied::Buffers => "buffers",
            Varied::Inputs => "inputs",
            Varied::Outputs => "outputs",
            Varied::HostThreads => "host-threads",
            Varied::Lanes => "lanes",
        }
    }

    /// The axis of a chart.
    fn label(self) -> &'static str {
        match self {
            Varied::Buffers => "buffer sets of each lane",
            Varied::Inputs => "input sets of each lane",
            Varied::Outputs => "output sets of each lane",
            Varied::HostThreads => "host threads",
            Varied::Lanes => "lanes",
        }
    }

    fn set(self, setting: &mut Setting, n: usize) -> Result<(), String> {
        match (self, &mut setting.sets) {
            (Varied::Buffers, _) => *setting = setting.with_sets(n),
            (Varied::Inputs, Sets::Split { inputs, .. }) => *inputs = n,
            (Varied::Outputs, Sets::Split { outputs, .. }) => *outputs = n,
            (Varied::Inputs | Varied::Outputs, Sets::Joint(_)) => {
                return Err(format!("--sweep {}: it needs --layout split", self.name()));
            }
            (Varied::HostThreads, _) => setting.host_threads = HostThreads::Shared(n),
            (Varied::Lanes, _) => setting.lanes = n,
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Axis {
    varied: Varied,
    values: Vec<usize>,
}

/// Resources and the numbers each of them is to have: `buffers=1..8,host-threads=1,2,4`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sweep {
    axes: Vec<Axis>,
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut axes: Vec<Axis> = Vec::new();
        for part in text.split(',') {
            let numbers = match part.split_once('=') {
                Some((name, numbers)) => {
                    let name = name.trim();
                    let known = || Varied::ALL.map(Varied::name).join(", ");
                    let varied = Varied::ALL.into_iter().find(|varied| varied.name() == name);
                    let varied =
                        varied.ok_or_else(|| format!("`{name}` is unknown; known are {}", known()))?;
                    if axes.iter().any(|axis| axis.varied == varied) {
                        return Err(format!("`{name}` is there twice"));
                    }
                    axes.push(Axis { varied, values: Vec::new() });
                    numbers
                }
                // More numbers of the resource before.
                None => part,
            };
            let axis = axes.last_mut();
            let axis =
                axis.ok_or("a resource and its numbers are expected, as in buffers=1..8 or lanes=1,2,4")?;
            axis.values.extend(range(numbers.trim())?);
        }
        let settings = axes.iter().map(|axis| axis.values.len()).fold(1, usize::saturating_mul);
        if settings > SETTINGS_MAX {
            return Err(format!("{settings} settings are too many: up to {SETTINGS_MAX} are possible"));
        }
        for axis in &mut axes {
            axis.values.sort_unstable();
            axis.values.dedup();
        }
        Ok(Sweep { axes })
    }
}

/// `1..8`, both ends included, or one number.
fn range(text: &str) -> Result<std::ops::RangeInclusive<usize>, String> {
    let expected = |_| format!("`{text}`: a whole number from 1 to {LIMIT}, or two as in 1..8, are expected");
    match text.split_once("..") {
        None => count(text).map(|n| n..=n).map_err(expected),
        Some((first, last)) => {
            let (first, last) = (count(first).map_err(expected)?, count(last).map_err(expected)?);
            if first > last {
                return Err(format!("`{text}` is empty: the smaller number comes first"));
            }
            Ok(first..=last)
        }
    }
}

/// What one setting gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    /// Seconds per item.
    pub(super) period_s: f64,
    /// What limits it.
    pub(super) limit: &'static str,
    /// How long an item stays.
    pub(super) residence_s: f64,
}

/// A setting of a sweep: the number of each resource varied, and what it gives.
#[derive(Clone, Debug)]
struct Point {
    at: Vec<usize>,
    outcome: Outcome,
}

/// A sweep that was carried out.
#[derive(Clone, Debug)]
pub(super) struct Swept {
    axes: Vec<Axis>,
    points: Vec<Point>,
}

impl Sweep {
    /// Tries every setting. The last resource varies fastest.
    pub(super) fn try_all(
        &self,
        base: &Setting,
        mut outcome: impl FnMut(&Setting) -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<Swept> {
        let settings: usize = self.axes.iter().map(|axis| axis.values.len()).product();
        let mut points = Vec::with_capacity(settings);
        for number in 0..settings {
            let (mut setting, mut rest) = (*base, number);
            let mut at = vec![0; self.axes.len()];
            for (n, axis) in at.iter_mut().zip(&self.axes).rev() {
                *n = axis.values[rest % axis.values.len()];
                rest /= axis.values.len();
            }
            for (&n, axis) in at.iter().zip(&self.axes) {
                axis.varied.set(&mut setting, n).map_err(anyhow::Error::msg)?;
            }
            points.push(Point { at, outcome: outcome(&setting)? });
        }
        Ok(Swept { axes: self.axes.clone(), points })
    }
}

impl Swept {
    /// A table for people.
    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        for axis in &self.axes {
            out += &format!("{:>14}", axis.varied.name());
        }
        say!(out, "{:>12}{:>16}{:>12}  limited by", "period", "items a second", "item stays");
        for Point { at, outcome } in &self.points {
            for n in at {
                out += &format!("{n:>14}");
            }
            let Outcome { period_s, limit, residence_s } = *outcome;
            let (period, stays) = (Time(period_s).to_string(), Time(residence_s).to_string());
            say!(out, "{period:>12}{:>16.1}{stays:>12}  {limit}", 1.0 / period_s);
        }
        out
    }

    /// The same for programs, in seconds.
    fn csv(&self) -> String {
        let mut out = String::new();
        for axis in &self.axes {
            out += axis.varied.name();
            out.push(',');
        }
        say!(out, "period_s,items_per_s,residence_s,limit");
        for Point { at, outcome } in &self.points {
            for n in at {
                out += &format!("{n},");
            }
            let Outcome { period_s, limit, residence_s } = *outcome;
            say!(out, "{period_s},{},{residence_s},{limit}", 1.0 / period_s);
        }
        out
    }

    /// Throughput against the first resource, with a line for each number of the second.
    ///
    /// # Errors
    ///
    /// With more resources or lines than a reader can tell apart.
    fn svg(&self) -> anyhow::Result<String> {
        let (first, second) = match &self.axes[..] {
            [first] => (first, None),
            [first, second] => (first, Some(second)),
            _ => anyhow::bail!("--svg: a chart shows one or two resources, {} are swept", self.axes.len()),
        };
        let lines = second.map_or(1, |axis| axis.values.len());
        if lines > LINES_MAX {
            anyhow::bail!(
                "--svg: {lines} lines cannot be told apart: up to {LINES_MAX} numbers of the second resource"
            );
        }
        let series = (0..lines).map(|line| Series {
            label: second.map(|axis| format!("{} = {}", axis.varied.name(), axis.values[line])),
            // The second resource varies fastest.
            points: self
                .points
                .iter()
                .skip(line)
                .step_by(lines)
                .map(|p| (p.at[0], 1.0 / p.outcome.period_s))
                .collect(),
        });
        let varied = first.varied.label();
        Chart {
            title: format!("Items a second by {varied}"),
            x_label: varied.to_owned(),
            y_label: "items a second".to_owned(),
            series: series.collect(),
        }
        .svg()
    }
}

#[cfg(test)]
mod tests {
    use nbuffer::plan::StageTimes;

    use super::*;

    #[test]
    fn ranges_and_lists_mix() {
        let sweep: Sweep = "buffers=1..3,6,host-threads=4,2".parse().unwrap();
        let axes: Vec<_> = sweep.axes.iter().map(|axis| (axis.varied.name(), axis.values.clone())).collect();
        assert_eq!(axes, [("buffers", vec![1, 2, 3, 6]), ("host-threads", vec![2, 4])]);
    }

    #[test]
    fn what_is_no_sweep_is_named() {
        for (text, words) in [
            ("buffer=1..8", "`buffer` is unknown; known are buffers, inputs, outputs, host-threads, lanes"),
            ("1..8", "a resource and its numbers"),
            ("", "a resource and its numbers"),
            ("buffers=", "``: a whole number"),
            ("buffers=0..8", "`0..8`: a whole number from 1"),
            ("buffers=8..1", "`8..1` is empty"),
            ("buffers=1..x", "`1..x`"),
            ("buffers=1..8,buffers=9", "`buffers` is there twice"),
            ("buffers=1..65536,lanes=1..65536", "4294967296 settings are too many"),
        ] {
            let error = text.parse::<Sweep>().unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn every_setting_is_tried_once_the_last_resource_fastest() {
        let sweep: Sweep = "lanes=1..2,buffers=3,5".parse().unwrap();
        let times = StageTimes { kernel_s: 1.0, ..StageTimes::default() };
        let base = Setting::new(times, 1, Sets::Joint(1), HostThreads::Shared(1));
        let mut tried = Vec::new();
        let swept = sweep.try_all(&base, |setting| {
            tried.push((setting.lanes, setting.sets));
            Ok(Outcome { period_s: 0.5, limit: "device", residence_s: 2.0 })
        });
        let expected = [(1, 3), (1, 5), (2, 3), (2, 5)].map(|(lanes, n)| (lanes, Sets::Joint(n)));
        assert_eq!(tried, expected);
        let csv = swept.unwrap().csv();
        assert_eq!(csv.lines().next(), Some("lanes,buffers,period_s,items_per_s,residence_s,limit"));
        assert_eq!(csv.lines().last(), Some("2,5,0.5,2,2,device"));
    }
}
