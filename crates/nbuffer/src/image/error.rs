//! Why an image does not become an input.

use std::{error, io};

use nbuffer_core::tensor::{ConversionError, DType};

use super::decode::{DECODED_BYTES_MAX, SIDE_MAX};

/// Why an image does not become an input. Messages about a file name it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file cannot be read.
    #[error("image `{file}` cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory, pipe or device where a file is expected.
    #[error("image `{file}` is not a regular file")]
    NotARegularFile {
        /// The path.
        file: String,
    },
    /// The file is larger than any image that could be decoded.
    #[error("image `{file}` has {size_bytes} B, at most {limit_bytes} B are read")]
    FileTooLarge {
        /// The file.
        file: String,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// A middle that would be larger than the image it is cut out of.
    #[error(
        "images scaled to a shorter side of {shorter_side} pixels have no middle of {width} x {height}: scale to at least {}, at most {SIDE_MAX}",
        width.max(height)
    )]
    Crop {
        /// The shorter side asked for.
        shorter_side: u32,
        /// Width of the input.
        width: u32,
        /// Height of the input.
        height: u32,
    },
    /// The content is neither PNG nor JPEG, whatever the file is called.
    #[error("image `{file}` is neither PNG nor JPEG: convert it, or leave it out")]
    NotAnImage {
        /// The file.
        file: String,
    },
    /// The content ends too early.
    #[error("image `{file}` is truncated: it ends before its picture does; copy it again, whole")]
    Truncated {
        /// The file.
        file: String,
    },
    /// The image would take more memory than it may.
    #[error(
        "image `{file}` is too large: at most {SIDE_MAX} x {SIDE_MAX} pixels and {DECODED_BYTES_MAX} B decoded are taken; scale it down"
    )]
    TooLarge {
        /// The file.
        file: String,
    },
    /// The content is damaged, or of a kind the decoder does not know.
    #[error("image `{file}` cannot be decoded: {}", source.to_string().trim_end())]
    Decode {
        /// The file.
        file: String,
        /// What the decoder said.
        source: Box<dyn error::Error + Send + Sync>,
    },
    /// A JPEG of neither one, three nor four components, or which says that they mean something else.
    #[error(
        "image `{file}` has {n_components} colour components of a kind that is not decoded: convert it to RGB or grey"
    )]
    Colours {
        /// The file.
        file: String,
        /// How many it has.
        n_components: u8,
    },
    /// Bytes that are not the pixels of an image of that size.
    #[error("{width} x {height} pixels take three bytes each, {found_bytes} B are given")]
    PixelBytes {
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
        /// The bytes given.
        found_bytes: usize,
    },
    /// The model's input cannot be filled from an image.
    #[error("input `{input}` ({dtype} {shape:?}) takes no images: {why}")]
    Input {
        /// The input.
        input: String,
        /// Its element type.
        dtype: DType,
        /// Its shape without padding.
        shape: Vec<usize>,
        /// What an input for images looks like.
        why: &'static str,
    },
    /// Mean or standard deviation cannot be computed with.
    #[error(
        "mean {mean} and std {std} of channel {channel} do not normalise: give a finite mean and a positive std"
    )]
    Normalization {
        /// The channel, from 0.
        channel: usize,
        /// Its mean.
        mean: f32,
        /// Its standard deviation.
        std: f32,
    },
    /// An image of another size than the input takes.
    #[error(
        "the image has {width} x {height} pixels, the input takes {expected_width} x {expected_height}: resize it first"
    )]
    Size {
        /// Width of the image.
        width: u32,
        /// Height of the image.
        height: u32,
        /// Width the input takes.
        expected_width: u32,
        /// Height the input takes.
        expected_height: u32,
    },
    /// The slot is not one item of the input.
    #[error("the slot has {slot_bytes} B, one item of the input has {item_bytes} B")]
    Slot {
        /// Bytes of the slot.
        slot_bytes: usize,
        /// Bytes of an item.
        item_bytes: usize,
    },
    /// The pixels cannot be quantised for this input.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
}
