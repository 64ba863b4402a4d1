//! Decoding PNG and JPEG, within limits and whole.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use ::image::{ImageFormat, ImageReader, Limits, RgbImage};

use super::error::ImageError;

/// The most bytes of an image file that are read.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// The most pixels an image may have in width or height.
pub const SIDE_MAX: u32 = 16384;

/// The most bytes an image may take decoded; a small file can ask for far more than memory holds.
pub const DECODED_BYTES_MAX: u64 = 512 << 20;

/// Reads and decodes an image file.
pub(super) fn load(path: &Path) -> Result<RgbImage, ImageError> {
    let file = || path.display().to_string();
    let failed = |source| ImageError::Read { file: file(), source };
    // Asked before opening, since opening a pipe waits for its other end.
    let metadata = path.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(ImageError::NotARegularFile { file: file() });
    }
    let too_large =
        |size_bytes| ImageError::FileTooLarge { file: file(), size_bytes, limit_bytes: FILE_BYTES_MAX };
    if metadata.len() > FILE_BYTES_MAX {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    let opened = File::open(path).map_err(failed)?;
    // The file may grow meanwhile.
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(too_large(bytes.len() as u64));
    }
    decode(&file(), &bytes)
}

/// Decodes the bytes of an image file, called `file` in errors.
pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<RgbImage, ImageError> {
    let file = || file.to_owned();
    let format = match ::image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        _ => return Err(ImageError::NotAnImage { file: file() }),
    };
    if format == ImageFormat::Jpeg && !reaches_end_of_image(bytes) {
        return Err(ImageError::Truncated { file: file() });
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let image = reader.decode().map_err(|source| match source {
        ::image::ImageError::Limits(_) => ImageError::TooLarge { file: file() },
        ::image::ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated { file: file() }
        }
        source => ImageError::Decode { file: file(), source },
    })?;
    Ok(image.into_rgb8())
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
