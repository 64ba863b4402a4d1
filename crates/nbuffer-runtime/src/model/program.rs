//! A kernel of the model's own: code per device, the entry's arguments, and how many work items run it.

use std::path::PathBuf;

use nbuffer_core::tensor::{DType, TensorInfo};
use serde::Deserialize;

use super::error::FieldProblem;

/// The most work items along one dimension: what a launch counts in.
const WORK_ITEMS_MAX: usize = u32::MAX as usize;

/// A kernel as a model: the same function for several devices, with one argument list for all.
///
/// It has code for at least one device, every tensor of the model is an argument, and its geometry can be launched.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelProgram {
    /// What the kernel computes, as a function that is built in: the CPU and simulated devices compute with it, and
    /// generated items are checked against it.
    pub cpu: Option<CpuForm>,
    /// Code for OpenCL.
    pub opencl: Option<DeviceCode>,
    /// Code for CUDA.
    pub cuda: Option<DeviceCode>,
    /// Work items in all, along one to three dimensions. Where `local` does not divide it, a device rounds up to
    /// whole groups, and the entry passes over what is too much.
    pub global: Vec<usize>,
    /// Work items of a group (of a block, for CUDA), along as many dimensions; `None` leaves it to the device.
    pub local: Option<Vec<usize>>,
    /// Arguments of the entry, in its order.
    pub args: Vec<Argument>,
}

/// One argument of a kernel's entry.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Argument {
    /// The input tensor of this number, as a pointer to device memory.
    Input(usize),
    /// The output tensor of this number, as a pointer to device memory.
    Output(usize),
    /// A number.
    U32(u32),
    /// A number.
    I32(i32),
    /// A number.
    U64(u64),
    /// A number.
    F32(f32),
}

/// The code of a kernel for one device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceCode {
    /// Where it is.
    pub code: Code,
    /// The function to launch.
    pub entry: String,
    /// Options for the device's compiler; may be empty.
    pub options: String,
}

/// A file with code.
#[derive(Clone, Debug, PartialEq)]
pub enum Code {
    /// Text that is compiled when the model is prepared: OpenCL C, or CUDA C++ for NVRTC.
    Source(PathBuf),
    /// What a compiler made of it: a device's binary for OpenCL, PTX for CUDA.
    Binary(PathBuf),
}

/// The functions that are built in. `n` is the number of elements of each tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CpuForm {
    /// `(x, out, p: u32, n: u32)`: `out[i]` is 1, multiplied `p` times by `x[i]`. Float32 or uint32; uint32 wraps.
    Power,
    /// `(x, y, out, a: f32, n: u32)`: `out[i] = a * x[i] + y[i]`. Float32.
    Saxpy,
    /// `(x, out, n: u32)`: `out[i] = x[i]`. Any type.
    Copy,
}

impl CpuForm {
    /// The name in `model.json`.
    pub const fn name(self) -> &'static str {
        match self {
            CpuForm::Power => "power",
            CpuForm::Saxpy => "saxpy",
            CpuForm::Copy => "copy",
        }
    }

    /// The arguments, as a message shows them.
    const fn signature(self) -> &'static str {
        match self {
            CpuForm::Power => "input 0, output 0, u32 power, u32 n, with tensors of n float32 or uint32",
            CpuForm::Saxpy => "input 0, input 1, output 0, f32 a, u32 n, with tensors of n float32",
            CpuForm::Copy => "input 0, output 0, u32 n, with tensors of n elements of one type",
        }
    }

    /// Whether this function takes these arguments and tensors.
    fn takes(self, args: &[Argument], inputs: &[TensorInfo], outputs: &[TensorInfo]) -> bool {
        let is_pair = inputs.len() == 1 && outputs.len() == 1;
        let (types, n) = match (self, args) {
            (
                CpuForm::Power,
                &[Argument::Input(0), Argument::Output(0), Argument::U32(_), Argument::U32(n)],
            ) if is_pair => (&[DType::F32, DType::U32][..], n),
            (
                CpuForm::Saxpy,
                &[
                    Argument::Input(0),
                    Argument::Input(1),
                    Argument::Output(0),
                    Argument::F32(_),
                    Argument::U32(n),
                ],
            ) if inputs.len() == 2 && outputs.len() == 1 => (&[DType::F32][..], n),
            (CpuForm::Copy, &[Argument::Input(0), Argument::Output(0), Argument::U32(n)]) if is_pair => {
                (&[][..], n)
            }
            _ => return false,
        };
        let dtype = inputs[0].dtype();
        let fits = |tensor: &TensorInfo| tensor.dtype() == dtype && tensor.elements() == n as usize;
        (types.is_empty() || types.contains(&dtype)) && inputs.iter().chain(outputs).all(fits)
    }
}

