//! A kernel model, built for a device and checked against it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::model::{self, Argument, DeviceCode, KernelProgram};
use nbuffer_runtime::{DeviceError, InputSet, Lane, LaneOptions, Model, OutputSet, Program};

use crate::cl::{ArgumentKind, Code, Executable, Kernel, Value};
use crate::hardware::Hardware;
use crate::memory::{LaneMemory, Pool};
use crate::queued::OpenClQueue;

/// Has the compiler keep what the arguments are declared to be, so that they can be checked.
const KEEP_ARGUMENTS: &str = "-cl-kernel-arg-info";

/// What the lanes of a program share.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) hardware: Arc<Hardware>,
    executable: Executable,
    entry: String,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) work: Work,
}

/// Over how much a kernel runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// Work items along each dimension, whole groups of them.
    pub(crate) global: Vec<usize>,
    /// Work items of a group; `None` leaves it to the driver.
    pub(crate) local: Option<Vec<usize>>,
}

impl Work {
    fn new(program: &KernelProgram) -> Self {
        let local = program.local.clone();
        let mut global = program.global.clone();
        if let Some(local) = &local {
            for (items, group) in global.iter_mut().zip(local) {
                *items = items.next_multiple_of(*group);
            }
        }
        Work { global, local }
    }
}

impl Prepared {
    /// A kernel with all arguments set that stay the same.
    pub(crate) fn kernel(&self) -> Result<Kernel, DeviceError> {
        let mut kernel = Kernel::new(&self.executable, &self.entry)?;
        for (index, argument) in self.arguments.iter().enumerate() {
            if let Some(value) = value(*argument) {
                kernel.set_value(index, value)?;
            }
        }
        Ok(kernel)
    }
}

/// The value of an argument that is none of the tensors.
fn value(argument: Argument) -> Option<Value> {
    match argument {
        Argument::Input(_) | Argument::Output(_) => None,
        Argument::U32(value) => Some(Value::U32(value)),
        Argument::I32(value) => Some(Value::I32(value)),
        Argument::U64(value) => Some(Value::U64(value)),
        Argument::F32(value) => Some(Value::F32(value)),
    }
}

/// A kernel model on an OpenCL device, shared by its lanes.
pub(crate) struct OpenClProgram {
    pub(crate) prepared: Arc<Prepared>,
    model: Arc<Model>,
}

impl OpenClProgram {
    pub(crate) fn new(hardware: &Arc<Hardware>, model: &Arc<Model>) -> Result<Self, DeviceError> {
        let unsupported = |why| DeviceError::Unsupported {
            device: hardware.name.clone(),
            why: format!("model `{}`: {why}", model.name),
        };
        let model::Kernel::Program(program) = &model.kernel else {
            let why =
                "OpenCL runs kernel models only (`program` in model.json), and this is none: run it on `cpu`";
            return Err(unsupported(why.to_owned()));
        };
        let Some(code) = &program.opencl else {
            let why = "it has no code for OpenCL: give its `program` in model.json an `opencl` section";
            return Err(unsupported(why.to_owned()));
        };
        // A model put together by hand has not been through `Model::open`.
        model.check_kernel()?;
        check_tensors(hardware, model)?;
        let executable = build(hardware, code).map_err(unsupported)?;
        let prepared = Prepared {
            hardware: Arc::clone(hardware),
            executable,
            entry: code.entry.clone(),
            arguments: program.args.clone(),
            work: Work::new(program),
        };
        let kernel = Kernel::new(&prepared.executable, &prepared.entry).map_err(|error| {
            unsupported(format!("`{}` has no entry `{}` ({error})", file(code).display(), prepared.entry))
        })?;
        check_arguments(&kernel, &prepared.arguments).map_err(unsupported)?;
        check_work(hardware, &kernel, &prepared.work).map_err(unsupported)?;
        // What the driver alone knows, such as the size of a struct, it says here and not at every item.
        prepared.kernel().map_err(|error| unsupported(format!("its arguments are refused: {error}")))?;
        Ok(OpenClProgram { prepared: Arc::new(prepared), model: Arc::clone(model) })
    }

