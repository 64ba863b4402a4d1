//! How fast tensors are converted, beside a memcpy of the same reals and beside the formula as written.
//!
//! ```text
//! cargo bench -p nbuffer-core --bench quantize
//! ```
//!
//! Every result is compared with the formula before anything is timed. The cases take turns in short rounds,
//! so that a slow moment of the machine falls on all of them, and each case is compared with the memcpy of its
//! own round. Under `cargo test` the same program runs two rounds and its times mean nothing.

use std::hint::black_box;
use std::time::{Duration, Instant};

use nbuffer_bench::{CpuTimes, machine, quantile, verdict};
use nbuffer_core::tensor::{self, DType, ImageQuantizer, TensorInfo};

const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

fn main() {
    let measuring = std::env::args().any(|arg| arg == "--bench");
    let rounds = |n| if measuring { n } else { 2 };
    println!("machine: {}; one thread, instruction set chosen at run time", machine());
    println!(
        "GB/s counts 4 bytes an element, the float side, in every row; 10-90 % is the spread over rounds"
    );
    let before = CpuTimes::now();
    let (resnet, large) = ([(0, 0), (3, 3), (3, 13), (0, 1)], [(0, 0), (3, 3), (3, 7), (0, 1)]);
    bench_input("input, in cache", [224, 224], resnet, rounds(401));
    bench_input("input, out of cache", [1024, 1366], large, rounds(31));
    bench_output("output, in cache", [40, 40, 80], 48, rounds(401));
    println!("\n{}", verdict(before));
}

/// One row of the table, and what it times.
struct Case<'a> {
    name: &'static str,
    run: Box<dyn FnMut() + 'a>,
}

/// From an image of floats or bytes to an int8 tensor, and the plain way back.
fn bench_input(title: &str, [height, width]: [usize; 2], padding: [(usize, usize); 4], n_rounds: usize) {
    let padded = [1, height + padding[1].0 + padding[1].1, width + padding[2].0 + padding[2].1, 4];
    let dense = TensorInfo::new("dense", [1, height, width, 3], [], 0.018_658_448, -14, DType::I8).unwrap();
    let info =
        TensorInfo::new("input", padded, padding, dense.scale(), dense.zero_point(), DType::I8).unwrap();
    let image = ImageQuantizer::new(&info, &MEAN, &STD).unwrap();
    let n = dense.elements();
    println!("\n{title}: {height}x{width}x3 = {n} elements, padded to {padded:?}; {n_rounds} rounds");

    let pixels: Vec<u8> = (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let unit: Vec<f32> = pixels.iter().map(|&x| f32::from(x) / 255.0).collect();
    let reals: Vec<f32> = unit.iter().enumerate().map(|(i, x)| (x - MEAN[i % 3]) / STD[i % 3]).collect();
    let mut integers = vec![0; n];
    formula(&dense, &reals, &mut integers);
    let mut in_padded = vec![0; info.elements()];
    tensor::pad(&info, &integers, &mut in_padded).unwrap();
    let back = real_values(&dense, &integers);

    let (reals, integers) = (&reals[..], &integers[..]);
    let mut cases = [
        case("memcpy of the reals", reals, reals, |reals, copy| copy.copy_from_slice(reals)),
        case("formula as written", reals, integers, |reals, out| formula(&dense, reals, out)),
        case("quantize", reals, integers, |reals, out| tensor::quantize(&dense, reals, out).unwrap()),
        case("quantize_pad", reals, &in_padded, |reals, out| {
            tensor::quantize_pad(&info, reals, out).unwrap()
        }),
        case("image from u8", &pixels, &in_padded, |pixels, out| image.write_u8(pixels, out).unwrap()),
        case("image from f32", &unit, &in_padded, |pixels, out| image.write_f32(pixels, out).unwrap()),
        case("dequantize", integers, &back, |q, out| tensor::dequantize(&dense, q, out).unwrap()),
    ];
    print_table(&mut cases, n * size_of::<f32>(), n_rounds);
}

/// From the int8 output of a detector, with padded channels, to floats.
fn bench_output(title: &str, [height, width, channels]: [usize; 3], pad: usize, n_rounds: usize) {
    let shape = [1, height, width, channels + pad];
    let padding = [(0, 0), (0, 0), (0, 0), (0, pad)];
    let info = TensorInfo::new("output", shape, padding, 0.093, 146, DType::I8).unwrap();
    let n = info.unpadded_elements();
    println!("\n{title}: {height}x{width}x{channels} = {n} elements, padded to {shape:?}; {n_rounds} rounds");

    let integers: Vec<i8> = (0..n).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as i8).collect();
    let mut padded = vec![0; info.elements()];
    tensor::pad(&info, &integers, &mut padded).unwrap();
    let reals = real_values(&info, &integers);
    let pixels = height * width;
    let planes: Vec<f32> = (0..n).map(|i| reals[i % pixels * channels + i / pixels]).collect();

    let mut cases = [
        case("memcpy of the reals", &reals, &reals, |reals, copy| copy.copy_from_slice(reals)),
        case("depad_dequantize", &padded, &reals, |q, out| tensor::depad_dequantize(&info, q, out).unwrap()),
        case("depad_dequantize_nchw", &padded, &planes, |q, out| {
            tensor::depad_dequantize_nchw(&info, q, out).unwrap();
        }),
    ];
    print_table(&mut cases, n * size_of::<f32>(), n_rounds);
}

