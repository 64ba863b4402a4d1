//! What a run measures: stage times, latency, and how busy each compute unit was.
//!
//! Times are nanoseconds since the run began, on whichever clock the run used, so that a run in real time
//! and one in virtual time are measured by the same code.

mod buckets;

use std::fmt;
use std::ops::Sub;

pub use buckets::{BOUNDS, Buckets};
use hdrhistogram::Histogram;

/// Nanoseconds since the run began.
pub type Nanos = u64;

/// One hour: longer durations count as this one in quantiles, which bounds the memory they take.
const LONGEST: Nanos = 3_600_000_000_000;

/// The five stages an item goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Host work that prepares an input (Ip).
    Preprocess,
    /// Host-to-device copy (W).
    Write,
    /// The kernel (K).
    Kernel,
    /// Device-to-host copy (R).
    Read,
    /// Host work on an output (Op).
    Postprocess,
}

impl Stage {
    /// All stages in the order an item meets them.
    pub const ALL: [Stage; 5] =
        [Stage::Preprocess, Stage::Write, Stage::Kernel, Stage::Read, Stage::Postprocess];

    /// The lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Preprocess => "preprocess",
            Stage::Write => "write",
            Stage::Kernel => "kernel",
            Stage::Read => "read",
            Stage::Postprocess => "postprocess",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A distribution of durations: exact count, sum and maximum, quantiles to 3 significant digits, in bounded
/// memory.
#[derive(Clone, Debug)]
pub struct Durations {
    histogram: Histogram<u64>,
    sum: u128,
    /// Sum of squares, in square nanoseconds.
    squares: f64,
    max: Nanos,
}

impl Default for Durations {
    fn default() -> Self {
        let histogram = Histogram::new(3).expect("3 significant digits are valid");
        Durations { histogram, sum: 0, squares: 0.0, max: 0 }
    }
}

impl Durations {
    /// Adds one duration.
    pub fn record(&mut self, duration: Nanos) {
        self.histogram.record(duration.clamp(1, LONGEST)).expect("the histogram grows up to LONGEST");
        self.sum += u128::from(duration);
        self.squares += duration as f64 * duration as f64;
        self.max = self.max.max(duration);
    }

    /// How many were added.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Their sum.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// Their mean; 0 when there are none.
    pub fn mean(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { self.sum as f64 / self.count() as f64 }
    }

    /// Count and sums so far.
    pub fn tally(&self) -> Tally {
        Tally { count: self.count(), sum: self.sum as f64, squares: self.squares }
    }

    /// The value a fraction `q` of them does not exceed; 0 when there are none.
    pub fn quantile(&self, q: f64) -> Nanos {
        if self.count() == 0 { 0 } else { self.histogram.value_at_quantile(q).min(self.max) }
    }

    /// The longest.
    pub fn max(&self) -> Nanos {
        self.max
    }
}

/// Count and sums of durations up to a moment. The difference of two says how they were between those moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Their sum, in nanoseconds.
    pub sum: f64,
    /// The sum of their squares, in square nanoseconds.
    pub squares: f64,
}

impl Tally {
    /// Their mean in nanoseconds; 0 when there are none.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// Standard deviation over mean; 0 when there are none.
    pub fn cv(&self) -> f64 {
        let mean = self.mean();
        if mean <= 0.0 {
            return 0.0;
        }
        (self.squares / self.count as f64 / (mean * mean) - 1.0).max(0.0).sqrt()
    }
}

impl Sub for Tally {
    type Output = Tally;

    fn sub(self, earlier: Tally) -> Tally {
        Tally {
            count: self.count - earlier.count,
            sum: self.sum - earlier.sum,
            squares: self.squares - earlier.squares,
        }
    }
}

/// How one compute unit spent the run, from the kernels that ran on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComputeUnit {
    /// Start of its first kernel and end of its last one.
    steady: Option<(Nanos, Nanos)>,
    busy: Nanos,
    downtime: Nanos,
    kernels: u64,
    /// Start of its last kernel.
    last_start: Nanos,
}

