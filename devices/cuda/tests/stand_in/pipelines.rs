//! Streams through pipelines: every value, in order, each of its own item.

use std::sync::Arc;

use nbuffer_cuda::CudaDevice;
use nbuffer_runtime::{
    BoxError, Device, HostStages, InputSet, LaneOptions, Options, OutputSet, Pipeline, Program, Report,
};

use crate::fixture::{self, ModelFolder, N, live, saxpy, with_stand_in};

/// Fills and checks what [`fixture::fill`] and [`fixture::check`] do.
struct Saxpy;

impl HostStages for Saxpy {
    type Item = u64;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = u64;
    type Output = u64;

    fn preprocess(&self, item: u64, input: &mut InputSet) -> Result<u64, BoxError> {
        fixture::fill(item, input);
        Ok(item)
    }

    fn postprocess(&self, item: u64, output: &mut OutputSet) -> Result<u64, BoxError> {
        fixture::check(item, output)?;
        // What a later item finds here is not its own.
        output[0].bytes_mut().fill(0xff);
        Ok(item)
    }
}

pub(crate) struct Case {
    pub(crate) device: &'static str,
    pub(crate) depth: usize,
    pub(crate) lanes: usize,
    pub(crate) items: u64,
}

pub(crate) fn start(program: &dyn Program, case: &Case) -> Pipeline<impl HostStages<Output = u64> + use<>> {
    let lanes = (0..case.lanes).map(|lane| program.open_lane(LaneOptions { lane, double_buffer: false }));
    let lanes = lanes.collect::<Result<Vec<_>, _>>().expect("lanes");
    Pipeline::start(0..case.items, Saxpy, lanes, &Options::new(case.depth, 2)).expect("a pipeline")
}

/// Runs a stream to its end; every item must be ok and in order.
fn check(case: &Case) -> Report {
    let program = saxpy(case.device, N, case.lanes);
    let mut pipeline = start(&*program, case);
    for expected in 0..case.items {
        let item = pipeline.next().expect("as many results as items");
        assert_eq!(
            item.expect("a result"),
            expected,
            "{} N={} lanes={}",
            case.device,
            case.depth,
            case.lanes
        );
    }
    assert!(pipeline.next().is_none());
    pipeline.report()
}

#[test]
fn every_value_in_order_at_every_depth() {
    with_stand_in("pipelines::every_value_in_order_at_every_depth", &[], || {
        for device in ["cuda", "cuda:0,graph"] {
            for depth in 1..=8 {
                for lanes in 1..=4 {
                    for items in [0, 1, 3, 60] {
                        check(&Case { device, depth, lanes, items });
                    }
                }
            }
        }
        assert_eq!(live(), 0, "all streams, events, buffers, modules and contexts are gone");
    });
}

#[test]
fn ten_thousand_items_and_nothing_grows() {
    with_stand_in("pipelines::ten_thousand_items_and_nothing_grows", &[], || {
        for device in ["cuda", "cuda,graph"] {
            let program = saxpy(device, 256, 1);
            let case = Case { device, depth: 5, lanes: 1, items: 10_000 };
            let mut pipeline = start(&*program, &case);
            let mut at_a_tenth = 0;
            for expected in 0..case.items {
                assert_eq!(pipeline.next().expect("a result").expect("ok"), expected);
                if expected == 1_000 {
                    at_a_tenth = live();
                }
            }
            // Marks are made as they are first needed, so there may be a few more than early on.
            assert!(
                live() <= at_a_tenth + 5 * 6,
                "{} objects after a tenth, {} at the end",
                at_a_tenth,
                live()
            );
        }
    });
}

#[test]
fn two_pipelines_share_a_device() {
    with_stand_in("pipelines::two_pipelines_share_a_device", &[], || {
        let device = CudaDevice::new("cuda").unwrap();
        let program = device.prepare(&ModelFolder::shipped("saxpy", N).open(), 2).unwrap();
        let case = Case { device: "cuda", depth: 3, lanes: 1, items: 200 };
        let run = |program: Arc<dyn Program>| start(&*program, &case).map(Result::unwrap).eq(0..200);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| run(Arc::clone(&program)))).collect();
            for thread in threads {
                assert!(thread.join().unwrap());
            }
        });
    });
}

#[test]
fn a_stream_dropped_early_leaves_nothing_behind() {
    with_stand_in("pipelines::a_stream_dropped_early_leaves_nothing_behind", &[], || {
        let program = saxpy("cuda", N, 1);
        let mut pipeline = start(&*program, &Case { device: "cuda", depth: 4, lanes: 1, items: 10_000 });
        assert_eq!(pipeline.next().unwrap().unwrap(), 0);
        drop(pipeline);
        drop(program);
        assert_eq!(live(), 0);
    });
}
