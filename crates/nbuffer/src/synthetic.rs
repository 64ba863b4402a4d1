//! Generated items: inputs that tell the item's number in every element, and the outputs they must give.

use std::sync::{Mutex, PoisonError};

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::{BoxError, Compute, DeviceError, HostBuffer, InputSet, Model, OutputSet, Session};

/// Makes the inputs of numbered items, and checks their outputs against what is built in.
pub(crate) struct Synthetic {
    compute: Compute,
    /// References that no host thread uses at the moment.
    idle: Mutex<Vec<Reference>>,
}

/// What computes expected outputs, with memory of its own: the item's inputs are long filled for another.
struct Reference {
    session: Box<dyn Session>,
    input: InputSet,
    output: OutputSet,
}

impl Synthetic {
    /// Generated items for `model`; `None` if its values are known to an engine only.
    pub(crate) fn new(model: &Model) -> Result<Option<Self>, DeviceError> {
        let compute = Compute::built_in(model)?;
        Ok(compute.map(|compute| Synthetic { compute, idle: Mutex::default() }))
    }

    /// Fills the place `index` of `input` for item `item`.
    pub(crate) fn fill(&self, item: u64, index: usize, input: &mut InputSet) {
        for (i, (tensor, buffer)) in self.compute.inputs().iter().zip(input.iter_mut()).enumerate() {
            fill(item, i, tensor.dtype(), &mut buffer.bytes_mut()[self.place(tensor, index)]);
        }
    }

    /// Whether `outputs` hold, in their first `count` places, the results of the items from `first` on, bit for bit.
    pub(crate) fn check(
        &self,
        first: u64,
        count: usize,
        outputs: &[HostBuffer],
    ) -> Result<Vec<Result<(), BoxError>>, BoxError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reference = match idle {
            Some(reference) => reference,
            None => self.reference()?,
        };
        for (index, item) in (0..count).zip(first..) {
            self.fill(item, index, &mut reference.input);
        }
        reference.session.run(&reference.input, &mut reference.output)?;
        let checked = (0..count).zip(first..).map(|(index, item)| {
            let tensors = self.compute.outputs().iter().zip(outputs).zip(reference.output.iter());
            for (i, ((tensor, output), expected)) in tensors.enumerate() {
                let place = self.place(tensor, index);
                let (output, expected) = (&output.bytes()[place.clone()], &expected.bytes()[place]);
                if output != expected {
                    return Err(wrong(item, i, tensor.dtype(), output, expected).into());
                }
            }
            Ok(())
        });
        let checked = checked.collect();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reference);
        Ok(checked)
    }

    fn reference(&self) -> Result<Reference, DeviceError> {
        Ok(Reference {
            session: self.compute.session(1)?,
            input: InputSet::zeroed(self.compute.inputs()),
            output: OutputSet::zeroed(self.compute.outputs()),
        })
    }

    /// Where item `index` of a batch lies within a tensor.
    fn place(&self, tensor: &TensorInfo, index: usize) -> std::ops::Range<usize> {
        let size = tensor.size() / self.compute.batch().max(1);
        index * size..(index + 1) * size
    }
}

/// Items that are fewer apart than this differ in every element of more than a byte.
const PERIOD: u64 = 1 << 16;

/// Fills one input of an item.
fn fill(item: u64, input: usize, dtype: DType, slot: &mut [u8]) {
    // The item itself is added, so that it shows in each element.
    let number = |element: usize| (item + element as u64 * 7919 + input as u64 * 40_503) % PERIOD;
    let size = dtype.size_bytes();
    for (element, bytes) in slot.chunks_exact_mut(size).enumerate() {
        let number = number(element);
        match dtype {
            // From 1 on and below 2: powers stay distinct and finite, and sums of a few are exact.
            DType::F32 => bytes.copy_from_slice(&(1.0 + number as f32 / PERIOD as f32).to_ne_bytes()),
            // A byte tells less: which of them are equal changes with the item.
            DType::I8 | DType::U8 => bytes[0] = (number ^ (number >> 8)) as u8,
            DType::I32 | DType::U32 => {
                bytes.copy_from_slice(&(((item as u32) << 16) | number as u32).to_ne_bytes())
            }
            DType::I64 => bytes.copy_from_slice(&((item << 16) | number).to_ne_bytes()),
        }
    }
}

/// What is wrong, at the first element where something is.
fn wrong(item: u64, output: usize, dtype: DType, found: &[u8], expected: &[u8]) -> String {
    let size = dtype.size_bytes();
    let mut elements = found.chunks_exact(size).zip(expected.chunks_exact(size)).enumerate();
    let (element, (found, expected)) =
        elements.find(|(_, (found, expected))| found != expected).expect("they differ");
    let hex = |bytes: &[u8]| bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!(
        "output {output} is not that of generated item {item}: element {element} is 0x{}, not 0x{}",
        hex(found),
        hex(expected)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_of_an_item_differs_from_that_of_another() {
        for dtype in [DType::F32, DType::I32, DType::U32, DType::I64] {
            let item = |item| {
                let mut slot = vec![0; 32 * dtype.size_bytes()];
                fill(item, 1, dtype, &mut slot);
                slot
            };
            let one = item(70_000);
            for other in [0, 69_999, 70_001, 70_256] {
                let other = item(other);
                let mut elements =
                    one.chunks_exact(dtype.size_bytes()).zip(other.chunks_exact(dtype.size_bytes()));
                assert!(elements.all(|(one, other)| one != other), "{dtype}");
            }
        }
    }

    #[test]
    fn stale_swapped_and_missing_numbers_are_found() {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
        for name in ["power", "saxpy", "copy-large", "copy", "checksum"] {
            let model = Model::open(models.join(name)).unwrap();
            let synthetic = Synthetic::new(&model).unwrap().unwrap();
            let mut reference = synthetic.reference().unwrap();
            synthetic.fill(7, 0, &mut reference.input);
            reference.session.run(&reference.input, &mut reference.output).unwrap();
            let check = |item, output: &OutputSet| synthetic.check(item, 1, output).unwrap().remove(0);
            check(7, &reference.output).unwrap();
            for other in [6, 8, 263] {
                let why = check(other, &reference.output).unwrap_err().to_string();
                assert!(
                    why.contains(&format!("that of generated item {other}: element 0 is 0x")),
                    "{name}: {why}"
                );
            }
            reference.output[0].bytes_mut().fill(0xff); // as float32 it is NaN
            assert!(check(7, &reference.output).is_err(), "{name}");
        }
        assert!(Synthetic::new(&Model::open(models.join("digits")).unwrap()).unwrap().is_none());
    }
}