impl ComputeUnit {
    /// Adds a kernel. Kernels of one unit come in the order they ran; overlap counts once.
    pub fn kernel(&mut self, start: Nanos, end: Nanos) {
        self.kernels += 1;
        let Some((first, last_end)) = self.steady else {
            self.busy += end - start;
            self.last_start = start;
            self.steady = Some((start, end));
            return;
        };
        self.downtime += start.saturating_sub(last_end);
        self.busy += end.saturating_sub(start.max(last_end));
        self.last_start = self.last_start.max(start);
        self.steady = Some((first, last_end.max(end)));
    }

    /// Kernels that ran.
    pub fn kernels(&self) -> u64 {
        self.kernels
    }

    /// Time it computed.
    pub fn busy(&self) -> Nanos {
        self.busy
    }

    /// Time it sat idle between its first kernel's start and its last kernel's end.
    pub fn downtime(&self) -> Nanos {
        self.downtime
    }

    /// From the start of its first kernel to the end of its last.
    pub fn steady(&self) -> Nanos {
        self.steady.map_or(0, |(start, end)| end - start)
    }

    /// From the run's beginning to the start of its first kernel.
    pub fn fill(&self) -> Nanos {
        self.steady.map_or(0, |(start, _)| start)
    }

    /// From the end of its last kernel to the end of the run.
    pub fn drain(&self, run_end: Nanos) -> Nanos {
        self.steady.map_or(0, |(_, end)| run_end.saturating_sub(end))
    }

    fn starts(&self) -> Starts {
        let first = self.steady.map_or(0, |(first, _)| first);
        Starts { count: self.kernels, first, last: self.last_start }
    }

    /// Steady-state time from one kernel start to the next, for this unit alone.
    pub fn period(&self) -> Option<f64> {
        let (first, _) = self.steady?;
        (self.kernels > 1).then(|| (self.last_start - first) as f64 / (self.kernels - 1) as f64)
    }
}

/// Everything a run measures.
#[derive(Clone, Debug, Default)]
pub struct Measures {
    stages: [Durations; 5],
    source: Durations,
    call: Durations,
    latency: Durations,
    units: Vec<ComputeUnit>,
}

impl Measures {
    /// Empty measures for so many compute units.
    pub fn new(units: usize) -> Self {
        Measures { units: vec![ComputeUnit::default(); units], ..Measures::default() }
    }

    /// Adds a stage of one item.
    pub fn stage(&mut self, stage: Stage, start: Nanos, end: Nanos) {
        self.stages[stage as usize].record(end.saturating_sub(start));
    }

    /// Adds a kernel to its compute unit.
    pub fn kernel(&mut self, unit: usize, start: Nanos, end: Nanos) {
        self.stage(Stage::Kernel, start, end);
        self.units[unit].kernel(start, end);
    }

    /// Adds a wait for the source, ended by an item.
    pub fn source(&mut self, start: Nanos, end: Nanos) {
        self.source.record(end.saturating_sub(start));
    }

    /// Adds a call that occupied a blocking lane.
    pub fn call(&mut self, start: Nanos, end: Nanos) {
        self.call.record(end.saturating_sub(start));
    }

    /// Adds the latency of one item, from take to result.
    pub fn latency(&mut self, latency: Nanos) {
        self.latency.record(latency);
    }

    /// The durations of a stage.
    pub fn of(&self, stage: Stage) -> &Durations {
        &self.stages[stage as usize]
    }

    /// How long the source took for an item each time it was asked.
    pub fn sources(&self) -> &Durations {
        &self.source
    }

    /// How long calls occupied blocking lanes.
    pub fn calls(&self) -> &Durations {
        &self.call
    }

    /// Latencies, from take to result.
    pub fn latencies(&self) -> &Durations {
        &self.latency
    }

    /// The compute units.
    pub fn units(&self) -> &[ComputeUnit] {
        &self.units
    }

    /// Counts and sums so far, without the distributions.
    pub fn tallies(&self) -> Tallies {
        Tallies {
            stages: Stage::ALL.map(|stage| self.of(stage).tally()),
            source: self.source.tally(),
            call: self.call.tally(),
            units: self.units.iter().map(ComputeUnit::starts).collect(),
        }
    }

    /// Steady-state time from one kernel start to the next over all units: they work side by side, so their
    /// rates add up. `None` before some unit has run two kernels.
    pub fn period(&self) -> Option<f64> {
        let rate: f64 = self.units.iter().filter_map(ComputeUnit::period).map(|period| 1.0 / period).sum();
        (rate > 0.0 && rate.is_finite()).then(|| 1.0 / rate)
    }
}

