//! What holds for every tensor, against the plainest possible reading of the formulas.

use nbuffer_core::tensor::{self, DType, ImageQuantizer, TensorError, TensorInfo};
use proptest::prelude::*;

/// Longest unpadded dimension per rank, so that a padded tensor stays below some ten thousand elements.
const LEN_MAX: [usize; 9] = [0, 3000, 80, 16, 9, 4, 3, 2, 1];

fn zero_points() -> impl Strategy<Value = i32> {
    prop_oneof![4 => -128..=127, 2 => -300..=300, 1 => any::<i32>()]
}

fn scales() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 1e-3..1.0, 1 => Just(0.5), 1 => 1e-37..1e-30, 1 => 1e30..3e38]
}

fn infos_of_rank(rank: usize) -> impl Strategy<Value = TensorInfo> {
    let pad_max: usize = if rank <= 4 { 3 } else { 1 };
    let dimension = (0..=LEN_MAX[rank], prop_oneof![Just((0usize, 0usize)), (0..=pad_max, 0..=pad_max)]);
    (prop::collection::vec(dimension, rank), scales(), zero_points()).prop_map(
        |(dimensions, scale, zero_point)| {
            let shape: Vec<usize> =
                dimensions.iter().map(|(len, (before, after))| before + len + after).collect();
            let padding: Vec<_> = dimensions.into_iter().map(|(_, padding)| padding).collect();
            TensorInfo::new("t", shape, padding, scale, zero_point, DType::I8).unwrap()
        },
    )
}

fn infos() -> impl Strategy<Value = TensorInfo> {
    (1..=8usize).prop_flat_map(infos_of_rank)
}

/// A tensor that takes images: rank 4, at most 4 channels, sometimes padded like real ones.
fn image_infos() -> impl Strategy<Value = TensorInfo> {
    let pads = || (0..=3usize, 0..=3usize);
    let channels = (1..=4usize, prop_oneof![Just((0, 0)), Just((0, 1)), pads()]);
    let sizes = (0..=2usize, (0..=6usize, pads()), (0..=70usize, pads()), channels);
    (sizes, 1e-3..1.0, zero_points()).prop_map(|((batch, height, width, channels), scale, zero_point)| {
        let dimensions = [(batch, (0, 0)), height, width, channels];
        let shape = dimensions.map(|(len, (before, after))| before + len + after);
        let padding = dimensions.map(|(_, padding)| padding);
        TensorInfo::new("image", shape, padding, scale, zero_point, DType::I8).unwrap()
    })
}

/// Reals of any bits for a tensor, mostly within its range: what a fast loop treats apart stands next to what
/// it does not.
fn any_reals(info: &TensorInfo) -> impl Strategy<Value = Vec<f32>> + use<> {
    let (scale, zero_point) = (info.scale(), f64::from(info.zero_point()));
    let within = (-140f64..140.0).prop_map(move |q| ((q - zero_point) * scale) as f32);
    let real = prop_oneof![40 => within, 1 => any::<u32>().prop_map(f32::from_bits), 1 => Just(f32::NAN)];
    // A short pattern repeated is as good as a long one and much faster to make.
    let n = info.unpadded_elements();
    prop::collection::vec(real, 97).prop_map(move |pattern| pattern.into_iter().cycle().take(n).collect())
}

fn infos_with_reals() -> impl Strategy<Value = (TensorInfo, Vec<f32>)> {
    infos().prop_flat_map(|info| {
        let reals = any_reals(&info);
        (Just(info), reals)
    })
}

fn formula(info: &TensorInfo, real: f32) -> i8 {
    let (scale, zero_point) = (info.scale() as f32, info.zero_point() as f32);
    let real = if real.is_nan() { 0.0 } else { real };
    (real / scale + zero_point).round_ties_even().clamp(-128.0, 127.0) as i8
}

/// For each element of the padded tensor in order, its position in the unpadded data or `None` for padding.
fn data_positions(info: &TensorInfo) -> Vec<Option<usize>> {
    let unpadded = info.unpadded_shape();
    (0..info.elements())
        .map(|mut rest| {
            let mut position = Some(0);
            let mut stride = 1;
            for dim in (0..unpadded.len()).rev() {
                let index = rest % info.shape()[dim];
                rest /= info.shape()[dim];
                let within = index.checked_sub(info.padding()[dim].0).filter(|&i| i < unpadded[dim]);
                position = position.zip(within).map(|(position, index)| position + index * stride);
                stride *= unpadded[dim];
            }
            position
        })
        .collect()
}

