use std::time::Duration;

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::{
    Calls, Ended, EngineError, Graph, GraphTensor, HostBuffer, InputSet, LaneOptions, OutputSet, Session,
};

use super::*;
use crate::testing::{byte_model, no_engine};

const BLOCKING: LaneOptions = LaneOptions { lane: 0, double_buffer: false };

fn device(text: &str) -> SimDevice {
    SimDevice::new("test", Profile::parse("test", text).unwrap(), no_engine())
}

fn lockstep(extra: &str) -> SimDevice {
    device(&format!(
        "class = \"lockstep\"\ncores = 4\nkernel_time = \"1ms\"\n{extra}\n[link]\nduplex = \"full\"\nwrite_time = \"10us\"\nread_time = \"10us\""
    ))
}

#[test]
fn each_built_in_device_describes_itself() {
    for (name, cores, double_buffer, queued) in
        [("metis", 4, true, false), ("fpga", 1, false, true), ("gpu", 1, false, true)]
    {
        let device = open(name, no_engine()).unwrap();
        let info = device.info();
        assert_eq!(info.name, format!("sim:{name}"));
        assert_eq!((info.cores, info.double_buffer, info.queued), (cores, double_buffer, queued));
        assert_eq!(info.description, device.profile().description);
        assert!(device.check().is_ok());
    }
}

#[test]
fn a_file_is_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, include_str!("../../profiles/examples/lockstep-2ms.toml")).unwrap();
    let name = path.to_str().unwrap();
    let info = open(name, no_engine()).unwrap().info();
    assert_eq!((info.name, info.cores), (format!("sim:{name}"), 4));
}

#[test]
fn more_lanes_than_cores_are_refused_with_both_numbers() {
    let device = lockstep("");
    for (lanes, batch) in [(5, 1), (2, 4), (usize::MAX, 2)] {
        let error = device.prepare(&Arc::new(byte_model(batch, 8)), lanes).err().unwrap();
        let needed = lanes.saturating_mul(batch);
        assert!(matches!(error, DeviceError::Unsupported { .. }));
        assert!(error.to_string().contains(&format!("{needed} cores, it has 4")), "{error}");
    }
    assert!(device.prepare(&Arc::new(byte_model(4, 8)), 1).is_ok());
}

#[test]
fn lanes_of_two_programs_share_the_cores() {
    let device = lockstep("");
    let [first, second] = [(); 2].map(|()| device.prepare(&Arc::new(byte_model(3, 8)), 1).unwrap());
    let lane = first.open_lane(BLOCKING).ok().unwrap();
    let error = second.open_lane(BLOCKING).err().unwrap();
    assert!(error.to_string().contains("needs 3 cores") && error.to_string().contains("1 of 4"), "{error}");
    drop(lane);
    assert!(second.open_lane(BLOCKING).is_ok());
}

#[test]
fn models_beyond_device_memory_are_refused() {
    let device = lockstep("memory_bytes = 2500");
    // 1000 B a lane.
    let error = device.prepare(&Arc::new(byte_model(1, 8)), 3).err().unwrap();
    assert!(
        matches!(&error, DeviceError::Memory { needed_bytes: 3000, available_bytes: 2500, .. }),
        "{error}"
    );
    let program = device.prepare(&Arc::new(byte_model(1, 8)), 2).unwrap();
    assert!(device.prepare(&Arc::new(byte_model(1, 8)), 1).is_err());
    drop(program);
    assert!(device.prepare(&Arc::new(byte_model(1, 8)), 1).is_ok());
}

#[test]
fn transfer_buffers_beyond_l2_are_refused() {
    let device = lockstep("l2_bytes = 500");
    let program = device.prepare(&Arc::new(byte_model(1, 100)), 2).unwrap();
    // Input and output of 100 B each, twice.
    let double = |lane| LaneOptions { lane, double_buffer: true };
    let first = program.open_lane(double(0)).ok().unwrap();
    let error = program.open_lane(double(1)).err().unwrap();
    assert!(matches!(&error, DeviceError::Memory { needed_bytes: 800, available_bytes: 500, .. }), "{error}");
    drop(first);
    assert!(program.open_lane(double(1)).is_ok());
}

#[test]
fn buffer_sets_of_a_queued_device_take_its_memory() {
    let text = include_str!("../../profiles/examples/queued-2ms.toml");
    let device = device(&text.replace("cores = 1", "cores = 1\nmemory_bytes = 1400"));
    let program = device.prepare(&Arc::new(byte_model(1, 100)), 1).unwrap();
    let mut memory = program.open_lane(BLOCKING).ok().unwrap().memory;
    assert!(memory.input().is_ok() && memory.output().is_ok());
    assert!(memory.input().is_ok() && memory.output().is_ok());
    let error = memory.input().unwrap_err();
    assert!(
        matches!(error, DeviceError::Memory { needed_bytes: 1500, available_bytes: 1400, .. }),
        "{error}"
    );
}

#[test]
fn double_buffering_where_there_is_none_is_refused() {
    let queued = device(include_str!("../../profiles/examples/queued-2ms.toml"));
    for device in [queued, lockstep("double_buffer = false")] {
        let program = device.prepare(&Arc::new(byte_model(1, 8)), 1).unwrap();
        let error = program.open_lane(LaneOptions { lane: 0, double_buffer: true }).err().unwrap();
        assert!(matches!(error, DeviceError::Unsupported { .. }), "{error}");
    }
}

