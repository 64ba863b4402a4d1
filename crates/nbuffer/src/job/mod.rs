//! A model, devices and a stream of items, put together and run.

mod error;
mod running;

use std::sync::Arc;
use std::time::Duration;

use nbuffer_core::plan::{Limits, Link, Overlap, SetBytes, Setting};
use nbuffer_core::schedule::{Duplex, HostThreads, Order, Retry, Sets};
use nbuffer_core::summary::ChosenBy;
use nbuffer_core::tensor::TensorInfo;
use nbuffer_core::tune::Goals;
use nbuffer_runtime::{
    Arrivals, Device, DeviceError, DeviceInfo, InputSet, Lane, LaneOptions, Model, Options, OutputSet,
    Pipeline, Program,
};

pub use self::error::JobError;
pub use self::running::{Cause, Failure, Finished, Record, Running};
use crate::batch::{Batched, ItemStages, OnTheWay};
use crate::double_buffer::probe;
use crate::files::FileStages;

/// How many buffer sets a lane gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffering {
    /// nbuffer starts with few, measures, plans and chooses while the stream runs. The summary says what and why.
    Auto,
    /// So many.
    Depth(usize),
}

/// How a job is to run. [`Settings::default`] leaves every choice to nbuffer.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Cores of each device to use; `None` is all.
    pub cores: Option<usize>,
    /// Buffer sets per lane.
    pub buffering: Buffering,
    /// Overlap transfer and compute inside lanes; `None` where it makes calls shorter.
    pub double_buffer: Option<bool>,
    /// Host threads; with `None` nbuffer starts with one and adds more while they help, up to the cores of this
    /// machine.
    pub host_threads: Option<usize>,
    /// The longest an item may stay on average from take to result: nbuffer chooses the fastest way within it.
    /// Needs [`Buffering::Auto`].
    pub latency_max: Option<Duration>,
    /// Delivery order.
    pub order: Order,
    /// What becomes of the items that a lost lane held.
    pub retry: Retry,
    /// A lane whose device call takes longer than this is lost; `None` waits for ever.
    pub watchdog: Option<Duration>,
    /// Mean and standard deviation per channel, in place of the model's own.
    pub normalise: Option<([f32; 3], [f32; 3])>,
    /// Generate the inputs, from the number of each item, and check the outputs. Needs a kernel that is no graph.
    pub synthetic: bool,
    /// Class names, in place of the model's own.
    pub labels: Option<Vec<String>>,
    /// Keep what so many items (or batches) did when, for [`Running::trace`]: of a longer stream those of its beginning
    /// and of its end.
    pub trace: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            cores: None,
            buffering: Buffering::Auto,
            double_buffer: None,
            host_threads: None,
            latency_max: None,
            order: Order::InOrder,
            retry: Retry::Never,
            watchdog: Some(Duration::from_secs(30)),
            normalise: None,
            synthetic: false,
            labels: None,
            trace: None,
        }
    }
}

/// One device's part in a job.
struct Part {
    info: DeviceInfo,
    program: Arc<dyn Program>,
    lanes: usize,
    double_buffer: bool,
    /// Why, where nbuffer chose.
    why_double_buffer: Option<String>,
}

/// A job that is set up and checked: the model is on its devices, and nothing has run. It may run any number of times.
///
/// Items and results are those of its stages: files and answers unless others are [given](Job::with_stages).
pub struct Job<S = FileStages> {
    model: Arc<Model>,
    parts: Vec<Part>,
    batch: usize,
    stages: Arc<S>,
    options: Options,
    buffering: Buffering,
    latency_max: Option<Duration>,
}

impl Job {
    /// Prepares `model` on `devices` for images and arrays in files, or for generated items ([`Settings::synthetic`]): those
    /// are made for as many paths as come, whatever they say.
    ///
    /// # Errors
    ///
    /// See [`JobError`]; nothing has run then.
    pub fn new(
        model: &Arc<Model>,
        devices: &[Box<dyn Device>],
        settings: &Settings,
    ) -> Result<Self, JobError> {
        Job::with_stages(model, devices, settings, |program, batch| {
            FileStages::new(model, program, batch, settings)
        })
    }
}

