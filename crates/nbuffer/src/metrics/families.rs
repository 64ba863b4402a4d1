//! What is exported: every metric with its name, its labels and what it says.

use nbuffer_core::measure::{BOUNDS, Buckets, Nanos, Stage};
use nbuffer_core::schedule::{Sets, Totals};
use nbuffer_runtime::{LaneSnapshot, Snapshot};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::Metrics;

impl Metrics {
    /// All metrics of a run that stands like this.
    pub(super) fn families(&self, snapshot: &Snapshot, items: Totals) -> Vec<MetricFamily> {
        let mut all = Vec::from(self.of_the_run(snapshot));
        all.extend(of_items(snapshot, items));
        all.extend(of_durations(snapshot));
        all.extend(of_sets(snapshot));
        all.extend(self.of_lanes(snapshot));
        all
    }

    fn of_the_run(&self, snapshot: &Snapshot) -> [MetricFamily; 4] {
        let version = ("version", env!("CARGO_PKG_VERSION"));
        let info = self.info.iter().map(|(name, value)| (*name, value.as_str()));
        let info: Vec<_> = std::iter::once(version).chain(info).collect();
        [
            gauges("nbuffer_run_info", "What runs: the value is always 1.", [gauge(&info, 1.0)]),
            gauges(
                "nbuffer_run_elapsed_seconds",
                "Time since the pipeline was started.",
                [gauge(&[], seconds(snapshot.elapsed))],
            ),
            gauges(
                "nbuffer_host_threads",
                "Host threads: how many preprocess and postprocess steps may run at once.",
                [gauge(&[], snapshot.host_threads as f64)],
            ),
            gauges(
                "nbuffer_host_threads_busy",
                "Preprocess and postprocess steps that run.",
                [gauge(&[], snapshot.host_busy as f64)],
            ),
        ]
    }

    fn of_lanes(&self, snapshot: &Snapshot) -> [MetricFamily; 4] {
        let counted = |what: &dyn Fn(&LaneSnapshot) -> f64| -> Vec<Metric> {
            let lane = |(index, lane): (usize, _)| counter(&[("lane", &index.to_string())], what(lane));
            snapshot.lanes.iter().enumerate().map(lane).collect()
        };
        let up = snapshot.lanes.iter().enumerate().map(|(index, lane)| {
            let index_label = index.to_string();
            let mut labels = vec![("lane", index_label.as_str())];
            labels.extend(self.lane_devices.get(index).map(|device| ("device", device.as_str())));
            gauge(&labels, f64::from(lane.is_up))
        });
        [
            gauges("nbuffer_lane_up", "Whether the lane's device is there: 1, or 0 once it is lost.", up),
            counters(
                "nbuffer_kernels_total",
                "Kernels that ran.",
                counted(&|lane| lane.unit.kernels() as f64),
            ),
            counters(
                "nbuffer_compute_busy_seconds_total",
                "Time the compute unit computed.",
                counted(&|lane| seconds(lane.unit.busy())),
            ),
            counters(
                "nbuffer_compute_downtime_seconds_total",
                "Time the compute unit sat idle between two kernels.",
                counted(&|lane| seconds(lane.unit.downtime())),
            ),
        ]
    }
}

fn of_items(snapshot: &Snapshot, items: Totals) -> [MetricFamily; 4] {
    let outcomes = [("ok", items.ok), ("failed", items.failed), ("cancelled", items.cancelled)];
    [
        counters("nbuffer_items_taken_total", "Items the source gave.", [counter(&[], items.taken as f64)]),
        counters(
            "nbuffer_items_total",
            "Items that ended, by how.",
            outcomes.map(|(outcome, items)| counter(&[("outcome", outcome)], items as f64)),
        ),
        gauges(
            "nbuffer_items_waiting",
            "Items between take and delivery, by where they are; a batch counts as one.",
            snapshot.places.each().map(|(place, items)| gauge(&[("place", place)], items as f64)),
        ),
        gauges(
            "nbuffer_reorder_window_items",
            "How many items may lie between take and delivery; a batch counts as one.",
            [gauge(&[], snapshot.window as f64)],
        ),
    ]
}

