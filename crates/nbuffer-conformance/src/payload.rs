//! Numbered items: what goes into the tensors, and what must come out.

use nbuffer_core::tensor::{self, DType, TensorInfo};
use nbuffer_runtime::HostBuffer;

use crate::models::{FACTOR, POWER, Work};

/// What the suite leaves in outputs it has read: a device that does not write them is found out. As float32 it is NaN.
const POISON: u32 = 0x7fc0_dead;

/// The same where an element is a byte: no result is that integer.
const POISON_I8: i8 = i8::MIN;

/// Items that are fewer apart than this differ in every element.
const PERIOD: u64 = 1 << 16;

/// The periods where an element is a byte, in turn along the elements: items fewer than 113 apart differ in every element, and
/// of any four neighbours one at least differs between items that are fewer apart than the product, some 180 million.
///
/// Without common factors, so that they tell items apart together. Odd, so that of two numbers that grow by one the sum
/// does not repeat within a period. So small that what each work makes of the numbers fits into a byte.
const PERIODS_I8: [u64; 4] = [119, 117, 115, 113];

/// What one more in a number is worth where integers stand for real numbers.
const STEP: f32 = 1.0 / 2048.0;

/// The integer that the lowest number is.
const LOWEST: i32 = -120;

/// What stands in element `element` of input `input` for item `item`: a number below `period`.
fn number(item: u64, input: usize, element: usize, period: u64) -> u32 {
    // An odd step spreads the elements; the item itself is added, so that it shows in each of them.
    ((item + element as u64 * 7919 + input as u64 * 40_503) % period) as u32
}

fn word(item: u64, input: usize, element: usize) -> u32 {
    ((item % PERIOD) as u32) << 16 | number(item, input, element, PERIOD)
}

/// From 1 on, the number to the right of the point: distinct powers stay distinct, and none overflows. Where integers
/// stand for it, the second input is [`FACTOR`] times that, so that `saxpy` weighs both alike.
fn real(dtype: DType, item: u64, input: usize, element: usize) -> f32 {
    if dtype == DType::I8 {
        let period = PERIODS_I8[element % PERIODS_I8.len()];
        return weight(input) * (1.0 + number(item, input, element, period) as f32 * STEP);
    }
    1.0 + number(item, input, element, PERIOD) as f32 / PERIOD as f32
}

fn weight(input: usize) -> f32 {
    if input == 0 { 1.0 } else { FACTOR }
}

/// Scale and zero point under which the numbers of an int8 input are integers from [`LOWEST`] on.
pub(crate) fn quantized_input(input: usize) -> (f32, i32) {
    (weight(input) * STEP, LOWEST - 2048)
}

/// Scale and zero point under which the results of `work` are distinct integers where its numbers are.
pub(crate) fn quantized_output(work: Work) -> (f32, i32) {
    match work {
        Work::Copy => quantized_input(0),
        // A product of FACTOR each, whose numbers add up.
        Work::Saxpy => (FACTOR * STEP, LOWEST - 2 * 2048),
        // One more in the number is 7 steps in the result, and 10 at the upper end: at least 1.75 of these.
        Work::Power => (4.0 * STEP, LOWEST - 512),
    }
}

/// Fills `inputs` for the `batch` items of call `call`.
pub(crate) fn fill(call: u64, batch: usize, tensors: &[TensorInfo], inputs: &mut [HostBuffer]) {
    for (input, (tensor, buffer)) in tensors.iter().zip(inputs).enumerate() {
        let elements = tensor.unpadded_elements() / batch;
        let at = |i: usize| (call * batch as u64 + (i / elements) as u64, input, i % elements);
        let real = |i| {
            let (item, input, element) = at(i);
            real(tensor.dtype(), item, input, element)
        };
        match tensor.dtype() {
            DType::F32 => {
                buffer.as_mut_slice::<f32>().iter_mut().enumerate().for_each(|(i, x)| *x = real(i));
            }
            DType::U32 => {
                let words = buffer.as_mut_slice::<u32>().iter_mut().enumerate();
                words.for_each(|(i, x)| {
                    let (item, input, element) = at(i);
                    *x = word(item, input, element);
                });
            }
            DType::I8 => {
                let reals: Vec<f32> = (0..tensor.unpadded_elements()).map(real).collect();
                tensor::quantize_pad(tensor, &reals, buffer.as_mut_slice())
                    .expect("the buffer fits its tensor");
            }
            other => panic!("the suite's models have float32, uint32 and int8, not {other}"),
        }
    }
}

/// What `work` makes of that element, bit by bit.
fn expected(work: Work, tensor: &TensorInfo, item: u64, element: usize) -> u32 {
    let dtype = tensor.dtype();
    let x = real(dtype, item, 0, element);
    let result = match work {
        Work::Copy if dtype == DType::U32 => return word(item, 0, element),
        Work::Copy => x,
        Work::Power => (1..POWER).fold(x, |power, _| power * x),
        Work::Saxpy => FACTOR * x + real(dtype, item, 1, element),
    };
    match dtype {
        DType::I8 => u32::from(integer(tensor, result) as u8),
        _ => result.to_bits(),
    }
}

/// The integer that stands for `real`.
fn integer(tensor: &TensorInfo, real: f32) -> i8 {
    let rounded = (real / tensor.scale() as f32 + tensor.zero_point() as f32).round_ties_even();
    rounded.clamp(i8::MIN.into(), i8::MAX.into()) as i8
}

