//! What the schedule does, as pictures: a case, and the timeline expected.
//!
//! `UPDATE_EXPECT=1 cargo test -p nbuffer-core --test schedule_pictures` rewrites the pictures. Look at them.

use expect_test::{Expect, expect};
use nbuffer_core::measure::Stage;
use nbuffer_core::schedule::*;
use nbuffer_core::trace::{Style, Timeline};
use nbuffer_core::virtual_time::*;

const JOINT: fn(usize) -> LaneConfig = |n| LaneConfig { sets: Sets::Joint(n), lag: 0 };
const LOCKSTEP: DeviceModel = DeviceModel::Lockstep { call_cost: 0 };

/// One queued lane, times in microseconds: preprocess, write, kernel, read, postprocess.
fn case(lane: LaneConfig, threads: impl Into<HostThreads>, times_us: StageTimes, items: u64) -> Setup {
    let device = if lane.lag == 0 { DeviceModel::Queued } else { LOCKSTEP };
    let times = Times::Fixed(times_us.map(|us| us * 1_000));
    Setup::new(Config::new(vec![lane], threads), device, times, items)
}

/// Draws a run, and says how its items ended.
#[track_caller]
fn check(setup: &Setup, expected: Expect) {
    let mut recording = Recording::default();
    let run = Simulation::watched(setup, &mut recording).expect("the set-up is valid").run();
    let Totals { ok, failed, cancelled, .. } = run.totals;
    let picture = Timeline::new(&recording.spans).width(80).style(Style::Ascii);
    expected.assert_eq(&format!("{picture}{ok} ok, {failed} failed, {cancelled} cancelled\n"));
}