    /// Memory for a lane whose device sets go to `pool`.
    pub(crate) fn memory(&self, pool: Pool) -> LaneMemory {
        LaneMemory {
            hardware: Arc::clone(&self.prepared.hardware),
            inputs: self.model.inputs.clone(),
            outputs: self.model.outputs.clone(),
            pool,
            what: format!("the buffer sets of model `{}`", self.model.name),
        }
    }
}

/// The file that the code is in.
fn file(code: &DeviceCode) -> &Path {
    match &code.code {
        model::Code::Source(path) | model::Code::Binary(path) => path,
    }
}

/// A tensor is one memory object, whose size is limited.
fn check_tensors(hardware: &Hardware, model: &Model) -> Result<(), DeviceError> {
    let available_bytes = hardware.found.buffer_bytes_max;
    let largest = model.inputs.iter().chain(&model.outputs).max_by_key(|tensor| tensor.size());
    match largest {
        Some(tensor) if tensor.size() as u64 > available_bytes => Err(DeviceError::Memory {
            device: hardware.name.clone(),
            needed_bytes: tensor.size() as u64,
            available_bytes,
            what: format!("tensor `{}` of model `{}`, in one piece", tensor.name(), model.name),
        }),
        _ => Ok(()),
    }
}

fn build(hardware: &Hardware, code: &DeviceCode) -> Result<Executable, String> {
    let path = file(code).display();
    // What goes to a C function ends at its first zero byte.
    if code.options.contains('\0') || code.entry.contains('\0') {
        return Err(format!("the options or the entry for `{path}` hold a zero byte"));
    }
    let unreadable = |error| format!("`{path}` cannot be read: {error}");
    let options = format!("{KEEP_ARGUMENTS} {}", code.options);
    let built = match &code.code {
        model::Code::Source(_) if !hardware.found.has_compiler => {
            return Err(format!("the driver has no compiler for `{path}`: give a binary for this device"));
        }
        model::Code::Source(source) => {
            let source = fs::read_to_string(source).map_err(unreadable)?;
            Executable::build(&hardware.context, Code::Source(&source), &options)
        }
        model::Code::Binary(binary) => {
            let binary = fs::read(binary).map_err(unreadable)?;
            Executable::build(&hardware.context, Code::Binary(&binary), &code.options)
        }
    };
    built.map_err(|error| format!("`{path}` does not build for {}: {error}", hardware.found))
}

/// Whether the entry declares what the model gives it. A number that went to a pointer would be an address.
fn check_arguments(kernel: &Kernel, given: &[Argument]) -> Result<(), String> {
    let declared = kernel.arguments();
    if declared.len() != given.len() {
        return Err(format!(
            "its entry takes {} arguments, `args` in model.json gives {}",
            declared.len(),
            given.len()
        ));
    }
    for (index, (declared, given)) in declared.iter().zip(given).enumerate() {
        if let Some(why) = mismatch(declared, *given) {
            return Err(format!("args[{index}] {why}"));
        }
    }
    Ok(())
}

/// Why the entry cannot take this argument, if it cannot.
fn mismatch(declared: &ArgumentKind, given: Argument) -> Option<String> {
    let name = |given: Argument| match given {
        Argument::Input(_) => "an input",
        Argument::Output(_) => "an output",
        Argument::U32(_) => "a u32",
        Argument::I32(_) => "an i32",
        Argument::U64(_) => "a u64",
        Argument::F32(_) => "an f32",
    };
    let is_tensor = value(given).is_none();
    match declared {
        ArgumentKind::Buffer { writable: false } if matches!(given, Argument::Output(_)) => {
            Some("is an output, and the entry declares it const".to_owned())
        }
        ArgumentKind::Buffer { .. } if is_tensor => None,
        ArgumentKind::Buffer { .. } => {
            Some(format!("is {}, and the entry declares a pointer: give an input or an output", name(given)))
        }
        ArgumentKind::Value { type_name } if is_tensor => {
            Some(format!("is {}, and the entry declares the value `{type_name}`", name(given)))
        }
        // Other names are types of the source's own, whose size the driver checks.
        ArgumentKind::Value { type_name } => type_of(type_name)
            .filter(|&fits| fits != type_of_value(given))
            .map(|fits| format!("is {}, and the entry declares {type_name}: give {fits}", name(given))),
        ArgumentKind::Other { type_name } => {
            Some(format!("is declared {type_name} in memory that no argument here can stand for"))
        }
        ArgumentKind::Unknown if matches!(given, Argument::U64(_)) => Some(
            "is a u64, and this binary does not tell whether the entry takes a number or a pointer: build it with \
             -cl-kernel-arg-info, or pass two u32"
                .to_owned(),
        ),
        ArgumentKind::Unknown => None,
    }
}

