//! Devices with a mistake each: the suite must find it, and the case must be the one that is for it.
//!
//! What is wrong with results and buffers is found in float32, which programs compute, and in the padded int8 of compiled models.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nbuffer_conformance::{CASES, Case, Outcome, Runner, Sizes, check, run_case, runners, table};
use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{
    Called, Calls, Completions, Device, DeviceError, DeviceInfo, DeviceSpan, Ended, Flight, HostBuffer,
    InputSet, Lane, LaneOptions, Memory, Model, OutputSet, Program, QueuedLane,
};

/// What a device does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// Two results get each other's outputs.
    Swaps,
    /// An item never comes back.
    Drops,
    /// A result is that of the item before.
    Stale,
    /// The outputs are not written.
    NotWritten,
    /// The second half of an output is that of the item before.
    HalfStale,
    /// Every output is NaN.
    NotANumber,
    /// One bit of one element is wrong.
    OneBit,
    /// Kernels are told to have begun before the one before had ended.
    Overlaps,
    /// Kernels are told to have begun before their writes.
    TooEarly,
    /// No spans are told.
    NoSpans,
    /// A buffer an item is lost.
    Leaks,
    /// Inputs are a few bytes short.
    ShortInputs,
    /// Any model is taken.
    TakesAnything,
    /// A lane does not give its place back.
    KeepsLanes,
}

/// A queued device, whole but for its mistake.
struct Broken {
    inner: Box<dyn Device>,
    mistake: Mistake,
}

struct BrokenProgram {
    inner: Arc<dyn Program>,
    mistake: Mistake,
    opened: Mutex<usize>,
}

/// What a lane remembers between calls, to get it wrong.
#[derive(Default)]
struct Before {
    /// The last byte of an output that is no padding.
    last_byte: usize,
    output: Option<Vec<u8>>,
    held: Option<Called<InputSet, OutputSet>>,
    kernel: Option<DeviceSpan>,
    landed: u64,
    /// Outputs that the device never got, by item.
    untouched: HashMap<u64, OutputSet>,
}

impl Mistake {
    /// What comes back in place of `called`.
    fn spoil(
        self,
        before: &mut Before,
        mut called: Called<InputSet, OutputSet>,
    ) -> Vec<Called<InputSet, OutputSet>> {
        let Ended::Landed(id, output, spans) = &mut called.ended else { return vec![called] };
        before.landed += 1;
        let landed = before.landed;
        match self {
            Mistake::Swaps => {
                let Some(mut held) = before.held.take() else {
                    before.held = Some(called);
                    return Vec::new();
                };
                if let Ended::Landed(_, other, _) = &mut held.ended {
                    std::mem::swap(other, output);
                }
                return vec![held, called];
            }
            Mistake::Drops if landed == 5 => return Vec::new(),
            Mistake::Stale => {
                let right = output[0].bytes().to_vec();
                if let Some(stale) = before.output.replace(right) {
                    output[0].bytes_mut().copy_from_slice(&stale);
                }
            }
            Mistake::HalfStale => {
                let right = output[0].bytes().to_vec();
                let half = right.len() / 2;
                if let Some(stale) = before.output.replace(right) {
                    output[0].bytes_mut()[half..].copy_from_slice(&stale[half..]);
                }
            }
            Mistake::NotWritten => {
                *output = before.untouched.remove(&id.sequence()).expect("it was kept when it was submitted");
            }
            Mistake::NotANumber => output[0].as_mut_slice::<f32>().fill(f32::NAN),
            Mistake::OneBit if landed == 3 => output[0].bytes_mut()[before.last_byte] ^= 1,
            Mistake::Overlaps | Mistake::TooEarly | Mistake::NoSpans => {
                let mut told = **spans;
                let kernel = told.kernel.as_mut().expect("the device tells");
                if self == Mistake::TooEarly {
                    kernel.start = told.write.expect("the device tells").start - Duration::from_nanos(1);
                } else if let Some(last) = before.kernel {
                    kernel.start = kernel.start.min(last.end - Duration::from_nanos(1));
                    told.write = None;
                }
                before.kernel = told.kernel;
                if self == Mistake::NoSpans {
                    told.kernel = None;
                }
                *spans = told.into();
            }
            Mistake::Leaks => std::mem::forget(vec![1_u8; output[0].len()]),
            _ => {}
        }
        vec![called]
    }
}

impl Device for Broken {
    fn info(&self) -> DeviceInfo {
        self.inner.info()
    }

    fn check(&self) -> Result<(), DeviceError> {
        self.inner.check()
    }

    fn lanes(&self, model: &Model, cores: usize) -> usize {
        self.inner.lanes(model, cores)
    }

    fn prepare(&self, model: &Arc<Model>, lanes: usize) -> Result<Arc<dyn Program>, DeviceError> {
        let inner = match self.inner.prepare(model, lanes) {
            Err(_) if self.mistake == Mistake::TakesAnything => {
                let other = nbuffer_sim::open("gpu", Arc::new(nbuffer_onnx::Rten)).unwrap();
                other.prepare(&Arc::new(Model::open("../../models/copy").unwrap()), lanes)?
            }
            prepared => prepared?,
        };
        Ok(Arc::new(BrokenProgram { inner, mistake: self.mistake, opened: Mutex::new(0) }))
    }
}

