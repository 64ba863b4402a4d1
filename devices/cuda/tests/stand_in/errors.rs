//! What goes wrong, and what it costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nbuffer_cuda::CudaDevice;
use nbuffer_runtime::{Device, DeviceError, Ended, ItemError};

use crate::fixture::{self, ByHand, ModelFolder, N, live, saxpy, with_stand_in};
use crate::pipelines::{Case, start};

/// Runs up to 40 items and says which failed, with the last error.
fn failures(device: &'static str, lanes: usize) -> (Vec<u64>, Option<ItemError>) {
    let program = saxpy(device, N, lanes);
    let mut pipeline = start(&*program, &Case { device, depth: 3, lanes, items: 40 });
    let (mut failed, mut last) = (Vec::new(), None);
    // Once no lane is left nothing more is taken.
    for (item, result) in (0..).zip(&mut pipeline) {
        match result {
            Ok(value) => assert_eq!(value, item),
            Err(error) => {
                failed.push(item);
                last = Some(error);
            }
        }
    }
    (failed, last)
}

fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn a_refused_launch_costs_its_item() {
    let environment = [("NBUFFER_STAND_IN_FAULTS", "cuLaunchKernel@7=701")];
    with_stand_in("errors::a_refused_launch_costs_its_item", &environment, || {
        let (failed, error) = failures("cuda", 1);
        assert_eq!(failed, [6]);
        let error = text(&error.unwrap());
        assert!(error.contains("cuLaunchKernel failed: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (701)"), "{error}");
        assert_eq!(live(), 0, "nothing of the item stayed behind");
    });
}

#[test]
fn any_refused_call_costs_its_item_and_no_other() {
    let faults =
        "cuMemcpyHtoDAsync_v2@9=1,cuMemcpyDtoHAsync_v2@15=2,cuStreamWaitEvent@70=2,cuEventRecord@201=1";
    let environment = [("NBUFFER_STAND_IN_FAULTS", faults)];
    with_stand_in("errors::any_refused_call_costs_its_item_and_no_other", &environment, || {
        let (failed, _) = failures("cuda", 1);
        assert_eq!(failed.len(), 4, "{failed:?}");
        assert_eq!(live(), 0);
    });
}

#[test]
fn an_error_of_a_kernel_costs_the_lane() {
    let environment = [("NBUFFER_STAND_IN_FAULTS", "kernel@10=700")];
    with_stand_in("errors::an_error_of_a_kernel_costs_the_lane", &environment, || {
        let program = saxpy("cuda", N, 1);
        let mut pipeline = start(&*program, &Case { device: "cuda", depth: 3, lanes: 1, items: 10_000 });
        let mut ok = 0;
        let error = loop {
            match pipeline.next().expect("an error comes") {
                Ok(item) => ok = item + 1,
                Err(error) => break error,
            }
        };
        assert!(ok <= 9, "the tenth kernel failed, {ok} items were ok");
        let error = text(&error);
        assert!(
            error.contains("device lost") && error.contains("CUDA_ERROR_ILLEGAL_ADDRESS (700)"),
            "{error}"
        );
        assert!(pipeline.by_ref().all(|item| item.is_err()), "nothing comes of a lost lane");
        // Whoever asks next is told what there is to know.
        let again = saxpy_refused("cuda");
        assert!(again.contains("CUDA_ERROR_ILLEGAL_ADDRESS"), "{again}");
    });
}

fn saxpy_refused(device: &str) -> String {
    let device = CudaDevice::new(device).unwrap();
    let refused = device.prepare(&ModelFolder::shipped("saxpy", N).open(), 1);
    text(&refused.err().expect("the context is spoilt"))
}

#[test]
fn an_error_of_a_graph_costs_the_lane() {
    let environment = [("NBUFFER_STAND_IN_FAULTS", "kernel@10=719")];
    with_stand_in("errors::an_error_of_a_graph_costs_the_lane", &environment, || {
        let (failed, error) = failures("cuda,graph", 1);
        assert!(failed.first().is_some_and(|&first| (6..=9).contains(&first)), "{failed:?}");
        assert!(text(&error.unwrap()).contains("device lost"), "a sticky error");
    });
}

#[test]
fn a_graph_that_cannot_be_made_costs_its_item() {
    let environment = [(
        "NBUFFER_STAND_IN_FAULTS",
        "cuLaunchKernel@2=701,cuGraphInstantiateWithFlags@2=2,cuGraphLaunch@9=1",
    )];
    with_stand_in("errors::a_graph_that_cannot_be_made_costs_its_item", &environment, || {
        let (failed, _) = failures("cuda,graph", 1);
        assert_eq!(failed.len(), 3, "{failed:?}");
        assert_eq!(live(), 0, "no capture stayed open, no graph behind");
    });
}

