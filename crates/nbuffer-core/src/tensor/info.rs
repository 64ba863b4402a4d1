//! What a tensor is: name, shape, padding, quantisation and element type, validated once.

use std::fmt;

/// The most dimensions a tensor may have (`AXR_MAX_TENSOR_DIMS` of the vendor's C API).
pub const MAX_RANK: usize = 8;

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// Signed 8-bit integer, the type of quantised tensors.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 64-bit integer.
    I64,
    /// 32-bit IEEE float.
    F32,
}

impl DType {
    /// Size of one element in bytes.
    pub const fn size_bytes(self) -> usize {
        match self {
            DType::I8 | DType::U8 => 1,
            DType::I32 | DType::U32 | DType::F32 => 4,
            DType::I64 => 8,
        }
    }

    /// The NumPy name: `int8`, `uint8`, `int32`, `uint32`, `int64` or `float32`.
    pub const fn name(self) -> &'static str {
        match self {
            DType::I8 => "int8",
            DType::U8 => "uint8",
            DType::I32 => "int32",
            DType::U32 => "uint32",
            DType::I64 => "int64",
            DType::F32 => "float32",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a tensor description is refused. Each message names the tensor and the field.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorError {
    /// More dimensions than [`MAX_RANK`].
    #[error("tensor `{name}`: shape has {rank} dimensions, at most {MAX_RANK} are supported")]
    Rank {
        /// The tensor.
        name: String,
        /// Its number of dimensions.
        rank: usize,
    },
    /// The product of the dimensions (times the element size) does not fit.
    #[error("tensor `{name}`: shape {shape:?} of {dtype} needs more bytes than can be addressed")]
    Overflow {
        /// The tensor.
        name: String,
        /// Its padded shape.
        shape: Vec<usize>,
        /// Its element type.
        dtype: DType,
    },
    /// `padding` must have one pair per dimension.
    #[error("tensor `{name}`: padding has {pairs} pairs for {rank} dimensions")]
    PaddingRank {
        /// The tensor.
        name: String,
        /// How many `(before, after)` pairs were given.
        pairs: usize,
        /// How many dimensions the shape has.
        rank: usize,
    },
    /// A dimension is padded by more than its padded length.
    #[error(
        "tensor `{name}`: padding ({before}, {after}) of dimension {dim} is longer than its padded length {len}"
    )]
    PaddingTooLong {
        /// The tensor.
        name: String,
        /// Which dimension, from 0.
        dim: usize,
        /// Elements added before.
        before: usize,
        /// Elements added after.
        after: usize,
        /// Padded length of the dimension.
        len: usize,
    },
    /// The scale is not a positive, finite, normal `f32`.
    #[error("tensor `{name}`: scale {scale} is not a positive finite number that float32 can hold")]
    Scale {
        /// The tensor.
        name: String,
        /// The scale given.
        scale: f64,
    },
}

/// One tensor of a model: what it is called, how it lies in memory and how its integers map to reals.
///
/// The **padded** shape is what the device sees; the **unpadded** shape is the data within. An integer `q`
/// stands for the real number `(q - zero_point) * scale`.
///
/// A value of this type is valid: products do not overflow, padding fits, and the scale is usable.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    name: String,
    shape: Vec<usize>,
    padding: Vec<(usize, usize)>,
    scale: f64,
    zero_point: i32,
    dtype: DType,
    size: usize,
}

impl TensorInfo {
    /// Describes a tensor by its padded `shape` and `(before, after)` padding per dimension.
    ///
    /// `padding` may be empty, which means none. Zero points are `i32`, since values outside int8 occur in
    /// practice; only the bytes used as padding are clamped to int8.
    ///
    /// # Errors
    ///
    /// See [`TensorError`]; each variant names the tensor and the field.
    pub fn new(
        name: impl Into<String>,
        shape: impl Into<Vec<usize>>,
        padding: impl Into<Vec<(usize, usize)>>,
        scale: f64,
        zero_point: i32,
        dtype: DType,
    ) -> Result<Self, TensorError> {
        let (name, shape, mut padding) = (name.into(), shape.into(), padding.into());
        if shape.len() > MAX_RANK {
            return Err(TensorError::Rank { rank: shape.len(), name });
        }
        // Checked as if no dimension were zero, so that strides never overflow either.
        let size_nonzero = shape
            .iter()
            .try_fold(dtype.size_bytes(), |size, &dim| size.checked_mul(dim.max(1)))
            .filter(|&size| isize::try_from(size).is_ok());
        let Some(size_nonzero) = size_nonzero else {
            return Err(TensorError::Overflow { name, shape, dtype });
        };
        let size = if shape.contains(&0) { 0 } else { size_nonzero };
        if padding.is_empty() {
            padding = vec![(0, 0); shape.len()];
        }
        if padding.len() != shape.len() {
            return Err(TensorError::PaddingRank { name, pairs: padding.len(), rank: shape.len() });
        }
        for (dim, (&(before, after), &len)) in padding.iter().zip(&shape).enumerate() {
            if before.checked_add(after).is_none_or(|sum| sum > len) {
                return Err(TensorError::PaddingTooLong { name, dim, before, after, len });
            }
        }
        if !(scale as f32).is_normal() || scale < 0.0 {
            return Err(TensorError::Scale { name, scale });
        }
        Ok(TensorInfo { name, shape, padding, scale, zero_point, dtype, size })
    }

    /// An unpadded float tensor (scale 1, zero point 0).
    ///
    /// # Errors
    ///
    /// As [`TensorInfo::new`], for rank and overflow.
    pub fn float32(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Result<Self, TensorError> {
        TensorInfo::new(name, shape, [], 1.0, 0, DType::F32)
    }

    /// The tensor's name; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The padded shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The shape of the data without its padding.
    pub fn unpadded_shape(&self) -> Vec<usize> {
        self.shape.iter().zip(&self.padding).map(|(&len, &(before, after))| len - before - after).collect()
    }

    /// Elements of the tensor without its padding.
    pub fn unpadded_elements(&self) -> usize {
        self.shape.iter().zip(&self.padding).map(|(&len, &(before, after))| len - before - after).product()
    }

    /// The same tensor with a batch of one, for filling or reading a batch entry by entry: entry `i` is the
    /// `i`-th part of [`size`](TensorInfo::size) bytes of the whole.
    ///
    /// `None` when there is no first dimension to split or it is padded.
    pub fn batch_entry(&self) -> Option<TensorInfo> {
        let mut entry = self.clone();
        let batch = entry.shape.first_mut()?;
        if entry.padding[0] != (0, 0) {
            return None;
        }
        *batch = 1;
        entry.size = entry.shape.iter().product::<usize>() * entry.dtype.size_bytes();
        Some(entry)
    }

    /// `(before, after)` per dimension.
    pub fn padding(&self) -> &[(usize, usize)] {
        &self.padding
    }

    /// The real-number step between two neighbouring integers.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The integer that stands for 0.0. May lie outside int8.
    pub fn zero_point(&self) -> i32 {
        self.zero_point
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Bytes of the padded tensor.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Elements of the padded tensor.
    pub fn elements(&self) -> usize {
        self.size / self.dtype.size_bytes()
    }

    /// The byte that fills the padding of an int8 tensor: the zero point, clamped to int8.
    pub fn pad_value(&self) -> i8 {
        self.zero_point.clamp(i8::MIN.into(), i8::MAX.into()) as i8
    }
}
