//! The built-in form of a kernel that a model brings: the values its code must give on any device.

use nbuffer_core::tensor::DType;

use crate::buffer::HostBuffer;
use crate::engine::{EngineError, Session};
use crate::model::{Argument, CpuForm};

/// Computes a [`CpuForm`]. `Compute` has checked that arguments and tensors are those it takes.
pub(super) enum BuiltInForm {
    Power { dtype: DType, power: u32 },
    Saxpy { a: f32 },
    Copy,
}

impl BuiltInForm {
    /// The function with its arguments, over tensors of `dtype`.
    pub(super) fn new(form: CpuForm, args: &[Argument], dtype: DType) -> Self {
        match (form, args) {
            (CpuForm::Power, [.., Argument::U32(power), _]) => BuiltInForm::Power { dtype, power: *power },
            (CpuForm::Saxpy, [.., Argument::F32(a), _]) => BuiltInForm::Saxpy { a: *a },
            (CpuForm::Copy, _) => BuiltInForm::Copy,
            (form, args) => unreachable!("`{}` was checked to take {args:?}", form.name()),
        }
    }
}

impl Session for BuiltInForm {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), EngineError> {
        let output = &mut outputs[0];
        match *self {
            BuiltInForm::Power { dtype: DType::F32, power } => {
                map(inputs[0].as_slice::<f32>(), output.as_mut_slice(), |x| {
                    (0..power).fold(1.0, |product, _| product * x)
                });
            }
            BuiltInForm::Power { power, .. } => {
                map(inputs[0].as_slice::<u32>(), output.as_mut_slice(), |x| {
                    (0..power).fold(1, |product: u32, _| product.wrapping_mul(x))
                });
            }
            // Two roundings: code for a device must not fuse product and sum either.
            BuiltInForm::Saxpy { a } => {
                let (x, y) = (inputs[0].as_slice::<f32>(), inputs[1].as_slice::<f32>());
                for ((out, x), y) in output.as_mut_slice::<f32>().iter_mut().zip(x).zip(y) {
                    *out = a * x + y;
                }
            }
            BuiltInForm::Copy => output.bytes_mut().copy_from_slice(inputs[0].bytes()),
        }
        Ok(())
    }
}

fn map<T: Copy>(from: &[T], to: &mut [T], f: impl Fn(T) -> T) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = f(from));
}
