//! Runs with one thing wrong with each of them.

use nbuffer_core::downtime::{Cause, Downtime};
use nbuffer_core::measure::{Measures, Nanos};
use nbuffer_core::plan::{Link, Overlap, Plan, Setting, StageCv, StageTimes};
use nbuffer_core::schedule::{Duplex, HostThreads, Sets};
use nbuffer_core::trace::{Trace, Tracer};
use nbuffer_core::virtual_time::{Setup, Simulation};

const ITEMS: u64 = 400;

pub(crate) fn traced(setup: &Setup) -> (Trace, Measures) {
    let mut tracer = Tracer::new(2 * setup.source.items as usize, setup.schedule.window);
    let run = Simulation::watched(setup, &mut tracer).unwrap().run();
    (tracer.trace(setup.topology()), run.measures)
}

/// The downtime of a run that was traced whole, which is what was measured.
#[track_caller]
pub(crate) fn downtime(setup: &Setup) -> Downtime {
    let (trace, measures) = traced(setup);
    let downtime = Downtime::of(&trace);
    let measured: Nanos = measures.units().iter().map(|unit| unit.downtime()).sum();
    let steady: Nanos = measures.units().iter().map(|unit| unit.steady()).sum();
    assert_eq!((downtime.downtime(), downtime.steady), (measured, steady), "{setup:?}");
    for gap in &downtime.longest {
        assert_eq!(gap.shares.total(), gap.time.length(), "{gap:?} of {setup:?}");
    }
    downtime
}

/// Stage times in us, sets, host threads.
fn setting(times: [f64; 5], sets: Sets, threads: usize) -> Setting {
    let [preprocess_s, write_s, kernel_s, read_s, postprocess_s] = times.map(|us| us * 1e-6);
    let times = StageTimes { preprocess_s, write_s, kernel_s, read_s, postprocess_s, call_s: 0.0 };
    Setting::new(times, 1, sets, HostThreads::Shared(threads))
}

const JOINT: Sets = Sets::Joint(6);
const SPLIT: Sets = Sets::Split { inputs: 5, outputs: 6 };

/// A name, what is run, and the causes that are planted.
type Planted = (String, Setup, Option<Setting>, &'static [Cause]);

fn planted() -> Vec<Planted> {
    let mut all: Vec<Planted> = Vec::new();
    let mut add = |name: &str, setting: Setting, causes: &'static [Cause]| {
        let setup = Setup::from_setting(&setting, ITEMS, 1).unwrap();
        all.push((name.to_owned(), setup, Some(setting), causes));
    };
    let overlaps = [Overlap::Queued, Overlap::None, Overlap::InLane];
    for overlap in overlaps {
        for sets in [JOINT, SPLIT] {
            for lanes in [1, 2] {
                let layout = if sets == JOINT { "joint" } else { "split" };
                let place = format!("{} {layout} x{lanes}", overlap.name());
                let at = |times, threads| Setting { overlap, lanes, ..setting(times, sets, threads) };
                let n = lanes as f64;
                add(&format!("{place}: host"), at([600.0 / n, 10.0, 100.0, 10.0, 200.0 / n], 2), &[Cause::Host]);
                add(&format!("{place}: host, one thread"), at([300.0 / n, 10.0, 100.0, 10.0, 200.0 / n], 1), &[Cause::Host]);
                let wait = Setting { source_s: 1000e-6 / n, ..at([50.0, 10.0, 100.0, 10.0, 50.0], 4) };
                add(&format!("{place}: source"), wait, &[Cause::Source]);
                if overlap == Overlap::Queued {
                    add(&format!("{place}: write"), at([50.0, 400.0 / n, 100.0, 50.0, 50.0], 4), &[Cause::Write]);
                    add(&format!("{place}: read"), at([50.0, 50.0, 100.0, 400.0 / n, 50.0], 4), &[Cause::Read]);
                    let half = Link { duplex: Duplex::Half, shared: true };
                    let half = Setting { link: half, ..at([50.0, 200.0 / n, 100.0, 200.0 / n, 50.0], 4) };
                    add(&format!("{place}: half-duplex link"), half, &[Cause::Write, Cause::Read]);
                    let launch = Setting { launch_s: 50e-6, ..at([50.0, 50.0, 100.0, 50.0, 50.0], 4) };
                    add(&format!("{place}: launch"), launch, &[Cause::Launch]);
                }
                if overlap == Overlap::InLane {
                    add(&format!("{place}: write"), at([50.0, 400.0, 100.0, 50.0, 50.0], 8), &[Cause::Write]);
                    add(&format!("{place}: read"), at([50.0, 50.0, 100.0, 400.0, 50.0], 8), &[Cause::Read]);
                    let mut cost = at([50.0, 50.0, 100.0, 50.0, 50.0], 8);
                    cost.times.call_s = 150e-6;
                    add(&format!("{place}: call cost"), cost, &[Cause::Launch]);
                }
                if overlap == Overlap::None {
                    add(&format!("{place}: transfers"), at([20.0, 200.0, 100.0, 200.0, 20.0], 8), &[Cause::Write, Cause::Read]);
                }
                let few = |n| if sets == JOINT { Sets::Joint(n) } else { Sets::Split { inputs: n, outputs: n } };
                let one = [400.0, 20.0, 100.0, 20.0, 400.0];
                add(&format!("{place}: one set"), Setting { sets: few(1), ..at(one, 8) }, &[Cause::Buffers]);
                let two = [150.0, 50.0, 200.0, 50.0, 150.0];
                if sets == JOINT && overlap != Overlap::None {
                    add(&format!("{place}: two of three sets"), Setting { sets: few(2), ..at(two, 8) }, &[Cause::Buffers]);
                }
            }
        }
    }
    for (sets, cv) in [(3, 0.3), (3, 0.5), (5, 0.5)] {
        let jitter = Setting { cv: StageCv::all(cv), ..setting([300.0, 100.0, 400.0, 100.0, 200.0], Sets::Joint(sets), 8) };
        let setup = Setup::from_setting(&jitter, ITEMS, 7).unwrap();
        all.push((format!("jitter {cv}, {sets} sets"), setup, Some(jitter), &[Cause::Buffers]));
    }
    let narrow = setting([300.0, 20.0, 100.0, 20.0, 300.0], JOINT, 8);
    let mut setup = Setup::from_setting(&narrow, ITEMS, 7).unwrap();
    setup.schedule.window = 2;
    all.push(("a window of two".to_owned(), setup, None, &[Cause::Delivery]));
    all
}

#[test]
fn explore() {
    for (name, setup, setting, causes) in planted() {
        let downtime = downtime(&setup);
        let share: f64 = causes.iter().map(|&cause| downtime.by_cause.fraction(cause)).sum();
        let plan = setting.map(|setting| Plan::new(&setting).unwrap().binding().resource.name());
        let shares: Vec<String> = downtime.by_cause.largest_first().iter().map(|(c, _)| format!("{} {:.1}", c.name(), 100.0 * downtime.by_cause.fraction(*c))).collect();
        println!("{} {name:40} {:5.1} % plan {plan:?} {shares:?}", if share >= 0.8 { "   " } else { "BAD" }, 100.0 * downtime.fraction());
    }
}
