//! One lane, driven by hand: what it tells and when.

use std::time::{Duration, Instant};

use nbuffer_cuda::CudaDevice;
use nbuffer_runtime::{Device, DeviceSpan, Ended, OutputSet};

use crate::fixture::{self, ByHand, ModelFolder, N, saxpy, with_stand_in};

#[test]
fn an_input_comes_back_while_the_kernel_runs() {
    let environment = [("NBUFFER_STAND_IN_KERNEL_NS", "100000")]; // 205 ms a kernel
    with_stand_in("lanes::an_input_comes_back_while_the_kernel_runs", &environment, || {
        let program = saxpy("cuda", N, 1);
        let mut lane = ByHand::open(&*program);
        let mut input = Some(lane.memory.input().unwrap());
        let mut landed = 0;
        for item in 0..3 {
            let mut filled = input.take().unwrap();
            fixture::fill(item, &mut filled);
            let output = lane.memory.output().unwrap();
            let submitted = Instant::now();
            lane.submit(filled, output);
            // The first write waits for nothing, the others for the kernel that still reads this set on the device.
            while input.is_none() {
                let told = lane.next();
                input = told.input.map(|(_, input)| input);
                landed += check_landed(landed, told.ended);
            }
            let after = submitted.elapsed();
            assert!(item > 0 || after < Duration::from_millis(150), "the input came back after {after:?}");
        }
        // Each kernel had the values of its own item, though one input set went round and was filled again before it ended.
        while landed < 3 {
            landed += check_landed(landed, lane.next().ended);
        }
    });
}

/// Checks the result of this item, if it is one: 1 then, else 0.
fn check_landed(item: u64, ended: Ended<OutputSet>) -> u64 {
    match ended {
        Ended::Landed(id, output, spans) => {
            assert_eq!(id.sequence(), item);
            fixture::check(item, &output).unwrap();
            let kernel = spans.kernel.unwrap();
            assert!(kernel.end - kernel.start > Duration::from_millis(150), "{kernel:?}");
            1
        }
        Ended::Nothing => 0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn spans_nest_and_do_not_overlap_on_a_unit() {
    with_stand_in("lanes::spans_nest_and_do_not_overlap_on_a_unit", &[], || {
        for device in ["cuda", "cuda,graph"] {
            let program = saxpy(device, N, 1);
            let mut lane = ByHand::open(&*program);
            let begun = Instant::now();
            let mut last = [None::<DeviceSpan>; 3];
            for round in 0..20 {
                for item in 0..4 {
                    let (mut input, output) = (lane.memory.input().unwrap(), lane.memory.output().unwrap());
                    fixture::fill(round * 4 + item, &mut input);
                    lane.submit(input, output);
                }
                let mut landed = 0;
                while landed < 4 {
                    let Ended::Landed(_, _, spans) = lane.next().ended else { continue };
                    landed += 1;
                    let [write, kernel, read] = [spans.write, spans.kernel, spans.read].map(Option::unwrap);
                    let order =
                        [begun, write.start, write.end, kernel.start, kernel.end, read.start, read.end];
                    assert!(order[1..].is_sorted(), "{device}: {order:?}");
                    // The reference is as close as an event's wait.
                    assert!(write.start + Duration::from_millis(2) > begun, "{device}: before it began");
                    assert!(read.end < Instant::now() + Duration::from_millis(2), "{device}: in the future");
                    for (last, span) in last.iter_mut().zip([write, kernel, read]) {
                        assert!(
                            last.is_none_or(|last| last.end <= span.start),
                            "{device}: {last:?} {span:?}"
                        );
                        *last = Some(span);
                    }
                }
            }
        }
    });
}

#[test]
fn memory_that_is_not_the_lanes_own_costs_the_item() {
    with_stand_in("lanes::memory_that_is_not_the_lanes_own_costs_the_item", &[], || {
        let program = saxpy("cuda", N, 1);
        let mut lane = ByHand::open(&*program);
        let output = lane.memory.output().unwrap();
        lane.submit(nbuffer_runtime::InputSet::zeroed(program.inputs()), output);
        let told = lane.next();
        let Ended::Failed(_, _, error) = told.ended else { panic!("it failed") };
        assert!(error.to_string().contains("sets that its own memory gave"), "{error}");
        assert!(told.input.is_some());
    });
}

#[test]
fn sets_start_as_zeros() {
    with_stand_in("lanes::sets_start_as_zeros", &[], || {
        let program = saxpy("cuda", 100, 1);
        let mut lane = ByHand::open(&*program);
        let (input, output) = (lane.memory.input().unwrap(), lane.memory.output().unwrap());
        assert_eq!((input.len(), input[1].len(), output[0].len()), (2, 400, 400));
        assert!(input[0].bytes().iter().chain(output[0].bytes()).all(|&byte| byte == 0));
    });
}

#[test]
fn identity_is_a_copy_on_the_device() {
    with_stand_in("lanes::identity_is_a_copy_on_the_device", &[], || {
        let model = nbuffer_runtime::Model::open(fixture::models().join("copy")).unwrap();
        for device in ["cuda", "cuda,graph"] {
            let program = CudaDevice::new(device).unwrap().prepare(&model.clone().into(), 1).unwrap();
            let mut lane = ByHand::open(&*program);
            let (mut input, mut output) = (lane.memory.input().unwrap(), lane.memory.output().unwrap());
            for item in 0..10_u8 {
                input[0].bytes_mut().fill(item + 1);
                lane.submit(input, output);
                let mut given_back = None;
                output = loop {
                    let told = lane.next();
                    given_back = given_back.or(told.input);
                    if let Ended::Landed(_, output, _) = told.ended {
                        break output;
                    }
                };
                input = given_back.unwrap().1;
                assert!(output[0].bytes().iter().all(|&byte| byte == item + 1), "item {item}");
            }
        }
    });
}

#[test]
fn the_shipped_kernels_compute() {
    with_stand_in("lanes::the_shipped_kernels_compute", &[], || {
        // One more than whole blocks, so that the last block has work items beyond the tensor.
        for (name, expected) in [("power", [0.125_f32, -8.0]), ("copy", [0.5, -2.0])] {
            let folder = ModelFolder::shipped(name, 257);
            let program = CudaDevice::new("cuda").unwrap().prepare(&folder.open(), 1).unwrap();
            let mut lane = ByHand::open(&*program);
            let (mut input, output) = (lane.memory.input().unwrap(), lane.memory.output().unwrap());
            input[0].as_mut_slice::<f32>().fill(0.5);
            input[0].as_mut_slice::<f32>()[256] = -2.0;
            lane.submit(input, output);
            let output = loop {
                if let Ended::Landed(_, output, _) = lane.next().ended {
                    break output;
                }
            };
            let values = output[0].as_slice::<f32>();
            assert!(
                values[..256].iter().all(|&value| value == expected[0]) && values[256] == expected[1],
                "{name}"
            );
        }
    });
}