#[test]
fn one_set_does_one_thing_at_a_time() {
    check(
        &case(JOINT(1), 1, [2, 2, 3, 2, 2], 3),
        expect![[r#"
        host      (0-)...............{0=}(-1-)..............{=1=}(2-)...............{2=}
        link in   ....(0-)....................(1-)...................(2-)...............
        kernel    ........[##0##].................[#1##].................[##2##]........
        link out  ...............{0=}...................{1=}....................{2=}....
                  +---------+----------+---------+----------+----------+---------+------
              us  0         5          10        15         20         25        30
        (-) preprocess   {=} postprocess
        3 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// L = 11 us and two sets: two items every 11 us.
#[test]
fn two_sets_overlap() {
    check(
        &case(JOINT(2), 2, [2, 2, 3, 2, 2], 6),
        expect![[r#"
        host 0    (0-)..............{0}(2-)..(3-)........{2=}(4-)..(5-).......{4=}..{5=}
        host 1    (1-)...................{1=}..................{3=}.....................
        link in   ....(0-)(1-).............(2-)..(3-)............(4-)..(5)..............
        kernel    ........[#0##][#1#]..........[#2##][#3##]..........[#4#][#5##]........
        link out  ..............{0=}.{1=}............{2=}..{3=}...........{4=}..{5=}....
                  +--------+---------+---------+--------+---------+---------+---------+-
              us  0        5         10        15       20        25        30        35
        (-) preprocess   {=} postprocess
        6 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// L = 10 us, three sets, and a kernel of 4 us: it never waits.
#[test]
fn three_sets_and_two_host_threads_keep_the_kernel_busy() {
    check(
        &case(JOINT(3), 2, [2, 1, 4, 1, 2], 6),
        expect![[r#"
        host 0    (-0-)(2-)..........{0=}(-3-){=1=}(4-){=2=}(-5-){3=}.....{=4=}....{=5=}
        host 1    (-1-).................................................................
        link in   .....(0(1(2)................(3.......(4).......(5.....................
        kernel    .......[###0###][###1####][###2###][###3###][###4####][###5###].......
        link out  ................{0}.......{1.......{2.......{3}.......{4.......{5.....
                  +----------+-----------+-----------+----------+-----------+-----------
              us  0          5           10          15         20          25
        (-) preprocess   {=} postprocess
        6 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// One host thread has 4 us of work for an item, and the kernel only 3 us: once what was filled first is used up, the
/// kernel waits.
#[test]
fn one_host_thread_is_the_limit() {
    check(
        &case(JOINT(4), 1, [2, 1, 3, 1, 2], 9),
        expect![[r#"
            host      (0-)(1-)(2)(3-){0=}(4-){1}{2=}(5-)(6-){3=}{4}(7-){5=}(8-){6=}{7}..{8=}
            link in   ....(0..1..(2..(3......(4.........(5..(6.........(7......(8...........
            kernel    ......[#0#][#1##][#2##][#3#][#4##]..[#5##][#6#]....[#7##]..[#8#]......
            link out  ...........{0....{1....{2...{3....{4......{5...{6........{7.....{8....
                      +--------+--------+---------+--------+---------+--------+---------+---
                  us  0        5        10        15       20        25       30        35
            (-) preprocess   {=} postprocess
            9 ok, 0 failed, 0 cancelled
        "#]],
    );
}

/// Two inputs and two outputs: an input is filled again when its kernel has ended, before its item's result is out.
/// Of two whole sets the kernel would wait for one.
#[test]
fn inputs_and_outputs_apart_need_fewer_sets() {
    let lane = LaneConfig { sets: Sets::Split { inputs: 2, outputs: 2 }, lag: 0 };
    check(
        &case(lane, 2, [2, 1, 4, 1, 2], 6),
        expect![[r#"
        host 0    (-0-)...........(-2-).....(3-).....(-4-)....(-5-).......{=4=}....{=5=}
        host 1    (-1-)..............{0=}.....{=1=}....{=2=}.....{3=}...................
        link in   .....(0(1..............(2).......(3.......(4.......(5)................
        kernel    .......[###0###][###1####][###2###][###3###][###4####][###5###].......
        link out  ................{0}.......{1.......{2.......{3}.......{4.......{5.....
                  +----------+-----------+-----------+----------+-----------+-----------
              us  0          5           10          15         20          25
        (-) preprocess   {=} postprocess
        6 ok, 0 failed, 0 cancelled
    "#]],
    );
    check(
        &case(JOINT(2), 2, [2, 1, 4, 1, 2], 6),
        expect![[r#"
        host 0    (0-)............{=0=}(2-){1=}(3-)....{2=}(4-){3=}(-5-)....{4=}....{5=}
        host 1    (1-)..................................................................
        link in   ....(0(1.................(2......(3..........(4.......(5..............
        kernel    ......[##0###][###1###]....[##2###][##3###]....[###4###][##5###]......
        link out  ..............{0.......{1..........{2......{3...........{4......{5....
                  +---------+---------+---------+----------+---------+---------+--------
              us  0         5         10        15         20        25        30
        (-) preprocess   {=} postprocess
        6 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// Reads and writes take turns in the order in which they asked.
#[test]
fn a_half_duplex_link_carries_one_thing_at_a_time() {
    let mut setup = case(JOINT(4), 2, [1, 2, 4, 2, 1], 6);
    setup.links.duplex = Duplex::Half;
    check(
        &setup,
        expect![[r#"
        host 0  (0(2).....................{0}(4...(5.....{2.......{3}.......{4........{5
        host 1  (1(3)..........................{1}......................................
        link    ..(-0-)(-1-)(-2-)(-3-){0=}{=1=}(-4-){=2=}(-5-){3=}.....{=4=}.....{=5=}..
        kernel  .......[###0####][###1###][###2####][###3####][###4###][###5####].......
                +-----------+-----------+-----------+-----------+-----------+-----------
            us  0           5           10          15          20          25
        (-) preprocess   (-) write   {=} read   {=} postprocess
        6 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// A call writes an item, computes the one before and reads the one before that. Two calls without an item bring the
/// last two results out.
#[test]
fn double_buffering_fills_runs_and_drains() {
    check(
        &case(LaneConfig { lag: 2, ..JOINT(5) }, 2, [1, 2, 4, 2, 1], 6),
        expect![[r#"
        host 0    (0(2)(4...................{0(5.....{1.......{2}.......{3.......{4...{5
        host 1    (1(3).................................................................
        link in   ..(-0-)(-1-)....(-2-).....(3-).....(-4-)....(-5-).....................
        kernel    .......[###0###][###1####][###2###][###3###][###4####][###5###].......
        link out  ................{=0=}.....{1=}.....{=2=}....{=3=}.....{4=}.....{=5=}..
                  +----------+-----------+-----------+----------+-----------+-----------
              us  0          5           10          15         20          25
        (-) preprocess   {=} postprocess
        6 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// Two of three sets always wait in the lane, so the third goes through both host stages between two calls.
#[test]
fn double_buffering_with_three_sets_waits_for_the_third() {
    check(
        &case(LaneConfig { lag: 2, ..JOINT(3) }, 2, [1, 2, 4, 2, 1], 6),
        expect![[r#"
        host 0    (0(2.................{0(3.......{1(4........=(5........{3.......{4..{5
        host 1    (1....................................................................
        link in   ..(0-)(1)....(2-)........(3)........(4-).......(5-)...................
        kernel    ......[##0##][##1###]....[##2##]....[##3###]...[##4###]..[##5##]......
        link out  .............{0=}........{1}........{2=}.......{3=}......{4=}...{5=}..
                  +--------+--------+---------+--------+---------+--------+---------+---
              us  0        5        10        15       20        25       30        35
        (-) preprocess   {=} = ~ postprocess
        6 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// With two sets both are in the lane after two calls, and nothing can push them out but calls without an item.
#[test]
fn double_buffering_with_two_sets_lives_on_flush_calls() {
    check(
        &case(LaneConfig { lag: 2, ..JOINT(2) }, 2, [1, 2, 4, 2, 1], 4),
        expect![[r#"
        host 0    (0.........................{0(2.....{1}(3...................{2}.....{3
        host 1    (1....................................................................
        link in   ..(-0-)(-1-)...................(-2-).....(-3-)........................
        kernel    .......[###0####][###1####]..............[###2####][###3###]..........
        link out  .................{=0=}.........{=1=}...............{=2=}.......{=3=}..
                  +-----------+-----------+-----------+-----------+-----------+---------
              us  0           5           10          15          20          25
        (-) preprocess   {=} postprocess
        4 ok, 0 failed, 0 cancelled
    "#]],
    );
}

#[test]
fn a_call_that_blocks_does_one_item() {
    let mut setup = case(JOINT(3), 2, [2, 1, 4, 1, 2], 5);
    setup.devices = vec![DeviceModel::Blocking];
    check(
        &setup,
        expect![[r#"
        host 0    (0-)(2-)........{=0=}(3-)....{1=}(4-)....{2=}.........{3=}........{4=}
        host 1    (1-)..................................................................
        link in   ....(0..........(1)..........(2..........(3...........(4..............
        kernel    ......[##0###].....[##1###]....[##2###]....[##3###].....[##4###]......
        link out  ..............{0...........{1..........{2..........{3}..........{4....
                  +---------+---------+---------+----------+---------+---------+--------
              us  0         5         10        15         20        25        30
        (-) preprocess   {=} postprocess
        5 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// Item 1 fails in preprocess and item 3 in its kernel: their sets go on with the next items.
#[test]
fn a_failing_item_costs_itself_alone() {
    let mut setup = case(JOINT(3), 2, [2, 1, 4, 1, 2], 6);
    setup.faults = vec![Fault::Stage(Stage::Preprocess, 1), Fault::Stage(Stage::Kernel, 3)];
    check(
        &setup,
        expect![[r#"
        host 0    (-0-)(-2--)...........{=0=}(-4-){=2==}(-5-)...........{=4=}......{=5=}
        host 1    (-1-)(-3--)...........................................................
        link in   .....(0)...(2(3)................(4)........(5)........................
        kernel    ........[####0####][####2####][###3####][####4####][####5####]........
        link out  ...................{0}........{2...................{4}........{5}.....
                  +----+----+-----+----+----+-----+----+-----+----+----+-----+----+-----
              us  0    2    4     6    8    10    12   14    16   18   20    22   24
        (-) preprocess   {=} postprocess
        4 ok, 2 failed, 0 cancelled
    "#]],
    );
}

/// What the device has is drained and dropped, and nothing begins.
#[test]
fn a_cancel_drains_the_device() {
    let mut setup = case(JOINT(3), 2, [2, 1, 4, 1, 2], 20);
    setup.faults = vec![Fault::Cancel { at: 12_500 }];
    check(
        &setup,
        expect![[r#"
        host 0    (--0--)(--2--)..............{==0==}(--3--){==1==}.....................
        host 1    (--1--)...............................................................
        link in   .......(0-)(1)(2-)........................(3-)........................
        kernel    ...........[#####0######][#####1######][#####2######][#####3######]...
        link out  .........................{0}...........{1}...........{2}...........{3}
                  +------+------+------+------+------+------+------+------+------+------
              us  0      2      4      6      8      10     12     14     16     18
        (-) preprocess   {=} postprocess
        2 ok, 0 failed, 2 cancelled
    "#]],
    );
}

/// Items go to the lane with the fewest; both kernels are busy.
#[test]
fn two_lanes_work_side_by_side() {
    let mut setup = case(JOINT(2), 3, [2, 1, 6, 1, 2], 8);
    setup.schedule.lanes.push(JOINT(2));
    setup.schedule.window = 8;
    setup.devices.push(DeviceModel::Queued);
    setup.links.shared = true;
    check(
        &setup,
        expect![[r#"
        host 0    (-0-)(3-)..............{0=}(-4-)....{=2=}(6-).....{4=}.........{=6=}..
        host 1    (-1-)....................{1=}(-5-)....{=3=}(7-).....{5=}.........{=7=}
        host 2    (-2-).................................................................
        link in   .....(0(1(2(3)..................(4(5.........(6(7)....................
        kernel 0  .......[#####0#####][#####2######][#####4#####][#####6######].........
        kernel 1  .........[#####1######][#####3#####][#####5######][#####7#####].......
        link out  ....................{0}{1.........{2{3.........{4}{5.........{6{7.....
                  +----------+----------+----------+-----------+----------+----------+--
              us  0          5          10         15          20         25         30
        (-) preprocess   {=} postprocess
        8 ok, 0 failed, 0 cancelled
    "#]],
    );
}

/// A source slower than everything else: one set after the other, and the kernel waits.
#[test]
fn a_slow_source_is_waited_for() {
    let mut setup = case(JOINT(3), 1, [1, 1, 2, 1, 1], 4);
    setup.source.interval = 5_000;
    check(
        &setup,
        expect![[r#"
        host      (0)..............(1){0}..........(2-){1}..........(3){2=}..........{3}
        link in   ...(0-).............(1)..............(2).............(3-).............
        kernel    .......[#0##]..........[##1##]..........[##2##]..........[#3##].......
        link out  .............{0=}.............{1}..............{2}.............{3=}...
                  +-----+------+------+-----+------+------+-----+------+------+-----+---
              us  0     2      4      6     8      10     12    14     16     18    20
        (-) preprocess   {=} postprocess
        4 ok, 0 failed, 0 cancelled
    "#]],
    );
}
