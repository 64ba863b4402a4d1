//! The monitor: gives up lanes whose calls do not return, and notices when the source has paused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nbuffer_core::schedule::Event;

use super::state::nanos;
use super::sync::thread;
use super::worker::Shared;
use super::{HostStages, Options};
use crate::device::DeviceError;

/// Starts the monitor if the options give it something to watch.
///
/// It costs the other threads nothing: it looks at the shared state a few times per limit.
pub(super) fn start<H: HostStages>(shared: &Arc<Shared<H>>, options: &Options) {
    let limits = [options.watchdog, options.idle_flush.filter(|_| has_lag(shared))];
    let Some(shortest) = limits.into_iter().flatten().min() else {
        return;
    };
    let tick = (shortest / 4).clamp(Duration::from_millis(1), Duration::from_millis(250));
    let [watchdog, idle_flush] = limits;
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name("nbuffer-monitor".into());
    thread.spawn(move || watch(&shared, tick, watchdog, idle_flush)).expect("a thread can be started");
}

fn has_lag<H: HostStages>(shared: &Shared<H>) -> bool {
    shared.lock().state.schedule.has_lag()
}

fn watch<H: HostStages>(
    shared: &Arc<Shared<H>>,
    tick: Duration,
    watchdog: Option<Duration>,
    idle_flush: Option<Duration>,
) {
    let mut crew = shared.lock();
    let mut paused: Option<(Instant, u64)> = None;
    while !crew.is_over() {
        if let Some(limit) = watchdog {
            let now = nanos(shared.epoch());
            while let Some((lane, item, since)) = crew.state.overdue(now, limit.as_nanos() as u64) {
                let what = item.map_or("flush call".to_owned(), |item| format!("call of item {item}"));
                let why = format!(
                    "the {what} on lane {lane} has not returned for {:.3} s, the watchdog allows {:.3} s",
                    since as f64 / 1e9,
                    limit.as_secs_f64()
                );
                tracing::warn!(lane, item, limit_s = limit.as_secs_f64(), "the watchdog gives a call up");
                shared.lose(&mut crew, lane, DeviceError::Lost { why });
            }
        }
        if let Some(limit) = idle_flush {
            let taken = crew.state.schedule.totals().taken;
            paused = match paused {
                _ if !crew.state.schedule.waits_for_source() => None,
                Some((since, at)) if at == taken => Some((since, at)),
                _ => Some((Instant::now(), taken)),
            };
            if paused.is_some_and(|(since, _)| since.elapsed() >= limit) {
                tracing::debug!(taken, "the source has paused: lanes are flushed");
                crew.state.schedule.report(Event::Idle);
                shared.call_for_help(&mut crew, false);
                paused = None;
            }
        }
        crew = shared.monitor.wait_timeout(crew, tick).expect("a thread of this pipeline hit a bug").0;
    }
}