impl<S: ItemStages> Job<S> {
    /// Prepares `model` on `devices` for items of any kind. `stages` is given the prepared model and how many items a
    /// call takes.
    ///
    /// # Errors
    ///
    /// See [`JobError`], or what `stages` says; nothing has run then.
    pub fn with_stages<E: From<JobError>>(
        model: &Arc<Model>,
        devices: &[Box<dyn Device>],
        settings: &Settings,
        stages: impl FnOnce(&dyn Program, usize) -> Result<S, E>,
    ) -> Result<Self, E> {
        let (parts, batch) = Self::prepare(model, devices, settings)?;
        let stages = Arc::new(stages(&*parts[0].program, batch)?);
        Ok(Self::set_up(model, parts, batch, stages, settings)?)
    }

    /// The model on each device, and how many items a call takes.
    fn prepare(
        model: &Arc<Model>,
        devices: &[Box<dyn Device>],
        settings: &Settings,
    ) -> Result<(Vec<Part>, usize), JobError> {
        let parts = devices.iter().map(|device| Part::new(model, &**device, settings));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let first = parts.first().ok_or(JobError::NoDevice)?;
        for other in &parts[1..] {
            let same = |f: fn(&dyn Program) -> Vec<_>| f(&*first.program) == f(&*other.program);
            if !same(|p| shapes(p.inputs())) || !same(|p| shapes(p.outputs())) {
                let (first, other) = (first.info.name.clone(), other.info.name.clone());
                return Err(JobError::Mixed { first, other });
            }
        }
        // A tensor of one dimension is one item's.
        let batch = match first.program.inputs().first().map(TensorInfo::shape) {
            Some([batch, _, ..]) => (*batch).max(1),
            _ => 1,
        };
        // Each item has its part of every tensor.
        let whole = |tensor: &&TensorInfo| {
            tensor.size().is_multiple_of(batch)
                && tensor.padding().first().is_none_or(|&first| first == (0, 0))
        };
        let tensors = || first.program.inputs().iter().chain(first.program.outputs());
        if let Some(odd) = tensors().find(|tensor| batch > 1 && !whole(tensor)) {
            let (model, tensor) = (model.name.clone(), odd.name().to_owned());
            return Err(JobError::Batch { model, tensor, shape: odd.shape().to_vec(), batch });
        }
        Ok((parts, batch))
    }

    fn set_up(
        model: &Arc<Model>,
        parts: Vec<Part>,
        batch: usize,
        stages: Arc<S>,
        settings: &Settings,
    ) -> Result<Self, JobError> {
        if settings.latency_max.is_some() && settings.buffering != Buffering::Auto {
            return Err(JobError::Latency);
        }
        let (sets, threads) = at_first(&parts);
        let mut options = Options::new(1, settings.host_threads.unwrap_or(threads));
        options.sets = match settings.buffering {
            Buffering::Depth(depth) => Sets::Split { inputs: depth, outputs: depth },
            Buffering::Auto => sets,
        };
        options.order = settings.order;
        options.retry = settings.retry;
        options.watchdog = settings.watchdog;
        options.trace = settings.trace;
        let mut job = Job {
            model: Arc::clone(model),
            batch,
            stages,
            options,
            buffering: settings.buffering,
            latency_max: settings.latency_max,
            parts,
        };
        job.check_memory()?;
        job.options.tune = job.goals(settings.host_threads.is_none());
        Ok(job)
    }

    /// Inputs of one call.
    pub fn inputs(&self) -> &[TensorInfo] {
        self.parts[0].program.inputs()
    }

    /// Outputs of one call.
    pub fn outputs(&self) -> &[TensorInfo] {
        self.parts[0].program.outputs()
    }

