//! A run as an OpenTelemetry collector sees it: a span for the run, spans for the stages of some of its items, and
//! metrics, over OTLP/HTTP without TLS. With the feature `otel`.
//!
//! A collector that cannot be reached costs an error when the run is over, and nothing before.

mod transport;

use std::time::{Duration, SystemTime};

use nbuffer_core::measure::{Buckets, Nanos, Stage};
use nbuffer_core::schedule::{Outcome, Totals};
use nbuffer_core::summary::Summary;
use nbuffer_core::trace::{Interval, Journey, Trace};
use nbuffer_runtime::{LaneSnapshot, Snapshot};
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use opentelemetry::trace::{Event, Span, SpanContext, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::job::Running;
use crate::metrics::Metrics;
use transport::Transport;

/// How often metrics are sent while a run goes on.
const INTERVAL: Duration = Duration::from_secs(10);

/// What sending the spans of a run may take in all.
const SPANS: Duration = Duration::from_secs(5);

/// The most items whose stages become spans: so many, evenly spread over those a trace has kept. With six spans an
/// item, all fit into the exporter's queue.
const ITEMS_MAX: usize = 256;

/// Why a run cannot be, or was not, exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtelError {
    /// This is no address of a collector.
    #[error(
        "`{endpoint}` is no collector's address: give http://HOST:PORT, as in http://127.0.0.1:4318 (no https)"
    )]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// The exporter cannot be set up.
    #[error("nothing can be sent to {endpoint}: {why}")]
    Setup {
        /// The collector.
        endpoint: String,
        /// Why not.
        why: String,
    },
    /// The collector did not take everything.
    #[error("the collector at {endpoint} did not take everything: {why}")]
    Export {
        /// The collector.
        endpoint: String,
        /// What went wrong.
        why: String,
    },
}

/// A collector, which nothing has been sent to yet.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    tracers: SdkTracerProvider,
    metrics: MetricExporter,
    resource: Resource,
}

impl Collector {
    /// The collector at `http://HOST:PORT`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// What is given is no such address.
    pub fn new(endpoint: &str) -> Result<Self, OtelError> {
        let base = endpoint.trim_end_matches('/');
        if base.strip_prefix("http://").is_none_or(|host| host.is_empty() || host.starts_with(':')) {
            return Err(OtelError::Endpoint { endpoint: endpoint.to_owned() });
        }
        let no_setup = |error: &dyn std::error::Error| OtelError::Setup {
            endpoint: endpoint.to_owned(),
            why: error.to_string(),
        };
        let transport = Transport::new();
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(transport.clone())
            .with_retry_policy(RetryPolicy::disabled())
            .with_endpoint(format!("{base}/v1/traces"))
            .build()
            .map_err(|error| no_setup(&error))?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(transport)
            .with_retry_policy(RetryPolicy::disabled())
            .with_endpoint(format!("{base}/v1/metrics"))
            .build()
            .map_err(|error| no_setup(&error))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("nbuffer").with_attribute(version).build();
        let tracers = SdkTracerProvider::builder();
        let tracers = tracers.with_batch_exporter(spans).with_resource(resource.clone()).build();
        Ok(Collector { endpoint: endpoint.to_owned(), tracers, metrics, resource })
    }

    /// Sends the metrics of a run from now on.
    pub fn watch(self, running: &Running) -> Export {
        let reader = PeriodicReader::builder(self.metrics).with_interval(INTERVAL).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).with_resource(self.resource).build();
        let metrics = running.metrics();
        instruments(&meters.meter("nbuffer"), &metrics);
        let elapsed = metrics.look().map_or(0, |(snapshot, _)| snapshot.elapsed);
        let began = SystemTime::now() - Duration::from_nanos(elapsed);
        Export { endpoint: self.endpoint, tracers: self.tracers, meters, began }
    }
}

/// A run that is being exported.
#[derive(Debug)]
pub struct Export {
    endpoint: String,
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    /// When the run's own clock began.
    began: SystemTime,
}

