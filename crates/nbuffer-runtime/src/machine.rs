//! What a benchmark must say beside its figures: which machine it ran on, the spread of its runs, and how much of
//! the machine other processes took meanwhile.

use std::fmt;

/// Above this share of the machine's CPU time taken by others, a figure is void: pipelines on two busy
/// cores look sequential.
pub const OTHERS_MAX: f64 = 0.06;

/// The processor and how many of its cores are here.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |key: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = value("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let model = value("model\t").map_or(String::new(), |model| format!(" (model {model})"));
    format!("{name}{model}, {cores} cores")
}

/// CPU time so far, in clock ticks.
#[derive(Clone, Copy, Debug)]
pub struct CpuTimes {
    total: u64,
    busy: u64,
    own: u64,
}

impl CpuTimes {
    /// The times now, where the system tells them (Linux). Time of children that were waited for is own.
    pub fn now() -> Option<Self> {
        let numbers =
            |text: &str| text.split_whitespace().map_while(|word| word.parse().ok()).collect::<Vec<u64>>();
        let machine = std::fs::read_to_string("/proc/stat").ok()?;
        let machine = numbers(machine.lines().next()?.strip_prefix("cpu ")?);
        // The name of the process, in parentheses, may hold blanks; the state after it is a letter.
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        let own: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
        let own = (11..15).map(|i| own.get(i)?.parse::<u64>().ok()).sum::<Option<u64>>()?;
        let total = machine.iter().take(8).sum();
        let idle = machine.get(3)? + machine.get(4)?;
        Some(CpuTimes { total, busy: total - idle, own })
    }

    /// Share of the whole machine that other processes took from `self` until `later`.
    pub fn others_share(&self, later: CpuTimes) -> f64 {
        let others = (later.busy - self.busy).saturating_sub(later.own - self.own);
        others as f64 / (later.total - self.total).max(1) as f64
    }
}

/// What others took since `before`.
pub fn verdict(before: Option<CpuTimes>) -> Verdict {
    Verdict { others_share: before.and_then(|before| Some(before.others_share(CpuTimes::now()?))) }
}

/// Whether figures hold. It shows itself in words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Share of the whole machine that other processes took meanwhile; `None` where the system does not tell.
    pub others_share: Option<f64>,
}

impl Verdict {
    /// Whether others took so much that the figures say nothing.
    pub fn is_void(&self) -> bool {
        self.others_share.is_some_and(|share| share > OTHERS_MAX)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(share) = self.others_share else {
            return f.write_str("what other processes took is unknown here");
        };
        let held = if self.is_void() { "VOID: run it again on a quieter machine" } else { "figures hold" };
        write!(f, "other processes took {:.1} % of the CPU meanwhile; {held}", share * 100.0)
    }
}

/// The value a fraction `q` of `values` does not exceed.
///
/// # Panics
///
/// If there are no values.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values() {
        let values = [3.0, 1.0, 2.0, 5.0, 4.0];
        assert_eq!([0.0, 0.5, 1.0].map(|q| quantile(&values, q)), [1.0, 3.0, 5.0]);
    }

    #[test]
    fn own_work_is_not_others() {
        let Some(before) = CpuTimes::now() else { return };
        let after = CpuTimes { own: before.own + 50, busy: before.busy + 60, total: before.total + 100 };
        assert_eq!(before.others_share(after), 0.1);
    }

    #[test]
    fn figures_beside_others_are_void() {
        let shown = [None, Some(0.06), Some(0.061)].map(|others_share| Verdict { others_share }.to_string());
        assert!(
            shown[0].contains("unknown") && shown[1].ends_with("6.0 % of the CPU meanwhile; figures hold")
        );
        assert!(shown[2].contains("6.1 % of the CPU meanwhile; VOID"), "{shown:?}");
    }
}
