//! The tensors at the edges of a graph as a session sees them: every dimension fixed.

use nbuffer_core::tensor::DType;
use nbuffer_runtime::{EngineError, GraphTensor, HostBuffer};

/// An input or output of a session.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// Name within the graph.
    pub(crate) name: String,
    /// Dimensions, none of them open.
    pub(crate) dims: Vec<usize>,
    /// Element type.
    pub(crate) dtype: DType,
    /// Bytes of a buffer that holds it.
    size: usize,
}

impl Edge {
    /// Fixes the open dimensions: `batch` where one stands first, else 1. `None` if the size overflows.
    fn fix(tensor: &GraphTensor, batch: usize) -> Option<Edge> {
        let open = |position| if position == 0 { batch } else { 1 };
        let dims: Vec<usize> =
            tensor.dims.iter().enumerate().map(|(position, dim)| dim.unwrap_or(open(position))).collect();
        let size = dims.iter().try_fold(tensor.dtype.size_bytes(), |size, &dim| size.checked_mul(dim))?;
        Some(Edge { name: tensor.name.clone(), dims, dtype: tensor.dtype, size })
    }
}

/// The edges of a session for `batch` items.
pub(crate) fn fix_all(
    engine: &'static str,
    tensors: &[GraphTensor],
    batch: usize,
) -> Result<Vec<Edge>, EngineError> {
    let too_large = |tensor: &GraphTensor| EngineError::Run {
        engine,
        why: format!(
            "tensor `{}` with dimensions {:?} at batch {batch} needs more bytes than can be addressed",
            tensor.name, tensor.dims
        ),
    };
    tensors.iter().map(|tensor| Edge::fix(tensor, batch).ok_or_else(|| too_large(tensor))).collect()
}

/// Refuses buffers that are not one for each edge and of its size, so that viewing them as elements cannot
/// panic.
pub(crate) fn check_sizes(kind: &str, edges: &[Edge], buffers: &[HostBuffer]) -> Result<(), String> {
    if edges.len() != buffers.len() {
        return Err(format!("{} {kind} buffers given, the graph has {} {kind}s", buffers.len(), edges.len()));
    }
    for (edge, buffer) in edges.iter().zip(buffers) {
        if edge.size != buffer.len() {
            return Err(format!(
                "{kind} `{}` of shape {:?} and type {} needs {} B, its buffer has {} B",
                edge.name,
                edge.dims,
                edge.dtype,
                edge.size,
                buffer.len()
            ));
        }
    }
    Ok(())
}

/// Refuses a computed output whose shape is not the one its buffer was made for.
pub(crate) fn check_shape(edge: &Edge, computed: impl AsRef<[usize]>) -> Result<(), String> {
    let computed = computed.as_ref();
    if computed == edge.dims {
        return Ok(());
    }
    Err(format!("output `{}` came out with shape {computed:?}, its buffer is for {:?}", edge.name, edge.dims))
}

/// What an unsupported element type at an edge is told.
pub(crate) fn unsupported_dtype(tensor: &str, dtype: impl std::fmt::Display) -> String {
    format!(
        "tensor `{tensor}` has element type {dtype}; inputs and outputs may be int8, uint8, int32, int64 or float32"
    )
}