impl Export {
    /// Sends the spans of a run that has ended, and its metrics for the last time. The run must not be dropped yet.
    ///
    /// # Errors
    ///
    /// The collector did not take everything.
    pub fn finish(self, summary: &Summary, trace: Option<&Trace>) -> Result<(), OtelError> {
        self.spans(summary, trace);
        // Both are tried; the first error says enough.
        let ended = [self.tracers.shutdown_with_timeout(SPANS), self.meters.shutdown()];
        ended
            .into_iter()
            .collect::<Result<(), _>>()
            .map_err(|error| OtelError::Export { endpoint: self.endpoint, why: error.to_string() })
    }

    fn at(&self, time: Nanos) -> SystemTime {
        self.began + Duration::from_nanos(time)
    }

    fn spans(&self, summary: &Summary, trace: Option<&Trace>) {
        let tracer = self.tracers.tracer("nbuffer");
        let model = summary.model.as_deref().unwrap_or("(no model)");
        let changes = summary.buffers.changes.iter().map(|change| {
            let attributes = vec![
                KeyValue::new("inputs", change.inputs as i64),
                KeyValue::new("outputs", change.outputs as i64),
                KeyValue::new("host_threads", change.host_threads as i64),
                KeyValue::new("why", change.why.clone()),
            ];
            let at = self.began + Duration::from_secs_f64(change.at_s.max(0.0));
            Event::new("buffer sets and host threads chosen", at, attributes, 0)
        });
        let end = self.began + Duration::from_secs_f64(summary.wall_s.max(0.0));
        let remarks = summary.remarks.iter();
        let remarks = remarks.map(|remark| Event::new(remark.clone(), end, Vec::new(), 0));
        let run = tracer
            .span_builder(format!("run {model}"))
            .with_start_time(self.began)
            .with_attributes(facts(summary))
            .with_events(changes.chain(remarks).collect());
        let mut run = tracer.build_with_context(run, &Context::new());
        if summary.items.failed > 0 {
            run.set_status(Status::error(format!("{} of the items failed", summary.items.failed)));
        }
        let context = run.span_context().clone();
        run.end_with_timestamp(end);
        let kept = trace.map_or(&[][..], |trace| &trace.journeys);
        // Every so many-th, so that all parts of the run are there.
        for journey in kept.iter().step_by(kept.len().div_ceil(ITEMS_MAX).max(1)) {
            self.item(&tracer, &context, journey);
        }
    }

    fn item(&self, tracer: &impl Tracer<Span: Send + Sync + 'static>, run: &SpanContext, journey: &Journey) {
        let stages = Stage::ALL.into_iter().filter_map(|stage| Some((stage, journey.stage(stage)?)));
        let first =
            journey.source.map(|source| source.end).or(stages.clone().map(|(_, time)| time.start).min());
        let item = Interval::new(first.unwrap_or(journey.delivered), journey.delivered);
        let mut attributes = vec![KeyValue::new("sequence", journey.sequence as i64)];
        attributes.extend(journey.lane.map(|lane| KeyValue::new("lane", i64::from(lane))));
        let mut span = self.start(tracer, run, "item", item, attributes);
        if journey.outcome != Outcome::Ok {
            span.set_status(Status::error(format!("{:?}", journey.outcome).to_lowercase()));
        }
        let context = span.span_context().clone();
        span.end_with_timestamp(self.at(item.end));
        for (stage, time) in stages {
            self.start(tracer, &context, stage.name(), time, Vec::new())
                .end_with_timestamp(self.at(time.end));
        }
    }

    fn start<T: Tracer>(
        &self,
        tracer: &T,
        parent: &SpanContext,
        name: &'static str,
        time: Interval,
        attributes: Vec<KeyValue>,
    ) -> T::Span {
        let span = tracer.span_builder(name).with_start_time(self.at(time.start)).with_attributes(attributes);
        tracer.build_with_context(span, &Context::new().with_remote_span_context(parent.clone()))
    }
}

/// Every fact of a summary under the name of its place, as in `nbuffer.items.ok`. Lists are left out but for names:
/// changes and remarks are events.
fn facts(summary: &Summary) -> Vec<KeyValue> {
    let mut facts = Vec::new();
    let summary = serde_json::to_value(summary).expect("a summary can be written");
    flatten("nbuffer", &summary, &mut facts);
    facts
}

