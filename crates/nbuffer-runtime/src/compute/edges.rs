//! The edges of a graph beside the tensors of a manifest.

use std::fmt;

use nbuffer_core::tensor::{DType, TensorError, TensorInfo};

use crate::engine::{Graph, GraphTensor};
use crate::model::{FieldProblem, Model, TENSOR_BYTES_MAX};

/// Why a loaded graph does not fit its model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The model is a vendor's code, which no engine can compute.
    #[error(
        "model `{model}` is compiled for its vendor's device, and only the vendor's runtime can compute it (`--device metis`); to run it elsewhere, name an ONNX graph in the `nbuffer` section of its model.json"
    )]
    Compiled {
        /// Name of the model.
        model: String,
    },
    /// Graph and manifest have different numbers of tensors.
    #[error(
        "model `{model}`: the graph has {graph} {side}s, the manifest has {manifest}: give a graph and a manifest of the same model"
    )]
    Count {
        /// Name of the model.
        model: String,
        /// `input` or `output`.
        side: &'static str,
        /// How many the graph has.
        graph: usize,
        /// How many the manifest has.
        manifest: usize,
    },
    /// Graph and manifest describe a tensor differently.
    #[error(
        "model `{model}`, {side} {idx} `{tensor}`: the graph has {graph_dtype} {graph_shape}, the manifest has {manifest_dtype} {manifest_shape:?}: give a graph and a manifest of the same model"
    )]
    Disagree {
        /// Name of the model.
        model: String,
        /// `input` or `output`.
        side: &'static str,
        /// Which one, from 0.
        idx: usize,
        /// The graph's name for it.
        tensor: String,
        /// Element type in the graph.
        graph_dtype: DType,
        /// Shape in the graph; `?` is a dimension it leaves open.
        graph_shape: String,
        /// Element type in the manifest.
        manifest_dtype: DType,
        /// Padded shape in the manifest.
        manifest_shape: Vec<usize>,
    },
    /// A graph without a manifest leaves open how large a tensor is.
    #[error(
        "model `{model}`, {side} {idx} `{tensor}`: the graph leaves dimension {dim} of {graph_shape} open: export it with fixed dimensions; only the first may stay open"
    )]
    OpenDimension {
        /// Name of the model.
        model: String,
        /// `input` or `output`.
        side: &'static str,
        /// Which one, from 0.
        idx: usize,
        /// The graph's name for it.
        tensor: String,
        /// The open dimension, from 0.
        dim: usize,
        /// Shape in the graph; `?` is a dimension it leaves open.
        graph_shape: String,
    },
    /// The graph has no input or no output.
    #[error("model `{model}`: the graph has no {side}: export it with at least one")]
    NoTensors {
        /// Name of the model.
        model: String,
        /// `input` or `output`.
        side: &'static str,
    },
    /// A tensor larger than any real one.
    #[error(
        "model `{model}`, {side} {idx} `{tensor}`: shape {shape:?} takes {size_bytes} B, more than the {TENSOR_BYTES_MAX} B a tensor may have: export the graph with a smaller one"
    )]
    TensorTooLarge {
        /// Name of the model.
        model: String,
        /// `input` or `output`.
        side: &'static str,
        /// Which one, from 0.
        idx: usize,
        /// The graph's name for it.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// Bytes it takes.
        size_bytes: usize,
    },
    /// A built-in kernel cannot compute these outputs from these inputs.
    #[error("model `{model}`: {problem}")]
    BuiltIn {
        /// Name of the model.
        model: String,
        /// What does not fit.
        problem: FieldProblem,
    },
    /// A kernel of the model's own without a form for the CPU.
    #[error(
        "model `{model}`: its program has no `cpu` form to take values from; use a device it has code for"
    )]
    NoCpuForm {
        /// Name of the model.
        model: String,
    },
    /// A kernel of the model's own that was put together by hand and does not fit.
    #[error("model `{model}`, `{field}` of its program: {problem}")]
    Program {
        /// Name of the model.
        model: String,
        /// The part of the program; empty for the whole.
        field: String,
        /// What does not fit.
        problem: FieldProblem,
    },
    /// A tensor of the graph is not one nbuffer can hold.
    #[error("model `{model}`, {side} {idx}: {source}; export the graph with a smaller one")]
    Tensor {
        /// Name of the model.
        model: String,
        /// `input` or `output`.
        side: &'static str,
        /// Which one, from 0.
        idx: usize,
        /// What is wrong.
        source: TensorError,
    },
}

