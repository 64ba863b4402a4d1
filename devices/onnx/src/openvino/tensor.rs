//! Buffer sets that OpenVINO reads and writes in place.

use ::openvino::{ElementType, InferenceError, Shape, Tensor};
use nbuffer_core::tensor::DType;
use nbuffer_runtime::{DeviceError, EngineError, HostBuffer, HostBytes, InputSet, Memory, OutputSet};

use super::{NAME, why};
use crate::edge::Edge;

/// Host memory that is a tensor to OpenVINO.
pub(super) struct OpenVinoTensor(pub(super) Tensor);

impl OpenVinoTensor {
    fn new(edge: &Edge) -> Result<Self, InferenceError> {
        let element = match edge.dtype {
            DType::F32 => ElementType::F32,
            DType::I8 => ElementType::I8,
            DType::U8 => ElementType::U8,
            DType::I32 => ElementType::I32,
            DType::U32 => ElementType::U32,
            DType::I64 => ElementType::I64,
        };
        let dims: Vec<i64> = edge.dims.iter().map(|&len| len as i64).collect();
        Ok(OpenVinoTensor(Tensor::new(element, &Shape::new(&dims)?)?))
    }
}

impl HostBytes for OpenVinoTensor {
    fn bytes(&self) -> &[u8] {
        self.0.get_raw_data().expect("a tensor with memory of its own gives it")
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.get_raw_data_mut().expect("a tensor with memory of its own gives it")
    }
}

/// Memory of a lane.
pub(super) struct OpenVinoMemory {
    pub(super) inputs: Vec<Edge>,
    pub(super) outputs: Vec<Edge>,
}

impl Memory<InputSet, OutputSet> for OpenVinoMemory {
    fn input(&mut self) -> Result<InputSet, DeviceError> {
        Ok(InputSet::new(buffers(&self.inputs)?))
    }

    fn output(&mut self) -> Result<OutputSet, DeviceError> {
        Ok(OutputSet::new(buffers(&self.outputs)?))
    }
}

fn buffers(edges: &[Edge]) -> Result<Vec<HostBuffer>, DeviceError> {
    let buffer = |edge: &Edge| {
        let tensor = OpenVinoTensor::new(edge).map_err(|error| EngineError::Run {
            engine: NAME,
            why: format!("no tensor for `{}` of shape {:?}: {}", edge.name, edge.dims, why(error)),
        })?;
        Ok(HostBuffer::foreign(tensor))
    };
    edges.iter().map(buffer).collect()
}
