//! Tensors as accelerators of this kind take them: int8, padded, quantised, NHWC.

mod info;

pub use info::{DType, TensorError, TensorInfo};
