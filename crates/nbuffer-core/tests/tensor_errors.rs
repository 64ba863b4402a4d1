//! Descriptions and conversions that are refused, each with the message a user sees.

use nbuffer_core::tensor::{self, DType, ImageQuantizer, TensorInfo};

fn new(
    shape: &[usize],
    padding: &[(usize, usize)],
    scale: f64,
    dtype: DType,
) -> Result<TensorInfo, tensor::TensorError> {
    TensorInfo::new("scores", shape, padding, scale, 0, dtype)
}

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, impl std::error::Error>, message: &str) {
    assert_eq!(result.unwrap_err().to_string(), message);
}

#[test]
fn more_than_eight_dimensions() {
    assert!(new(&[1; 8], &[], 1.0, DType::I8).is_ok());
    let message = "tensor `scores`: shape has 9 dimensions, at most 8 are supported";
    check(new(&[1; 9], &[], 1.0, DType::I8), message);
}

#[test]
fn a_shape_that_cannot_be_addressed() {
    let half = isize::MAX as usize / 2;
    assert_eq!(new(&[half, 2], &[], 1.0, DType::I8).unwrap().size(), isize::MAX as usize - 1);
    check(
        new(&[half, 2, 2], &[], 1.0, DType::I8),
        &format!("tensor `scores`: shape [{half}, 2, 2] of int8 needs more bytes than can be addressed"),
    );
    check(
        new(&[half, 2], &[], 1.0, DType::F32),
        &format!("tensor `scores`: shape [{half}, 2] of float32 needs more bytes than can be addressed"),
    );
    // A dimension of zero does not hide the others, whose strides would overflow.
    check(
        new(&[half, 4, 0], &[], 1.0, DType::U8),
        &format!("tensor `scores`: shape [{half}, 4, 0] of uint8 needs more bytes than can be addressed"),
    );
}

#[test]
fn padding_for_another_number_of_dimensions() {
    let message = "tensor `scores`: padding has 1 pairs for 2 dimensions";
    check(new(&[4, 4], &[(0, 0)], 1.0, DType::I8), message);
}

#[test]
fn padding_longer_than_its_dimension() {
    let info = new(&[4, 4], &[(0, 0), (2, 2)], 1.0, DType::I8).unwrap();
    assert_eq!(info.unpadded_shape(), [4, 0]);
    let message = "tensor `scores`: padding (2, 3) of dimension 1 is longer than its padded length 4";
    check(new(&[4, 4], &[(0, 0), (2, 3)], 1.0, DType::I8), message);
    let max = usize::MAX;
    check(
        new(&[4], &[(max, max)], 1.0, DType::I8),
        &format!("tensor `scores`: padding ({max}, {max}) of dimension 0 is longer than its padded length 4"),
    );
}

