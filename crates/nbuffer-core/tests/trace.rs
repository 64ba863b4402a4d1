//! What a tracer keeps is what happened, in bounded memory.

use nbuffer_core::measure::Stage;
use nbuffer_core::schedule::{Config, LaneConfig, Order, Outcome, Sets};
use nbuffer_core::trace::{Journey, Span, Trace, Tracer, What};
use nbuffer_core::virtual_time::{DeviceModel, Fault, Recording, Setup, Simulation, Times};

fn trace(setup: &Setup, journeys: usize) -> Trace {
    let mut tracer = Tracer::new(journeys, setup.schedule.window);
    Simulation::watched(setup, &mut tracer).unwrap().run();
    tracer.trace(setup.topology())
}

fn setup(device: DeviceModel, sets: Sets, items: u64) -> Setup {
    let lanes = vec![LaneConfig { sets, lag: device.lag() }; 2];
    let times = Times::Fixed([7_000, 2_000, 4_000, 1_500, 3_000]);
    Setup::new(Config::new(lanes, 3), device, times, items)
}

fn devices() -> [DeviceModel; 3] {
    [DeviceModel::Queued, DeviceModel::Blocking, DeviceModel::Lockstep { call_cost: 100 }]
}

#[test]
fn journeys_hold_the_spans_that_happened() {
    for device in devices() {
        for sets in [Sets::Joint(4), Sets::Split { inputs: 2, outputs: 4 }] {
            let setup = setup(device, sets, 40);
            let mut recording = Recording::default();
            Simulation::watched(&setup, &mut recording).unwrap().run();
            let trace = trace(&setup, 1000);
            let mut traced: Vec<Span> =
                trace.journeys.iter().flat_map(|journey| journey.spans(&trace.topology)).collect();
            let key = |span: &Span| (span.sequence, span.stage as usize);
            traced.sort_by_key(key);
            recording.spans.sort_by_key(key);
            assert_eq!(traced, recording.spans, "{device:?} {sets:?}");
            assert_eq!((trace.left_out, trace.stretches().count()), (0, 1));
            for (journey, delivery) in trace.journeys.iter().zip(&recording.deliveries) {
                assert_eq!((journey.sequence, journey.delivered), (delivery.sequence, delivery.at));
            }
        }
    }
}

#[test]
fn a_journey_goes_forward_and_through_sets_there_are() {
    for device in devices() {
        let trace = trace(&setup(device, Sets::Split { inputs: 2, outputs: 4 }, 40), 1000);
        for journey in &trace.journeys {
            let Journey { source, call, input_free, landed, delivered, .. } = *journey;
            let [ip, w, k, r, op] = Stage::ALL.map(|stage| journey.stage(stage).unwrap());
            let (source, call) = (source.unwrap(), call.unwrap());
            let (input_free, landed) = (input_free.unwrap(), landed.unwrap());
            let way = [
                source.start,
                source.end,
                ip.start,
                ip.end,
                call.start,
                w.start,
                w.end,
                k.start,
                k.end,
                r.start,
                r.end,
                landed,
                op.start,
                op.end,
                delivered,
            ];
            assert!(way.is_sorted(), "{journey:?}");
            assert!(w.end <= input_free && input_free <= landed, "{journey:?}");
            assert!(journey.input.unwrap() < 2 && journey.output.unwrap() < 4 && journey.lane.unwrap() < 2);
            assert!(journey.preprocess.unwrap().0 < 3 && journey.postprocess.unwrap().0 < 3);
            // As long as a call lasts, the lane takes no other; a queue takes the next at once.
            assert_eq!(call.length() > 0, device != DeviceModel::Queued, "{journey:?}");
        }
    }
}

#[test]
fn a_full_trace_keeps_beginning_and_end_and_says_what_it_left_out() {
    for order in [Order::InOrder, Order::Completed] {
        let mut setup = setup(DeviceModel::Queued, Sets::Joint(4), 1000);
        setup.schedule.order = order;
        let trace = trace(&setup, 64);
        assert_eq!((trace.journeys.len(), trace.head, trace.left_out), (64, 32, 936));
        let numbers: Vec<_> = trace.journeys.iter().map(|journey| journey.sequence).collect();
        assert!(numbers.is_sorted());
        let [head, tail] = trace.stretches().collect::<Vec<_>>()[..] else { panic!("{numbers:?}") };
        assert_eq!((head[0].sequence, head.len(), tail.len()), (0, 32, 32));
        assert_eq!(tail[31].sequence, 999);
    }
}

#[test]
fn what_goes_wrong_is_told() {
    let mut setup = setup(DeviceModel::Lockstep { call_cost: 0 }, Sets::Joint(4), 60);
    setup.faults = vec![
        Fault::Stage(Stage::Kernel, 11),
        Fault::LaneLost { lane: 1, at: 60_000 },
        Fault::Cancel { at: 150_000 },
    ];
    let trace = trace(&setup, 1000);
    let told = |is: fn(&What) -> bool| trace.moments.iter().filter(|moment| is(&moment.what)).count();
    let failed = trace.journeys.iter().filter(|journey| journey.outcome == Outcome::Failed).count();
    assert!(failed > 1, "{failed}");
    assert_eq!(told(|what| matches!(what, What::Failed { .. })), failed);
    assert_eq!(told(|what| matches!(what, What::LaneLost { lane: 1, .. })), 1);
    assert_eq!(told(|what| matches!(what, What::Cancelled)), 1);
    assert!(told(|what| matches!(what, What::Flush { lane: 0, .. })) > 0);
    assert!(trace.moments.is_sorted_by_key(|moment| moment.at));
}
