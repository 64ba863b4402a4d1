//! From image files to input tensors.
//!
//! An image is decoded to RGB with 8 bits a channel, stretched to the size the input takes, normalised, and
//! written where the input's buffer wants it: quantised and padded for an int8 input, as plain numbers for a
//! float one.
//!
//! - **Files** are PNG or JPEG, told apart by their content. Samples of 16 bits are divided by 257 and rounded.
//!   Transparency is dropped, not blended; colour profiles and gamma are not applied. The orientation that a
//!   camera notes in EXIF is ignored: pixels are taken as they are stored.
//! - **Resizing** is bilinear between the two nearest pixels of each axis, centre to centre, without the
//!   averaging that `antialias` means in other libraries. That is what OpenCV's `INTER_LINEAR` computes, up to
//!   its rounding, and what the vendor's examples feed such models with. An image that has the right size is
//!   left as it is.
//!   [`center_crop`](ImagePreprocess::center_crop) scales the shorter side and takes the middle instead.
//! - **One-channel** inputs take the luma of ITU-R BT.601, `0.299 R + 0.587 G + 0.114 B`, as Pillow's `L` and
//!   OpenCV's grey do.
//!
//! ```
//! use nbuffer::image::{ImagePreprocess, RgbImage};
//! use nbuffer_core::tensor::TensorInfo;
//!
//! let input = TensorInfo::float32("image", [1, 3, 2, 2])?;
//! let preprocess = ImagePreprocess::new(&input, [0.0; 3], [1.0; 3])?;
//!
//! let red = RgbImage::from_pixel(640, 480, [255, 0, 0]);
//! let mut slot = vec![0; preprocess.item_bytes()];
//! preprocess.fill(&preprocess.resize(red), &mut slot)?;
//! let reals: Vec<f32> = slot.chunks_exact(4).map(|real| f32::from_ne_bytes(real.try_into().unwrap())).collect();
//! assert_eq!(reals, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decode;
mod error;
mod jpeg;
mod png;
mod rgb;

use std::borrow::Cow;
use std::path::Path;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use nbuffer_core::tensor::{DType, ImageQuantizer, TensorInfo};

pub use decode::{DECODED_BYTES_MAX, FILE_BYTES_MAX, SIDE_MAX};
pub use error::ImageError;
pub use rgb::RgbImage;

/// How images become one input of a model. Made once, used by any number of threads.
#[derive(Clone, Debug)]
pub struct ImagePreprocess {
    width: u32,
    height: u32,
    item_bytes: usize,
    /// Images are scaled until their shorter side is so long and cut to the middle, instead of stretched.
    shorter_side: Option<u32>,
    writer: Writer,
}

/// What turns pixels of the right size into the bytes of one item.
#[derive(Clone, Debug)]
enum Writer {
    Int8 { quantizer: ImageQuantizer, channels: usize },
    Float32(FloatWriter),
}

/// Writes normalised float pixels.
#[derive(Clone, Debug)]
struct FloatWriter {
    /// What each of the 256 values of a byte becomes, per channel of the input.
    tables: Vec<[f32; 256]>,
    order: Order,
}

/// Where the channels of a pixel go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Side by side (NHWC).
    Interleaved,
    /// One plane after the other (NCHW).
    Planar,
}

