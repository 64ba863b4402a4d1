//! A process with the stand-in driver, models that carry the item's number, and a lane driven by hand.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nbuffer_cuda::CudaDevice;
use nbuffer_runtime::{
    Called, Calls, Completions, Device, Flight, InputSet, LaneOptions, Memory, Model, OutputSet, Program,
    QueuedLane, Transit,
};

/// Elements of a tensor, unless a test says otherwise.
pub(crate) const N: usize = 2048;

const IN_CHILD: &str = "NBUFFER_TEST_WITH_STAND_IN";
const TIMEOUT: Duration = Duration::from_secs(120);

/// Runs `body` in a process that finds the stand-in as its driver, with this environment. `test` is this test's full name.
pub(crate) fn with_stand_in(test: &str, environment: &[(&str, &str)], body: impl FnOnce()) {
    if env::var_os(IN_CHILD).is_some() {
        return body();
    }
    let mut child = Command::new(env::current_exe().expect("this test"));
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    child.env(IN_CHILD, "1").envs(environment.iter().copied());
    if !is_on_a_gpu() {
        child.env("LD_LIBRARY_PATH", stand_in_folder());
    }
    let mut child = child.spawn().expect("this test can be started again");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        if started.elapsed() > TIMEOUT {
            child.kill().expect("a child can be ended");
            panic!("{test} has not ended after {TIMEOUT:?}");
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{test} failed with the stand-in: {status}");
}

/// Whether the tests that hold for any driver are to run on that of this machine: `scripts/check-cuda` asks for it.
fn is_on_a_gpu() -> bool {
    env::var_os("NBUFFER_TEST_ON_GPU").is_some()
}

/// The models that nbuffer ships.
pub(crate) fn models() -> PathBuf {
    let here = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    env::var_os("NBUFFER_MODELS").map_or_else(here, PathBuf::from)
}

/// Where cargo puts the example `cuda`: `libcuda.so`.
pub(crate) fn stand_in_folder() -> PathBuf {
    let exe = env::current_exe().expect("this test");
    let folder = exe.parent().and_then(Path::parent).expect("tests are in deps").join("examples");
    assert!(
        folder.join("libcuda.so").is_file(),
        "there is no stand-in in {}: `cargo build -p nbuffer-cuda --example cuda` builds it",
        folder.display()
    );
    folder
}

/// Objects and allocations of the stand-in that still exist; a real driver does not count them.
pub(crate) fn live() -> usize {
    if is_on_a_gpu() {
        return 0;
    }
    // SAFETY: the stand-in is loaded already, and its initialisers have run.
    let stand_in = unsafe { libloading::Library::new("libcuda.so") }.expect("the stand-in is loaded");
    // SAFETY: the stand-in's function has this type.
    let live =
        unsafe { stand_in.get::<unsafe extern "C" fn() -> usize>(b"stand_in_live") }.expect("its function");
    // SAFETY: it takes nothing and only counts.
    unsafe { live() }
}

/// A model in a folder of its own.
pub(crate) struct ModelFolder(tempfile::TempDir);

impl ModelFolder {
    /// The shipped kernel of this name with `n` elements a tensor.
    pub(crate) fn shipped(name: &str, n: usize) -> Self {
        let (folder, inputs, args) = match name {
            "saxpy" => ("saxpy", 2, r#"{"input": 0}, {"input": 1}, {"output": 0}, {"f32": 2}"#),
            "power" => ("power", 1, r#"{"input": 0}, {"output": 0}, {"u32": 3}"#),
            "copy" => ("copy-large", 1, r#"{"input": 0}, {"output": 0}"#),
            other => panic!("no kernel `{other}`"),
        };
        let ptx = models().join(folder).join(format!("{name}.ptx"));
        let ptx = fs::read_to_string(&ptx).unwrap_or_else(|error| panic!("{}: {error}", ptx.display()));
        ModelFolder::new(n, inputs, &ptx, &format!(r#""cuda": {{"ptx": "k.ptx", "entry": "{name}"}}"#), args)
    }

    /// A model of float32 tensors whose program has this code and arguments; `n` is the last argument.
    pub(crate) fn new(n: usize, inputs: usize, ptx: &str, code: &str, args: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).expect("a file");
        let shapes = vec![format!("[1, {n}]"); inputs].join(", ");
        let dtypes = vec!["\"float32\""; inputs].join(", ");
        write(
            "manifest.json",
            format!(
                r#"{{"manifest_version": "1.0", "input_shapes": [{shapes}], "input_dtypes": [{dtypes}],
                    "output_shapes": [[1, {n}]], "output_dtypes": ["float32"]}}"#
            ),
        );
        write(
            "model.json",
            format!(
                r#"{{"nbuffer": {{"format": 1, "program": {{{code}, "global": [{n}], "local": [256],
                    "args": [{args}, {{"u32": {n}}}]}}}}}}"#
            ),
        );
        write("k.ptx", ptx.to_owned());
        ModelFolder(folder)
    }

    pub(crate) fn open(&self) -> Arc<Model> {
        Arc::new(Model::open(self.0.path()).expect("the model opens"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The saxpy model, prepared.
pub(crate) fn saxpy(device: &str, n: usize, lanes: usize) -> Arc<dyn Program> {
    let device = CudaDevice::new(device).expect("a name");
    device.prepare(&ModelFolder::shipped("saxpy", n).open(), lanes).expect("the model is prepared")
}

/// Fills the inputs of `saxpy` for an item: the output is `2 * item + i`, exactly.
pub(crate) fn fill(item: u64, input: &mut InputSet) {
    input[0].as_mut_slice::<f32>().fill(item as f32);
    for (i, y) in input[1].as_mut_slice::<f32>().iter_mut().enumerate() {
        *y = i as f32;
    }
}

/// Where an output of `saxpy` is not that of this item.
pub(crate) fn check(item: u64, output: &OutputSet) -> Result<(), String> {
    let wrong =
        output[0].as_slice::<f32>().iter().enumerate().find(|&(i, &z)| z != (2 * item) as f32 + i as f32);
    wrong
        .map_or(Ok(()), |(i, z)| Err(format!("item {item}: element {i} is {z}, not {}", 2 * item + i as u64)))
}

type CudaCalled = Called<InputSet, OutputSet>;

/// A lane without a pipeline.
pub(crate) struct ByHand {
    pub(crate) queue: Box<dyn QueuedLane<InputSet, OutputSet>>,
    pub(crate) memory: Box<dyn Memory<InputSet, OutputSet>>,
    told: Receiver<CudaCalled>,
    submits: u64,
}

impl ByHand {
    pub(crate) fn open(program: &dyn Program) -> Self {
        let lane = program.open_lane(LaneOptions { lane: 0, double_buffer: false }).expect("a lane");
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let complete = move |called, _| drop(tell.lock().unwrap().send(called));
        let Calls::Queued(open) = lane.calls else { panic!("a CUDA lane has a queue") };
        let queue = open(Completions::new(0, Arc::new(complete)));
        ByHand { queue, memory: lane.memory, told, submits: 0 }
    }

    pub(crate) fn submit(&mut self, input: InputSet, output: OutputSet) {
        let id = Transit::new(0, 0, 0, self.submits);
        self.submits += 1;
        self.queue.submit(Flight { id, input, output });
    }

    pub(crate) fn next(&self) -> CudaCalled {
        self.told.recv_timeout(Duration::from_secs(20)).expect("the lane tells what became of its items")
    }

    /// What has been told by now.
    pub(crate) fn try_next(&self) -> Option<CudaCalled> {
        self.told.try_recv().ok()
    }
}