/// Inputs and outputs of one call.
type Edges = (Vec<TensorInfo>, Vec<TensorInfo>);

/// The tensors of the manifest under the names of the graph, which must have the same types and shapes.
pub(super) fn agreed(model: &Model, graph: &dyn Graph) -> Result<Edges, GraphError> {
    let side = |side: &'static str, edges: &[GraphTensor], tensors: &[TensorInfo]| {
        if edges.len() != tensors.len() {
            let (graph, manifest) = (edges.len(), tensors.len());
            return Err(GraphError::Count { model: model.name.clone(), side, graph, manifest });
        }
        edges
            .iter()
            .zip(tensors)
            .enumerate()
            .map(|(idx, (edge, tensor))| {
                // The batch alone may stay open. With type and dimensions equal, byte sizes are too.
                let dims_agree = edge.dims.len() == tensor.shape().len()
                    && edge
                        .dims
                        .iter()
                        .zip(tensor.shape())
                        .enumerate()
                        .all(|(dim, (&len, &expected))| len.map_or(dim == 0, |len| len == expected));
                if !dims_agree || edge.dtype != tensor.dtype() {
                    return Err(GraphError::Disagree {
                        model: model.name.clone(),
                        side,
                        idx,
                        tensor: edge.name.clone(),
                        graph_dtype: edge.dtype,
                        graph_shape: Dims(&edge.dims).to_string(),
                        manifest_dtype: tensor.dtype(),
                        manifest_shape: tensor.shape().to_vec(),
                    });
                }
                renamed(tensor, &edge.name).map_err(|source| GraphError::Tensor {
                    model: model.name.clone(),
                    side,
                    idx,
                    source,
                })
            })
            .collect()
    };
    Ok((side("input", graph.inputs(), &model.inputs)?, side("output", graph.outputs(), &model.outputs)?))
}

fn renamed(tensor: &TensorInfo, name: &str) -> Result<TensorInfo, TensorError> {
    TensorInfo::new(
        name,
        tensor.shape(),
        tensor.padding(),
        tensor.scale(),
        tensor.zero_point(),
        tensor.dtype(),
    )
}

/// The tensors as the graph alone describes them, unpadded and with scale 1.
pub(super) fn derived(model: &Model, graph: &dyn Graph) -> Result<Edges, GraphError> {
    let first_dim = graph.inputs().first().and_then(|input| input.dims.first().copied().flatten());
    let batch = first_dim.unwrap_or(model.batch);
    let side = |side: &'static str, edges: &[GraphTensor]| {
        if edges.is_empty() {
            return Err(GraphError::NoTensors { model: model.name.clone(), side });
        }
        edges
            .iter()
            .enumerate()
            .map(|(idx, edge)| {
                let lens = edge.dims.iter().enumerate().map(|(dim, &len)| {
                    len.or((dim == 0).then_some(batch)).ok_or_else(|| GraphError::OpenDimension {
                        model: model.name.clone(),
                        side,
                        idx,
                        tensor: edge.name.clone(),
                        dim,
                        graph_shape: Dims(&edge.dims).to_string(),
                    })
                });
                let shape: Vec<usize> = lens.collect::<Result<_, _>>()?;
                let tensor = TensorInfo::new(edge.name.as_str(), shape, [], 1.0, 0, edge.dtype);
                let tensor = tensor.map_err(|source| GraphError::Tensor {
                    model: model.name.clone(),
                    side,
                    idx,
                    source,
                })?;
                if tensor.size() > TENSOR_BYTES_MAX {
                    return Err(GraphError::TensorTooLarge {
                        model: model.name.clone(),
                        side,
                        idx,
                        tensor: edge.name.clone(),
                        shape: tensor.shape().to_vec(),
                        size_bytes: tensor.size(),
                    });
                }
                Ok(tensor)
            })
            .collect()
    };
    Ok((side("input", graph.inputs())?, side("output", graph.outputs())?))
}

/// Dimensions as a message shows them, `?` for an open one.
struct Dims<'a>(&'a [Option<usize>]);

impl fmt::Display for Dims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (dim, len) in self.0.iter().enumerate() {
            let comma = if dim == 0 { "" } else { ", " };
            match len {
                Some(len) => write!(f, "{comma}{len}")?,
                None => write!(f, "{comma}?")?,
            }
        }
        f.write_str("]")
    }
}