#[test]
fn scales_that_are_no_scales() {
    let scales = [
        (0.0, "0"),
        (-0.0, "-0"),
        (-0.5, "-0.5"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ];
    for (scale, text) in scales {
        let message =
            format!("tensor `scores`: scale {text} is not a positive finite number that float32 can hold");
        check(new(&[4], &[], scale, DType::I8), &message);
    }
    // Finite as float64, but infinite, zero or subnormal as float32.
    for scale in [1e39, 1e-50, 1e-39] {
        assert!(
            matches!(new(&[4], &[], scale, DType::I8), Err(tensor::TensorError::Scale { .. })),
            "{scale}"
        );
    }
}

#[test]
fn a_valid_tensor_says_what_it_is() {
    let padding = [(0, 0), (3, 3), (3, 13), (0, 1)];
    let info = TensorInfo::new("input", [2, 230, 240, 4], padding, 0.0187, 146, DType::I8).unwrap();
    assert_eq!(info.name(), "input");
    assert_eq!(info.unpadded_shape(), [2, 224, 224, 3]);
    assert_eq!(info.unpadded_elements(), 2 * 150_528);
    assert_eq!((info.size(), info.elements()), (2 * 220_800, 2 * 220_800));
    assert_eq!((info.zero_point(), info.pad_value()), (146, 127));
    let entry = info.batch_entry().unwrap();
    assert_eq!((entry.shape(), entry.size()), ([1, 230, 240, 4].as_slice(), 220_800));
    assert_eq!(entry.padding(), padding);
    let float = TensorInfo::float32("logits", [2, 10]).unwrap();
    assert_eq!((float.size(), float.elements(), float.padding()), (80, 20, [(0, 0); 2].as_slice()));
}

#[test]
fn a_batch_that_has_no_entries() {
    assert_eq!(new(&[], &[], 1.0, DType::I8).unwrap().batch_entry(), None);
    assert_eq!(new(&[4, 2], &[(0, 1), (0, 0)], 1.0, DType::I8).unwrap().batch_entry(), None);
    assert_eq!(new(&[0, 2], &[], 1.0, DType::I8).unwrap().batch_entry().unwrap().size(), 2);
}

/// Two by three in a padded three by four.
fn small() -> TensorInfo {
    new(&[3, 4], &[(1, 0), (0, 1)], 0.5, DType::I8).unwrap()
}

#[test]
fn slices_of_the_wrong_length() {
    let info = small();
    let (reals, integers, padded) = ([0.0; 6], [0; 6], [0; 12]);
    let wrong = |slice, actual, needed| {
        format!("tensor `scores`: {slice} has {actual} elements, {needed} are needed")
    };

    let input = wrong("input of reals", 5, 6);
    check(tensor::quantize(&info, &reals[..5], &mut [0; 6]), &input);
    check(tensor::quantize_pad(&info, &reals[..5], &mut [0; 12]), &input);
    let output = wrong("output of unpadded integers", 7, 6);
    check(tensor::quantize(&info, &reals, &mut [0; 7]), &output);
    check(tensor::depad(&info, &padded, &mut [0; 7]), &output);
    let output = wrong("output of padded integers", 6, 12);
    check(tensor::quantize_pad(&info, &reals, &mut [0; 6]), &output);
    check(tensor::pad(&info, &integers, &mut [0; 6]), &output);
    let input = wrong("input of unpadded integers", 0, 6);
    check(tensor::pad(&info, &[], &mut [0; 12]), &input);
    check(tensor::dequantize(&info, &[], &mut [0.0; 6]), &input);
    let input = wrong("input of padded integers", 11, 12);
    check(tensor::depad(&info, &padded[..11], &mut [0; 6]), &input);
    check(tensor::depad_dequantize(&info, &padded[..11], &mut [0.0; 6]), &input);
    let output = wrong("output of reals", 1, 6);
    check(tensor::dequantize(&info, &integers, &mut [0.0]), &output);
    check(tensor::depad_dequantize(&info, &padded, &mut [0.0]), &output);
}

#[test]
fn slices_of_the_wrong_length_for_four_dimensions() {
    let info = new(&[1, 2, 2, 4], &[(0, 0), (0, 0), (0, 0), (0, 1)], 0.5, DType::I8).unwrap();
    let message = "tensor `scores`: input of padded integers has 12 elements, 16 are needed";
    check(tensor::depad_dequantize_nchw(&info, &[0; 12], &mut [0.0; 12]), message);
    let message = "tensor `scores`: output of reals has 16 elements, 12 are needed";
    check(tensor::depad_dequantize_nchw(&info, &[0; 16], &mut [0.0; 16]), message);

    let image = ImageQuantizer::new(&info, &[0.0; 3], &[1.0; 3]).unwrap();
    let message = "tensor `scores`: input of pixel channels has 16 elements, 12 are needed";
    check(image.write_u8(&[0; 16], &mut [0; 16]), message);
    check(image.write_f32(&[0.0; 16], &mut [0; 16]), message);
    let message = "tensor `scores`: output of padded integers has 12 elements, 16 are needed";
    check(image.write_u8(&[0; 12], &mut [0; 12]), message);
    check(image.write_f32(&[0.0; 12], &mut [0; 12]), message);
}

#[test]
fn nothing_is_written_when_a_slice_is_wrong() {
    let mut padded = [55; 11];
    assert!(tensor::quantize_pad(&small(), &[1.0; 6], &mut padded).is_err());
    assert_eq!(padded, [55; 11]);
}

#[test]
fn tensors_that_are_not_int8() {
    let info = new(&[6], &[], 1.0, DType::F32).unwrap();
    let message = "tensor `scores`: elements are float32, only int8 tensors are quantised and padded";
    check(tensor::quantize(&info, &[0.0; 6], &mut [0; 6]), message);
    check(tensor::pad(&info, &[0; 6], &mut [0; 6]), message);
    check(tensor::quantize_pad(&info, &[0.0; 6], &mut [0; 6]), message);
    check(tensor::depad(&info, &[0; 6], &mut [0; 6]), message);
    check(tensor::dequantize(&info, &[0; 6], &mut [0.0; 6]), message);
    check(tensor::depad_dequantize(&info, &[0; 6], &mut [0.0; 6]), message);
    check(tensor::depad_dequantize_nchw(&info, &[0; 6], &mut [0.0; 6]), message);
    check(ImageQuantizer::new(&info, &[], &[]), message);
}

#[test]
fn a_transpose_of_other_than_four_dimensions() {
    let message = "tensor `scores`: shape [3, 4] is not NHWC, which has 4 dimensions";
    check(tensor::depad_dequantize_nchw(&small(), &[0; 12], &mut [0.0; 6]), message);
}

#[test]
fn normalisation_that_does_not_fit() {
    let info = small();
    check(
        ImageQuantizer::new(&info, &[0.0; 4], &[1.0; 3]),
        "tensor `scores`: mean has 4 channels and std has 3, the unpadded tensor has 3",
    );
    check(
        ImageQuantizer::new(&info, &[0.0, f32::NAN, 0.0], &[1.0; 3]),
        "tensor `scores`: mean NaN of channel 1 is not a finite number",
    );
    for (std, text) in [(0.0, "0"), (-1.0, "-1"), (f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        check(
            ImageQuantizer::new(&info, &[0.0; 3], &[1.0, 1.0, std]),
            &format!("tensor `scores`: std {text} of channel 2 is not a positive finite number"),
        );
    }
}
