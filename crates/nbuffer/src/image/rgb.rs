//! Images in memory.

use super::error::ImageError;

/// An image with 8 bits of red, green and blue for each pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    /// Three for each pixel, row by row from the top left.
    bytes: Vec<u8>,
}

impl RgbImage {
    /// An image of the given pixels: red, green, blue of the first, then of the one right of it, row by row.
    ///
    /// # Errors
    ///
    /// When `bytes` is not three for each pixel.
    pub fn new(width: u32, height: u32, bytes: Vec<u8>) -> Result<Self, ImageError> {
        if bytes.len() as u128 != 3 * u128::from(width) * u128::from(height) {
            return Err(ImageError::PixelBytes { width, height, found_bytes: bytes.len() });
        }
        Ok(RgbImage { width, height, bytes })
    }

    /// An image of one colour.
    ///
    /// # Panics
    ///
    /// When the pixels do not fit into the address space.
    pub fn from_pixel(width: u32, height: u32, pixel: [u8; 3]) -> Self {
        let n_pixels = usize::try_from(u64::from(width) * u64::from(height));
        let n_pixels = n_pixels.expect("an image has no more pixels than the address space has bytes");
        RgbImage { width, height, bytes: pixel.repeat(n_pixels) }
    }

    /// An image to be painted; its sides are within the limits of this module.
    pub(super) fn black(width: u32, height: u32) -> Self {
        RgbImage { width, height, bytes: vec![0; 3 * width as usize * height as usize] }
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels in a column.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Red, green and blue of each pixel, row by row from the top left.
    pub fn pixels(&self) -> &[[u8; 3]] {
        self.bytes.as_chunks().0
    }

    /// [`pixels`](Self::pixels), one byte after the other.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// [`as_bytes`](Self::as_bytes), to be written.
    pub(super) fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
