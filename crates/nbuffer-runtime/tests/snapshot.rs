//! Looks at a pipeline while it runs: every one of them adds up.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use nbuffer_runtime::{Around, Lane, Observer, Options, Pipeline, SetCounts, Snapshot};

type Numbers = Around<u64, u64, u64, fn(u64) -> u64, fn(u64) -> u64>;

fn stages() -> Numbers {
    Around::new(|x| x, |x| x)
}

/// What holds at any moment, with `sets` input and output sets for each lane.
fn check(snapshot: &Snapshot, sets: u64) {
    let total = |counts: &SetCounts| counts.each().iter().map(|(_, sets)| sets).sum::<u64>();
    for lane in &snapshot.lanes {
        assert_eq!((total(&lane.inputs), total(&lane.outputs)), (sets, sets), "{lane:?}");
        assert!(
            lane.outputs.in_flight >= lane.inputs.in_flight,
            "an input is with its item or free: {lane:?}"
        );
    }
    let (totals, places) = (snapshot.totals, snapshot.places);
    let under_way = places.items() - places.undelivered;
    assert_eq!(totals.taken, totals.ended() + under_way, "{snapshot:?}");
    assert!(places.items() <= snapshot.window as u64, "{snapshot:?}");
    assert!(snapshot.host_busy <= snapshot.host_threads, "{snapshot:?}");
    for buckets in snapshot.stages.iter().chain([&snapshot.source, &snapshot.latency]) {
        assert!(buckets.up_to.is_sorted() && buckets.up_to.last() <= Some(&buckets.count));
        assert!(buckets.count <= totals.taken);
    }
}

#[test]
fn every_look_adds_up() {
    let lanes = (0..3).map(|_| Lane::closure(|x: u64| x + 1)).collect();
    let pipeline = Pipeline::start(0..20_000, stages(), lanes, &Options::new(3, 2)).unwrap();
    let observer: Observer = pipeline.observer();
    let watcher = thread::spawn(move || {
        let mut last = 0;
        while let Some(snapshot) = observer.snapshot() {
            check(&snapshot, 3);
            assert!(snapshot.totals.taken >= last, "counters only grow");
            last = snapshot.totals.taken;
        }
    });
    let mut pipeline = pipeline;
    assert_eq!(pipeline.by_ref().map(|result| result.unwrap()).sum::<u64>(), (1..=20_000).sum::<u64>());
    let end = pipeline.snapshot();
    check(&end, 3);
    assert_eq!((end.totals.ok, end.places.items(), end.latency.count), (20_000, 0, 20_000));
    drop(pipeline);
    watcher.join().expect("every look adds up; the last one finds nothing");
}

#[test]
fn items_are_where_they_are_held_up() {
    let (entered, calls) = channel();
    let (go, gate) = channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let work = move |x: u64| {
        entered.send(x).unwrap();
        gate.lock().unwrap().recv().unwrap();
        x
    };
    // Items come only when they are wanted, so that nothing moves but what the test moves.
    let (items, source) = channel::<u64>();
    let source = Mutex::new(source);
    let source = std::iter::from_fn(move || source.lock().unwrap().recv().ok());
    let mut pipeline =
        Pipeline::start(source, stages(), vec![Lane::closure(work)], &Options::new(2, 1)).unwrap();
    items.send(0).unwrap();
    assert_eq!(calls.recv(), Ok(0));
    let held_up = pipeline.snapshot();
    check(&held_up, 2);
    assert_eq!((held_up.places.in_flight, held_up.places.items()), (1, 1));
    assert_eq!((held_up.lanes[0].outputs.in_flight, held_up.lanes[0].outputs.free), (1, 1));
    go.send(()).unwrap();
    assert_eq!(pipeline.next().unwrap().unwrap(), 0);
    let delivered = pipeline.snapshot();
    assert_eq!((delivered.places.items(), delivered.totals.ok), (0, 1));
    drop(items);
    assert!(pipeline.next().is_none());
}
