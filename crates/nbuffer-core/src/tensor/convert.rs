//! Into and out of int8 tensors, from and to slices the caller owns.

use super::error::ConversionError;
use super::layout::{Fill, Layout, Level};
use super::quantization::Quantization;
use super::{DType, TensorInfo};

/// Quantises reals: `clip(round(x / scale + zero_point), -128, 127)`, ties to even.
///
/// Both slices hold the tensor without its padding. [`quantize_pad`] does this and the padding at once.
///
/// # Errors
///
/// When the tensor is not int8 or a slice has the wrong length.
pub fn quantize(info: &TensorInfo, reals: &[f32], integers: &mut [i8]) -> Result<(), ConversionError> {
    check_int8(info)?;
    check_length(info, "input of reals", reals.len(), info.unpadded_elements())?;
    check_length(info, "output of unpadded integers", integers.len(), info.unpadded_elements())?;
    Quantization::of(info).quantize(reals, integers);
    Ok(())
}

/// Puts unpadded integers into a padded tensor and fills its padding with [`TensorInfo::pad_value`].
///
/// # Errors
///
/// When the tensor is not int8 or a slice has the wrong length.
pub fn pad(info: &TensorInfo, unpadded: &[i8], padded: &mut [i8]) -> Result<(), ConversionError> {
    check_int8(info)?;
    check_length(info, "input of unpadded integers", unpadded.len(), info.unpadded_elements())?;
    check_length(info, "output of padded integers", padded.len(), info.elements())?;
    Layout::of(info).write(unpadded, padded, info.pad_value(), Copy);
    Ok(())
}

/// Quantises reals into a padded tensor: [`quantize`] and [`pad`] in one pass over memory.
///
/// # Errors
///
/// When the tensor is not int8 or a slice has the wrong length.
pub fn quantize_pad(info: &TensorInfo, reals: &[f32], padded: &mut [i8]) -> Result<(), ConversionError> {
    check_int8(info)?;
    check_length(info, "input of reals", reals.len(), info.unpadded_elements())?;
    check_length(info, "output of padded integers", padded.len(), info.elements())?;
    Layout::of(info).write(reals, padded, info.pad_value(), Quantization::of(info));
    Ok(())
}

/// Integers go into the padded tensor as they are.
struct Copy;

impl Fill<i8> for Copy {
    fn runs(&self, data: &[i8], integers: &mut [i8]) {
        integers.copy_from_slice(data);
    }

    fn pixel_rows(&self, row: Level, data: &[i8], padded: &mut [i8], pad: i8) {
        row.write_each(data, padded, pad, |data, padded| {
            for (padded, &[r, g, b]) in padded.as_chunks_mut().0.iter_mut().zip(data.as_chunks().0) {
                *padded = [r, g, b, pad];
            }
        });
    }
}

impl Fill<f32> for Quantization {
    fn runs(&self, data: &[f32], integers: &mut [i8]) {
        self.quantize(data, integers);
    }

    fn pixel_rows(&self, row: Level, data: &[f32], padded: &mut [i8], pad: i8) {
        self.quantize_pixel_rows(row, data, padded, pad);
    }
}

/// Takes the data out of a padded tensor. The padding may hold anything.
///
/// # Errors
///
/// When the tensor is not int8 or a slice has the wrong length.
pub fn depad(info: &TensorInfo, padded: &[i8], unpadded: &mut [i8]) -> Result<(), ConversionError> {
    check_int8(info)?;
    check_length(info, "input of padded integers", padded.len(), info.elements())?;
    check_length(info, "output of unpadded integers", unpadded.len(), info.unpadded_elements())?;
    Layout::of(info).read(padded, unpadded, |run, data| data.copy_from_slice(run));
    Ok(())
}

/// Turns integers back into reals: `(q - zero_point) * scale`.
///
/// Both slices hold the tensor without its padding. [`depad_dequantize`] does this from a padded tensor.
///
/// # Errors
///
/// When the tensor is not int8 or a slice has the wrong length.
pub fn dequantize(info: &TensorInfo, integers: &[i8], reals: &mut [f32]) -> Result<(), ConversionError> {
    check_int8(info)?;
    check_length(info, "input of unpadded integers", integers.len(), info.unpadded_elements())?;
    check_length(info, "output of reals", reals.len(), info.unpadded_elements())?;
    Quantization::of(info).dequantize(integers, reals);
    Ok(())
}

