//! A model as the vendor's compiler leaves it, and what computes its values here.
//!
//! | `"stand_in"` in `model.json` | outputs |
//! |---|---|
//! | `identity` | the inputs, byte for byte |
//! | `checksum` | a hash of the inputs |
//! | `NAME.onnx`, a file beside it | those of the graph, whose edges are the int8 tensors |
//! | `NAME`, a directory beside it | those of the model in it, over the real numbers that the int8 stand for |

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use nbuffer_core::tensor::{self, DType, TensorInfo};
use nbuffer_runtime::model::Kernel;
use nbuffer_runtime::{HostBuffer, Model};

use crate::world::{Failed, RUNTIME_ERROR, VALUE_ERROR};

/// A loaded model.
pub(crate) struct Compiled {
    pub(crate) inputs: Vec<TensorInfo>,
    pub(crate) outputs: Vec<TensorInfo>,
    /// What the simulated device runs: over the same tensors, or over the real numbers in them.
    pub(crate) simulated: Arc<Model>,
    is_over_reals: bool,
}

impl Compiled {
    /// Reads the model whose `model.json` is at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, Failed> {
        let failed = |error: &dyn std::fmt::Display| (VALUE_ERROR, error.to_string());
        let mut model = Model::open(path).map_err(|error| failed(&error))?;
        let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
        let json: serde_json::Value = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        let (inputs, outputs) = (model.inputs.clone(), model.outputs.clone());
        model.kernel = match json["stand_in"].as_str() {
            Some("identity") => Kernel::Identity,
            Some("checksum") => Kernel::Checksum,
            Some(file) if file.ends_with(".onnx") => Kernel::Onnx(path.with_file_name(file)),
            Some(directory) => {
                let reals = Model::open(path.with_file_name(directory)).map_err(|error| failed(&error))?;
                check_reals(&reals, &inputs, &outputs)?;
                return Ok(Compiled { inputs, outputs, simulated: Arc::new(reals), is_over_reals: true });
            }
            None => return Err((VALUE_ERROR, "model.json does not say `stand_in`".to_owned())),
        };
        Ok(Compiled { inputs, outputs, simulated: Arc::new(model), is_over_reals: false })
    }

    /// What stands in input `idx` goes into a buffer of the simulated device.
    pub(crate) fn take_in(&self, idx: usize, bytes: &[u8], to: &mut HostBuffer) -> Result<(), Failed> {
        if !self.is_over_reals {
            to.bytes_mut().copy_from_slice(bytes);
            return Ok(());
        }
        let (tensor, integers) = (&self.inputs[idx], bytemuck::cast_slice(bytes));
        let taken = tensor::depad_dequantize(tensor, integers, to.as_mut_slice());
        taken.map_err(|error| (RUNTIME_ERROR, error.to_string()))
    }

    /// A result of the simulated device as output `idx` holds it.
    pub(crate) fn give_out<'a>(&self, idx: usize, from: &'a HostBuffer) -> Result<Cow<'a, [u8]>, Failed> {
        if !self.is_over_reals {
            return Ok(Cow::Borrowed(from.bytes()));
        }
        let tensor = &self.outputs[idx];
        let mut bytes = vec![0; tensor.size()];
        let integers = bytemuck::cast_slice_mut(&mut bytes);
        let given = tensor::quantize_pad(tensor, from.as_slice(), integers);
        given.map(|()| Cow::Owned(bytes)).map_err(|error| (RUNTIME_ERROR, error.to_string()))
    }
}

/// Whether `reals` has a float32 for each element of these int8 tensors but their padding.
fn check_reals(reals: &Model, inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Result<(), Failed> {
    let count = |elements: fn(&TensorInfo) -> usize, sides: [&[TensorInfo]; 2]| {
        sides.map(|side| side.iter().map(elements).collect::<Vec<usize>>())
    };
    let wanted = count(TensorInfo::unpadded_elements, [inputs, outputs]);
    let found = count(TensorInfo::elements, [&reals.inputs, &reals.outputs]);
    let is_float = |tensor: &TensorInfo| tensor.dtype() == DType::F32;
    if wanted == found && reals.inputs.iter().chain(&reals.outputs).all(is_float) {
        return Ok(());
    }
    let why = format!("`{}` has {found:?} elements, where float32 are needed: {wanted:?}", reals.name);
    Err((VALUE_ERROR, why))
}