    /// Its stages.
    pub fn stages(&self) -> &S {
        &self.stages
    }

    /// How many items a call takes.
    pub fn batch(&self) -> usize {
        self.batch
    }

    fn lanes(&self) -> usize {
        self.parts.iter().map(|part| part.lanes).sum()
    }

    /// What is to be chosen while the stream runs, if anything.
    fn goals(&self, host_threads: bool) -> Option<Goals> {
        let sets = self.buffering == Buffering::Auto;
        let host_threads_max = host_threads.then_some(cores());
        let setting = self.setting()?;
        (sets || host_threads).then_some(Goals { setting, sets, host_threads_max })
    }

    /// Bytes of all buffer sets on the host, when each lane has so many.
    fn host_bytes(&self, sets: Sets) -> u64 {
        let of_lane = |part: &Part| {
            let SetBytes { input, output } = bytes_of_sets(&*part.program);
            let inputs = input.saturating_mul(sets.inputs() as u64);
            inputs.saturating_add(output.saturating_mul(sets.outputs() as u64))
        };
        let of_part = |part: &Part| of_lane(part).saturating_mul(part.lanes as u64);
        self.parts.iter().map(of_part).fold(0, u64::saturating_add)
    }

    fn check_memory(&self) -> Result<(), JobError> {
        let needed_bytes = self.host_bytes(self.options.sets);
        match available_memory() {
            Some(available_bytes) if needed_bytes > available_bytes => Err(JobError::HostMemory {
                depth: self.options.sets.inputs().max(self.options.sets.outputs()),
                lanes: self.lanes(),
                needed_bytes,
                available_bytes,
            }),
            _ => Ok(()),
        }
    }

    /// Runs the job over `items`. A last call may have fewer of them than a call takes.
    ///
    /// # Errors
    ///
    /// When a lane or a buffer set cannot be opened, or a count is out of range. No item has been taken then.
    pub fn run(&self, items: impl Iterator<Item = S::Item> + Send + 'static) -> Result<Running<S>, JobError> {
        let (mut items, batch) = (items, self.batch);
        self.run_calls(move || items.by_ref().take(batch).collect())
    }