/// Turns a padded tensor into reals in the same order: [`depad`] and [`dequantize`] in one pass.
///
/// # Errors
///
/// When the tensor is not int8 or a slice has the wrong length.
pub fn depad_dequantize(info: &TensorInfo, padded: &[i8], reals: &mut [f32]) -> Result<(), ConversionError> {
    check_int8(info)?;
    check_length(info, "input of padded integers", padded.len(), info.elements())?;
    check_length(info, "output of reals", reals.len(), info.unpadded_elements())?;
    let quantization = Quantization::of(info);
    Layout::of(info).read(padded, reals, |run, data| quantization.dequantize(run, data));
    Ok(())
}

/// Turns a padded NHWC tensor into reals in NCHW order.
///
/// # Errors
///
/// When the tensor is not int8, has not 4 dimensions, or a slice has the wrong length.
pub fn depad_dequantize_nchw(
    info: &TensorInfo,
    padded: &[i8],
    reals: &mut [f32],
) -> Result<(), ConversionError> {
    check_int8(info)?;
    let (
        &[_, padded_height, padded_width, padded_channels],
        &[(n_before, _), (h_before, h_after), (w_before, w_after), (c_before, c_after)],
    ) = (info.shape(), info.padding())
    else {
        return Err(ConversionError::NotNhwc { name: info.name().to_owned(), shape: info.shape().to_vec() });
    };
    check_length(info, "input of padded integers", padded.len(), info.elements())?;
    check_length(info, "output of reals", reals.len(), info.unpadded_elements())?;
    if reals.is_empty() {
        return Ok(());
    }

    let height = padded_height - h_before - h_after;
    let width = padded_width - w_before - w_after;
    let channels = padded_channels - c_before - c_after;
    let quantization = Quantization::of(info);
    let row_len = padded_width * padded_channels;
    let images = padded.chunks_exact(padded_height * row_len).skip(n_before);
    for (image, planes) in images.zip(reals.chunks_exact_mut(height * width * channels)) {
        let rows = &image[h_before * row_len..][..height * row_len];
        let transpose = |row: &[i8], planes: &mut [f32], offset| {
            transpose_row(quantization, row, padded_channels, c_before, planes, height * width, offset);
        };
        if width == padded_width {
            // Rows without padding between them are one long row, and long rows transpose faster.
            transpose(rows, planes, 0);
        } else {
            for (y, row) in rows.chunks_exact(row_len).enumerate() {
                transpose(&row[w_before * padded_channels..][..width * padded_channels], planes, y * width);
            }
        }
    }
    Ok(())
}

/// Dequantises one row of pixels into planes of `plane_len` reals, at `offset` within each plane.
fn transpose_row(
    quantization: Quantization,
    row: &[i8],
    padded_channels: usize,
    first_channel: usize,
    planes: &mut [f32],
    plane_len: usize,
    offset: usize,
) {
    /// Pixels per tile: their bytes stay in the first-level cache while one channel after the other is read.
    const TILE: usize = 64;
    let mut column = [0; TILE];
    for (tile_idx, tile) in row.chunks(TILE * padded_channels).enumerate() {
        let column = &mut column[..tile.len() / padded_channels];
        for (channel, plane) in planes.chunks_exact_mut(plane_len).enumerate() {
            for (integer, pixel) in column.iter_mut().zip(tile.chunks_exact(padded_channels)) {
                *integer = pixel[first_channel + channel];
            }
            quantization.dequantize(column, &mut plane[offset + tile_idx * TILE..][..column.len()]);
        }
    }
}

pub(super) fn check_int8(info: &TensorInfo) -> Result<(), ConversionError> {
    match info.dtype() {
        DType::I8 => Ok(()),
        dtype => Err(ConversionError::NotInt8 { name: info.name().to_owned(), dtype }),
    }
}

pub(super) fn check_length(
    info: &TensorInfo,
    slice: &'static str,
    actual: usize,
    expected: usize,
) -> Result<(), ConversionError> {
    if actual == expected {
        return Ok(());
    }
    Err(ConversionError::Length { name: info.name().to_owned(), slice, actual, expected })
}
