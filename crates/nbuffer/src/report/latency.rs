//! How long items stayed, from take to result.

use maud::{Markup, html};
use nbuffer_core::measure::{Durations, Nanos};
use nbuffer_core::plan::Time;
use serde::Serialize;

use super::Run;
use super::numbers::count;
use super::tabular::Column::Number;
use super::tabular::tabular;

/// Columns of the chart.
const BINS: u64 = 40;

/// How many items stayed how long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Histogram {
    /// Where the first column begins, in seconds.
    from_s: f64,
    /// The width of a column, in seconds.
    step_s: f64,
    /// Items in each column.
    counts: Vec<u64>,
    /// Items that stayed longer than the last column reaches.
    longer: u64,
    /// What is marked: in words, and where.
    marks: Vec<(String, f64)>,
}

impl Histogram {
    /// `None` when there are no latencies.
    ///
    /// Columns reach from the shortest latency to the longest; or, where a few are much longer than the others, to a
    /// quarter beyond what 99 % do not exceed.
    pub(super) fn of(latencies: &Durations) -> Option<Histogram> {
        let (shortest, _) = latencies.recorded().next()?;
        let (p99, max) = (latencies.quantile(0.99), latencies.max());
        let last = if max <= p99.saturating_mul(2) { max } else { p99.saturating_add(p99 / 4) };
        let width = |last: Nanos| ((last - shortest) / BINS + 1) as f64;
        // A column is no narrower than what latencies are told apart by, 3 digits.
        let step = width(last).max((last as f64 / 1000.0).ceil()) as Nanos;
        let mut counts = vec![0; ((last - shortest) / step + 1) as usize];
        let mut longer = 0;
        for (latency, n) in latencies.recorded() {
            match counts.get_mut(((latency - shortest) / step) as usize) {
                Some(count) => *count += n,
                None => longer += n,
            }
        }
        let seconds = |time: Nanos| time as f64 / 1e9;
        let mark = |(name, q)| {
            let at_s = seconds(latencies.quantile(q));
            (format!("{name}: {}", Time(at_s)), at_s)
        };
        let marks = [("median", 0.5), ("90 %", 0.9), ("99 %", 0.99)];
        Some(Histogram {
            from_s: seconds(shortest),
            step_s: seconds(step),
            counts,
            longer,
            marks: marks.map(mark).into(),
        })
    }

    fn label(&self) -> String {
        let most = self.counts.iter().max().copied().unwrap_or(0);
        let at = self.counts.iter().position(|count| *count == most).unwrap_or(0);
        let begins = self.from_s + at as f64 * self.step_s;
        format!(
            "Histogram of latencies, {} columns from {} on. The highest, {} items, is that from {} to {}.",
            self.counts.len(),
            Time(self.from_s),
            count(most),
            Time(begins),
            Time(begins + self.step_s)
        )
    }
}

pub(super) fn section(run: &Run<'_>, histogram: Option<&Histogram>) -> Markup {
    let n = run.numbers;
    html! {
        section id="latency" aria-labelledby="latency-title" {
            h2 #latency-title { "Latency" }
            @match &run.summary.latency_s {
                None => p .missing { "No item was handed out, so that there is no latency." },
                Some(latency) => {
                    p { "From when an item is taken from the source until its result is there, waiting included." }
                    dl .line {
                        div { dt { "Mean" } dd { (n.seconds("latency_s.mean", latency.mean)) } }
                        div { dt { "Median" } dd { (n.seconds("latency_s.p50", latency.p50)) } }
                        div { dt { "90 % within" } dd { (n.seconds("latency_s.p90", latency.p90)) } }
                        div { dt { "99 % within" } dd { (n.seconds("latency_s.p99", latency.p99)) } }
                        div { dt { "Longest" } dd { (n.seconds("latency_s.max", latency.max)) } }
                    }
                }
            }
            @match histogram {
                Some(histogram) => (drawn(histogram)),
                None => p .missing {
                    "The distribution is not in a summary: a report that the run writes itself shows it."
                },
            }
        }
    }
}

fn drawn(histogram: &Histogram) -> Markup {
    let label = histogram.label();
    html! {
        figure {
            div #latency-chart .chart role="img" aria-label=(label) {}
            figcaption {
                (label)
                @if histogram.longer > 0 {
                    " " (count(histogram.longer)) " of the items stayed longer than the chart reaches."
                }
            }
        }
        details {
            summary { "The columns as a table" }
            (tabular(
                "The columns as a table",
                Some(html! { "How many items stayed how long." }),
                &[Number("from"), Number("to"), Number("items")],
                html! {
                    @for (i, n) in histogram.counts.iter().enumerate() {
                        @let from_s = histogram.from_s + i as f64 * histogram.step_s;
                        tr {
                            td .number { (Time(from_s)) } td .number { (Time(from_s + histogram.step_s)) }
                            td .number { (count(*n)) }
                        }
                    }
                },
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durations(all: impl IntoIterator<Item = Nanos>) -> Durations {
        let mut durations = Durations::default();
        all.into_iter().for_each(|time| durations.record(time));
        durations
    }

    #[test]
    fn every_latency_is_in_one_column() {
        for all in
            [vec![7], vec![5_000; 9], (1..=1000).collect(), (0..500).map(|i| 1_000_000 + i * 7_919).collect()]
        {
            let n = all.len() as u64;
            let histogram = Histogram::of(&durations(all)).unwrap();
            assert_eq!((histogram.counts.iter().sum::<u64>(), histogram.longer), (n, 0), "{histogram:?}");
            assert!(histogram.counts.len() <= BINS as usize + 1, "{histogram:?}");
        }
        assert_eq!(Histogram::of(&durations([])), None);
    }

    #[test]
    fn a_few_that_stayed_much_longer_do_not_squeeze_the_others() {
        let all = (1_000..2_000).chain([1_000_000, 2_000_000]);
        let histogram = Histogram::of(&durations(all)).unwrap();
        assert_eq!((histogram.counts.iter().sum::<u64>(), histogram.longer), (1000, 2));
        assert!(histogram.counts.len() > 30, "{histogram:?}");
    }
}