fn flatten(name: &str, value: &serde_json::Value, facts: &mut Vec<KeyValue>) {
    use serde_json::Value as Json;
    let value: Value = match value {
        Json::Object(fields) => {
            fields.iter().for_each(|(field, value)| flatten(&format!("{name}.{field}"), value, facts));
            return;
        }
        Json::Array(all) if !all.is_empty() && all.iter().all(Json::is_string) => {
            let all: Vec<_> = all.iter().filter_map(Json::as_str).collect();
            all.join(", ").into()
        }
        Json::Null | Json::Array(_) => return,
        Json::Bool(value) => (*value).into(),
        Json::String(value) => value.clone().into(),
        Json::Number(value) => match value.as_i64() {
            Some(value) => value.into(),
            None => value.as_f64().unwrap_or(f64::NAN).into(),
        },
    };
    facts.push(KeyValue::new(name.to_owned(), value));
}

fn instruments(meter: &Meter, metrics: &Metrics) {
    counter(meter, metrics, "nbuffer.items", "{item}", |_, items, tell| {
        for (outcome, count) in [("ok", items.ok), ("failed", items.failed), ("cancelled", items.cancelled)] {
            tell(count as f64, &[KeyValue::new("outcome", outcome)]);
        }
    });
    counter(meter, metrics, "nbuffer.items.taken", "{item}", |_, items, tell| tell(items.taken as f64, &[]));
    let stage_sums = |of: fn(&Buckets) -> f64| {
        move |snapshot: &Snapshot, _: Totals, tell: &mut dyn FnMut(f64, &[KeyValue])| {
            for (stage, buckets) in Stage::ALL.iter().zip(&snapshot.stages) {
                tell(of(buckets), &[KeyValue::new("stage", stage.name())]);
            }
        }
    };
    counter(meter, metrics, "nbuffer.stage.time", "s", stage_sums(|buckets| buckets.sum as f64 / 1e9));
    counter(meter, metrics, "nbuffer.stage.count", "{stage}", stage_sums(|buckets| buckets.count as f64));
    let of_lanes = |of: fn(&LaneSnapshot) -> f64| {
        move |snapshot: &Snapshot, _: Totals, tell: &mut dyn FnMut(f64, &[KeyValue])| {
            for (index, lane) in snapshot.lanes.iter().enumerate() {
                tell(of(lane), &[KeyValue::new("lane", index as i64)]);
            }
        }
    };
    counter(meter, metrics, "nbuffer.compute.busy", "s", of_lanes(|lane| lane.unit.busy() as f64 / 1e9));
    counter(
        meter,
        metrics,
        "nbuffer.compute.downtime",
        "s",
        of_lanes(|lane| lane.unit.downtime() as f64 / 1e9),
    );
    gauge(meter, metrics, "nbuffer.lane.up", "1", of_lanes(|lane| f64::from(lane.is_up)));
    gauge(meter, metrics, "nbuffer.items.waiting", "{item}", |snapshot, _, tell| {
        for (place, items) in snapshot.places.each() {
            tell(items as f64, &[KeyValue::new("place", place)]);
        }
    });
}

/// What an instrument tells of a run that stands like this.
trait Told: Fn(&Snapshot, Totals, &mut dyn FnMut(f64, &[KeyValue])) + Send + Sync + 'static {}
impl<F: Fn(&Snapshot, Totals, &mut dyn FnMut(f64, &[KeyValue])) + Send + Sync + 'static> Told for F {}

fn counter(meter: &Meter, metrics: &Metrics, name: &'static str, unit: &'static str, told: impl Told) {
    let callback = callback(metrics, told);
    let _ = meter.f64_observable_counter(name).with_unit(unit).with_callback(callback).build();
}

fn gauge(meter: &Meter, metrics: &Metrics, name: &'static str, unit: &'static str, told: impl Told) {
    let callback = callback(metrics, told);
    let _ = meter.f64_observable_gauge(name).with_unit(unit).with_callback(callback).build();
}

fn callback(
    metrics: &Metrics,
    told: impl Told,
) -> impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static {
    let metrics = metrics.clone();
    move |instrument| {
        if let Some((snapshot, items)) = metrics.look() {
            told(&snapshot, items, &mut |value, attributes| instrument.observe(value, attributes));
        }
    }
}
