//! Numbered items through a pipeline over a device, checked as they come out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nbuffer_core::trace::Trace;
use nbuffer_runtime::{
    BoxError, Device, DeviceError, HostStages, InputSet, ItemError, Lane, LaneOptions, Memory, Options,
    OutputSet, Pipeline, Program, Step,
};

use crate::models::{Work, model};
use crate::payload::{self, Mismatch};
use crate::{Problem, Runner, Sizes};

/// A device with a model on it.
pub(crate) struct Prepared {
    pub(crate) device: Arc<dyn Device>,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) work: Work,
    pub(crate) batch: usize,
    double_buffer: bool,
}

impl Prepared {
    /// Opens the runner's device and puts `work` on it.
    pub(crate) fn new(
        runner: &Runner,
        sizes: &Sizes,
        work: Work,
        batch: usize,
        lanes: usize,
    ) -> Result<Self, Problem> {
        let device: Arc<dyn Device> = (runner.open)()?.into();
        let model = model(&runner.forms, work, batch, sizes.elements)?;
        let program = device.prepare(&model, lanes)?;
        Ok(Prepared { device, program, work, batch, double_buffer: runner.double_buffer })
    }

    /// Another model on the same device, beside this one.
    pub(crate) fn beside(&self, program: Arc<dyn Program>, work: Work) -> Prepared {
        Prepared { device: Arc::clone(&self.device), program, work, ..*self }
    }

    pub(crate) fn lane(&self, lane: usize) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        self.program.open_lane(LaneOptions { lane, double_buffer: self.double_buffer })
    }

    pub(crate) fn lanes(&self, lanes: usize) -> Result<Vec<Lane<InputSet, OutputSet>>, DeviceError> {
        (0..lanes).map(|lane| self.lane(lane)).collect()
    }

    /// The host's part for this model.
    pub(crate) fn stages(&self) -> Numbered {
        let (program, work, batch) = (Arc::clone(&self.program), self.work, self.batch);
        Numbered { program, work, batch, host_fault: |_| None }
    }

    /// Runs `items` numbered items over `lanes` lanes; all must come out, right and in order. Gives the trace, if
    /// `options` ask for one.
    pub(crate) fn run(&self, items: u64, lanes: usize, options: &Options) -> Result<Option<Trace>, Problem> {
        let mut pipeline = Pipeline::start(0..items, self.stages(), self.lanes(lanes)?, options)?;
        // What is wrong first is told at the end: a device that has lost its way is not left with work.
        let (mut next, mut wrong) = (0, None);
        while let Some(delivery) = pipeline.next_delivery() {
            if delivery.sequence != next {
                return Err(format!("item {} came out in the place of {next}", delivery.sequence).into());
            }
            wrong = wrong.or(delivery.result.err());
            next += 1;
        }
        if let Some(error) = wrong {
            return Err(error.cause().into());
        }
        if next != items {
            return Err(format!("{next} of {items} items came out").into());
        }
        Ok(pipeline.trace())
    }
}

/// What goes wrong on the host with an item, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostFault {
    Preprocess,
    PreprocessPanics,
    Postprocess,
}

/// Fills inputs with numbered items and checks outputs. Its items are calls: with a batch, several items each.
pub(crate) struct Numbered {
    program: Arc<dyn Program>,
    work: Work,
    batch: usize,
    pub(crate) host_fault: fn(u64) -> Option<HostFault>,
}

impl HostStages for Numbered {
    type Item = u64;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = u64;
    type Output = u64;

    fn preprocess(&self, call: u64, input: &mut InputSet) -> Result<u64, BoxError> {
        match (self.host_fault)(call) {
            Some(HostFault::Preprocess) => return Err("planned".into()),
            Some(HostFault::PreprocessPanics) => panic!("planned"),
            _ => {}
        }
        payload::fill(call, self.batch, self.program.inputs(), input);
        Ok(call)
    }

    fn postprocess(&self, call: u64, output: &mut OutputSet) -> Result<u64, BoxError> {
        payload::check(self.work, call, self.batch, self.program.outputs(), output)?;
        match (self.host_fault)(call) {
            Some(HostFault::Postprocess) => Err("planned".into()),
            _ => Ok(call),
        }
    }
}

/// Whether an item failed because of a [`HostFault`], and of nothing else.
pub(crate) fn is_planned(error: &ItemError, fault: HostFault) -> bool {
    match (error, fault) {
        (ItemError::Panicked { message, .. }, HostFault::PreprocessPanics) => message == "planned",
        (ItemError::Stage { step: Step::Preprocess, source, .. }, HostFault::Preprocess)
        | (ItemError::Stage { step: Step::Postprocess, source, .. }, HostFault::Postprocess) => {
            !source.is::<Mismatch>() && source.to_string() == "planned"
        }
        _ => false,
    }
}

/// Counts the sets that a lane's memory gives.
#[derive(Clone, Default)]
pub(crate) struct SetCount {
    pub(crate) inputs: Arc<AtomicUsize>,
    pub(crate) outputs: Arc<AtomicUsize>,
}

impl SetCount {
    /// The lane, its memory counted.
    pub(crate) fn of(&self, lane: Lane<InputSet, OutputSet>) -> Lane<InputSet, OutputSet> {
        let counted = Counted { memory: lane.memory, count: self.clone() };
        Lane { memory: Box::new(counted), ..lane }
    }
}

struct Counted {
    memory: Box<dyn Memory<InputSet, OutputSet>>,
    count: SetCount,
}

// Relaxed: the counts are read when the pipeline has ended, and order nothing.
impl Memory<InputSet, OutputSet> for Counted {
    fn input(&mut self) -> Result<InputSet, DeviceError> {
        self.count.inputs.fetch_add(1, Ordering::Relaxed);
        self.memory.input()
    }

    fn output(&mut self) -> Result<OutputSet, DeviceError> {
        self.count.outputs.fetch_add(1, Ordering::Relaxed);
        self.memory.output()
    }
}
