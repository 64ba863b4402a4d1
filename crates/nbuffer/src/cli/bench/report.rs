//! What a benchmark says: a table for people, and everything as JSON.

use std::collections::BTreeMap;

use nbuffer::machine::{Verdict, machine, quantile};
use nbuffer::summary::{Buffers, ChosenBy, Summary};
use nbuffer::{Buffering, Settings};
use serde::Serialize;

use super::rounds::Bench;
use crate::cli::plan::row;

/// The version of the JSON format. It changes when a field changes meaning or goes away.
const FORMAT: u32 = 1;

/// All that was measured. Times are seconds, rates per second.
#[derive(Serialize)]
pub(super) struct Report {
    format: u32,
    machine: String,
    model: Option<String>,
    device: Vec<String>,
    engine: Option<String>,
    /// Items of each run.
    items: u64,
    /// Rounds that count; the one before them does not.
    rounds: usize,
    interrupted: bool,
    /// Runs, those of the warm-up round among them, in which every item had the same answer.
    runs_checked: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    others_share: Option<f64>,
    /// Whether other processes took so much that the figures say nothing.
    void: bool,
    modes: Vec<ModeReport>,
    #[serde(skip)]
    verdict: Verdict,
}

/// One mode and its runs.
#[derive(Serialize)]
pub(super) struct ModeReport {
    mode: String,
    what: String,
    /// Buffer sets that were asked for; absent where nbuffer chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    buffers: Option<usize>,
    /// Double buffering that was asked for; absent where nbuffer chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    double_buffer: Option<bool>,
    /// From the first take to the last result.
    overall_s: Spread,
    /// The first mode's time over this one's in the same round.
    ratio: Spread,
    /// The number in `runs` of the run with the median time.
    median_run: usize,
    /// The runs that count, a round each.
    pub(super) runs: Vec<Summary>,
    #[serde(skip)]
    settings: Settings,
}

/// Of the rounds that count.
#[derive(Clone, Copy, Default, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let [min, median, max] = [0.0, 0.5, 1.0].map(|q| quantile(values, q));
        Spread { median, min, max }
    }
}

impl ModeReport {
    /// A mode that has not run.
    pub(super) fn new(mode: String, what: String, settings: Settings) -> Self {
        ModeReport {
            mode,
            what,
            buffers: match settings.buffering {
                Buffering::Auto => None,
                Buffering::Depth(depth) => Some(depth),
            },
            double_buffer: settings.double_buffer,
            overall_s: Spread::default(),
            ratio: Spread::default(),
            median_run: 0,
            runs: Vec::new(),
            settings,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.mode
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn walls(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.wall_s).collect()
    }

    /// Takes the measures of the runs, `base` being what the first mode took in each round.
    fn measure(&mut self, base: &[f64]) {
        let walls = self.walls();
        let ratios: Vec<f64> = base.iter().zip(&walls).map(|(base, wall)| base / wall).collect();
        self.overall_s = Spread::of(&walls);
        self.ratio = Spread::of(&ratios);
        // Some run has the median time: a quantile is one of the values.
        self.median_run = walls.iter().position(|wall| *wall == self.overall_s.median).unwrap_or(0);
    }

    fn median(&self) -> &Summary {
        &self.runs[self.median_run]
    }

    fn line(&self) -> String {
        let run = self.median();
        let Spread { median, min, max } = self.overall_s;
        let kernel_s = run.kernel.as_ref().map(|kernel| figure(kernel.busy_s / run.lanes as f64));
        let percent = |share: Option<f64>| share.map(|share| format!("{:.1}", 100.0 * share));
        let down = percent(run.kernel.as_ref().map(|kernel| kernel.downtime_fraction));
        let reached = run.plan.as_ref().and_then(|plan| plan.reached);
        let reached = percent(reached.map(|reached| reached.efficiency));
        let [kernel_s, down, reached] =
            [kernel_s, down, reached].map(|value| value.unwrap_or_else(|| "-".to_owned()));
        let (sets, spread) = (sets(&run.buffers), format!("{}-{}", figure(min), figure(max)));
        format!(
            "  {:<6}{sets:>6}{:>4}{:>8}  {spread:<13}{:>9}{kernel_s:>9}{down:>7}{reached:>7}{:>7.2}",
            self.mode,
            run.host_threads,
            figure(median),
            figure(run.items_per_s),
            self.ratio.median
        )
    }

    /// What the mode is, what it chose, and what limited it.
    fn in_words(&self) -> String {
        let run = self.median();
        let mut text = self.what.clone();
        if run.buffers.chosen_by == ChosenBy::Auto {
            text += &format!("; chose {}{}: {}", choice(run), self.other_choices(), run.buffers.why);
        }
        match run.plan.as_ref().and_then(|plan| plan.advice.first()) {
            // Why a choice was made ends with what limited the run then; mostly that is what still does.
            Some(limit) if limit.split_once(':').is_some_and(|(kind, _)| text.contains(kind)) => {}
            Some(limit) => text += &format!(". {limit}"),
            None => text += ". No plan: it takes one device, and 16 calls a lane or more (--repeat)",
        }
        text
    }

    /// What nbuffer chose where that is not what it chose in the run with the median time.
    fn other_choices(&self) -> String {
        let chosen = choice(self.median());
        let mut others: BTreeMap<String, usize> = BTreeMap::new();
        for other in self.runs.iter().map(choice).filter(|other| *other != chosen) {
            *others.entry(other).or_default() += 1;
        }
        let rounds = self.runs.len();
        let others = others.iter().map(|(choice, n)| format!("{choice} in {n} of {rounds} rounds"));
        match &others.collect::<Vec<_>>()[..] {
            [] => String::new(),
            others => format!(" ({})", others.join(", ")),
        }
    }
}

impl Report {
    /// What the runs come to. Every mode has as many of them, and at least one.
    pub(super) fn new(
        mut modes: Vec<ModeReport>,
        bench: &Bench,
        interrupted: bool,
        verdict: Verdict,
    ) -> Self {
        let base = modes[0].walls();
        modes.iter_mut().for_each(|mode| mode.measure(&base));
        let any = modes[0].median();
        Report {
            format: FORMAT,
            machine: machine(),
            model: any.model.clone(),
            device: any.device.clone(),
            engine: any.engine.clone(),
            items: bench.n_items(),
            rounds: base.len(),
            interrupted,
            runs_checked: bench.n_checked(),
            others_share: verdict.others_share,
            void: verdict.is_void(),
            modes,
            verdict,
        }
    }

