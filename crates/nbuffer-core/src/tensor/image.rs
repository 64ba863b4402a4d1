//! From the pixels of an image to an input tensor, in one pass.

use super::TensorInfo;
use super::convert::{check_int8, check_length};
use super::error::ConversionError;
use super::layout::{BLOCK, Fill, Layout, Level};
use super::quantization::Quantization;

/// Normalises, quantises and pads images into one tensor.
///
/// A pixel's channel `x` becomes the real number `(x - mean) / std`, with `x` on the scale 0 to 1, and that
/// is quantised like any other (see [`quantize`](super::quantize)). Pixels are interleaved, rows without
/// gaps, of the tensor's unpadded height, width and channels; a batch is one image after the other. To fill a
/// batch from images that lie apart, make the quantiser for [`TensorInfo::batch_entry`] and give it one image
/// and one part of the tensor at a time.
///
/// Made once per tensor: it allocates when it is made, never when it converts.
///
/// ```
/// use nbuffer_core::tensor::{DType, ImageQuantizer, TensorInfo};
///
/// // Two pixels of three channels; the device wants a fourth channel and a column on either side.
/// let padding = [(0, 0), (0, 0), (1, 1), (0, 1)];
/// let info = TensorInfo::new("image", [1, 1, 4, 4], padding, 1.0 / 255.0, -128, DType::I8)?;
/// let quantizer = ImageQuantizer::new(&info, &[0.0; 3], &[1.0; 3])?;
///
/// let mut padded = [0; 16];
/// quantizer.write_u8(&[0, 1, 2, 253, 254, 255], &mut padded)?;
/// #[rustfmt::skip]
/// assert_eq!(padded, [
///     -128, -128, -128, -128,
///     -128, -127, -126, -128,
///      125,  126,  127, -128,
///     -128, -128, -128, -128,
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageQuantizer {
    info: TensorInfo,
    /// What each of the 256 values of a byte becomes, per channel.
    tables: Vec<[i8; 256]>,
    /// The mean of each element of a row of whole pixels, at least a block long unless there are no channels.
    means: Vec<f32>,
    /// The standard deviation of each element of the same row.
    stds: Vec<f32>,
}

impl ImageQuantizer {
    /// Prepares for images that become `info`, with a mean and a standard deviation per channel.
    ///
    /// # Errors
    ///
    /// When the tensor is not int8, the number of channels is not that of the tensor without its padding, a
    /// mean is not finite, or a standard deviation is not positive and finite.
    pub fn new(info: &TensorInfo, mean: &[f32], std: &[f32]) -> Result<Self, ConversionError> {
        check_int8(info)?;
        let name = || info.name().to_owned();
        let channels = info.unpadded_shape().last().copied().unwrap_or(0);
        if mean.len() != channels || std.len() != channels {
            return Err(ConversionError::Channels {
                name: name(),
                means: mean.len(),
                stds: std.len(),
                channels,
            });
        }
        if let Some(channel) = mean.iter().position(|mean| !mean.is_finite()) {
            return Err(ConversionError::Mean { name: name(), channel, mean: mean[channel] });
        }
        if let Some(channel) = std.iter().position(|&std| !(std > 0.0 && std.is_finite())) {
            return Err(ConversionError::Std { name: name(), channel, std: std[channel] });
        }
        let quantization = Quantization::of(info);
        let tables = mean.iter().zip(std).map(|(&mean, &std)| table(quantization, mean, std)).collect();
        let n_pixels = BLOCK.div_ceil(channels.max(1));
        Ok(ImageQuantizer {
            info: info.clone(),
            tables,
            means: mean.repeat(n_pixels),
            stds: std.repeat(n_pixels),
        })
    }

    /// The tensor that images become.
    pub fn info(&self) -> &TensorInfo {
        &self.info
    }

    /// Converts pixels of one byte a channel, 255 being 1.0.
    ///
    /// # Errors
    ///
    /// When a slice has the wrong length.
    pub fn write_u8(&self, pixels: &[u8], padded: &mut [i8]) -> Result<(), ConversionError> {
        self.check_lengths(pixels.len(), padded.len())?;
        match self.tables.as_slice() {
            [red, green, blue] => self.write(pixels, padded, RgbTables { red, green, blue }),
            tables => self.write(pixels, padded, Tables(tables)),
        }
        Ok(())
    }

    /// Converts pixels of one float a channel, on the scale 0 to 1. Values outside it are not clipped before
    /// they are quantised, and NaN becomes what 0.0 is as a normalised value.
    ///
    /// # Errors
    ///
    /// When a slice has the wrong length.
    pub fn write_f32(&self, pixels: &[f32], padded: &mut [i8]) -> Result<(), ConversionError> {
        self.check_lengths(pixels.len(), padded.len())?;
        self.write(pixels, padded, Normalize { to: self, quantization: Quantization::of(&self.info) });
        Ok(())
    }

