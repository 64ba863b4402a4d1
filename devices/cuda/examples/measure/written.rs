//! The figures as Markdown and as JSON.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use nbuffer_cuda::Rates;
use nbuffer_runtime::machine::Verdict;
use serde_json::{Value, json};

/// Everything a measurement says.
pub(crate) struct Measured {
    pub(crate) device: String,
    pub(crate) machine: String,
    pub(crate) host_threads: usize,
    pub(crate) runs: usize,
    pub(crate) verdict: Verdict,
    pub(crate) workloads: Vec<Workload>,
}

/// One kind of work.
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) input_bytes: u64,
    pub(crate) output_bytes: u64,
    pub(crate) rates: Rates,
    /// Both host stages of an item.
    pub(crate) host_s: f64,
    /// The longest of all, and what it is: no schedule has a shorter period.
    pub(crate) bound: (String, f64),
    pub(crate) items: u64,
    /// Buffer sets that `auto` ended with.
    pub(crate) chosen: usize,
    pub(crate) runs: Vec<Run>,
}

/// One way to run it: seconds an item.
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) period_s: f64,
    pub(crate) fastest_s: f64,
    pub(crate) slowest_s: f64,
}

const COMMAND: &str = "scripts/check-cuda";

impl Measured {
    /// Writes `cuda-<gpu>.md` and `.json`.
    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<[PathBuf; 2]> {
        fs::create_dir_all(folder)?;
        let gpu: Vec<String> = self
            .device
            .split(',')
            .next()
            .unwrap_or_default()
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let path = |extension: &str| folder.join(format!("cuda-{}.{extension}", gpu.join("-")));
        let paths = [path("md"), path("json")];
        fs::write(&paths[0], self.markdown())?;
        fs::write(&paths[1], format!("{:#}\n", self.json()))?;
        Ok(paths)
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "# {}\n", self.device);
        let _ = writeln!(out, "`{COMMAND}` on {}; {}.\n", self.machine, self.verdict);
        let _ = writeln!(
            out,
            "Median of {} runs each, in turn, with the fastest and the slowest; {} host threads. Every item carries its number, and \
             every value of some items was checked before. The bound is the longest of write, read, both directions at once, \
             kernel and host stages, each measured alone: no schedule has a shorter period. Efficiency is the bound over the \
             measured period.\n",
            self.runs, self.host_threads
        );
        for workload in &self.workloads {
            workload.markdown(&mut out);
        }
        out
    }

    fn json(&self) -> Value {
        json!({
            "format": 1,
            "command": COMMAND,
            "device": self.device,
            "machine": self.machine,
            "host_threads": self.host_threads,
            "runs": self.runs,
            "others_share": self.verdict.others_share,
            "void": self.verdict.is_void(),
            "workloads": self.workloads.iter().map(Workload::json).collect::<Vec<_>>(),
        })
    }
}

impl Workload {
    fn markdown(&self, out: &mut String) {
        let Rates { write_s, read_s, both_s, kernel_s } = self.rates;
        let rate = |bytes: u64, seconds: f64| format!("{:.2} GB/s", bytes as f64 / seconds / 1e9);
        let us = |seconds: f64| format!("{:.1} us", seconds * 1e6);
        let _ = writeln!(out, "## {}: {}, {} items a run\n", self.name, self.model, self.items);
        let _ = writeln!(out, "| alone | an item | rate |\n|---|---:|---:|");
        let both = self.input_bytes + self.output_bytes;
        for (name, seconds, rate) in [
            ("write", write_s, rate(self.input_bytes, write_s)),
            ("read", read_s, rate(self.output_bytes, read_s)),
            ("both directions", both_s, rate(both, both_s)),
            ("kernel", kernel_s, String::new()),
            ("host stages", self.host_s, String::new()),
        ] {
            let _ = writeln!(out, "| {name} | {} | {rate} |", us(seconds));
        }
        let _ = writeln!(out, "\nBound: {}, {}.\n", self.bound.0, us(self.bound.1));
        let _ = writeln!(out, "| run | an item | fastest to slowest | efficiency |\n|---|---:|---:|---:|");
        for run in &self.runs {
            let name =
                if run.name == "auto" { format!("auto, N = {}", self.chosen) } else { run.name.clone() };
            let spread = format!("{} to {}", us(run.fastest_s), us(run.slowest_s));
            let _ = writeln!(
                out,
                "| {name} | {} | {spread} | {:.3} |",
                us(run.period_s),
                self.bound.1 / run.period_s
            );
        }
        out.push('\n');
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "model": self.model,
            "input_bytes": self.input_bytes,
            "output_bytes": self.output_bytes,
            "items": self.items,
            "write_s": self.rates.write_s,
            "read_s": self.rates.read_s,
            "both_s": self.rates.both_s,
            "kernel_s": self.rates.kernel_s,
            "host_s": self.host_s,
            "bound": { "by": self.bound.0, "period_s": self.bound.1 },
            "auto_depth": self.chosen,
            "runs": self.runs.iter().map(|run| json!({
                "name": run.name,
                "period_s": run.period_s,
                "fastest_s": run.fastest_s,
                "slowest_s": run.slowest_s,
                "efficiency": self.bound.1 / run.period_s,
            })).collect::<Vec<_>>(),
        })
    }
}
