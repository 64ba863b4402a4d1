//! The thread that carries out what a tuner decides, while the stream runs.

use std::sync::Arc;
use std::time::Duration;

use nbuffer_core::tune::{Decision, Goals, Tuner};

use super::HostStages;
use super::state::nanos;
use super::sync::thread;
use super::worker::{BUG, Shared};

/// How often the tuner is asked. It answers only when enough items have gone by.
const TICK: Duration = Duration::from_millis(5);

/// Starts tuning. It costs the other threads nothing but a look at a few sums.
pub(super) fn start<H: HostStages>(shared: &Arc<Shared<H>>, goals: Goals) {
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name("nbuffer-tuner".into());
    thread.spawn(move || tune(&shared, Tuner::new(goals))).expect("a thread can be started");
}

fn tune<H: HostStages>(shared: &Arc<Shared<H>>, mut tuner: Tuner) {
    let mut crew = shared.lock();
    while !crew.is_over() {
        let measured = crew.state.tallies();
        drop(crew);
        match tuner.look(nanos(shared.epoch()), &measured) {
            Ok(None) => {}
            Ok(Some(mut decision)) => {
                let threads = shared.set_host_threads(decision.host_threads);
                threads.expect("a tuner chooses from 1 to the most it may use");
                if let Err(error) = shared.resize(decision.sets) {
                    // Lanes that did grow keep their sets; nobody asks again.
                    decision.why = format!("{}; no more buffer sets: {error}", decision.why);
                    tuner.keep_sets();
                }
                tell(&decision);
                shared.lock().state.decided(decision);
            }
            Err(error) => {
                tracing::error!(%error, "the stream cannot be run as asked");
                shared.refuse(&error.to_string());
                return;
            }
        }
        crew = shared.lock();
        if crew.is_over() {
            return;
        }
        crew = shared.monitor.wait_timeout(crew, TICK).expect(BUG).0;
    }
}

fn tell(decision: &Decision) {
    let Decision { items, sets, host_threads, why, .. } = decision;
    let (inputs, outputs) = (sets.inputs(), sets.outputs());
    tracing::info!(items, inputs, outputs, host_threads, why, "buffer sets and host threads chosen");
}