/// What a run has measured up to a moment, in a form that can be subtracted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tallies {
    stages: [Tally; 5],
    /// The source, each time it gave an item.
    pub source: Tally,
    /// Calls of blocking lanes.
    pub call: Tally,
    /// The kernels of each compute unit.
    units: Vec<Starts>,
}

/// How many kernels started on a compute unit, and when the first and the last did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Starts {
    count: u64,
    first: Nanos,
    last: Nanos,
}

impl Tallies {
    /// One stage.
    pub fn of(&self, stage: Stage) -> Tally {
        self.stages[stage as usize]
    }

    /// The steady-state period since an earlier moment, in nanoseconds per item of all units; `None` when no unit
    /// has started a kernel before and after it.
    pub fn period_since(&self, earlier: &Tallies) -> Option<f64> {
        let rate = |(now, then): (&Starts, &Starts)| {
            // Before the first kernel there is no period.
            let (kernels, from) = match then.count {
                0 => (now.count.saturating_sub(1), now.first),
                before => (now.count - before, then.last),
            };
            let time = now.last.saturating_sub(from);
            if time == 0 { 0.0 } else { kernels as f64 / time as f64 }
        };
        let rate: f64 = self.units.iter().zip(&earlier.units).map(rate).sum();
        (rate > 0.0).then(|| 1.0 / rate)
    }

    /// Kernels of all units.
    pub fn kernels(&self) -> u64 {
        self.units.iter().map(|unit| unit.count).sum()
    }

    /// What happened since an earlier moment, but for the kernels of single units.
    pub fn since(&self, earlier: &Tallies) -> Tallies {
        Tallies {
            stages: std::array::from_fn(|i| self.stages[i] - earlier.stages[i]),
            source: self.source - earlier.source,
            call: self.call - earlier.call,
            units: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downtime_is_what_lies_between_two_kernels() {
        let mut unit = ComputeUnit::default();
        for (start, end) in [(10, 20), (20, 30), (35, 45), (40, 50)] {
            unit.kernel(start, end);
        }
        assert_eq!(
            (unit.fill(), unit.busy(), unit.downtime(), unit.steady(), unit.drain(60)),
            (10, 35, 5, 40, 10)
        );
        assert_eq!(unit.busy() + unit.downtime(), unit.steady());
        assert_eq!(unit.period(), Some(10.0));
    }

    #[test]
    fn tallies_tell_what_happened_in_between() {
        let mut measures = Measures::new(1);
        for i in 0..4 {
            measures.kernel(0, i * 10, i * 10 + 5);
        }
        let before = measures.tallies();
        for i in 2..6 {
            measures.kernel(0, i * 20, i * 20 + if i % 2 == 0 { 10 } else { 20 });
        }
        let since = measures.tallies().since(&before);
        let kernels = since.of(Stage::Kernel);
        assert_eq!((kernels.count, kernels.mean()), (4, 15.0));
        assert!((kernels.cv() - 1.0 / 3.0).abs() < 1e-12);
        // From the start at 30 to the one at 100: 4 kernels.
        assert_eq!(measures.tallies().period_since(&before), Some(17.5));
        // From the first start, at 0, 7 kernels.
        let nothing = Measures::new(1).tallies();
        assert_eq!(measures.tallies().period_since(&nothing), Some(1.0 / (7.0 / 100.0)));
    }

    #[test]
    fn units_side_by_side_add_their_rates() {
        let mut measures = Measures::new(3);
        for i in 0..5 {
            measures.kernel(0, i * 10, i * 10 + 10);
            measures.kernel(1, i * 20, i * 20 + 10);
        }
        assert_eq!(measures.period(), Some(1.0 / (1.0 / 10.0 + 1.0 / 20.0)));
    }

    #[test]
    fn durations_keep_count_sum_and_quantiles() {
        let mut durations = Durations::default();
        assert_eq!((durations.mean(), durations.quantile(0.5), durations.max()), (0.0, 0, 0));
        for ns in 1..=1000 {
            durations.record(ns);
        }
        assert_eq!((durations.count(), durations.mean(), durations.max()), (1000, 500.5, 1000));
        assert_eq!(durations.quantile(0.5), 500);
        assert_eq!(durations.quantile(0.99), 990);
        durations.record(u64::MAX);
        assert_eq!(durations.max(), u64::MAX);
    }
}