impl ImagePreprocess {
    /// Images for `input`, whose pixels `x`, on the scale 0 to 1, become `(x - mean) / std` per channel (red,
    /// green, blue; an input of one channel takes the first mean and std).
    ///
    /// An int8 input is NHWC. The layout of a float32 input is read off its shape: NCHW if its second
    /// dimension is 1 or 3, else NHWC if its last one is.
    ///
    /// # Errors
    ///
    /// When `input` is not of a type and shape that images can fill, or `mean` and `std` are not usable.
    pub fn new(input: &TensorInfo, mean: [f32; 3], std: [f32; 3]) -> Result<Self, ImageError> {
        let unsupported = |why| ImageError::Input {
            input: input.name().to_owned(),
            dtype: input.dtype(),
            shape: input.unpadded_shape(),
            why,
        };
        let unpadded = input.unpadded_shape();
        let (order, height, width, channels) = match (input.dtype(), &unpadded[..]) {
            (DType::F32, &[_, channels @ (1 | 3), height, width]) => (Order::Planar, height, width, channels),
            (DType::F32 | DType::I8, &[_, height, width, channels @ (1 | 3)]) => {
                (Order::Interleaved, height, width, channels)
            }
            (DType::F32, _) => {
                let why = "images need N, C, H, W with 1 or 3 channels second, or N, H, W, C with them last";
                return Err(unsupported(why));
            }
            (DType::I8, _) => return Err(unsupported("images need N, H, W, C with 1 or 3 channels last")),
            _ => return Err(unsupported("images become int8 or float32")),
        };
        let side = |len: usize| u32::try_from(len).ok().filter(|len| (1..=SIDE_MAX).contains(len));
        let (Some(height), Some(width)) = (side(height), side(width)) else {
            return Err(unsupported("its height and width are not between 1 and 16384"));
        };
        let Some(entry) = input.batch_entry() else {
            return Err(unsupported("its batch is padded"));
        };
        let (mean, std) = (&mean[..channels], &std[..channels]);
        let writer = match input.dtype() {
            DType::I8 => Writer::Int8 { quantizer: ImageQuantizer::new(&entry, mean, std)?, channels },
            _ if input.padding().iter().any(|&padding| padding != (0, 0)) => {
                return Err(unsupported("a float32 input cannot be padded"));
            }
            _ => Writer::Float32(FloatWriter::new(order, mean, std)?),
        };
        Ok(ImagePreprocess { width, height, item_bytes: entry.size(), shorter_side: None, writer })
    }

    /// The same for images whose shorter side is scaled to so many pixels, and of which the middle is taken, in place of
    /// stretching them: shapes stay what they are. Scaling and cutting is one step, so that the cut may begin between
    /// two pixels of the image.
    ///
    /// # Errors
    ///
    /// When the middle, of the size the input takes, does not fit into such an image.
    pub fn center_crop(self, shorter_side: u32) -> Result<Self, ImageError> {
        let (width, height) = (self.width, self.height);
        if shorter_side > SIDE_MAX || shorter_side < width.max(height) {
            return Err(ImageError::Crop { shorter_side, width, height });
        }
        Ok(ImagePreprocess { shorter_side: Some(shorter_side), ..self })
    }

    /// Height and width of the images that [`fill`](Self::fill) takes.
    pub fn size(&self) -> (u32, u32) {
        (self.height, self.width)
    }

    /// Bytes of one item in the input's buffer.
    pub fn item_bytes(&self) -> usize {
        self.item_bytes
    }

