//! One lane's session.

use ::ort::session::{IoBinding, Session as OrtInner, SessionInputValue, SessionInputs};
use ::ort::value::{DynValue, PrimitiveTensorElementType, TensorRef};
use nbuffer_core::tensor::DType;
use nbuffer_runtime::{EngineError, HostBuffer, Session};

use super::NAME;
use super::tensor::OrtTensor;
use crate::edge::{Edge, check_shape, check_sizes};

pub(super) struct OrtSession {
    session: OrtInner,
    binding: IoBinding,
    inputs: Vec<Edge>,
    outputs: Vec<Edge>,
}

impl Session for OrtSession {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), EngineError> {
        self.compute(inputs, outputs).map_err(|why| EngineError::Run { engine: NAME, why })
    }
}

impl OrtSession {
    pub(super) fn new(session: OrtInner, inputs: Vec<Edge>, outputs: Vec<Edge>) -> ::ort::Result<Self> {
        Ok(OrtSession { binding: session.create_binding()?, session, inputs, outputs })
    }

    fn compute(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), String> {
        check_sizes("input", &self.inputs, inputs)?;
        check_sizes("output", &self.outputs, outputs)?;
        match self.bind(inputs, outputs) {
            Some(bound) => bound
                .and_then(|()| self.session.run_binding(&self.binding).map(drop))
                .map_err(|error| error.to_string()),
            None => self.compute_on_plain(inputs, outputs),
        }
    }

    /// Binds buffer sets of [`super::tensor::OrtMemory`]; `None` for others.
    fn bind(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Option<::ort::Result<()>> {
        let inputs: Option<Vec<&OrtTensor>> = inputs.iter().map(HostBuffer::foreign_ref).collect();
        let outputs: Option<Vec<&mut OrtTensor>> = outputs.iter_mut().map(HostBuffer::foreign_mut).collect();
        let (inputs, outputs) = inputs.zip(outputs)?;
        let binding = &mut self.binding;
        let bound = self
            .inputs
            .iter()
            .zip(inputs)
            .try_for_each(|(edge, tensor)| binding.bind_input(edge.name.as_str(), &tensor.value));
        Some(bound.and_then(|()| {
            self.outputs
                .iter()
                .zip(outputs)
                .try_for_each(|(edge, tensor)| binding.bind_output(edge.name.as_str(), &mut tensor.value))
        }))
    }

    /// Plain inputs are read in place; plain outputs are copied once, from ONNX Runtime's memory.
    fn compute_on_plain(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), String> {
        let views = self
            .inputs
            .iter()
            .zip(inputs)
            .map(|(edge, buffer)| view(edge, buffer))
            .collect::<::ort::Result<Vec<_>>>()
            .map_err(|error| error.to_string())?;
        let views: SessionInputs<'_, '_> = SessionInputs::ValueSlice(&views);
        let computed = self.session.run(views).map_err(|error| error.to_string())?;
        self.outputs
            .iter()
            .zip(computed.values())
            .zip(outputs)
            .try_for_each(|((edge, value), buffer)| copy_out(edge, &value, buffer))
    }
}

fn view<'a>(edge: &'a Edge, buffer: &'a HostBuffer) -> ::ort::Result<SessionInputValue<'a>> {
    let dims = edge.dims.as_slice();
    Ok(match edge.dtype {
        DType::F32 => TensorRef::from_array_view((dims, buffer.as_slice::<f32>()))?.into(),
        DType::I8 => TensorRef::from_array_view((dims, buffer.as_slice::<i8>()))?.into(),
        DType::U8 => TensorRef::from_array_view((dims, buffer.as_slice::<u8>()))?.into(),
        DType::I32 => TensorRef::from_array_view((dims, buffer.as_slice::<i32>()))?.into(),
        DType::U32 => TensorRef::from_array_view((dims, buffer.as_slice::<u32>()))?.into(),
        DType::I64 => TensorRef::from_array_view((dims, buffer.as_slice::<i64>()))?.into(),
    })
}

fn copy_out(edge: &Edge, value: &DynValue, buffer: &mut HostBuffer) -> Result<(), String> {
    match edge.dtype {
        DType::F32 => copy(edge, value, buffer.as_mut_slice::<f32>()),
        DType::I8 => copy(edge, value, buffer.as_mut_slice::<i8>()),
        DType::U8 => copy(edge, value, buffer.as_mut_slice::<u8>()),
        DType::I32 => copy(edge, value, buffer.as_mut_slice::<i32>()),
        DType::U32 => copy(edge, value, buffer.as_mut_slice::<u32>()),
        DType::I64 => copy(edge, value, buffer.as_mut_slice::<i64>()),
    }
}

fn copy<T>(edge: &Edge, value: &DynValue, to: &mut [T]) -> Result<(), String>
where
    T: PrimitiveTensorElementType + Copy,
{
    let (shape, from) = value.try_extract_tensor::<T>().map_err(|error| error.to_string())?;
    let shape: Vec<usize> = shape.iter().map(|&len| usize::try_from(len).unwrap_or(0)).collect();
    check_shape(edge, shape)?;
    to.copy_from_slice(from);
    Ok(())
}
