//! A time axis: which instants get a label, and how times are written.

use std::ops::Range;

use crate::measure::Nanos;

/// A unit of time to write times in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeUnit {
    /// Its symbol.
    pub symbol: &'static str,
    /// How long it is.
    pub nanos: Nanos,
}

/// Longest first.
const TIME_UNITS: [TimeUnit; 4] = [
    TimeUnit { symbol: "s", nanos: 1_000_000_000 },
    TimeUnit { symbol: "ms", nanos: 1_000_000 },
    TimeUnit { symbol: "µs", nanos: 1_000 },
    TimeUnit { symbol: "ns", nanos: 1 },
];

/// The instants that get a label: the multiples of a round step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    step: Nanos,
    unit: TimeUnit,
}

impl Axis {
    /// The axis with the shortest step (1, 2 or 5 times a power of ten) whose labels, up to that of `last`,
    /// fit between ticks with `gap` cells to spare, where `cells` cells show `time` nanoseconds.
    pub fn new(last: Nanos, time: Nanos, cells: usize, gap: usize) -> Self {
        let fits = |axis: &Axis| {
            let room = u128::from(axis.step) * cells as u128 / u128::from(time.max(1));
            room >= (axis.label(last).len() + gap) as u128
        };
        let mut axes = steps().map(Axis::of);
        let coarsest = Axis::of(steps().last().unwrap_or(1));
        axes.find(fits).unwrap_or(coarsest)
    }

    /// The longest unit that writes the step with at most one decimal.
    fn of(step: Nanos) -> Self {
        let unit = TIME_UNITS.into_iter().find(|unit| step >= unit.nanos.div_ceil(10));
        Axis { step, unit: unit.unwrap_or(TIME_UNITS[3]) }
    }

    /// The unit its labels are in.
    pub fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// The instants within a range that get a label.
    pub fn ticks(&self, time: &Range<Nanos>) -> impl Iterator<Item = Nanos> + use<> {
        let Range { start, end } = *time;
        let step = self.step;
        let first = start.div_ceil(step).checked_mul(step);
        std::iter::successors(first, move |tick| tick.checked_add(step)).take_while(move |tick| *tick < end)
    }

    /// How an instant is written, without the unit.
    pub fn label(&self, time: Nanos) -> String {
        let whole = time / self.unit.nanos;
        if self.step.is_multiple_of(self.unit.nanos) {
            return whole.to_string();
        }
        format!("{whole}.{}", time % self.unit.nanos * 10 / self.unit.nanos)
    }
}

/// 1, 2, 5, 10, 20, 50, ... as far as nanoseconds reach.
fn steps() -> impl Iterator<Item = Nanos> {
    let powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
    powers.flat_map(|power| [1, 2, 5].into_iter().filter_map(move |digit| power.checked_mul(digit)))
}

/// A duration to three digits, in the longest unit that is not longer than it: `12.4 ms`.
pub fn duration(nanos: Nanos) -> String {
    let unit = TIME_UNITS.into_iter().find(|unit| nanos >= unit.nanos).unwrap_or(TIME_UNITS[3]);
    let value = nanos as f64 / unit.nanos as f64;
    let decimals = match value {
        _ if nanos.is_multiple_of(unit.nanos) => 0,
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {}", unit.symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_as_short_as_their_labels_allow() {
        // 70 cells for 7 ms: labels such as 6.5 need 5 cells with the gap, and 0.5 ms are 5 cells.
        let axis = Axis::new(7_000_000, 7_000_000, 70, 2);
        let labels: Vec<_> = axis.ticks(&(0..2_000_000)).map(|tick| axis.label(tick)).collect();
        assert_eq!(
            (axis.unit().symbol, labels),
            ("ms", ["0.0", "0.5", "1.0", "1.5"].map(String::from).into())
        );
        // One gap more and half a millisecond is too short.
        assert_eq!(Axis::new(7_000_000, 7_000_000, 70, 3).label(6_000_000), "6");
    }

    #[test]
    fn ticks_are_multiples_of_the_step_wherever_the_range_begins() {
        let axis = Axis::new(1_000_350, 100, 100, 3);
        assert_eq!(
            axis.ticks(&(1_000_250..1_000_290)).collect::<Vec<_>>(),
            [1_000_250, 1_000_260, 1_000_270, 1_000_280]
        );
    }

    #[test]
    fn durations_have_three_digits() {
        let written = [0, 999, 1_000, 1_234, 12_345_678, 123_456_789, 2_000_000_000].map(duration);
        assert_eq!(written, ["0 ns", "999 ns", "1 µs", "1.23 µs", "12.3 ms", "123 ms", "2 s"]);
    }
}