#[test]
fn a_lane_that_hangs_can_be_dropped() {
    let environment = [("NBUFFER_STAND_IN_FAULTS", "kernel@3=hang")];
    with_stand_in("errors::a_lane_that_hangs_can_be_dropped", &environment, || {
        let program = saxpy("cuda", N, 1);
        let mut lane = ByHand::open(&*program);
        for item in 0..4 {
            let (mut input, output) = (lane.memory.input().unwrap(), lane.memory.output().unwrap());
            fixture::fill(item, &mut input);
            lane.submit(input, output);
        }
        for item in 0..2 {
            let output = loop {
                if let Ended::Landed(_, output, _) = lane.next().ended {
                    break output;
                }
            };
            fixture::check(item, &output).unwrap();
        }
        let dropped = Instant::now();
        drop((lane, program));
        assert!(dropped.elapsed() < Duration::from_secs(5), "it was waited for");
        assert!(live() > 0, "what the device may still use is not freed");
    });
}

#[test]
fn memory_that_is_not_there() {
    with_stand_in("errors::memory_that_is_not_there", &[], || {
        // A set of inputs has 2 x 200 MiB; the stand-in has 1 GiB.
        let program = saxpy("cuda", 50 << 20, 1);
        let mut lane = ByHand::open(&*program);
        let sets: Vec<_> = std::iter::from_fn(|| lane.memory.input().ok()).take(9).collect();
        assert_eq!(sets.len(), 2);
        let error = lane.memory.input().unwrap_err();
        let expected = DeviceError::Memory {
            device: "cuda".into(),
            needed_bytes: 400 << 20,
            available_bytes: 24 << 20,
            what: "one more buffer set".into(),
        };
        assert_eq!(error.to_string(), expected.to_string());
        assert!(lane.try_next().is_none());
        drop(sets);
        lane.memory.input().expect("room again");
    });
}

#[test]
fn code_that_does_not_load() {
    with_stand_in("errors::code_that_does_not_load", &[], || {
        let check = |folder: &ModelFolder, expected: &[&str]| {
            let prepared = CudaDevice::new("cuda").unwrap().prepare(&folder.open(), 1);
            let error = text(&prepared.err().expect("it is refused"));
            for part in expected {
                assert!(error.contains(part), "`{error}` does not say `{part}`");
            }
        };
        let args = r#"{"input": 0}, {"output": 0}"#;
        let with =
            |ptx: &str| ModelFolder::new(64, 1, ptx, r#""cuda": {"ptx": "k.ptx", "entry": "copy"}"#, args);
        check(&with("no code at all"), &["k.ptx", "CUDA_ERROR_INVALID_PTX (218)", "no .version"]);
        check(
            &with(".version 99.0\n.target sm_52"),
            &["PTX is newer than the driver", "Unsupported .version 99.0"],
        );
        check(&with("\x7fELF"), &["built for another GPU"]);
        let entry = ".version 7.0\n.target sm_52\n.visible .entry other(.param .u64 a)\n{ ret; }";
        check(&with(entry), &["entry `copy`", "no `extern \"C\"` kernel of this name"]);

        let no_cuda = ModelFolder::new(64, 1, "", r#""cpu": "copy""#, args);
        check(&no_cuda, &["has no code for CUDA"]);
        let large = ModelFolder::shipped("copy", 64);
        let json = std::fs::read_to_string(large.path().join("model.json")).unwrap();
        std::fs::write(large.path().join("model.json"), json.replace("[256]", "[2048]")).unwrap();
        check(&large, &["`program.local` [2048, 1, 1]", "can have 1024"]);
    });
}

#[test]
fn a_machine_without_a_gpu() {
    with_stand_in("errors::a_machine_without_a_gpu", &[("CUDA_VISIBLE_DEVICES", "")], || {
        let error = CudaDevice::new("cuda").unwrap().check().unwrap_err().to_string();
        assert!(error.contains("no NVIDIA GPU is visible"), "{error}");
    });
}

#[test]
fn a_gpu_that_is_not_there() {
    with_stand_in("errors::a_gpu_that_is_not_there", &[], || {
        let device = CudaDevice::new("cuda:3").unwrap();
        assert_eq!(device.info().description, "NVIDIA GPU 3");
        let error = device.check().unwrap_err().to_string();
        assert_eq!(error, "device `cuda:3` is not available: there is one GPU, number 0");

        let device = CudaDevice::new("cuda:0").unwrap();
        device.check().unwrap();
        let expected = "Stand-in, no GPU, compute capability 9.0, 2 copy engines, driver for CUDA 12.4";
        assert_eq!(
            (device.info().description.as_str(), device.info().memory_bytes),
            (expected, Some(1 << 30))
        );
    });
}

#[test]
fn a_driver_that_does_not_start() {
    let environment = [("NBUFFER_STAND_IN_FAULTS", "cuDriverGetVersion@1=803")];
    with_stand_in("errors::a_driver_that_does_not_start", &environment, || {
        let device = Arc::new(CudaDevice::new("cuda").unwrap());
        for _ in 0..2 {
            let error = device.check().unwrap_err().to_string();
            assert!(
                error.contains("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH") && error.contains("restart"),
                "{error}"
            );
        }
    });
}