    /// Reads an image file and resizes it to what the input takes.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not a whole PNG or JPEG image, or is larger than the limits of this
    /// module. The message names the file.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<RgbImage, ImageError> {
        Ok(self.resize(decode::load(path.as_ref())?))
    }

    /// Decodes the bytes of an image file and resizes it to what the input takes. Errors call it `name`.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn decode(&self, name: &str, bytes: &[u8]) -> Result<RgbImage, ImageError> {
        Ok(self.resize(decode::decode(name, bytes)?))
    }

    /// Stretches an image to what the input takes, or cuts its [middle](Self::center_crop) out, if it is of another size.
    /// Nothing becomes black.
    pub fn resize(&self, image: RgbImage) -> RgbImage {
        if self.has_input_size(&image)
            && self.shorter_side.is_none_or(|side| side == image.width().min(image.height()))
        {
            return image;
        }
        let mut resized = RgbImage::black(self.width, self.height);
        if image.pixels().is_empty() {
            return resized;
        }
        let mut options =
            ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear)).use_alpha(false);
        if let Some(shorter_side) = self.shorter_side {
            let [width, height] = [image.width(), image.height()].map(f64::from);
            let pixels = width.min(height) / f64::from(shorter_side);
            let [cut_width, cut_height] = [self.width, self.height].map(|side| f64::from(side) * pixels);
            options =
                options.crop((width - cut_width) / 2.0, (height - cut_height) / 2.0, cut_width, cut_height);
        }
        let source = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.as_bytes());
        let target = TypedImage::<U8x3>::from_buffer(self.width, self.height, resized.as_bytes_mut());
        let (source, mut target) = (
            source.expect("an RGB image holds three bytes a pixel"),
            target.expect("an RGB image holds three bytes a pixel"),
        );
        Resizer::new()
            .resize_typed(&source, &mut target, &options)
            .expect("the middle lies within the image, and nothing else could be refused");
        resized
    }

    /// Writes one image into `slot`, the part of the input's buffer that belongs to one item of the batch.
    ///
    /// # Errors
    ///
    /// When the image is not of the size the input takes, or `slot` not of [`item_bytes`](Self::item_bytes).
    pub fn fill(&self, image: &RgbImage, slot: &mut [u8]) -> Result<(), ImageError> {
        if !self.has_input_size(image) {
            return Err(ImageError::Size {
                width: image.width(),
                height: image.height(),
                expected_width: self.width,
                expected_height: self.height,
            });
        }
        if slot.len() != self.item_bytes {
            return Err(ImageError::Slot { slot_bytes: slot.len(), item_bytes: self.item_bytes });
        }
        match &self.writer {
            Writer::Int8 { quantizer, channels } => {
                let pixels = pixels(image, *channels);
                quantizer.write_u8(&pixels, bytemuck::cast_slice_mut(slot))?;
            }
            Writer::Float32(writer) => writer.write(image, slot),
        }
        Ok(())
    }

    fn has_input_size(&self, image: &RgbImage) -> bool {
        (image.width(), image.height()) == (self.width, self.height)
    }
}

impl FloatWriter {
    fn new(order: Order, mean: &[f32], std: &[f32]) -> Result<Self, ImageError> {
        let mut tables = Vec::with_capacity(mean.len());
        for (channel, (&mean, &std)) in mean.iter().zip(std).enumerate() {
            if !mean.is_finite() || !std.is_normal() || std < 0.0 {
                return Err(ImageError::Normalization { channel, mean, std });
            }
            tables.push(std::array::from_fn(|x| (x as f32 / 255.0 - mean) / std));
        }
        Ok(FloatWriter { tables, order })
    }

    /// `slot` has four bytes for each channel of each pixel.
    fn write(&self, image: &RgbImage, slot: &mut [u8]) {
        let channels = self.tables.len();
        let pixels = pixels(image, channels);
        let (reals, _) = slot.as_chunks_mut::<4>();
        match self.order {
            Order::Interleaved => {
                let pixels = pixels.chunks_exact(channels);
                for (reals, pixel) in reals.chunks_exact_mut(channels).zip(pixels) {
                    for ((real, &x), table) in reals.iter_mut().zip(pixel).zip(&self.tables) {
                        *real = table[usize::from(x)].to_ne_bytes();
                    }
                }
            }
            Order::Planar => {
                let planes = reals.chunks_exact_mut(pixels.len() / channels);
                for (channel, (plane, table)) in planes.zip(&self.tables).enumerate() {
                    let plane_pixels = pixels[channel..].iter().step_by(channels);
                    for (real, &x) in plane.iter_mut().zip(plane_pixels) {
                        *real = table[usize::from(x)].to_ne_bytes();
                    }
                }
            }
        }
    }
}

/// The pixels as an input of 3 or 1 channels takes them.
fn pixels(image: &RgbImage, channels: usize) -> Cow<'_, [u8]> {
    match channels {
        1 => image.pixels().iter().copied().map(luma).collect(),
        _ => Cow::Borrowed(image.as_bytes()),
    }
}

/// Luma in 16-bit fixed point; the weights sum to 65536, so grey stays what it is.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    ((sum + (1 << 15)) >> 16) as u8
}
