//! Plans and traces agree on what limits a run whose times never vary.

use nbuffer_core::downtime::{Cause, Downtime};
use nbuffer_core::plan::{Link, Overlap, Plan, Resource, Setting, StageTimes};
use nbuffer_core::schedule::{Duplex, HostThreads, Sets};
use nbuffer_core::virtual_time::Setup;
use proptest::prelude::*;

use crate::planted::downtime;

const ITEMS: u64 = 300;

fn sets() -> impl Strategy<Value = Sets> {
    prop_oneof![
        (1usize..=7).prop_map(Sets::Joint),
        (1usize..=7, 1usize..=7).prop_map(|(inputs, outputs)| Sets::Split { inputs, outputs }),
    ]
}

fn threads() -> impl Strategy<Value = HostThreads> {
    prop_oneof![
        (1usize..=6).prop_map(HostThreads::Shared),
        (1usize..=4, 1usize..=4)
            .prop_map(|(preprocess, postprocess)| HostThreads::Split { preprocess, postprocess }),
    ]
}

/// Times of whole tens of microseconds, far apart for the tolerance of a tie.
fn setting() -> impl Strategy<Value = Setting> {
    let times = prop::array::uniform5(1u32..40);
    let overlap = prop_oneof![Just(Overlap::Queued), Just(Overlap::None), Just(Overlap::InLane)];
    let link = (any::<bool>(), any::<bool>());
    let rare = prop_oneof![3 => Just(0u32), 1 => 1u32..80];
    (times, 1usize..=2, sets(), threads(), overlap, link, rare).prop_map(
        |(times, lanes, sets, threads, overlap, (half, shared), source)| {
            let [preprocess_s, write_s, kernel_s, read_s, postprocess_s] = times.map(|t| f64::from(t) * 1e-5);
            let times = StageTimes { preprocess_s, write_s, kernel_s, read_s, postprocess_s, call_s: 0.0 };
            let duplex = if half { Duplex::Half } else { Duplex::Full };
            Setting {
                overlap,
                link: Link { duplex, shared },
                source_s: f64::from(source) * 1e-5,
                ..Setting::new(times, lanes, sets, threads)
            }
        },
    )
}

#[test]
fn explore() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..4000 {
        let setting = setting().new_tree(&mut runner).unwrap().current();
        let plan = Plan::new(&setting).unwrap();
        let binding = plan.binding().resource;
        let clear = plan.bounds[1..].iter().all(|b| b.period_s <= plan.period_s() / 1.25 || same(b.resource, binding));
        let downtime = downtime(&Setup::from_setting(&setting, ITEMS, 0).unwrap());
        if !clear { continue }
        let share = share(&setting, binding, &downtime);
        let e = counts.entry(format!("{} {}", setting.overlap.name(), binding.name())).or_insert((0, 0));
        e.0 += 1;
        if share < 0.5 {
            e.1 += 1;
            println!("{binding:?} {share:.2} down {:.2} {:?} ideal {:.3} {setting:?}", downtime.fraction(), downtime.by_cause.largest_first(), 1.0 - plan.device_busy());
        }
    }
    println!("{counts:#?}");
}

fn same(a: Resource, b: Resource) -> bool {
    a.name() == b.name()
}

fn share(setting: &Setting, binding: Resource, downtime: &Downtime) -> f64 {
    let f = |c| downtime.by_cause.fraction(c);
    let moves = f(Cause::Write) + f(Cause::Read) + f(Cause::Launch);
    let causes: f64 = match binding {
        Resource::Device if setting.overlap == Overlap::Queued => return if downtime.fraction() < 0.05 { 1.0 } else { 0.0 },
        Resource::Device => return moves,
        Resource::Write => f(Cause::Write),
        Resource::Read => f(Cause::Read),
        Resource::Link => return f(Cause::Write) + f(Cause::Read),
        Resource::Source => f(Cause::Source),
        Resource::Host | Resource::PreprocessThreads | Resource::PostprocessThreads => f(Cause::Host),
        Resource::Buffers | Resource::Inputs | Resource::Outputs => f(Cause::Buffers),
    };
    if setting.overlap == Overlap::Queued { causes } else { causes / (1.0 - moves).max(1e-9) }
}

#[test]
#[ignore]
fn one() {
    let times = StageTimes { preprocess_s: 0.00031, write_s: 0.00015, kernel_s: 0.00013, read_s: 4e-5, postprocess_s: 0.0003, call_s: 0.0 };
    let setting = Setting { link: Link { duplex: Duplex::Half, shared: true }, ..Setting::new(times, 2, Sets::Joint(1), HostThreads::Split { preprocess: 2, postprocess: 4 }) };
    let d = downtime(&Setup::from_setting(&setting, 12, 0).unwrap());
    println!("{:?}", d.by_cause.largest_first());
    for g in d.longest { println!("{} {:?} {:?}", g.before, g.time, g.shares.largest_first()); }
}
