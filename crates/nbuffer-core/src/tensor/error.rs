//! Why a conversion into or out of a tensor is refused.

use super::DType;

/// A conversion was asked for that the tensor cannot take part in. Nothing has been written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConversionError {
    /// A slice has the wrong length.
    #[error("tensor `{name}`: {slice} has {actual} elements, {expected} are needed")]
    Length {
        /// The tensor.
        name: String,
        /// Which slice: `input` or `output`, and what it holds.
        slice: &'static str,
        /// Elements given.
        actual: usize,
        /// Elements needed.
        expected: usize,
    },
    /// The formulas are those of int8 tensors.
    #[error("tensor `{name}`: elements are {dtype}, only int8 tensors are quantised and padded")]
    NotInt8 {
        /// The tensor.
        name: String,
        /// Its element type.
        dtype: DType,
    },
    /// NHWC to NCHW is defined for four dimensions.
    #[error("tensor `{name}`: shape {shape:?} is not NHWC, which has 4 dimensions")]
    NotNhwc {
        /// The tensor.
        name: String,
        /// Its padded shape.
        shape: Vec<usize>,
    },
    /// An image and a tensor have different numbers of channels.
    #[error(
        "tensor `{name}`: mean has {means} channels and std has {stds}, the unpadded tensor has {channels}"
    )]
    Channels {
        /// The tensor.
        name: String,
        /// Channels of the mean.
        means: usize,
        /// Channels of the standard deviation.
        stds: usize,
        /// Length of the tensor's last dimension without padding.
        channels: usize,
    },
    /// A mean is NaN or infinite.
    #[error("tensor `{name}`: mean {mean} of channel {channel} is not a finite number")]
    Mean {
        /// The tensor.
        name: String,
        /// The channel, from 0.
        channel: usize,
        /// The mean given.
        mean: f32,
    },
    /// A standard deviation is not positive and finite.
    #[error("tensor `{name}`: std {std} of channel {channel} is not a positive finite number")]
    Std {
        /// The tensor.
        name: String,
        /// The channel, from 0.
        channel: usize,
        /// The standard deviation given.
        std: f32,
    },
}