/// The quantisation formula as one writes it down.
fn formula(info: &TensorInfo, reals: &[f32], integers: &mut [i8]) {
    let (scale, zero_point) = (info.scale() as f32, info.zero_point() as f32);
    for (integer, &x) in integers.iter_mut().zip(reals) {
        *integer = (x / scale + zero_point).round_ties_even().clamp(-128.0, 127.0) as i8;
    }
}

fn real_values(info: &TensorInfo, integers: &[i8]) -> Vec<f32> {
    let (scale, zero_point) = (info.scale() as f32, info.zero_point() as f32);
    integers.iter().map(|&q| (f32::from(q) - zero_point) * scale).collect()
}

/// A case that converts `input` into a buffer of its own, once its result has been found to be `expected`.
fn case<'a, T, U: Clone + Default + PartialEq + 'a>(
    name: &'static str,
    input: &'a [T],
    expected: &[U],
    convert: impl Fn(&[T], &mut [U]) + 'a,
) -> Case<'a> {
    let mut output = vec![U::default(); expected.len()];
    convert(input, &mut output);
    assert!(output == expected, "the result of {name} differs from the formula");
    Case { name, run: Box::new(move || convert(black_box(input), black_box(&mut output))) }
}

fn print_table(cases: &mut [Case<'_>], bytes: usize, n_rounds: usize) {
    let repeats: Vec<usize> = cases.iter_mut().map(|case| repeats_for(&mut case.run)).collect();
    let mut seconds = vec![Vec::with_capacity(n_rounds); cases.len()];
    for _ in 0..n_rounds {
        for ((case, &repeats), seconds) in cases.iter_mut().zip(&repeats).zip(&mut seconds) {
            (case.run)(); // brings its buffers back into the cache
            let start = Instant::now();
            (0..repeats).for_each(|_| (case.run)());
            seconds.push(start.elapsed().as_secs_f64() / repeats as f64);
        }
    }
    println!("{:<24} {:>10} {:>21} {:>8} {:>11}", "", "median us", "10-90 %", "GB/s", "of memcpy");
    for (case, own) in cases.iter().zip(&seconds) {
        let ratios = seconds[0].iter().zip(own).map(|(memcpy, own)| memcpy / own).collect::<Vec<f64>>();
        let [low, median, high] = [0.1, 0.5, 0.9].map(|q| quantile(own, q) * 1e6);
        let spread = format!("{low:.1}-{high:.1}");
        let gigabytes = bytes as f64 / median / 1e3;
        let ratio = quantile(&ratios, 0.5);
        println!("{:<24} {median:>10.1} {spread:>21} {gigabytes:>8.1} {ratio:>11.2}", case.name);
    }
}

/// How many runs make a round of about a fifth of a millisecond, well within one time slice.
fn repeats_for(run: &mut dyn FnMut()) -> usize {
    let start = Instant::now();
    run();
    let once = start.elapsed().max(Duration::from_nanos(100));
    Duration::from_micros(200).div_duration_f64(once).ceil() as usize
}
