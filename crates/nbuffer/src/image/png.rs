//! PNG to RGB: every colour type and depth, interlaced or not.

use std::error::Error;
use std::io::{Cursor, ErrorKind};

use png::{BitDepth, ColorType, Decoder, DecodingError, Info, InterlaceInfo, Limits, Transformations};

use super::decode::{DECODED_BYTES_MAX, check_size};
use super::error::ImageError;
use super::rgb::RgbImage;

/// What a PNG begins with.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Writes a row of samples, as the decoder gives them, into as many RGB pixels.
type RowToRgb = fn(&[u8], &mut [[u8; 3]]);

/// Decodes a PNG, called `file` in errors.
pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let file_name = || file.to_owned();
    let failed = |error| match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            ImageError::Truncated { file: file_name() }
        }
        DecodingError::LimitsExceeded => ImageError::TooLarge { file: file_name() },
        error => ImageError::Decode { file: file_name(), source: error.into() },
    };
    // What the decoder keeps beside the picture has the limit to itself.
    let limits = Limits { bytes: usize::try_from(DECODED_BYTES_MAX).unwrap_or(usize::MAX) };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Neither reaches a pixel, and a profile unpacks to more than it takes in the file.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Looks palettes up, and makes samples of fewer than 8 bits into bytes over the whole range.
    decoder.set_transformations(Transformations::EXPAND);
    let (width, height) = decoder.read_header_info().map_err(failed)?.size();
    check_size(file, width, height)?;

    let mut reader = decoder.read_info().map_err(failed)?;
    check_palette(reader.info()).map_err(|source| ImageError::Decode { file: file_name(), source })?;
    let (color_type, bit_depth) = reader.output_color_type();
    let Some(row_to_rgb) = row_to_rgb(color_type, bit_depth) else {
        let source = format!("{color_type:?} samples of {} bits", bit_depth as u8).into();
        return Err(ImageError::Decode { file: file_name(), source });
    };
    let mut image = RgbImage::black(width, height);
    let stride_bytes = 3 * width as usize;
    let bytes_per_pixel = color_type.samples() * (bit_depth as usize / 8);
    // The pixels of one row of an interlacing pass, which lie apart in the image.
    let mut pass_row = vec![[0; 3]; width as usize];
    let mut next_row_at = 0;
    // Until there is no row, since only then the checksum of the last data is looked at.
    while let Some(row) = reader.next_interlaced_row().map_err(failed)? {
        match row.interlace() {
            InterlaceInfo::Null(_) => {
                let line = &mut image.as_bytes_mut()[next_row_at..][..stride_bytes];
                row_to_rgb(row.data(), line.as_chunks_mut().0);
                next_row_at += stride_bytes;
            }
            InterlaceInfo::Adam7(pass) => {
                let pixels = &mut pass_row[..row.data().len() / bytes_per_pixel];
                row_to_rgb(row.data(), pixels);
                let bits_per_pixel = 24;
                let pixels = pixels.as_flattened();
                png::expand_interlaced_row(image.as_bytes_mut(), stride_bytes, pixels, pass, bits_per_pixel);
            }
        }
    }
    Ok(image)
}

/// Refuses a palette that ends within a colour, on which png 0.18.1 panics (image-rs/image-png#694).
fn check_palette(info: &Info<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
    match &info.palette {
        Some(palette) if info.color_type == ColorType::Indexed && palette.len() % 3 != 0 => {
            Err(format!("its palette has {} B, which are not three for each colour", palette.len()).into())
        }
        _ => Ok(()),
    }
}

/// How rows of such samples become RGB: grey in all three channels, alpha dropped.
fn row_to_rgb(color_type: ColorType, bit_depth: BitDepth) -> Option<RowToRgb> {
    use BitDepth::{Eight, Sixteen};
    Some(match (color_type, bit_depth) {
        (ColorType::Grayscale, Eight) => |row, rgb| write_row(row, rgb, |[grey]| [grey; 3]),
        (ColorType::GrayscaleAlpha, Eight) => |row, rgb| write_row(row, rgb, |[grey, _]| [grey; 3]),
        (ColorType::Rgb, Eight) => |row, rgb| rgb.as_flattened_mut().copy_from_slice(row),
        (ColorType::Rgba, Eight) => |row, rgb| write_row(row, rgb, |[r, g, b, _]| [r, g, b]),
        (ColorType::Grayscale, Sixteen) => {
            |row, rgb| write_row(row, rgb, |[high, low]| [to_byte(high, low); 3])
        }
        (ColorType::GrayscaleAlpha, Sixteen) => {
            |row, rgb| write_row(row, rgb, |[high, low, _, _]| [to_byte(high, low); 3])
        }
        (ColorType::Rgb, Sixteen) => {
            |row, rgb| write_row(row, rgb, |[rh, rl, gh, gl, bh, bl]| deep_to_rgb([rh, rl, gh, gl, bh, bl]))
        }
        (ColorType::Rgba, Sixteen) => |row, rgb| {
            write_row(row, rgb, |[rh, rl, gh, gl, bh, bl, _, _]| deep_to_rgb([rh, rl, gh, gl, bh, bl]))
        },
        // The decoder expands these.
        (ColorType::Indexed, _) | (_, BitDepth::One | BitDepth::Two | BitDepth::Four) => return None,
    })
}

/// Writes the pixels of a row, `N` bytes each.
fn write_row<const N: usize>(row: &[u8], rgb: &mut [[u8; 3]], to_rgb: impl Fn([u8; N]) -> [u8; 3]) {
    for (rgb, &pixel) in rgb.iter_mut().zip(row.as_chunks().0) {
        *rgb = to_rgb(pixel);
    }
}

/// Three samples of 16 bits, high byte first.
fn deep_to_rgb([rh, rl, gh, gl, bh, bl]: [u8; 6]) -> [u8; 3] {
    [to_byte(rh, rl), to_byte(gh, gl), to_byte(bh, bl)]
}

/// A sample of 16 bits on the scale of 8: divided by 257 and rounded, so that 65535 becomes 255.
fn to_byte(high: u8, low: u8) -> u8 {
    ((u32::from(u16::from_be_bytes([high, low])) + 128) / 257) as u8
}
