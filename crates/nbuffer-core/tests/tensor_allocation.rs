//! Conversions allocate nothing.

use std::hint::black_box;

use nbuffer_core::tensor::{self, DType, ImageQuantizer, TensorInfo};

#[track_caller]
fn allocates_nothing(what: &str, convert: impl FnOnce() -> Result<(), tensor::ConversionError>) {
    let mut result = Ok(());
    let count = allocation_counter::measure(|| result = convert()).count_total;
    assert_eq!((count, result), (0, Ok(())), "{what}");
}

#[test]
fn allocations_are_counted() {
    let count = allocation_counter::measure(|| drop(black_box(Vec::<u8>::with_capacity(9)))).count_total;
    assert_eq!(count, 1);
}

#[test]
fn conversions_allocate_nothing() {
    let padded_channels = [(0, 0), (3, 3), (3, 13), (0, 1)];
    let dense_channels = [(0, 0), (1, 0), (0, 2), (0, 0)];
    let long_channels = [(0, 0), (0, 0), (0, 0), (0, 28)];
    for (shape, padding) in
        [([2, 23, 32, 4], padded_channels), ([2, 23, 32, 3], dense_channels), ([1, 4, 5, 128], long_channels)]
    {
        let info = TensorInfo::new("t", shape, padding, 0.02, -14, DType::I8).unwrap();
        let n = info.unpadded_elements();
        let channels = info.unpadded_shape()[3];
        let image = ImageQuantizer::new(&info, &vec![0.5; channels], &vec![0.2; channels]).unwrap();
        // A NaN takes the slow way through the loops too.
        let mut reals = vec![0.25; n];
        reals[n / 2] = f32::NAN;
        let (pixels, mut integers, mut padded) = (vec![7; n], vec![0; n], vec![0; info.elements()]);

        allocates_nothing("quantize", || tensor::quantize(&info, &reals, &mut integers));
        allocates_nothing("pad", || tensor::pad(&info, &integers, &mut padded));
        allocates_nothing("quantize_pad", || tensor::quantize_pad(&info, &reals, &mut padded));
        allocates_nothing("image from u8", || image.write_u8(&pixels, &mut padded));
        allocates_nothing("image from f32", || image.write_f32(&reals, &mut padded));
        allocates_nothing("depad", || tensor::depad(&info, &padded, &mut integers));
        allocates_nothing("dequantize", || tensor::dequantize(&info, &integers, &mut reals));
        allocates_nothing("depad_dequantize", || tensor::depad_dequantize(&info, &padded, &mut reals));
        allocates_nothing("nchw", || tensor::depad_dequantize_nchw(&info, &padded, &mut reals));
    }
}
