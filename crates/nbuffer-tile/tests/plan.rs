//! Plans beside the simulator: exact where nothing but copies and computation takes time, near where flags do.

mod exact;

use std::sync::Arc;

use nbuffer_tile::catalog::{Task, kernel};
use nbuffer_tile::plan::{Place, Plan, Resource, Stages};
use nbuffer_tile::*;

fn task(elements: u64, tile: u32, num: u32, repeat_op: u32) -> Task {
    Task { elements, tile, num, repeat_op, ..Task::default() }
}

fn simulated(profile: &Arc<Profile>, task: &Task, cores: usize) -> f64 {
    let mut memory = GlobalMemory::hollow();
    let prepared = kernel("add").unwrap().prepare(task, &mut memory);
    let how = Launch { values: false, ..Launch::on(cores) };
    launch(profile, &mut memory, &how, prepared.program).unwrap().cycles
}

#[test]
fn exact_times_give_exact_plans() {
    let place = Place { cores: 1, memory: 1e18, port: 1e18 };
    for [i, c, o] in [[12, 12, 12], [24, 12, 6], [6, 24, 12], [12, 6, 24], [30, 6, 6], [18, 24, 30]] {
        let profile = exact::profile(i, c, o);
        let [copy_in, compute, copy_out] = [i, c, o].map(f64::from);
        let stages = Stages { copy_in, compute, copy_out, ..Stages::default() };
        for nums in [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (3, 3)] {
            let plan = Plan::new(&stages, nums, 24.0, &place);
            let [short, long] =
                [24, 48].map(|tiles| exact::run(&profile, nums.0, nums.1, tiles, false).cycles);
            assert_eq!(plan.period, (long - short) / 24.0, "{stages:?}, {nums:?}");
            assert_eq!(plan.cycles, short, "{stages:?}, {nums:?}");
        }
    }
}

#[track_caller]
fn check_near(device: &str, cores: usize, task: &Task, within: f64) -> Plan {
    let profile = Arc::new(Profile::named(device).unwrap());
    let advice = Advice::of(&profile, kernel("add").unwrap(), task, cores).unwrap().unwrap();
    let (planned, simulated) = (advice.asked.plan.cycles, simulated(&profile, task, cores));
    let off = planned / simulated - 1.0;
    assert!(off.abs() < within, "planned {planned}, simulated {simulated}: {:.2} % off", 100.0 * off);
    advice.asked.plan
}

#[test]
fn real_times_give_near_plans() {
    let cases = [
        ("910B4", 8, task(8 << 20, 20480, 1, 8), Resource::InputBlocks),
        ("910B4", 8, task(8 << 20, 10240, 2, 8), Resource::Vector),
        ("910B4", 1, task(1 << 20, 10240, 2, 1), Resource::CopyIn),
        ("910B4", 40, task(40 << 20, 10240, 2, 1), Resource::GlobalMemory),
        ("910B4", 40, task(160 << 20, 20480, 1, 1), Resource::InputBlocks),
        ("910B1", 1, task(1 << 20, 1024, 2, 1), Resource::CopyIn),
        ("310P3", 8, task(8 << 20, 8192, 2, 4), Resource::GlobalMemory),
    ];
    for (device, cores, task, binding) in cases {
        let plan = check_near(device, cores, &task, 0.03);
        assert_eq!(plan.binding, binding, "{device}, {task:?}");
    }
}

#[test]
fn a_little_gain_has_a_reason() {
    let advice = |device: &str, cores, task: &Task| {
        let profile = Arc::new(Profile::named(device).unwrap());
        Advice::of(&profile, kernel("add").unwrap(), task, cores).unwrap().unwrap()
    };
    // All cores, one addition: memory gives no more.
    let bound = advice("910B4", 40, &task(80 << 20, 10240, 2, 1));
    assert_eq!(bound.asked.plan.binding, Resource::GlobalMemory);
    let why = bound.little_gain.unwrap();
    assert!(why.contains("bandwidth of global memory is the limit"), "{why}");
    // One tile.
    let why = advice("910B4", 8, &task(8 * 1024, 1024, 1, 1)).little_gain.unwrap();
    assert!(why.contains("one tile only"), "{why}");
    // The vendor's sample: a third.
    let sample = advice("910B4", 8, &task(80 << 20, 20480, 1, 8));
    assert_eq!(sample.little_gain, None);
    assert!((0.25..0.4).contains(&sample.double_buffering_gain), "{}", sample.double_buffering_gain);
    // With three blocks of an odd number of 256 bytes, operands are in different bank groups.
    assert!(sample.recommended.num > 1 && sample.recommended.stages.conflicts == 0.0);
}

#[test]
fn the_largest_tile_fits_and_a_larger_one_does_not() {
    let profile = Arc::new(Profile::named("910B4").unwrap());
    let asked = task(80 << 20, 1024, 1, 1);
    let largest = Advice::of(&profile, kernel("add").unwrap(), &asked, 8).unwrap().unwrap().largest_tile;
    for (num, tile) in (1_u64..).zip(largest) {
        // Three queues of f16.
        let bytes = |tile: u32| 3 * num * 2 * u64::from(tile);
        let usable = profile.usable(Space::Ub);
        assert!(bytes(tile) <= usable && bytes(tile + 128) > usable, "{tile} with {num}");
    }
}
