//! Numbered items: what goes into the tensors, and what must come out.

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::HostBuffer;

use crate::models::{FACTOR, POWER, Work};

/// What the suite leaves in outputs it has read: a device that does not write them is found out. As float32 it is NaN.
const POISON: u32 = 0x7fc0_dead;

/// Items that are fewer apart than this differ in every element.
const PERIOD: u64 = 1 << 16;

/// What stands in element `element` of input `input` for item `item`, as 16 bits.
fn number(item: u64, input: usize, element: usize) -> u32 {
    // An odd step spreads the elements; the item itself is added, so that it shows in each of them.
    ((item + element as u64 * 7919 + input as u64 * 40_503) % PERIOD) as u32
}

/// From 1 on and below 2, a 16-bit number to the right of the point: distinct powers stay distinct, and none overflows.
fn float(item: u64, input: usize, element: usize) -> f32 {
    1.0 + number(item, input, element) as f32 / PERIOD as f32
}

fn word(item: u64, input: usize, element: usize) -> u32 {
    ((item % PERIOD) as u32) << 16 | number(item, input, element)
}

/// Fills `inputs` for the `batch` items of call `call`.
pub(crate) fn fill(call: u64, batch: usize, tensors: &[TensorInfo], inputs: &mut [HostBuffer]) {
    for (input, (tensor, buffer)) in tensors.iter().zip(inputs).enumerate() {
        let elements = tensor.elements() / batch;
        let at = |i: usize| (call * batch as u64 + (i / elements) as u64, input, i % elements);
        match tensor.dtype() {
            DType::F32 => {
                let floats = buffer.as_mut_slice::<f32>().iter_mut().enumerate();
                floats.for_each(|(i, x)| {
                    let (item, input, element) = at(i);
                    *x = float(item, input, element);
                });
            }
            DType::U32 => {
                let words = buffer.as_mut_slice::<u32>().iter_mut().enumerate();
                words.for_each(|(i, x)| {
                    let (item, input, element) = at(i);
                    *x = word(item, input, element);
                });
            }
            other => panic!("the suite's models have float32 and uint32, not {other}"),
        }
    }
}

/// What `work` makes of that element, bit by bit.
fn expected(work: Work, dtype: DType, item: u64, element: usize) -> u32 {
    match (work, dtype) {
        (Work::Copy, DType::U32) => word(item, 0, element),
        (Work::Copy, _) => float(item, 0, element).to_bits(),
        (Work::Power, _) => {
            let x = float(item, 0, element);
            let mut power = x;
            for _ in 1..POWER {
                power *= x;
            }
            power.to_bits()
        }
        (Work::Saxpy, _) => (FACTOR * float(item, 0, element) + float(item, 1, element)).to_bits(),
    }
}

/// Whether `outputs` hold the results of the `batch` items of call `call`; afterwards they hold none.
pub(crate) fn check(
    work: Work,
    call: u64,
    batch: usize,
    tensors: &[TensorInfo],
    outputs: &mut [HostBuffer],
) -> Result<(), Mismatch> {
    let (tensor, words) = (&tensors[0], outputs[0].as_mut_slice::<u32>());
    let elements = tensor.elements() / batch;
    if words.len() != tensor.elements() {
        return Err(Mismatch(format!("the output has {} elements for {}", words.len(), tensor.elements())));
    }
    let mut wrong = None;
    for (i, word) in words.iter_mut().enumerate() {
        let item = call * batch as u64 + (i / elements) as u64;
        let expected = expected(work, tensor.dtype(), item, i % elements);
        let found = std::mem::replace(word, POISON);
        if found != expected && wrong.is_none() {
            wrong = Some((item, i % elements, found, expected));
        }
    }
    match wrong {
        None => Ok(()),
        Some((item, element, found, expected)) => {
            let what = match (0..item + 64)
                .find(|&other| self::expected(work, tensor.dtype(), other, element) == found)
            {
                Some(other) => format!("the result of item {other}"),
                None if found == POISON => "nothing, the output was not written".to_owned(),
                None => format!("0x{found:08x} for 0x{expected:08x}"),
            };
            Err(Mismatch(format!("{work:?}, item {item}, element {element}: has {what}")))
        }
    }
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

    #[test]
    fn items_near_each_other_differ_in_every_result() {
        for work in Work::ALL {
            for (item, element) in [(0, 0), (70, 999), (65_530, 12), (10_000, 1 << 20)] {
                let result = |item| expected(work, DType::F32, item, element);
                assert!(!f32::from_bits(result(item)).is_nan());
                let others = (1..PERIOD).step_by(if cfg!(miri) { 4099 } else { 7 });
                assert!(
                    others.map(|apart| result(item + apart)).all(|other| other != result(item)),
                    "{work:?}"
                );
            }
        }
    }
}