    fn write<T>(&self, pixels: &[T], padded: &mut [i8], fill: impl Fill<T>) {
        Layout::of(&self.info).write(pixels, padded, self.info.pad_value(), fill);
    }

    fn check_lengths(&self, pixels: usize, padded: usize) -> Result<(), ConversionError> {
        check_length(&self.info, "input of pixel channels", pixels, self.info.unpadded_elements())?;
        check_length(&self.info, "output of padded integers", padded, self.info.elements())
    }
}

/// Bytes of pixels with any number of channels.
struct Tables<'a>(&'a [[i8; 256]]);

impl Fill<u8> for Tables<'_> {
    fn runs(&self, data: &[u8], integers: &mut [i8]) {
        let channels = self.0.len();
        for (integers, pixel) in integers.chunks_exact_mut(channels).zip(data.chunks_exact(channels)) {
            for ((integer, &x), table) in integers.iter_mut().zip(pixel).zip(self.0) {
                *integer = table[usize::from(x)];
            }
        }
    }
}

/// Bytes of pixels with three channels, a number worth telling the compiler.
struct RgbTables<'a> {
    red: &'a [i8; 256],
    green: &'a [i8; 256],
    blue: &'a [i8; 256],
}

impl RgbTables<'_> {
    fn pixel(&self, [r, g, b]: [u8; 3]) -> [i8; 3] {
        [self.red[usize::from(r)], self.green[usize::from(g)], self.blue[usize::from(b)]]
    }
}

impl Fill<u8> for RgbTables<'_> {
    fn runs(&self, data: &[u8], integers: &mut [i8]) {
        for (integers, &pixel) in integers.as_chunks_mut().0.iter_mut().zip(data.as_chunks().0) {
            *integers = self.pixel(pixel);
        }
    }

    fn pixel_rows(&self, row: Level, data: &[u8], padded: &mut [i8], pad: i8) {
        row.write_each(data, padded, pad, |data, padded| {
            for (padded, &pixel) in padded.as_chunks_mut().0.iter_mut().zip(data.as_chunks().0) {
                let [r, g, b] = self.pixel(pixel);
                *padded = [r, g, b, pad];
            }
        });
    }
}

/// Floats of pixels: a block is normalised, then quantised while it is in the cache.
struct Normalize<'a> {
    to: &'a ImageQuantizer,
    quantization: Quantization,
}

impl Normalize<'_> {
    /// Calls `quantize` with the normalised reals of each block and where in `data` the block starts.
    fn for_each_block(&self, data: &[f32], mut quantize: impl FnMut(&[f32], usize)) {
        let (means, stds) = (&self.to.means, &self.to.stds);
        let mut reals = [0.0; BLOCK];
        let mut start = 0;
        for row in data.chunks(means.len()) {
            for (block, (means, stds)) in row.chunks(BLOCK).zip(means.chunks(BLOCK).zip(stds.chunks(BLOCK))) {
                let reals = &mut reals[..block.len()];
                normalize(block, means, stds, reals);
                quantize(reals, start);
                start += block.len();
            }
        }
    }
}

impl Fill<f32> for Normalize<'_> {
    fn runs(&self, data: &[f32], integers: &mut [i8]) {
        self.for_each_block(data, |reals, start| {
            self.quantization.quantize(reals, &mut integers[start..][..reals.len()]);
        });
    }

    fn pixel_rows(&self, row: Level, data: &[f32], padded: &mut [i8], pad: i8) {
        // Blocks are multiples of three long: a run of three is one channel of three columns, or a pixel.
        row.write_each(data, padded, pad, |data, padded| {
            self.for_each_block(data, |reals, start| {
                let (pixel, n_pixels) = (start / 3, reals.len() / 3);
                let padded = &mut padded[pixel * 4..][..n_pixels * 4];
                self.quantization.quantize_pixel_rows(Level::pixels(n_pixels), reals, padded, pad);
            });
        });
    }
}

#[multiversion::multiversion(targets = "simd")]
fn normalize(pixels: &[f32], means: &[f32], stds: &[f32], reals: &mut [f32]) {
    for ((real, &x), (&mean, &std)) in reals.iter_mut().zip(pixels).zip(means.iter().zip(stds)) {
        *real = (x - mean) / std;
    }
}

fn table(quantization: Quantization, mean: f32, std: f32) -> [i8; 256] {
    let reals: [f32; 256] = std::array::from_fn(|x| (x as f32 / 255.0 - mean) / std);
    let mut integers = [0; 256];
    quantization.quantize(&reals, &mut integers);
    integers
}