impl Program for BrokenProgram {
    fn inputs(&self) -> &[TensorInfo] {
        self.inner.inputs()
    }

    fn outputs(&self) -> &[TensorInfo] {
        self.inner.outputs()
    }

    fn engine(&self) -> Option<String> {
        self.inner.engine()
    }

    fn model_bytes(&self) -> u64 {
        self.inner.model_bytes()
    }

    fn open_lane(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        let mistake = self.mistake;
        let mut opened = self.opened.lock().unwrap();
        *opened += 1;
        if mistake == Mistake::KeepsLanes && *opened > 2 {
            return Err(DeviceError::Unsupported { device: "broken".into(), why: "no lane is left".into() });
        }
        let Lane { calls, memory } = self.inner.open_lane(options)?;
        let memory = BrokenMemory { inner: memory, mistake };
        let Calls::Queued(open) = calls else { panic!("a queued device") };
        let output = &self.outputs()[0];
        let padding_behind =
            output.padding().last().map_or(0, |&(_, after)| after * output.dtype().size_bytes());
        let last_byte = output.size() - padding_behind - 1;
        let open = move |completions: Completions<InputSet, OutputSet>| {
            let before = Arc::new(Mutex::new(Before { last_byte, ..Before::default() }));
            let kept = Arc::clone(&before);
            let tell = move |called, _| {
                let spoiled = mistake.spoil(&mut before.lock().unwrap(), called);
                spoiled.into_iter().for_each(|called| completions.complete(called));
            };
            let lane = open(Completions::new(options.lane, Arc::new(tell)));
            BrokenLane { inner: lane, mistake, before: kept }
        };
        Ok(Lane::queued(open, memory))
    }
}

struct BrokenLane {
    inner: Box<dyn QueuedLane<InputSet, OutputSet>>,
    mistake: Mistake,
    before: Arc<Mutex<Before>>,
}

impl QueuedLane<InputSet, OutputSet> for BrokenLane {
    fn submit(&mut self, mut flight: Flight<InputSet, OutputSet>) {
        if self.mistake == Mistake::NotWritten {
            let scratch = OutputSet::new(vec![HostBuffer::zeroed(flight.output[0].len())]);
            let untouched = std::mem::replace(&mut flight.output, scratch);
            self.before.lock().unwrap().untouched.insert(flight.id.sequence(), untouched);
        }
        self.inner.submit(flight);
    }
}

struct BrokenMemory {
    inner: Box<dyn Memory<InputSet, OutputSet>>,
    mistake: Mistake,
}

impl Memory<InputSet, OutputSet> for BrokenMemory {
    fn input(&mut self) -> Result<InputSet, DeviceError> {
        let input = self.inner.input()?;
        if self.mistake != Mistake::ShortInputs {
            return Ok(input);
        }
        let short = input.iter().map(|buffer| HostBuffer::zeroed(buffer.len() - 4));
        Ok(InputSet::new(short.collect()))
    }

    fn output(&mut self) -> Result<OutputSet, DeviceError> {
        self.inner.output()
    }
}

/// The queued devices that are given a mistake, by the names of their runners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Programs,
    Compiled,
}

impl Over {
    const ALL: [Over; 2] = [Over::Programs, Over::Compiled];

    fn runner(self, mistake: Mistake) -> Runner {
        let name = match self {
            Over::Programs => "sim:gpu",
            Over::Compiled => "metis stand-in",
        };
        let whole =
            runners::all().into_iter().find(|runner| runner.name == name).expect("it is in the table");
        let open_whole = whole.open;
        let open = move || Ok(Box::new(Broken { inner: open_whole()?, mistake }) as Box<dyn Device>);
        Runner { open: Box::new(open), lanes_max: 1, ..whole }
    }
}

fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case `{name}`"))
}

const SIZES: Sizes = Sizes { elements: 100, items: 24, items_long: 2000, patience: Duration::from_secs(60) };

/// A device with `mistake` must fail the case `name`, which says `says`; a whole one passes it.
fn check_found(over: Over, mistake: Mistake, name: &str, says: &str, sizes: Sizes) {
    // What hangs is to be found soon; what is whole gets all the time it needs.
    let hasty = Sizes {
        patience: if says.contains("did not end") { Duration::from_secs(2) } else { sizes.patience },
        ..sizes
    };
    let failed = run_case(case(name), &Arc::new(over.runner(mistake)), &hasty);
    let why = failed.expect_err(&format!("{over:?}, {mistake:?} passes `{name}`")).to_string();
    assert!(why.contains(says), "{over:?}, {mistake:?}, `{name}`: should say {says:?}: {why}");
    let whole = run_case(case(name), &Arc::new(over.runner(Mistake::None)), &sizes);
    whole.unwrap_or_else(|why| panic!("{over:?}: a whole device fails `{name}`: {why}"));
}

