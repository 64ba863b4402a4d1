//! Decoding PNG and JPEG, within limits and whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::ImageError;
use super::rgb::RgbImage;
use super::{jpeg, png};

/// The most bytes of an image file that are read.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// The most pixels an image may have in width or height.
pub const SIDE_MAX: u32 = 16384;

/// The most bytes an image may take decoded, at three a pixel; a small file can ask for far more than memory
/// holds.
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
    if bytes.starts_with(png::SIGNATURE) {
        png::decode(file, bytes)
    } else if bytes.starts_with(jpeg::SIGNATURE) {
        jpeg::decode(file, bytes)
    } else {
        Err(ImageError::NotAnImage { file: file.to_owned() })
    }
}

/// Refuses an image that would break a limit, before memory is taken for its pixels.
pub(super) fn check_size(file: &str, width: u32, height: u32) -> Result<(), ImageError> {
    let sides_fit = width <= SIDE_MAX && height <= SIDE_MAX;
    if sides_fit && 3 * u64::from(width) * u64::from(height) <= DECODED_BYTES_MAX {
        Ok(())
    } else {
        Err(ImageError::TooLarge { file: file.to_owned() })
    }
}
