//! Plans and traces agree on what limits a run whose times never vary.

use nbuffer_core::downtime::{Cause, Downtime};
use nbuffer_core::plan::{Link, Overlap, Plan, Resource, Setting, StageTimes};
use nbuffer_core::schedule::{Duplex, HostThreads, Sets};
use nbuffer_core::virtual_time::{Setup, Times};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::planted::{downtime, traced};

const ITEMS: u64 = 300;

/// A resource is clearly the limit if the bounds of all others are at most so much of its own.
const CLEAR: f64 = 0.8;

fn sets() -> impl Strategy<Value = Sets> {
    prop_oneof![
        (1usize..=7).prop_map(Sets::Joint),
        (1usize..=7, 1usize..=7).prop_map(|(inputs, outputs)| Sets::Split { inputs, outputs }),
    ]
}

fn shared_threads() -> impl Strategy<Value = HostThreads> {
    (1usize..=6).prop_map(HostThreads::Shared)
}

fn split_threads() -> impl Strategy<Value = HostThreads> {
    (1usize..=4, 1usize..=4)
        .prop_map(|(preprocess, postprocess)| HostThreads::Split { preprocess, postprocess })
}

/// Times of whole tens of microseconds, which are no ties unless they are equal.
fn setting(threads: impl Strategy<Value = HostThreads>, duplex: Duplex) -> impl Strategy<Value = Setting> {
    let times = prop::array::uniform5(1u32..40);
    let overlap = prop_oneof![Just(Overlap::Queued), Just(Overlap::None), Just(Overlap::InLane)];
    let source = prop_oneof![3 => Just(0u32), 1 => 1u32..80];
    (times, 1usize..=2, sets(), threads, overlap, any::<bool>(), source).prop_map(
        move |(times, lanes, sets, threads, overlap, shared, source)| {
            let [preprocess_s, write_s, kernel_s, read_s, postprocess_s] = times.map(|t| f64::from(t) * 1e-5);
            let times = StageTimes { preprocess_s, write_s, kernel_s, read_s, postprocess_s, call_s: 0.0 };
            let link = Link { duplex, shared };
            let source_s = f64::from(source) * 1e-5;
            Setting { overlap, link, source_s, ..Setting::new(times, lanes, sets, threads) }
        },
    )
}

/// The share of what the plan says is the limit, if it clearly is.
///
/// Transfers within a blocking call are no one's but the device's; of what is between the calls the limit has the share.
fn share_of_limit(setting: &Setting, downtime: &Downtime) -> Option<f64> {
    if setting.overlap == Overlap::InLane && setting.sets.outputs() <= 3 {
        // Such rings live on flush calls, whose missing stages take no time here: see `DeviceModel::Lockstep`.
        return None;
    }
    let plan = Plan::new(setting).unwrap();
    let limit = plan.binding().resource;
    let is_sets = |resource| matches!(resource, Resource::Inputs | Resource::Outputs);
    let others = plan.bounds[1..].iter().filter(|bound| !(is_sets(limit) && is_sets(bound.resource)));
    if others.into_iter().any(|bound| bound.period_s > CLEAR * plan.period_s()) {
        return None;
    }
    let of = |causes: &[Cause]| causes.iter().map(|&cause| downtime.by_cause.fraction(cause)).sum::<f64>();
    let in_call = of(&[Cause::Write, Cause::Read, Cause::Launch]);
    let causes: &[Cause] = match limit {
        // What is left is fill.
        Resource::Device if downtime.fraction() < 0.02 => return Some(1.0),
        Resource::Device if setting.overlap == Overlap::Queued => return Some(0.0),
        Resource::Device => return Some(in_call),
        Resource::Write => return Some(of(&[Cause::Write])),
        Resource::Read => return Some(of(&[Cause::Read])),
        Resource::Link => return Some(of(&[Cause::Write, Cause::Read])),
        Resource::Source => &[Cause::Source],
        Resource::Host | Resource::PreprocessThreads | Resource::PostprocessThreads | Resource::Cores => {
            &[Cause::Host]
        }
        Resource::Buffers | Resource::Inputs | Resource::Outputs => &[Cause::Buffers],
    };
    let between_calls = if setting.overlap == Overlap::Queued { 1.0 } else { 1.0 - in_call };
    Some(of(causes) / between_calls.max(1e-9))
}

fn of(setting: &Setting) -> Downtime {
    downtime(&Setup::from_setting(setting, ITEMS, 0).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// With dedicated servers and one lane plans are exact, and their limit always has more than half.
    #[test]
    fn the_limit_of_an_exact_plan_is_the_main_cause(setting in setting(split_threads(), Duplex::Full)) {
        let setting = Setting { lanes: 1, ..setting };
        let downtime = of(&setting);
        if let Some(share) = share_of_limit(&setting, &downtime) {
            let limit = Plan::new(&setting).unwrap().binding().resource;
            prop_assert!(share > 0.5, "{:?} has {}: {:?}", limit, share, downtime.by_cause);
        }
    }

    /// Whatever varies and whatever is kept, shares add up and only what was kept counts.
    #[test]
    fn shares_add_up(
        setting in setting(shared_threads(), Duplex::Half),
        cv in prop::array::uniform5(0.0f64..1.5),
        seed in any::<u64>(),
        kept in 2usize..200,
        completed in any::<bool>(),
    ) {
        let mut setup = Setup::from_setting(&setting, 100, 0).unwrap();
        let Times::Fixed(mean) = setup.times else { panic!("{:?}", setup.times) };
        setup.times = Times::Drawn { mean, cv, seed };
        if completed {
            setup.schedule.order = nbuffer_core::schedule::Order::Completed;
        }
        let whole = downtime(&setup);
        let part = Downtime::of(&traced(&setup, kept).0);
        prop_assert!(part.downtime() <= whole.downtime() && part.steady <= whole.steady);
        prop_assert!(part.longest.iter().all(|gap| gap.shares.total() == gap.time.length()));
    }
}

/// Where servers are shared, stages and lanes can get in each other's way without being the limit.
#[test]
fn the_limit_of_other_plans_nearly_always_has_the_largest_part() {
    let mut runner = TestRunner::deterministic();
    let any = prop_oneof![
        setting(split_threads(), Duplex::Full),
        setting(shared_threads(), Duplex::Full),
        setting(shared_threads(), Duplex::Half),
        setting(split_threads(), Duplex::Half),
    ];
    let (mut clear, mut others) = (0, Vec::new());
    for _ in 0..2000 {
        let setting = any.new_tree(&mut runner).unwrap().current();
        let downtime = of(&setting);
        let Some(share) = share_of_limit(&setting, &downtime) else { continue };
        clear += 1;
        if share < 0.5 {
            others.push((share, downtime.by_cause, setting));
        }
    }
    assert!(clear > 500 && others.len() * 100 <= 3 * clear, "{} of {clear}: {others:#?}", others.len());
}
