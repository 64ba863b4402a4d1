//! Items and models that fail.

use std::sync::Arc;

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::model::{Argument, Kernel, KernelProgram};
use nbuffer_runtime::{Model, Pipeline};

use super::options;
use crate::models::{self, Work};
use crate::stream::{HostFault, Prepared, is_planned};
use crate::{Problem, Runner, Sizes};

/// An item that fails on the host costs itself and no other, wherever it fails.
pub(super) fn host_faults(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let fault = |call| match call % 8 {
        2 => Some(HostFault::Preprocess),
        5 => Some(HostFault::Postprocess),
        7 => Some(HostFault::PreprocessPanics),
        _ => None,
    };
    let lanes = runner.lanes_max.min(2);
    let prepared = Prepared::new(runner, sizes, Work::Copy, 1, lanes)?;
    let mut stages = prepared.stages();
    stages.host_fault = fault;
    let mut pipeline = Pipeline::start(0..sizes.items, stages, prepared.lanes(lanes)?, &options(3))?;
    let mut next = 0;
    while let Some(delivery) = pipeline.next_delivery() {
        if delivery.sequence != next {
            return Err(format!("item {} came out in the place of {next}", delivery.sequence).into());
        }
        match (fault(next), delivery.result) {
            (None, Ok(_)) => {}
            (Some(fault), Err(error)) if is_planned(&error, fault) => {}
            (planned, Ok(_)) => return Err(format!("item {next} went well for {planned:?}").into()),
            (_, Err(error)) => return Err(error.cause().into()),
        }
        next += 1;
    }
    if next == sizes.items { Ok(()) } else { Err(format!("{next} of {} items came out", sizes.items).into()) }
}

/// Models with tensors of the wrong number, shape or size, or arguments that do not fit, are refused with an error when
/// they are prepared or a lane is opened, and the device goes on.
pub(super) fn bad_models(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let device = (runner.open)()?;
    let good = models::model(&runner.forms, Work::Saxpy, 1, sizes.elements)?;
    for (what, broken) in broken(&good)? {
        // A device that panics is found by the caller of this case.
        if device.prepare(&Arc::new(broken), 1).is_ok() {
            return Err(format!("took a model with {what}").into());
        }
    }
    device
        .prepare(&good, 1)
        .map(drop)
        .map_err(|error| format!("refuses a good model afterwards: {error}").into())
}

/// A good model with one thing wrong.
fn broken(good: &Model) -> Result<Vec<(&'static str, Model)>, Problem> {
    let mut all: Vec<(&'static str, Model)> = Vec::new();
    let mut with = |what, change: &dyn Fn(&mut Model) -> Result<(), Problem>| {
        let mut model = good.clone();
        change(&mut model)?;
        all.push((what, model));
        Ok::<_, Problem>(())
    };
    match &good.kernel {
        Kernel::Program(program) => {
            let mut with_program = |what, change: &dyn Fn(&mut KernelProgram)| {
                with(what, &|model| {
                    let mut program = KernelProgram::clone(program);
                    change(&mut program);
                    model.kernel = Kernel::Program(Arc::new(program));
                    Ok(())
                })
            };
            with_program("an argument for an input that is not there", &|program| {
                program.args[0] = Argument::Input(9)
            })?;
            with_program("an output that is no argument", &|program| {
                program.args.retain(|arg| !matches!(arg, Argument::Output(_)));
            })?;
            with_program("no work items", &|program| program.global.clear())?;
            with_program("groups of another number of dimensions", &|program| {
                program.local = Some(vec![8, 8])
            })?;
            with_program("no code", &|program| {
                (program.cpu, program.opencl, program.cuda) = (None, None, None);
            })?;
            with("a missing output", &|model| {
                model.outputs.clear();
                Ok(())
            })?;
            with("a missing input", &|model| {
                model.inputs.pop();
                Ok(())
            })?;
        }
        Kernel::Onnx(path) => {
            let tensor = |name: &str, len: usize| TensorInfo::float32(name, [1, len]);
            with("tensors of another size than the graph's", &|model| {
                model.inputs = vec![tensor("x", 3)?, tensor("y", 3)?];
                model.outputs = vec![tensor("out", 3)?];
                Ok(())
            })?;
            with("a graph that is not there", &|model| {
                model.kernel = Kernel::Onnx(path.with_extension("missing"));
                Ok(())
            })?;
        }
        Kernel::Compiled(path) => {
            let resized = |tensors: &mut [TensorInfo], dtype| {
                tensors.iter_mut().try_for_each(|tensor| {
                    *tensor = TensorInfo::new(tensor.name(), [1, 3], [], 1.0, 0, dtype)?;
                    Ok(())
                })
            };
            with("inputs of another size than the library's", &|model| {
                resized(&mut model.inputs, DType::I8)
            })?;
            with("outputs of another size and type than the library's", &|model| {
                resized(&mut model.outputs, DType::F32)
            })?;
            with("a missing output", &|model| {
                model.outputs.clear();
                Ok(())
            })?;
            with("a missing input", &|model| {
                model.inputs.pop();
                Ok(())
            })?;
            with("a file that is not there", &|model| {
                model.kernel = Kernel::Compiled(path.with_extension("missing"));
                Ok(())
            })?;
        }
        other => return Err(format!("the suite has no such kernel: {other:?}").into()),
    }
    Ok(all)
}