fn of_durations(snapshot: &Snapshot) -> [MetricFamily; 4] {
    let stages = Stage::ALL.iter().zip(&snapshot.stages);
    [
        histograms(
            "nbuffer_stage_duration_seconds",
            "How long stages took.",
            stages.map(|(stage, buckets)| histogram(&[("stage", stage.name())], buckets)),
        ),
        histograms(
            "nbuffer_source_wait_seconds",
            "How long the source took for an item.",
            [histogram(&[], &snapshot.source)],
        ),
        histograms(
            "nbuffer_call_duration_seconds",
            "How long calls occupied lanes that block, beyond their stages.",
            [histogram(&[], &snapshot.calls)],
        ),
        histograms(
            "nbuffer_item_latency_seconds",
            "From take to result.",
            [histogram(&[], &snapshot.latency)],
        ),
    ]
}

fn of_sets(snapshot: &Snapshot) -> [MetricFamily; 2] {
    // The sets of a joint ring are inputs and outputs at once, and are told once.
    let configured = match snapshot.sets {
        Sets::Joint(sets) => vec![("joint", sets)],
        Sets::Split { inputs, outputs } => vec![("input", inputs), ("output", outputs)],
    };
    let of_side = |lane: &LaneSnapshot, side: &str| if side == "output" { lane.outputs } else { lane.inputs };
    let mut states = Vec::new();
    for (index, lane) in snapshot.lanes.iter().enumerate() {
        for (side, _) in &configured {
            for (state, sets) in of_side(lane, side).each() {
                let lane = index.to_string();
                states.push(gauge(&[("lane", &lane), ("side", side), ("state", state)], sets as f64));
            }
        }
    }
    [
        gauges(
            "nbuffer_buffer_sets_configured",
            "Buffer sets of each lane, as asked for or chosen.",
            configured.iter().map(|(side, sets)| gauge(&[("side", side)], *sets as f64)),
        ),
        gauges("nbuffer_buffer_sets", "Buffer sets of a lane by state.", states),
    ]
}

fn gauges(name: &str, help: &str, metrics: impl IntoIterator<Item = Metric>) -> MetricFamily {
    family(MetricType::GAUGE, name, help, metrics)
}

fn counters(name: &str, help: &str, metrics: impl IntoIterator<Item = Metric>) -> MetricFamily {
    family(MetricType::COUNTER, name, help, metrics)
}

fn histograms(name: &str, help: &str, metrics: impl IntoIterator<Item = Metric>) -> MetricFamily {
    family(MetricType::HISTOGRAM, name, help, metrics)
}

fn family(
    kind: MetricType,
    name: &str,
    help: &str,
    metrics: impl IntoIterator<Item = Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics.into_iter().collect());
    family
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn gauge(labels: &[(&str, &str)], value: f64) -> Metric {
    let (mut metric, mut gauge) = (labelled(labels), Gauge::default());
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

fn counter(labels: &[(&str, &str)], value: f64) -> Metric {
    let (mut metric, mut counter) = (labelled(labels), Counter::default());
    counter.set_value(value);
    metric.set_counter(counter);
    metric
}

fn histogram(labels: &[(&str, &str)], buckets: &Buckets) -> Metric {
    let bucket = |(bound, up_to): (Nanos, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(seconds(bound));
        bucket.set_cumulative_count(up_to);
        bucket
    };
    let (mut metric, mut histogram) = (labelled(labels), Histogram::default());
    histogram.set_bucket(BOUNDS.into_iter().zip(buckets.up_to).map(bucket).collect());
    histogram.set_sample_count(buckets.count);
    histogram.set_sample_sum(buckets.sum as f64 / 1e9);
    metric.set_histogram(histogram);
    metric
}

fn seconds(ns: Nanos) -> f64 {
    ns as f64 / 1e9
}