    /// Runs the job over items that come by themselves. Each call takes those that are there: none is held back until
    /// there are enough for a full call.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_live(&self, mut items: Arrivals<S::Item>) -> Result<Running<S>, JobError> {
        let batch = self.batch;
        self.run_calls(move || items.next_up_to(batch))
    }

    fn run_calls(
        &self,
        calls: impl FnMut() -> Vec<S::Item> + Send + 'static,
    ) -> Result<Running<S>, JobError> {
        // Counts are refused before memory is asked for by them.
        let lane = |lag| nbuffer_core::schedule::LaneConfig { sets: self.options.sets, lag };
        let lanes = vec![lane(0); self.lanes()];
        nbuffer_core::schedule::Config::new(lanes, self.options.host_threads).validate()?;

        let mut lanes: Vec<Lane<InputSet, OutputSet>> = Vec::new();
        for part in &self.parts {
            for lane in 0..part.lanes {
                let options = LaneOptions { lane, double_buffer: part.double_buffer };
                lanes.push(part.program.open_lane(options)?);
            }
        }
        let on_the_way = OnTheWay::default();
        let source = on_the_way.note(calls);
        let stages = Batched { stages: Arc::clone(&self.stages), batch: self.batch };
        let facts = Facts {
            model: self.model.name.clone(),
            devices: self.parts.iter().map(|part| part.info.name.clone()).collect(),
            lane_devices: self.parts.iter().flat_map(|p| vec![p.info.name.clone(); p.lanes]).collect(),
            engine: self.parts[0].program.engine(),
            lanes: lanes.len(),
            computing_cores: self.parts.iter().map(|p| p.lanes * p.program.cores_per_lane()).sum(),
            chosen_by: match self.buffering {
                Buffering::Auto => ChosenBy::Auto,
                Buffering::Depth(_) => ChosenBy::User,
            },
            double_buffer: self.parts.iter().any(|part| part.double_buffer),
            why_double_buffer: self.parts.iter().find_map(|part| part.why_double_buffer.clone()),
            batch: self.batch,
            input_bytes: self.host_bytes(Sets::Split { inputs: 1, outputs: 0 }),
            output_bytes: self.host_bytes(Sets::Split { inputs: 0, outputs: 1 }),
            model_bytes: self.parts.iter().map(Part::device_bytes).sum(),
            sets_on_device: self.parts.iter().any(|part| part.info.memory_bytes.is_some()),
            setting: self.setting(),
            remarks: self.stages.remark().into_iter().collect(),
            duplex: self.parts.iter().map(|part| (part.lanes, part.duplex())).collect(),
        };
        let pipeline = Pipeline::start(source, stages, lanes, &self.options)?;
        facts.tell(&self.options);
        let programs = self.parts.iter().map(|part| Arc::clone(&part.program)).collect();
        Ok(Running::new(pipeline, on_the_way, facts, Arc::clone(&self.stages), programs))
    }

    /// What a plan needs to know beside the measured times; with several devices there is no single plan.
    fn setting(&self) -> Option<Setting> {
        let [part] = &self.parts[..] else {
            return None;
        };
        let overlap = match part {
            Part { double_buffer: true, .. } => Overlap::InLane,
            Part { info: DeviceInfo { queued: true, .. }, .. } => Overlap::Queued,
            _ => Overlap::None,
        };
        let link = Link {
            duplex: part.duplex(),
            // The lanes of a queued device share its engines. What calls share is in what they take.
            shared: overlap == Overlap::Queued,
        };
        let set_bytes = bytes_of_sets(&*part.program);
        let is_known = set_bytes.input.saturating_add(set_bytes.output) > 0;
        let limits = Limits {
            host_bytes: available_memory().filter(|_| is_known),
            // A blocking lane has transfer buffers of its own, however many sets there are.
            device_bytes: part
                .info
                .memory_bytes
                .filter(|_| is_known && overlap == Overlap::Queued)
                .map(|bytes| bytes.saturating_sub(part.program.model_bytes())),
            latency_s: self.latency_max.map(|limit| limit.as_secs_f64()),
        };
        let sets = self.options.sets;
        let threads = HostThreads::Shared(self.options.host_threads);
        let base = Setting::new(Default::default(), part.lanes, sets, threads);
        Some(Setting { overlap, link, set_bytes, limits, cores: part.shared_cores(), ..base })
    }
}

impl<S> std::fmt::Debug for Job<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("model", &self.model.name).field("options", &self.options).finish()
    }
}

impl Part {
    fn new(model: &Arc<Model>, device: &dyn Device, settings: &Settings) -> Result<Part, JobError> {
        device.check()?;
        let info = device.info();
        let asked = settings.cores.unwrap_or_else(|| device.cores_by_default());
        let lanes = device.lanes(model, asked);
        if asked == 0 || asked > info.cores || lanes == 0 {
            let (device, available, batch) = (info.name, info.cores, model.batch);
            return Err(JobError::Cores { device, asked, available, batch });
        }
        if settings.double_buffer == Some(true) && !info.double_buffer {
            let why = "it has no double buffering; leave --double-buffer off or auto".to_owned();
            return Err(DeviceError::Unsupported { device: info.name, why }.into());
        }
        let program = device.prepare(model, lanes)?;
        let (double_buffer, why_double_buffer) = match settings.double_buffer {
            Some(asked) => (asked, None),
            // A queue overlaps as it is.
            None if info.double_buffer && !info.queued => probe(&*program, settings.latency_max),
            None => (false, None),
        };
        Ok(Part { info, program, lanes, double_buffer, why_double_buffer })
    }