    /// What a reader must know to trust the numbers, each once: with the modes it is true of, unless of all.
    fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<(&str, Vec<&str>)> = Vec::new();
        for mode in &self.modes {
            for remark in &mode.median().remarks {
                match remarks.iter_mut().find(|(known, _)| known == remark) {
                    Some((_, modes)) => modes.push(&mode.mode),
                    None => remarks.push((remark, vec![&mode.mode])),
                }
            }
        }
        let told = |(remark, modes): (&str, Vec<&str>)| {
            if modes.len() == self.modes.len() {
                remark.to_owned()
            } else {
                format!("{}: {remark}", modes.join(", "))
            }
        };
        remarks.into_iter().map(told).collect()
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The table and its sentences, in 80 columns.
    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        let ratio = format!("x {}", self.modes[0].mode);
        say!(
            out,
            "  {:<6}{:>6}{:>4}{:>8}  {:<13}{:>9}{:>9}{:>7}{:>7}{ratio:>7}",
            "mode",
            "N",
            "C",
            "overall",
            "min-max (s)",
            "items/s",
            "kernel s",
            "down %",
            "plan %",
        );
        for mode in &self.modes {
            say!(out, "{}", mode.line());
        }
        say!(out, "");
        let columns = "each line the run of median time. N: input + output sets a lane; C: host threads; kernel: a \
            compute unit's time at work; down: its idle time between kernels, fill and drain apart; plan: the period \
            the plan for these sets allows over the one reached; x: the median over the rounds";
        row(&mut out, "columns", columns);
        for mode in &self.modes {
            row(&mut out, &mode.mode, &mode.in_words());
        }
        for remark in self.remarks() {
            row(&mut out, "note", &remark);
        }
        let checked =
            format!("{} items a run, with the same answers in all {} runs", self.items, self.runs_checked);
        row(&mut out, "checked", &checked);
        let stopped = if self.interrupted { "; interrupted, these were complete" } else { "" };
        let plural = if self.rounds == 1 { "" } else { "s" };
        let rounds = format!(
            "{} round{plural} of {} modes in turn, after one to warm up, which is not counted{stopped}",
            self.rounds,
            self.modes.len()
        );
        row(&mut out, "rounds", &rounds);
        let engine = self.engine.as_ref().map_or(String::new(), |engine| format!(", values by {engine}"));
        row(&mut out, "device", &format!("{}{engine}", self.device.join(" + ")));
        row(&mut out, "machine", &self.machine);
        row(&mut out, "others", &self.verdict.to_string());
        out
    }
}

/// The sets and host threads a run ended with.
fn choice(run: &Summary) -> String {
    let threads = if run.host_threads == 1 { "thread" } else { "threads" };
    format!("{} sets and {} host {threads}", sets(&run.buffers), run.host_threads)
}

fn sets(buffers: &Buffers) -> String {
    format!("{}+{}", buffers.inputs, buffers.outputs)
}

/// A number in four digits or a few more.
fn figure(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 100.0 => format!("{v:.1}"),
        v if v >= 10.0 => format!("{v:.2}"),
        v if v >= 0.1 => format!("{v:.3}"),
        v => format!("{v:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_few_digits() {
        let shown = [12_345.6, 123.45, 12.345, 1.2345, 0.012345, 0.0].map(figure);
        assert_eq!(shown, ["12346", "123.5", "12.35", "1.234", "0.0123", "0.0000"]);
    }
}
