//! Contexts to test with: simulated devices of a profile, and one whose calls wait at a gate.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use nbuffer::objects::{Context, DeviceChoice, InstanceOptions, Model, ModelInstance, Settings};
use nbuffer::tensor::TensorInfo;
use nbuffer::{
    Blocking, CallSpans, Device, DeviceCall, DeviceError, DeviceInfo, Engine, HostBuffer, HostMemory,
    InputSet, Lane, LaneOptions, OutputSet, Program,
};

pub(crate) fn engine() -> Arc<dyn Engine> {
    nbuffer::engine("rten", None).unwrap()
}

pub(crate) fn model_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name)
}

/// A context over one simulated device that no other test uses.
pub(crate) fn simulated(profile: &str) -> Context {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.toml");
    std::fs::write(&file, profile).unwrap();
    Context::open(
        [file.to_str().unwrap()].map(|path| format!("sim:{path}")).iter().map(String::as_str),
        &engine(),
        Settings::default(),
    )
    .unwrap()
}

/// A lockstep device that takes microseconds.
pub(crate) fn lockstep(faults: &str) -> Context {
    simulated(&format!(
        "class = \"lockstep\"\ncores = 4\nkernel_time = \"50us\"\ndouble_buffer = true\n\
         [link]\nduplex = \"full\"\nwrite_time = \"10us\"\nread_time = \"10us\"\n{faults}"
    ))
}

pub(crate) fn load(context: &Context, model: &str, options: &InstanceOptions) -> (Model, ModelInstance) {
    let model = context.load_model(model_path(model)).unwrap();
    let connection = context.device_connect(DeviceChoice::First, 1).unwrap();
    let instance = connection.load_model_instance(&model, options).unwrap();
    (model, instance)
}

/// Calls an instance of `models/checksum` with an input that carries a number.
pub(crate) fn numbered(instance: &ModelInstance, number: u64) -> Result<[u8; 64], nbuffer::objects::Error> {
    let mut output = [0x55; 64];
    instance.run(&[&input(number)], &mut [&mut output])?;
    Ok(output)
}

fn input(number: u64) -> [u8; 256] {
    let mut input = [0; 256];
    input[..8].copy_from_slice(&number.to_le_bytes());
    input
}

/// What `models/checksum` makes of that input: FNV-1a of all its bytes.
pub(crate) fn checksum(number: u64) -> [u8; 64] {
    let hash = input(number).iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut output = [0; 64];
    output[..8].copy_from_slice(&hash.to_le_bytes());
    output
}

/// A device whose calls say that they began, wait until they may end, and say that they did.
pub(crate) struct Gate {
    hook: Arc<Mutex<Hook>>,
}

struct Hook {
    began: Sender<()>,
    may_end: Receiver<()>,
    log: Log,
}

pub(crate) type Log = Arc<Mutex<Vec<&'static str>>>;

impl Gate {
    /// A context over it; the receiver hears of calls that begin, the sender lets them end.
    pub(crate) fn context() -> (Context, Receiver<()>, Sender<()>, Log) {
        let ((began, hears), (lets, may_end), log) = (channel(), channel(), Log::default());
        let hook = Arc::new(Mutex::new(Hook { began, may_end, log: Arc::clone(&log) }));
        let context = Context::new(vec![Box::new(Gate { hook })], &engine(), Settings::default());
        (context, hears, lets, log)
    }
}

impl Device for Gate {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            name: "gate".to_owned(),
            description: "waits".to_owned(),
            cores: 4,
            memory_bytes: None,
            double_buffer: false,
            queued: false,
            half_duplex: false,
        }
    }

    fn check(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn prepare(&self, model: &Arc<nbuffer::Model>, _: usize) -> Result<Arc<dyn Program>, DeviceError> {
        Ok(Arc::new(GateProgram { model: Arc::clone(model), hook: Arc::clone(&self.hook) }))
    }
}

struct GateProgram {
    model: Arc<nbuffer::Model>,
    hook: Arc<Mutex<Hook>>,
}

impl Program for GateProgram {
    fn inputs(&self) -> &[TensorInfo] {
        &self.model.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.model.outputs
    }

    fn engine(&self) -> Option<String> {
        None
    }

    fn model_bytes(&self) -> u64 {
        0
    }

    fn open_lane(&self, _: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        let memory = HostMemory { inputs: self.inputs().to_vec(), outputs: self.outputs().to_vec() };
        Ok(Lane::blocking(Blocking::new(GateCall { hook: Arc::clone(&self.hook) }), memory))
    }
}

struct GateCall {
    hook: Arc<Mutex<Hook>>,
}

impl DeviceCall for GateCall {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<CallSpans, DeviceError> {
        let hook = self.hook.lock().unwrap();
        hook.began.send(()).unwrap();
        hook.may_end.recv().unwrap();
        outputs[0].bytes_mut()[0] = inputs[0].bytes()[0];
        hook.log.lock().unwrap().push("run ended");
        Ok(CallSpans::default())
    }
}