proptest! {
    #[test]
    fn quantize_pad_is_the_formula_at_its_place((info, reals) in infos_with_reals()) {
        let mut padded = vec![99; info.elements()];
        tensor::quantize_pad(&info, &reals, &mut padded).unwrap();
        prop_assert_eq!(padded, padded_by_formula(&info, &reals));
    }

    #[test]
    fn fused_conversions_are_the_composition_of_their_parts((info, reals) in infos_with_reals()) {
        let n = info.unpadded_elements();
        let mut integers = vec![0; n];
        let (mut parts, mut fused) = (vec![0; info.elements()], vec![1; info.elements()]);
        tensor::quantize(&info, &reals, &mut integers).unwrap();
        tensor::pad(&info, &integers, &mut parts).unwrap();
        tensor::quantize_pad(&info, &reals, &mut fused).unwrap();
        prop_assert_eq!(&parts, &fused);

        let (mut back, mut parts, mut fused) = (vec![0; n], vec![0.0; n], vec![1.0; n]);
        tensor::depad(&info, &padded_with_noise(&info, &integers), &mut back).unwrap();
        tensor::dequantize(&info, &back, &mut parts).unwrap();
        tensor::depad_dequantize(&info, &padded_with_noise(&info, &integers), &mut fused).unwrap();
        prop_assert_eq!(bits(&parts), bits(&fused));
    }

    #[test]
    fn depad_undoes_pad_whatever_the_padding_holds((info, reals) in infos_with_reals()) {
        let n = info.unpadded_elements();
        let (mut integers, mut padded, mut back) = (vec![0; n], vec![0; info.elements()], vec![0; n]);
        tensor::quantize(&info, &reals, &mut integers).unwrap();
        tensor::pad(&info, &integers, &mut padded).unwrap();
        tensor::depad(&info, &padded, &mut back).unwrap();
        prop_assert_eq!(&back, &integers);
        tensor::depad(&info, &padded_with_noise(&info, &integers), &mut back).unwrap();
        prop_assert_eq!(&back, &integers);
    }

    #[test]
    fn a_real_within_range_comes_back_within_half_a_step(
        scale in 1e-30f64..1e30,
        zero_point in -1000..=1000,
        within in prop::collection::vec(-128f64..=127.0, 40),
    ) {
        let info = TensorInfo::new("t", [40], [], scale, zero_point, DType::I8).unwrap();
        let reals: Vec<f32> = within.iter().map(|q| ((q - f64::from(zero_point)) * scale) as f32).collect();
        let (mut integers, mut back) = ([0; 40], [0.0; 40]);
        tensor::quantize(&info, &reals, &mut integers).unwrap();
        tensor::dequantize(&info, &integers, &mut back).unwrap();
        // Besides half a step, what f32 loses on numbers as large as the zero point makes them.
        let lost = (f64::from(zero_point.abs()) + 128.0) * 4.0 * f64::from(f32::EPSILON);
        for (real, back) in reals.into_iter().zip(back) {
            let steps = (f64::from(real) - f64::from(back)).abs() / scale;
            prop_assert!(steps <= 0.5 + lost, "{} came back as {}, {} steps off", real, back, steps);
        }
    }

    #[test]
    fn nchw_is_nhwc_with_its_indices_exchanged(info in infos_of_rank(4), seed in any::<u8>()) {
        let integers: Vec<i8> = pixels(&info, seed).into_iter().map(u8::cast_signed).collect();
        let padded = padded_with_noise(&info, &integers);
        let (mut nhwc, mut nchw) = (vec![0.0; integers.len()], vec![1.0; integers.len()]);
        tensor::depad_dequantize(&info, &padded, &mut nhwc).unwrap();
        tensor::depad_dequantize_nchw(&info, &padded, &mut nchw).unwrap();
        let [batch, height, width, channels] = info.unpadded_shape().try_into().unwrap();
        for n in 0..batch {
            for y in 0..height {
                for x in 0..width {
                    for c in 0..channels {
                        let from = ((n * height + y) * width + x) * channels + c;
                        let to = ((n * channels + c) * height + y) * width + x;
                        prop_assert_eq!(nhwc[from].to_bits(), nchw[to].to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn images_are_normalised_quantised_and_padded(
        info in image_infos(),
        mean in prop::array::uniform4(-1.0f32..1.0),
        std in prop::array::uniform4(0.05f32..2.0),
        seed in any::<u8>(),
        odd in any::<u32>().prop_map(f32::from_bits),
    ) {
        let channels = info.unpadded_shape()[3];
        let (mean, std) = (&mean[..channels], &std[..channels]);
        let image = ImageQuantizer::new(&info, mean, std).unwrap();
        let pixels = pixels(&info, seed);
        let mut unit = on_unit_scale(&pixels);
        let mut padded = vec![99; info.elements()];
        image.write_u8(&pixels, &mut padded).unwrap();
        prop_assert_eq!(&padded, &padded_by_formula(&info, &normalised(&unit, mean, std)), "from bytes");

        if let Some(first) = unit.first_mut() {
            *first = odd;
        }
        image.write_f32(&unit, &mut padded).unwrap();
        prop_assert_eq!(&padded, &padded_by_formula(&info, &normalised(&unit, mean, std)), "from floats");
    }

    #[test]
    fn a_batch_is_its_entries_one_after_the_other(info in image_infos(), seed in any::<u8>()) {
        let channels = info.unpadded_shape()[3];
        let pixels = pixels(&info, seed);
        let (mut whole, mut parts) = (vec![0; info.elements()], vec![1; info.elements()]);
        let quantizer = |info| ImageQuantizer::new(info, &vec![0.5; channels], &vec![0.3; channels]).unwrap();
        quantizer(&info).write_u8(&pixels, &mut whole).unwrap();
        let entry = info.batch_entry().unwrap();
        prop_assert_eq!(entry.size() * info.shape()[0], info.size());
        if info.unpadded_elements() > 0 {
            let images = pixels.chunks_exact(entry.unpadded_elements());
            for (image, part) in images.zip(parts.chunks_exact_mut(entry.elements())) {
                quantizer(&entry).write_u8(image, part).unwrap();
            }
            prop_assert_eq!(whole, parts);
        }
    }

    #[test]
    fn no_product_of_a_shape_overflows_silently(
        shape in prop::collection::vec(prop_oneof![0..5usize, 0..=usize::MAX, Just(1 << 31)], 0..=9),
        dtype in prop::sample::select(&[DType::I8, DType::U8, DType::I32, DType::U32, DType::I64, DType::F32]),
    ) {
        let bytes = shape.iter().try_fold(dtype.size_bytes() as u128, |bytes, &len| {
            bytes.checked_mul(len.max(1) as u128)
        });
        let fits = bytes.is_some_and(|bytes| bytes <= isize::MAX as u128);
        match TensorInfo::new("t", shape.clone(), [], 1.0, 0, dtype) {
            Err(TensorError::Rank { rank, .. }) => prop_assert!(rank > 8 && rank == shape.len()),
            Err(error) => {
                prop_assert!(!fits, "{}", error);
                prop_assert_eq!(error, TensorError::Overflow { name: "t".to_owned(), shape, dtype });
            }
            Ok(info) => {
                prop_assert!(fits);
                let size = if shape.contains(&0) { 0 } else { bytes.unwrap() };
                prop_assert_eq!(info.size() as u128, size);
                prop_assert_eq!(info.elements() * dtype.size_bytes(), info.size());
                prop_assert_eq!(info.unpadded_elements(), info.elements());
            }
        }
    }
}

/// What [`tensor::quantize_pad`] must give.
fn padded_by_formula(info: &TensorInfo, reals: &[f32]) -> Vec<i8> {
    let positions = data_positions(info).into_iter();
    positions.map(|position| position.map_or(info.pad_value(), |at| formula(info, reals[at]))).collect()
}

fn pixels(info: &TensorInfo, seed: u8) -> Vec<u8> {
    (0..info.unpadded_elements()).map(|i| (i as u8).wrapping_mul(29) ^ (i >> 8) as u8 ^ seed).collect()
}

fn on_unit_scale(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|&x| f32::from(x) / 255.0).collect()
}

fn normalised(unit: &[f32], mean: &[f32], std: &[f32]) -> Vec<f32> {
    let channel = |i| i % mean.len();
    unit.iter().enumerate().map(|(i, x)| (x - mean[channel(i)]) / std[channel(i)]).collect()
}

fn bits(reals: &[f32]) -> Vec<u32> {
    reals.iter().map(|real| real.to_bits()).collect()
}

/// A padded tensor as a device may return it: its padding holds anything.
fn padded_with_noise(info: &TensorInfo, integers: &[i8]) -> Vec<i8> {
    let positions = data_positions(info).into_iter().enumerate();
    positions.map(|(i, position)| position.map_or(i as i8 ^ 0x55, |position| integers[position])).collect()
}

#[test]
fn all_256_integers_dequantise_as_the_formula_says() {
    let integers: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    for zero_point in [-200, -128, 0, 3, 146] {
        let info = TensorInfo::new("t", [256], [], 0.018_658_448, zero_point, DType::I8).unwrap();
        let (mut reals, mut back) = (vec![0.0; 256], vec![0; 256]);
        tensor::dequantize(&info, &integers, &mut reals).unwrap();
        for (&integer, &real) in integers.iter().zip(&reals) {
            assert_eq!(real, (i32::from(integer) - zero_point) as f32 * 0.018_658_448, "{integer}");
        }
        tensor::quantize(&info, &reals, &mut back).unwrap();
        assert_eq!(back, integers, "zero point {zero_point}");
    }
}

/// Images and rows longer than whatever is converted at a time, with every kind of run.
#[test]
fn long_images_are_as_right_as_short_ones() {
    let none = (0, 0);
    for (unpadded, padding) in [
        ([1, 3, 1100, 1], [none; 4]),
        ([1, 3, 1100, 3], [none; 4]),
        ([1, 3, 700, 5], [none; 4]),
        ([1, 3, 1100, 3], [none, none, none, (0, 1)]),
        ([1, 3, 1100, 3], [none, (1, 2), (3, 13), (0, 1)]),
        ([1, 3, 1100, 3], [none, none, (0, 1), (1, 0)]),
        ([1, 3, 700, 5], [none, none, (2, 0), (1, 2)]),
        ([2, 5000, 3, 1], [none, none, (0, 1), none]),
        ([1, 1, 3, 4000], [none; 4]),
        ([1, 1, 3, 4000], [none, none, (1, 1), (0, 96)]),
    ] {
        let shape: [usize; 4] = std::array::from_fn(|i| unpadded[i] + padding[i].0 + padding[i].1);
        let info = TensorInfo::new("long", shape, padding, 0.013, -14, DType::I8).unwrap();
        let channels = unpadded[3];
        let mean: Vec<f32> = (0..channels).map(|c| 0.4 + 0.01 * (c % 17) as f32).collect();
        let std: Vec<f32> = (0..channels).map(|c| 0.2 + 0.01 * (c % 13) as f32).collect();
        let pixels = pixels(&info, 3);
        let unit = on_unit_scale(&pixels);
        let reals = normalised(&unit, &mean, &std);
        let expected = padded_by_formula(&info, &reals);

        let image = ImageQuantizer::new(&info, &mean, &std).unwrap();
        let mut padded = vec![99; info.elements()];
        tensor::quantize_pad(&info, &reals, &mut padded).unwrap();
        assert!(padded == expected, "reals to {info:?}");
        padded.fill(99);
        image.write_u8(&pixels, &mut padded).unwrap();
        assert!(padded == expected, "bytes to {info:?}");
        padded.fill(99);
        image.write_f32(&unit, &mut padded).unwrap();
        assert!(padded == expected, "floats to {info:?}");

        let mut integers = vec![99; unit.len()];
        tensor::depad(&info, &padded, &mut integers).unwrap();
        assert!(reals.iter().map(|&real| formula(&info, real)).eq(integers), "depad of {info:?}");
    }
}