/// What to give for a scalar type of OpenCL C; `None` for what is no scalar type.
fn type_of(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "uint" | "unsigned int" => "u32",
        "int" => "i32",
        "ulong" | "unsigned long" => "u64",
        "float" => "f32",
        "char" | "uchar" | "short" | "ushort" | "long" | "double" | "half" | "bool" => {
            "one of u32, i32, u64 and f32, and declare it so"
        }
        _ => return None,
    })
}

fn type_of_value(given: Argument) -> &'static str {
    match given {
        Argument::U32(_) => "u32",
        Argument::I32(_) => "i32",
        Argument::U64(_) => "u64",
        Argument::F32(_) => "f32",
        Argument::Input(_) | Argument::Output(_) => "a tensor",
    }
}

/// Whether the device can run the kernel over so much, in such groups.
fn check_work(hardware: &Hardware, kernel: &Kernel, work: &Work) -> Result<(), String> {
    let failed = |error| format!("the driver does not tell about its groups: {error}");
    let context = &hardware.context;
    let required = kernel.group_required(context).map_err(failed)?;
    if let Some(required) = required {
        let asked = work.local.as_ref().map(|local| {
            let mut local = local.clone();
            local.resize(3, 1);
            local
        });
        return match asked {
            Some(asked) if asked == required => Ok(()),
            _ => Err(format!("its entry requires groups of {required:?} work items: make that `local`")),
        };
    }
    let Some(local) = &work.local else {
        return Ok(());
    };
    let most = kernel.group_max(context).map_err(failed)?;
    let items = local.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    if items.is_none_or(|items| items > most) {
        return Err(format!(
            "groups of {local:?} work items (`local`) are too large: the device runs this kernel in groups of at \
             most {most}"
        ));
    }
    let most = &hardware.found.group_max;
    match (0..local.len()).find(|&dim| local[dim] > most.get(dim).copied().unwrap_or(1)) {
        Some(dim) => Err(format!(
            "groups of {local:?} work items (`local`) are too long in dimension {dim}: the device's limits are {most:?}"
        )),
        None => Ok(()),
    }
}

impl Program for OpenClProgram {
    fn inputs(&self) -> &[TensorInfo] {
        &self.model.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.model.outputs
    }

    fn engine(&self) -> Option<String> {
        Some(format!("OpenCL on {}", self.prepared.hardware.found))
    }

    fn model_bytes(&self) -> u64 {
        self.model.model_bytes
    }

    fn open_lane(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        if options.double_buffer {
            return Err(DeviceError::Unsupported {
                device: self.prepared.hardware.name.clone(),
                why: "its queues overlap transfers and kernels by themselves; leave double buffering off"
                    .to_owned(),
            });
        }
        let pool = Pool::default();
        let queue = OpenClQueue::new(&self.prepared, options.lane, pool.clone())?;
        let memory = self.memory(pool);
        Ok(Lane::queued(move |completions| queue.open(completions), memory))
    }

    fn remarks(&self) -> Vec<String> {
        let uncertainty = self.prepared.hardware.clock().uncertainty();
        vec![format!(
            "device times are OpenCL's own, put on the host's clock with an error of at most {uncertainty:?} at first"
        )]
    }
}

#[cfg(test)]
mod tests;