impl KernelProgram {
    /// Whether the parts fit each other and the tensors of the model; the field within `nbuffer.program` where not.
    pub(crate) fn check(
        &self,
        inputs: &[TensorInfo],
        outputs: &[TensorInfo],
    ) -> Result<(), (String, FieldProblem)> {
        let at = |field: &str, problem| Err((field.to_owned(), problem));
        if self.cpu.is_none() && self.opencl.is_none() && self.cuda.is_none() {
            return at("", FieldProblem::NoCode);
        }
        for (field, code) in [("opencl.entry", &self.opencl), ("cuda.entry", &self.cuda)] {
            if let Some(DeviceCode { entry, .. }) = code
                && !is_identifier(entry)
            {
                return at(field, FieldProblem::Entry { entry: entry.clone() });
            }
        }
        for (field, sizes) in [("global", Some(&self.global)), ("local", self.local.as_ref())] {
            if let Some(sizes) = sizes
                && (!(1..=3).contains(&sizes.len())
                    || sizes.iter().any(|size| !(1..=WORK_ITEMS_MAX).contains(size)))
            {
                return at(field, FieldProblem::WorkItems { found: sizes.clone() });
            }
        }
        if let Some(local) = &self.local
            && local.len() != self.global.len()
        {
            let problem = FieldProblem::GroupRank { found: local.len(), expected: self.global.len() };
            return at("local", problem);
        }
        self.check_args(inputs.len(), outputs.len())?;
        match self.cpu {
            Some(form) if !form.takes(&self.args, inputs, outputs) => {
                at("cpu", FieldProblem::CpuForm { form: form.name(), takes: form.signature() })
            }
            _ => Ok(()),
        }
    }

    /// Every tensor is an argument, and an output only once, or two work items would write one element.
    fn check_args(&self, inputs: usize, outputs: usize) -> Result<(), (String, FieldProblem)> {
        for (i, arg) in self.args.iter().enumerate() {
            let (side, idx, there) = match *arg {
                Argument::Input(idx) => ("input", idx, inputs),
                Argument::Output(idx) => ("output", idx, outputs),
                Argument::F32(value) if !value.is_finite() => {
                    return Err((format!("args[{i}]"), FieldProblem::ArgumentRange));
                }
                _ => continue,
            };
            if idx >= there {
                return Err((format!("args[{i}]"), FieldProblem::ArgumentTensor { side, idx, there }));
            }
            if side == "output" && self.args[..i].contains(arg) {
                return Err((format!("args[{i}]"), FieldProblem::ArgumentTwice { idx }));
            }
        }
        let inputs = (0..inputs).map(|idx| ("input", idx, Argument::Input(idx)));
        let outputs = (0..outputs).map(|idx| ("output", idx, Argument::Output(idx)));
        match inputs.chain(outputs).find(|(.., arg)| !self.args.contains(arg)) {
            Some((side, idx, _)) => Err(("args".to_owned(), FieldProblem::ArgumentMissing { side, idx })),
            None => Ok(()),
        }
    }
}

/// Whether a C compiler would take this as the name of a function.
fn is_identifier(name: &str) -> bool {
    let is_letter = |c: char| c == '_' || c.is_ascii_alphabetic();
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}
