//! Buffer sets that ONNX Runtime reads and writes in place.

use ::ort::memory::Allocator;
use ::ort::value::{DynTensor, TensorElementType};
use bytemuck::{cast_slice, cast_slice_mut};
use nbuffer_core::tensor::DType;
use nbuffer_runtime::{DeviceError, EngineError, HostBuffer, HostBytes, InputSet, Memory, OutputSet};

use super::NAME;
use crate::edge::Edge;

/// Host memory that is a value to ONNX Runtime.
///
/// A view of plain memory would not do: the binding copies what it borrows, under a lock that all sessions of the
/// process share.
pub(super) struct OrtTensor {
    pub(super) value: DynTensor,
    dtype: DType,
}

impl OrtTensor {
    pub(super) fn new(dtype: DType, dims: &[usize]) -> ::ort::Result<Self> {
        let element = match dtype {
            DType::F32 => TensorElementType::Float32,
            DType::I8 => TensorElementType::Int8,
            DType::U8 => TensorElementType::Uint8,
            DType::I32 => TensorElementType::Int32,
            DType::U32 => TensorElementType::Uint32,
            DType::I64 => TensorElementType::Int64,
        };
        let value = DynTensor::new(&Allocator::default(), element, dims)?;
        let mut tensor = OrtTensor { value, dtype };
        tensor.bytes_mut().fill(0);
        Ok(tensor)
    }
}

/// A tensor of its own type, in the memory of the host, always gives its elements.
const OWN: &str = "a tensor gives its elements";

impl HostBytes for OrtTensor {
    fn bytes(&self) -> &[u8] {
        match self.dtype {
            DType::F32 => cast_slice(self.value.try_extract_tensor::<f32>().expect(OWN).1),
            DType::I8 => cast_slice(self.value.try_extract_tensor::<i8>().expect(OWN).1),
            DType::U8 => self.value.try_extract_tensor::<u8>().expect(OWN).1,
            DType::I32 => cast_slice(self.value.try_extract_tensor::<i32>().expect(OWN).1),
            DType::U32 => cast_slice(self.value.try_extract_tensor::<u32>().expect(OWN).1),
            DType::I64 => cast_slice(self.value.try_extract_tensor::<i64>().expect(OWN).1),
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self.dtype {
            DType::F32 => cast_slice_mut(self.value.try_extract_tensor_mut::<f32>().expect(OWN).1),
            DType::I8 => cast_slice_mut(self.value.try_extract_tensor_mut::<i8>().expect(OWN).1),
            DType::U8 => self.value.try_extract_tensor_mut::<u8>().expect(OWN).1,
            DType::I32 => cast_slice_mut(self.value.try_extract_tensor_mut::<i32>().expect(OWN).1),
            DType::U32 => cast_slice_mut(self.value.try_extract_tensor_mut::<u32>().expect(OWN).1),
            DType::I64 => cast_slice_mut(self.value.try_extract_tensor_mut::<i64>().expect(OWN).1),
        }
    }
}

/// Memory of a lane.
pub(super) struct OrtMemory {
    pub(super) inputs: Vec<Edge>,
    pub(super) outputs: Vec<Edge>,
}

impl Memory<InputSet, OutputSet> for OrtMemory {
    fn input(&mut self) -> Result<InputSet, DeviceError> {
        Ok(InputSet::new(buffers(&self.inputs)?))
    }

    fn output(&mut self) -> Result<OutputSet, DeviceError> {
        Ok(OutputSet::new(buffers(&self.outputs)?))
    }
}

fn buffers(edges: &[Edge]) -> Result<Vec<HostBuffer>, DeviceError> {
    let buffer = |edge: &Edge| {
        let tensor = OrtTensor::new(edge.dtype, &edge.dims).map_err(|error| EngineError::Run {
            engine: NAME,
            why: format!("no tensor for `{}` of shape {:?}: {error}", edge.name, edge.dims),
        })?;
        Ok(HostBuffer::foreign(tensor))
    };
    edges.iter().map(buffer).collect()
}
