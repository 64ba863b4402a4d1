//! Tensors as accelerators of this kind take them: int8, padded, quantised, NHWC.
//!
//! A [`TensorInfo`] says what a tensor is. The functions here convert into and out of one, between slices the
//! caller owns: they allocate nothing, check every length first, and return a [`ConversionError`] that names
//! the tensor rather than panic.
//!
//! | from | to | |
//! |---|---|---|
//! | reals | integers | [`quantize`] |
//! | integers | padded integers | [`pad`] |
//! | reals | padded integers | [`quantize_pad`] |
//! | pixels | padded integers | [`ImageQuantizer`], which also normalises |
//! | padded integers | integers | [`depad`] |
//! | integers | reals | [`dequantize`] |
//! | padded integers | reals | [`depad_dequantize`] |
//! | padded integers, NHWC | reals, NCHW | [`depad_dequantize_nchw`] |
//!
//! # The formulas
//!
//! All arithmetic is `f32`: scale and zero point are converted to it first, each operation rounds once, and
//! divisions are divisions. The integers are therefore, bit for bit, those of NumPy 2 for
//!
//! ```text
//! q = np.clip(np.round(x / scale + zero_point), -128, 127).astype(np.int8)      # x is a float32 array
//! x = (q.astype(np.float32) - zero_point) * scale
//! ```
//!
//! where `np.round` rounds ties to even and `scale` and `zero_point` are Python numbers. This adds the zero
//! point before it rounds. ONNX's `QuantizeLinear` adds it after, so the two may differ by one where
//! `x / scale` is a tie and the zero point is odd, or where the sum loses bits.
//!
//! Infinities saturate to -128 and 127, as the formula says. NaN, which NumPy's conversion leaves undefined,
//! counts as 0.0 and becomes the zero point, clamped to int8.
//!
//! ```
//! use nbuffer_core::tensor::{self, DType, TensorInfo};
//!
//! // Five real numbers, in a row that the device wants eight long.
//! let info = TensorInfo::new("scores", [1, 8], [(0, 0), (0, 3)], 0.5, 3, DType::I8)?;
//! let mut padded = [0; 8];
//! tensor::quantize_pad(&info, &[-1.0, 0.25, f32::NAN, 7.0, f32::INFINITY], &mut padded)?;
//! assert_eq!(padded, [1, 4, 3, 17, 127, 3, 3, 3]);
//!
//! let mut reals = [0.0; 5];
//! tensor::depad_dequantize(&info, &padded, &mut reals)?;
//! assert_eq!(reals, [-1.0, 0.5, 0.0, 7.0, 62.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod convert;
mod error;
mod image;
mod info;
mod layout;
mod quantization;

pub use convert::{depad, depad_dequantize, depad_dequantize_nchw, dequantize, pad, quantize, quantize_pad};
pub use error::ConversionError;
pub use image::ImageQuantizer;
pub use info::{DType, MAX_RANK, TensorError, TensorInfo};