/// An engine with one tensor in and one out, that sleeps, fails or panics as the first input byte says.
#[derive(Debug)]
struct MoodyEngine;

struct MoodyGraph([GraphTensor; 1]);

struct MoodySession;

const SLEEP: u8 = 1;
const FAIL: u8 = 2;
const PANIC: u8 = 3;

impl Engine for MoodyEngine {
    fn name(&self) -> &'static str {
        "moody"
    }

    fn describe(&self) -> String {
        "moody 1.0".into()
    }

    fn load(&self, _: &std::path::Path) -> Result<Arc<dyn Graph>, EngineError> {
        let tensor = GraphTensor { name: "t".into(), dims: vec![Some(1), Some(8)], dtype: DType::I8 };
        Ok(Arc::new(MoodyGraph([tensor])))
    }
}

impl Graph for MoodyGraph {
    fn inputs(&self) -> &[GraphTensor] {
        &self.0
    }

    fn outputs(&self) -> &[GraphTensor] {
        &self.0
    }

    fn session(&self, _: usize, _: usize) -> Result<Box<dyn Session>, EngineError> {
        Ok(Box::new(MoodySession))
    }
}

impl Session for MoodySession {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), EngineError> {
        outputs[0].bytes_mut().copy_from_slice(inputs[0].bytes());
        match inputs[0].bytes()[0] {
            SLEEP => std::thread::sleep(Duration::from_millis(20)),
            FAIL => return Err(EngineError::Run { engine: "moody", why: "not today".into() }),
            PANIC => panic!("very moody"),
            _ => {}
        }
        Ok(())
    }
}

/// A program of the moody engine on the device of a profile.
fn moody(text: &str) -> Arc<dyn Program> {
    let tensor = || vec![TensorInfo::new("t", [1, 8], [], 1.0, 0, DType::I8).unwrap()];
    let kernel = nbuffer_runtime::model::Kernel::Onnx("moody.onnx".into());
    let model = Model { kernel, inputs: tensor(), outputs: tensor(), ..byte_model(1, 8) };
    let device = SimDevice::new("test", Profile::parse("test", text).unwrap(), Arc::new(MoodyEngine));
    device.prepare(&Arc::new(model), 1).unwrap()
}

/// Runs items with these first bytes, one at a time, and says of each whether it landed.
fn run_one_by_one(program: &dyn Program, first_bytes: &[u8]) -> Vec<Result<u8, String>> {
    use nbuffer_core::schedule::Transit;
    use nbuffer_runtime::{Completions, Flight};

    let (teller, told) = std::sync::mpsc::channel();
    let told_teller = teller.clone();
    let lane = program.open_lane(BLOCKING).ok().unwrap();
    let mut memory = lane.memory;
    let mut call: Box<dyn FnMut(Flight<InputSet, OutputSet>)> = match lane.calls {
        Calls::Blocking(mut lane) => Box::new(move |flight| teller.send(lane.call(Some(flight))).unwrap()),
        Calls::Queued(open) => {
            let mut lane = open(Completions::new(
                0,
                Arc::new(move |called, _| {
                    // The receiver outlives every item of this test.
                    let _ = told_teller.send(called);
                }),
            ));
            Box::new(move |flight| lane.submit(flight))
        }
    };
    let run = |(item, &byte): (usize, &u8)| {
        let (mut input, output) = (memory.input().unwrap(), memory.output().unwrap());
        input[0].bytes_mut()[0] = byte;
        let id = Transit::new(0, 0, 0, item as u64);
        call(Flight { id, input, output });
        match told.recv_timeout(Duration::from_secs(60)).expect("an item ends within a minute").ended {
            Ended::Landed(_, output, _) => Ok(output[0].bytes()[0]),
            Ended::Failed(of, _, error) => {
                assert_eq!(of, id);
                Err(error.to_string())
            }
            other => panic!("{other:?}"),
        }
    };
    first_bytes.iter().enumerate().map(run).collect()
}

const MOODY_PROFILES: [&str; 2] = [
    include_str!("../../profiles/examples/queued-2ms.toml"),
    include_str!("../../profiles/examples/lockstep-2ms.toml"),
];

#[test]
fn an_engine_that_fails_or_panics_costs_its_item_alone() {
    for profile in MOODY_PROFILES {
        let program = moody(profile);
        let results = run_one_by_one(&*program, &[7, FAIL, 8, PANIC, 9]);
        assert_eq!((&results[0], &results[2], &results[4]), (&Ok(7), &Ok(8), &Ok(9)));
        assert!(results[1].as_ref().is_err_and(|why| why.contains("not today")), "{results:?}");
        assert!(results[3].as_ref().is_err_and(|why| why.contains("very moody")), "{results:?}");
        assert_eq!(program.engine().as_deref(), Some("moody 1.0"));
    }
}

#[test]
fn arithmetic_longer_than_the_kernel_makes_the_timing_void() {
    for profile in MOODY_PROFILES {
        let program = moody(profile);
        let results = run_one_by_one(&*program, &[SLEEP, SLEEP]);
        assert_eq!(results, [Ok(SLEEP), Ok(SLEEP)]);
        let remarks = program.remarks().join("\n");
        assert!(remarks.contains("timing is void: in 2 of 2 calls"), "{remarks}");
        assert!(remarks.contains("kernel time 2ms is the profile's"), "{remarks}");
    }
}
