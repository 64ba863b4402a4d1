//! The built-in engine: [rten](https://github.com/robertknight/rten), pure Rust.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use ::rten::{ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueView};
use nbuffer_core::tensor::DType;
use nbuffer_runtime::{Engine, EngineError, Graph, GraphTensor, HostBuffer, Session};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use crate::edge::{Edge, check_shape, check_sizes, fix_all, unsupported_dtype};
use crate::onnx_file::read_edges;

pub(crate) const NAME: &str = "rten";
const VERSION: &str = "0.27.0";

/// The built-in engine.
///
/// Inputs are read in place; outputs are copied once, from rten's memory to the caller's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rten;

impl Engine for Rten {
    fn name(&self) -> &'static str {
        NAME
    }

    fn describe(&self) -> String {
        format!("{NAME} {VERSION}")
    }

    fn load(&self, path: &Path) -> Result<Arc<dyn Graph>, EngineError> {
        let failed = |why: String| EngineError::Load { engine: NAME, graph: path.display().to_string(), why };
        // A damaged file can hold lengths, shapes and indices that rten asserts on.
        let (model, inputs, outputs) = catch_unwind(AssertUnwindSafe(|| {
            // From the file, since rten knows fewer element types: a loaded int64 tensor is int32 to it.
            let (inputs, outputs) = read_edges(path)?;
            let mut options = ModelOptions::with_all_ops();
            let model = options.prepack_weights(true).load_file(path).map_err(|error| error.to_string())?;
            Ok((model, inputs, outputs))
        }))
        .unwrap_or_else(|_| Err("the graph is damaged (rten panicked while loading it)".to_owned()))
        .map_err(failed)?;
        let nodes = |tensors: &[GraphTensor]| {
            tensors
                .iter()
                .map(|t| {
                    model.find_node(&t.name).ok_or_else(|| failed(format!("no node makes `{}`", t.name)))
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let (input_nodes, output_nodes) = (nodes(&inputs)?, nodes(&outputs)?);
        Ok(Arc::new(RtenGraph { model: Arc::new(model), inputs, outputs, input_nodes, output_nodes }))
    }
}

struct RtenGraph {
    model: Arc<::rten::Model>,
    inputs: Vec<GraphTensor>,
    outputs: Vec<GraphTensor>,
    input_nodes: Vec<NodeId>,
    output_nodes: Vec<NodeId>,
}

impl Graph for RtenGraph {
    fn inputs(&self) -> &[GraphTensor] {
        &self.inputs
    }

    fn outputs(&self) -> &[GraphTensor] {
        &self.outputs
    }

    fn session(&self, batch: usize, threads: usize) -> Result<Box<dyn Session>, EngineError> {
        let inputs = fix_all(NAME, &self.inputs, batch)?;
        let narrowed = inputs
            .iter()
            .map(
                |edge| {
                    if edge.dtype == DType::I64 { vec![0; edge.dims.iter().product()] } else { Vec::new() }
                },
            )
            .collect();
        Ok(Box::new(RtenSession {
            model: Arc::clone(&self.model),
            inputs,
            outputs: fix_all(NAME, &self.outputs, batch)?,
            input_nodes: self.input_nodes.clone(),
            output_nodes: self.output_nodes.clone(),
            narrowed,
            threads: Arc::new(ThreadPool::with_num_threads(threads.max(1))),
        }))
    }
}

struct RtenSession {
    model: Arc<::rten::Model>,
    inputs: Vec<Edge>,
    outputs: Vec<Edge>,
    input_nodes: Vec<NodeId>,
    output_nodes: Vec<NodeId>,
    /// Per input: the values of an int64 tensor as rten holds them; empty for other types.
    narrowed: Vec<Vec<i32>>,
    threads: Arc<ThreadPool>,
}

impl Session for RtenSession {
    fn run(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), EngineError> {
        self.compute(inputs, outputs).map_err(|why| EngineError::Run { engine: NAME, why })
    }
}

impl RtenSession {
    fn compute(&mut self, inputs: &[HostBuffer], outputs: &mut [HostBuffer]) -> Result<(), String> {
        check_sizes("input", &self.inputs, inputs)?;
        check_sizes("output", &self.outputs, outputs)?;
        for ((edge, buffer), narrowed) in self.inputs.iter().zip(inputs).zip(&mut self.narrowed) {
            if edge.dtype == DType::I64 {
                narrow(edge, buffer.as_slice(), narrowed)?;
            }
        }
        let values = self
            .inputs
            .iter()
            .zip(inputs)
            .zip(&self.narrowed)
            .zip(&self.input_nodes)
            .map(|(((edge, buffer), narrowed), &node)| Ok((node, view(edge, buffer, narrowed)?)))
            .collect::<Result<Vec<_>, String>>()?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let computed =
            self.model.run(values, &self.output_nodes, Some(options)).map_err(|error| error.to_string())?;
        self.outputs
            .iter()
            .zip(&computed)
            .zip(outputs)
            .try_for_each(|((edge, value), buffer)| copy_out(edge, value, buffer))
    }
}

/// rten holds int64 tensors as int32.
fn narrow(edge: &Edge, values: &[i64], narrowed: &mut [i32]) -> Result<(), String> {
    for (&value, narrowed) in values.iter().zip(narrowed) {
        *narrowed = i32::try_from(value).map_err(|_| {
            format!("input `{}` holds {value}: rten keeps int64 values as int32; use engine `ort`", edge.name)
        })?;
    }
    Ok(())
}

fn view<'a>(edge: &Edge, buffer: &'a HostBuffer, narrowed: &'a [i32]) -> Result<ValueOrView<'a>, String> {
    let dims = edge.dims.as_slice();
    match edge.dtype {
        DType::F32 => ValueView::from_shape(dims, buffer.as_slice::<f32>()).map_err(|e| e.to_string()),
        DType::I8 => ValueView::from_shape(dims, buffer.as_slice::<i8>()).map_err(|e| e.to_string()),
        DType::U8 => ValueView::from_shape(dims, buffer.as_slice::<u8>()).map_err(|e| e.to_string()),
        DType::I32 => ValueView::from_shape(dims, buffer.as_slice::<i32>()).map_err(|e| e.to_string()),
        DType::I64 => ValueView::from_shape(dims, narrowed).map_err(|e| e.to_string()),
        DType::U32 => Err(unsupported_dtype(&edge.name, DType::U32)),
    }
    .map(ValueOrView::View)
}

fn copy_out(edge: &Edge, value: &Value, buffer: &mut HostBuffer) -> Result<(), String> {
    match (value, edge.dtype) {
        (Value::FloatTensor(from), DType::F32) => copy(edge, from, buffer.as_mut_slice::<f32>(), |x| x),
        (Value::Int8Tensor(from), DType::I8) => copy(edge, from, buffer.as_mut_slice::<i8>(), |x| x),
        (Value::UInt8Tensor(from), DType::U8) => copy(edge, from, buffer.as_mut_slice::<u8>(), |x| x),
        (Value::Int32Tensor(from), DType::I32) => copy(edge, from, buffer.as_mut_slice::<i32>(), |x| x),
        (Value::Int32Tensor(from), DType::I64) => copy(edge, from, buffer.as_mut_slice::<i64>(), i64::from),
        (value, dtype) => {
            Err(format!("output `{}` came out as {}, the graph declares {dtype}", edge.name, value.dtype()))
        }
    }
}

fn copy<T: Copy, U>(
    edge: &Edge,
    from: &Tensor<T>,
    to: &mut [U],
    convert: impl Fn(T) -> U,
) -> Result<(), String> {
    check_shape(edge, from.shape())?;
    match from.data() {
        Some(dense) => to.iter_mut().zip(dense).for_each(|(to, &from)| *to = convert(from)),
        None => to.iter_mut().zip(from.iter()).for_each(|(to, &from)| *to = convert(from)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_named_is_the_version_built() {
        let pinned = format!("[dependencies.rten]\nversion = \"={VERSION}\"");
        assert!(include_str!("../Cargo.toml").contains(&pinned), "VERSION must follow Cargo.toml");
    }
}
