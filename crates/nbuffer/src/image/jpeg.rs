//! JPEG to RGB: baseline and progressive; grey, RGB, YCbCr, CMYK and YCCK.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::decode::check_size;
use super::error::ImageError;
use super::rgb::RgbImage;

/// What a JPEG begins with: its first marker, and the start of the next.
pub(super) const SIGNATURE: &[u8] = &[0xff, 0xd8, 0xff];

/// Decodes a JPEG, called `file` in errors.
///
/// Four components are taken as inverted ink, 255 for none, which is how Adobe's programs store it.
pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let failed = |error: DecodeErrors| ImageError::Decode { file: file.to_owned(), source: error.into() };
    if !reaches_end_of_image(bytes) {
        return Err(ImageError::Truncated { file: file.to_owned() });
    }
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        // The size is checked below, where the error can say which limit it breaks.
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(failed)?;
    let info = decoder.info().expect("the headers are decoded");
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    check_size(file, width, height)?;
    // For any other pair, the decoder would leave part of the picture unwritten and say nothing.
    match (decoder.input_colorspace(), info.components) {
        (Some(ColorSpace::Luma), 1)
        | (Some(ColorSpace::YCbCr | ColorSpace::RGB), 3)
        | (Some(ColorSpace::CMYK | ColorSpace::YCCK), 4) => {}
        (_, n_components) => return Err(ImageError::Colours { file: file.to_owned(), n_components }),
    }
    let mut image = RgbImage::black(width, height);
    decoder.decode_into(image.as_bytes_mut()).map_err(failed)?;
    Ok(image)
}

/// Whether a JPEG goes on to its end-of-image marker. The decoder fills what is missing with grey, and a
/// result computed from half an image would pass for a good one.
fn reaches_end_of_image(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xd9;
    // Coded data never holds a marker, so a file that ends in this one has nothing missing before it.
    if bytes.ends_with(&[0xff, END_OF_IMAGE]) {
        return true;
    }
    // Some cameras append data of their own: walk the segments.
    let mut rest = bytes;
    loop {
        let Some(marker_at) = rest.iter().position(|&byte| byte == 0xff) else { return false };
        rest = &rest[marker_at..];
        // Any number of 0xff may stand before the code of a marker.
        let Some(code_at) = rest.iter().position(|&byte| byte != 0xff) else { return false };
        let code = rest[code_at];
        rest = &rest[code_at + 1..];
        match code {
            END_OF_IMAGE => return true,
            // A 0xff of the coded data, and the markers that stand alone.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let Some(&length) = rest.first_chunk() else { return false };
                let Some(after) = rest.get(usize::from(u16::from_be_bytes(length))..) else { return false };
                rest = after;
            }
        }
    }
}