/// The bits of each element but the padding, and what is left in their place is poison.
fn take(tensor: &TensorInfo, output: &mut HostBuffer) -> Result<Vec<u32>, Mismatch> {
    if output.len() != tensor.size() {
        return Err(Mismatch(format!("the output has {} B for {}", output.len(), tensor.size())));
    }
    if tensor.dtype() == DType::I8 {
        let mut integers = vec![0; tensor.unpadded_elements()];
        let padded = output.as_mut_slice::<i8>();
        tensor::depad(tensor, padded, &mut integers).expect("the buffer fits its tensor");
        padded.fill(POISON_I8);
        return Ok(integers.into_iter().map(|integer| u32::from(integer as u8)).collect());
    }
    let words = output.as_mut_slice::<u32>();
    let found = words.to_vec();
    words.fill(POISON);
    Ok(found)
}

/// Whether `outputs` hold the results of the `batch` items of call `call`; afterwards they hold none.
pub(crate) fn check(
    work: Work,
    call: u64,
    batch: usize,
    tensors: &[TensorInfo],
    outputs: &mut [HostBuffer],
) -> Result<(), Mismatch> {
    let tensor = &tensors[0];
    let found = take(tensor, &mut outputs[0])?;
    let items = call * batch as u64..;
    for (item, found) in items.zip(found.chunks(tensor.unpadded_elements() / batch)) {
        let is_of = |other: u64, element: usize| found[element] == expected(work, tensor, other, element);
        let Some(element) = (0..found.len()).find(|&element| !is_of(item, element)) else { continue };
        let poison = if tensor.dtype() == DType::I8 { u32::from(POISON_I8 as u8) } else { POISON };
        let (found_here, expected) = (found[element], expected(work, tensor, item, element));
        let what = match (0..item + 64).find(|&other| (0..found.len()).all(|element| is_of(other, element))) {
            Some(other) => format!("the result of item {other}"),
            None if found_here == poison => "nothing, the output was not written".to_owned(),
            None => format!("0x{found_here:08x} for 0x{expected:08x}"),
        };
        return Err(Mismatch(format!("{work:?}, item {item}, element {element}: has {what}")));
    }
    Ok(())
}

/// An output that is not its item's.
#[derive(Debug)]
pub(crate) struct Mismatch(pub(crate) String);

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

#[cfg(test)]
mod tests {
    use super::*;

    /// An unpadded output of `work`.
    fn output(work: Work, dtype: DType) -> TensorInfo {
        let (scale, zero_point) = if dtype == DType::I8 { quantized_output(work) } else { (1.0, 0) };
        TensorInfo::new("out", [1, 8], [], scale.into(), zero_point, dtype).unwrap()
    }

    #[test]
    fn items_near_each_other_differ_in_every_result() {
        for work in Work::ALL {
            let tensor = output(work, DType::F32);
            for (item, element) in [(0, 0), (70, 999), (65_530, 12), (10_000, 1 << 20)] {
                let result = |item| expected(work, &tensor, item, element);
                assert!(!f32::from_bits(result(item)).is_nan());
                let others = (1..PERIOD).step_by(if cfg!(miri) { 4099 } else { 7 });
                assert!(
                    others.map(|apart| result(item + apart)).all(|other| other != result(item)),
                    "{work:?}"
                );
            }
        }
    }

    #[test]
    fn a_byte_differs_between_items_fewer_apart_than_its_period_and_is_never_poison() {
        for work in Work::ALL {
            let tensor = output(work, DType::I8);
            for element in [0, 1, 2, 3, 998, 999, 1000, 1001] {
                let period = PERIODS_I8[element % 4];
                let results: Vec<u32> =
                    (0..2 * period).map(|item| expected(work, &tensor, item, element)).collect();
                for of_a_period in results.windows(period as usize) {
                    let distinct: std::collections::BTreeSet<_> = of_a_period.iter().collect();
                    assert_eq!(distinct.len() as u64, period, "{work:?}, element {element}");
                }
                assert!(!results.contains(&u32::from(POISON_I8 as u8)), "{work:?}, element {element}");
            }
        }
    }

    #[test]
    fn a_byte_tells_of_each_input() {
        // One input of another item than the other, as far apart as rings and lanes can bring them.
        let tensor = output(Work::Saxpy, DType::I8);
        for (item, element) in [(0, 0), (7, 1), (300, 2), (10_000, 3)] {
            let of = |x_item, y_item| {
                let [x, y] =
                    [(x_item, 0), (y_item, 1)].map(|(item, input)| real(DType::I8, item, input, element));
                integer(&tensor, FACTOR * x + y)
            };
            assert_eq!(u32::from(of(item, item) as u8), expected(Work::Saxpy, &tensor, item, element));
            for other in item + 1..item + 113 {
                assert!(of(other, item) != of(item, item) && of(item, other) != of(item, item));
            }
        }
    }

    #[test]
    fn integers_stand_for_the_very_numbers_of_an_input() {
        for input in [0, 1] {
            let (scale, zero_point) = quantized_input(input);
            let tensor = TensorInfo::new("x", [1, 8], [], scale.into(), zero_point, DType::I8).unwrap();
            for number in 0..PERIODS_I8[0] as i32 {
                let real = weight(input) * (1.0 + number as f32 * STEP);
                let quantized = integer(&tensor, real);
                assert_eq!(i32::from(quantized), LOWEST + number);
                assert_eq!((i32::from(quantized) - zero_point) as f32 * scale, real);
            }
        }
    }
}
