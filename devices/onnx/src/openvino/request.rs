//! One inference request: tensors bound to it, started, waited for.

use ::openvino::{CompiledModel, InferRequest, InferenceErrorKind, Tensor};
use nbuffer_core::tensor::DType;
use nbuffer_runtime::HostBuffer;

use super::tensor::OpenVinoTensor;
use super::why;
use crate::edge::{Edge, check_shape, check_sizes};

/// How long one wait may take before it is made again, in milliseconds. The C API has no wait without an end.
const WAIT_MS: i64 = 1000;

/// The edges of a compiled model.
pub(super) struct Ports {
    inputs: Vec<Edge>,
    outputs: Vec<Edge>,
}

impl Ports {
    /// # Errors
    ///
    /// When the model computes an output whose shape nobody knows before.
    pub(super) fn new(
        compiled: &CompiledModel,
        inputs: Vec<Edge>,
        outputs: Vec<Edge>,
    ) -> Result<Self, String> {
        for (index, edge) in outputs.iter().enumerate() {
            let shape = compiled.get_output_by_index(index).and_then(|port| port.get_partial_shape());
            if shape.map_err(why)?.is_dynamic() {
                return Err(format!(
                    "the shape of output `{}` depends on values; export the graph with fixed dimensions",
                    edge.name
                ));
            }
        }
        Ok(Ports { inputs, outputs })
    }
}

/// A request, and the tensors it came with. They stand in for buffers of plain memory, which are copied.
pub(super) struct Request {
    infer: InferRequest,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
}

impl Request {
    pub(super) fn new(compiled: &mut CompiledModel) -> Result<Self, String> {
        let (n_inputs, n_outputs) = (compiled.get_input_size(), compiled.get_output_size());
        let infer = compiled.create_infer_request().map_err(why)?;
        let mut inputs = Vec::new();
        for index in 0..n_inputs.map_err(why)? {
            let name = compiled.get_input_by_index(index).and_then(|port| port.get_name()).map_err(why)?;
            inputs.push(infer.get_tensor(&name).map_err(why)?);
        }
        let mut outputs = Vec::new();
        for index in 0..n_outputs.map_err(why)? {
            outputs.push(infer.get_output_tensor_by_index(index).map_err(why)?);
        }
        Ok(Request { infer, inputs, outputs })
    }

    /// Computes in one go.
    pub(super) fn run(
        &mut self,
        ports: &Ports,
        inputs: &[HostBuffer],
        outputs: &mut [HostBuffer],
    ) -> Result<(), String> {
        self.bind(ports, inputs, outputs)?;
        self.infer.infer().map_err(why)?;
        self.copy_out(outputs)
    }

    /// Binds the buffers and starts computing. They must not be touched until [`Request::wait`] is done.
    pub(super) fn start(
        &mut self,
        ports: &Ports,
        inputs: &[HostBuffer],
        outputs: &[HostBuffer],
    ) -> Result<(), String> {
        self.bind(ports, inputs, outputs)?;
        self.infer.infer_async().map_err(why)
    }

    /// Waits for what was started.
    pub(super) fn wait(&mut self, outputs: &mut [HostBuffer]) -> Result<(), String> {
        loop {
            match self.infer.wait(WAIT_MS) {
                Ok(()) => return self.copy_out(outputs),
                Err(error) if error.kind == InferenceErrorKind::ResultNotReady => {}
                Err(error) => return Err(why(error)),
            }
        }
    }

    fn bind(&mut self, ports: &Ports, inputs: &[HostBuffer], outputs: &[HostBuffer]) -> Result<(), String> {
        check_sizes("input", &ports.inputs, inputs)?;
        check_sizes("output", &ports.outputs, outputs)?;
        for (index, (edge, buffer)) in ports.inputs.iter().zip(inputs).enumerate() {
            if edge.dtype == DType::I64 {
                check_range(edge, buffer.as_slice())?;
            }
            let own = &mut self.inputs[index];
            let bound = match buffer.foreign_ref::<OpenVinoTensor>() {
                Some(OpenVinoTensor(tensor)) => tensor,
                None => {
                    own.get_raw_data_mut().map_err(why)?.copy_from_slice(buffer.bytes());
                    own
                }
            };
            self.infer.set_input_tensor_by_index(index, bound).map_err(why)?;
        }
        for (index, (edge, buffer)) in ports.outputs.iter().zip(outputs).enumerate() {
            let own = &self.outputs[index];
            check_shape(edge, dims(own)?)?;
            let bound = buffer.foreign_ref().map_or(own, |OpenVinoTensor(tensor)| tensor);
            self.infer.set_output_tensor_by_index(index, bound).map_err(why)?;
        }
        Ok(())
    }

    fn copy_out(&self, outputs: &mut [HostBuffer]) -> Result<(), String> {
        for (own, buffer) in self.outputs.iter().zip(outputs) {
            if buffer.foreign_ref::<OpenVinoTensor>().is_none() {
                buffer.bytes_mut().copy_from_slice(own.get_raw_data().map_err(why)?);
            }
        }
        Ok(())
    }
}

fn dims(tensor: &Tensor) -> Result<Vec<usize>, String> {
    let shape = tensor.get_shape().map_err(why)?;
    Ok(shape.get_dimensions().iter().map(|&len| usize::try_from(len).unwrap_or(0)).collect())
}

/// OpenVINO's CPU plugin computes int64 tensors as int32.
fn check_range(edge: &Edge, values: &[i64]) -> Result<(), String> {
    match values.iter().find(|&&value| i32::try_from(value).is_err()) {
        None => Ok(()),
        Some(value) => Err(format!(
            "input `{}` holds {value}: OpenVINO computes int64 values as int32; use engine `ort`",
            edge.name
        )),
    }
}