#[test]
fn results_that_are_not_the_items_own() {
    for over in Over::ALL {
        let found = |mistake, name, says| check_found(over, mistake, name, says, SIZES);
        let rings = "N = 1..8, lanes 1..4";
        found(Mistake::Swaps, "values are exact", "item 0, element 0: has the result of item 1");
        found(Mistake::Stale, "values are exact", "item 1, element 0: has the result of item 0");
        found(Mistake::Stale, rings, "item 1, element 0: has the result of item 0");
        found(Mistake::Stale, "a batch keeps its items apart", "has the result of item");
        found(Mistake::Stale, "cancelled mid-flight", "has the result of item");
        found(Mistake::Stale, "failing items", "has the result of item");
        found(Mistake::Stale, "a long stream in flat memory", "has the result of item");
        found(Mistake::Stale, "two pipelines on one device", "has the result of item");
    }
}

#[test]
fn values_that_are_wrong() {
    for over in Over::ALL {
        let found = |mistake, says| check_found(over, mistake, "values are exact", says, SIZES);
        found(Mistake::NotWritten, "has 0x00000000 for");
        found(Mistake::OneBit, "item 2, element 99: has 0x");
        found(Mistake::HalfStale, "item 1, element ");
    }
    check_found(Over::Programs, Mistake::NotANumber, "values are exact", "has 0x7fc00000 for", SIZES);
}

#[test]
fn items_that_never_come_back() {
    for over in Over::ALL {
        check_found(over, Mistake::Drops, "N = 1..8, lanes 1..4", "did not end within 2s", SIZES);
        check_found(over, Mistake::Swaps, "short and empty streams", "did not end within 2s", SIZES);
    }
}

#[test]
fn spans_that_cannot_be() {
    let spans = "spans nest and do not overlap";
    for over in Over::ALL {
        check_found(over, Mistake::Overlaps, spans, "", SIZES);
        check_found(over, Mistake::NoSpans, spans, "has no kernel span", SIZES);
    }
    check_found(Over::Programs, Mistake::TooEarly, spans, "item 0: kernel at", SIZES);
}

#[test]
fn memory_that_is_lost_or_too_short() {
    for (over, elements, too_short) in [
        (Over::Programs, 4000, "input `input_0` has 396 B of 400"),
        (Over::Compiled, 8000, "input `input_0` has 252 B of 256"),
    ] {
        let sizes = Sizes { elements, ..SIZES };
        check_found(over, Mistake::Leaks, "a long stream in flat memory", "memory grew by", sizes);
        check_found(over, Mistake::ShortInputs, "sets fit the tensors", too_short, SIZES);
    }
}

#[test]
fn models_and_lanes_that_are_not_looked_after() {
    for over in Over::ALL {
        check_found(over, Mistake::TakesAnything, "models that cannot be", "took a model with", SIZES);
        check_found(over, Mistake::KeepsLanes, "opened again and again", "no lane is left", SIZES);
    }
}

#[test]
fn what_a_device_leaves_below_it_is_found() {
    let mut runner = Over::Compiled.runner(Mistake::None);
    // A device that somebody still holds when the case has ended.
    let held = Arc::new(Mutex::new(None));
    let (keep, open) = (Arc::clone(&held), runner.open);
    runner.open = Box::new(move || {
        let device = open()?;
        *keep.lock().unwrap() = Some(open()?);
        Ok(device)
    });
    let runner = Arc::new(runner);
    let why = run_case(case("values are exact"), &runner, &SIZES).unwrap_err().to_string();
    assert!(why.contains("1 context left"), "{why}");
    drop(held.lock().unwrap().take());
    (runner.at_rest.as_ref().expect("the stand-in can tell"))().unwrap();
}

#[test]
fn a_listed_failure_that_passes_is_red() {
    let listed = |mistake| {
        let expected_failures = vec![("values are exact", "the card is old")];
        let column = check(Runner { expected_failures, ..Over::Programs.runner(mistake) }, &SIZES);
        (column.outcomes[0].clone(), column.red().len(), table(&[column]))
    };
    let (outcome, red, table) = listed(Mistake::None);
    assert_eq!((outcome, red), (Outcome::UnexpectedPass("the card is old"), 1), "{table}");
    assert!(table.contains("| PASSES [1] ") && table.contains("(the card is old): take it off"), "{table}");
    let (outcome, _, table) = listed(Mistake::OneBit);
    assert_eq!(outcome, Outcome::ExpectedFailure("the card is old"), "{table}");
    assert!(
        table.contains("| known [1] ") && table.contains("[1] a known failure: the card is old"),
        "{table}"
    );
}

#[test]
fn a_device_that_is_not_here_is_no_failure() {
    let open = || Err::<nbuffer_sim::SimDevice, _>("no card");
    let column = check(Runner::new("absent", open), &SIZES);
    assert!(column.red().is_empty());
    let table = table(&[column]);
    assert!(table.contains("| - [1]  |") && table.contains("\n[1] not here: no card\n"), "{table}");
}

#[test]
#[should_panic(expected = "lists `values`, which is no case")]
fn a_listed_failure_of_no_case_is_a_mistake() {
    check(Runner { expected_failures: vec![("values", "")], ..Over::Programs.runner(Mistake::None) }, &SIZES);
}