    /// How many cores are for calls and host threads in turn, where lanes compute on this machine: one that computes on
    /// several takes one turn, so that the others of its cores are not among them.
    fn shared_cores(&self) -> Option<usize> {
        let of_lane = self.program.cores_per_lane();
        let is_shared = of_lane > 0 && !self.info.queued;
        is_shared.then(|| cores().saturating_sub(self.lanes * (of_lane - 1)).max(1))
    }

    fn duplex(&self) -> Duplex {
        if self.info.half_duplex { Duplex::Half } else { Duplex::Full }
    }

    fn device_bytes(&self) -> u64 {
        if self.info.memory_bytes.is_some() { self.program.model_bytes() } else { 0 }
    }
}

/// Cores of this machine.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Sets of a lane and host threads to begin with, where nobody says. Few sets to measure with: one at work and one being
/// prepared, and the results a double-buffered lane holds; one where that keeps all cores busy, whatever the times are.
/// Several devices are not planned for: they get a thread for each core, and two more sets for what varies.
fn at_first(parts: &[Part]) -> (Sets, usize) {
    let sets = |inputs, outputs| Sets::Split { inputs, outputs };
    let is_late = parts.iter().any(|part| part.double_buffer);
    let late = if is_late { 2 } else { 0 };
    match parts {
        [part] => match part.shared_cores() {
            Some(cores) if part.lanes >= cores => (sets(1, 1), cores),
            Some(cores) => (sets(2, 2), cores),
            // An engine's own threads are cores that the plan does not see.
            None if part.program.cores_per_lane() > 0 => (sets(2, 2), cores()),
            None => (sets(2, 2 + late), 1),
        },
        _ => (sets(4, 4 + late), cores()),
    }
}

fn shapes(tensors: &[TensorInfo]) -> Vec<(Vec<usize>, nbuffer_core::tensor::DType)> {
    tensors.iter().map(|t| (t.shape().to_vec(), t.dtype())).collect()
}

/// Bytes of one buffer set.
pub(crate) fn bytes_of_sets(program: &dyn Program) -> SetBytes {
    let of = |tensors: &[TensorInfo]| {
        tensors.iter().map(|tensor| tensor.size() as u64).fold(0, u64::saturating_add)
    };
    SetBytes { input: of(program.inputs()), output: of(program.outputs()) }
}

/// Bytes of memory this machine can still give, where it says so.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What a summary says of a job beside what was measured.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) model: String,
    pub(crate) devices: Vec<String>,
    /// The device of each lane.
    pub(crate) lane_devices: Vec<String>,
    pub(crate) engine: Option<String>,
    pub(crate) lanes: usize,
    /// Cores of this machine that lanes compute on.
    pub(crate) computing_cores: usize,
    pub(crate) chosen_by: ChosenBy,
    pub(crate) double_buffer: bool,
    /// Why, where nbuffer chose.
    pub(crate) why_double_buffer: Option<String>,
    pub(crate) batch: usize,
    /// Bytes of one input set for each lane.
    pub(crate) input_bytes: u64,
    /// Bytes of one output set for each lane.
    pub(crate) output_bytes: u64,
    pub(crate) model_bytes: u64,
    /// Whether the device keeps a copy of every set.
    pub(crate) sets_on_device: bool,
    pub(crate) setting: Option<Setting>,
    /// What a reader of the summary must know beside what programs say.
    pub(crate) remarks: Vec<String>,
    /// Of each device, how many lanes it has and how its link works.
    pub(crate) duplex: Vec<(usize, Duplex)>,
}

impl Facts {
    fn tell(&self, options: &Options) {
        tracing::info!(
            model = self.model,
            device = self.devices.join(" + "),
            engine = self.engine,
            lanes = self.lanes,
            inputs = options.sets.inputs(),
            outputs = options.sets.outputs(),
            host_threads = options.host_threads,
            double_buffer = self.double_buffer,
            batch = self.batch,
            "run started"
        );
    }
}
