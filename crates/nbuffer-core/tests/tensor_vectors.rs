//! Every conversion against vectors made by `vectors/make_vectors.py`, which computes them with NumPy.

use std::fmt::Debug;

use nbuffer_core::tensor::{self, DType, ImageQuantizer, TensorInfo};
use serde_json::Value;

const ARRAYS: &[u8] = include_bytes!("vectors/vectors.bin");
const CASES: &str = include_str!("vectors/vectors.json");

/// One case: what it says about itself, and its arrays by name.
struct Case {
    fields: Value,
    info: TensorInfo,
}

impl Case {
    fn all() -> Vec<Case> {
        let Value::Array(cases) = serde_json::from_str(CASES).unwrap() else { panic!("not a list of cases") };
        cases.into_iter().map(Case::new).collect()
    }

    fn new(fields: Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap() as usize;
        let shape: Vec<usize> = fields["shape"].as_array().unwrap().iter().map(number).collect();
        let pair = |pair: &Value| (number(&pair[0]), number(&pair[1]));
        let padding: Vec<(usize, usize)> = fields["padding"].as_array().unwrap().iter().map(pair).collect();
        let scale = fields["scale"].as_str().unwrap().parse().unwrap();
        let zero_point = fields["zero_point"].as_i64().unwrap() as i32;
        let name = fields["name"].as_str().unwrap();
        let info = TensorInfo::new(name, shape, padding, scale, zero_point, DType::I8).unwrap();
        Case { fields, info }
    }

    fn bytes(&self, array: &str, size: usize) -> Option<&'static [u8]> {
        let at = self.fields.get(array)?;
        let [start, len] = [0, 1].map(|i| at[i].as_u64().unwrap() as usize);
        Some(&ARRAYS[start..][..len * size])
    }

    fn u8s(&self, array: &str) -> Option<Vec<u8>> {
        Some(self.bytes(array, 1)?.to_vec())
    }

    fn i8s(&self, array: &str) -> Option<Vec<i8>> {
        Some(self.bytes(array, 1)?.iter().map(|byte| byte.cast_signed()).collect())
    }

    fn f32s(&self, array: &str) -> Option<Vec<f32>> {
        Some(self.bytes(array, 4)?.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    fn channels(&self, field: &str) -> Option<Vec<f32>> {
        let numbers = self.fields.get(field)?.as_array().unwrap().iter();
        Some(numbers.map(|number| number.as_str().unwrap().parse::<f64>().unwrap() as f32).collect())
    }

    /// Runs a conversion into an output full of another value, and compares it with the expected one.
    fn check<T: Copy + Debug, B: PartialEq + Debug>(
        &self,
        what: &str,
        expected: &[T],
        other: T,
        bits: impl Fn(T) -> B,
        convert: impl FnOnce(&mut [T]) -> Result<(), tensor::ConversionError>,
    ) {
        let mut actual = vec![other; expected.len()];
        convert(&mut actual).unwrap();
        for (i, (&actual, &expected)) in actual.iter().zip(expected).enumerate() {
            let name = self.info.name();
            assert_eq!(
                bits(actual),
                bits(expected),
                "{what} of `{name}`, element {i}: {actual:?}, {expected:?}"
            );
        }
    }

    fn check_i8(
        &self,
        what: &str,
        expected: &[i8],
        convert: impl FnOnce(&mut [i8]) -> Result<(), tensor::ConversionError>,
    ) {
        self.check(what, expected, 77, |integer| integer, convert);
    }

    fn check_f32(
        &self,
        what: &str,
        expected: &[f32],
        convert: impl FnOnce(&mut [f32]) -> Result<(), tensor::ConversionError>,
    ) {
        self.check(what, expected, f32::NAN, f32::to_bits, convert);
    }
}

#[test]
fn every_case_is_read() {
    let cases = Case::all();
    assert_eq!(cases.len(), 108);
    let images = cases.iter().filter(|case| case.u8s("pixels_u8").is_some()).count();
    assert_eq!(images, 9);
    let ranks: Vec<usize> = (0..=8).filter(|&r| cases.iter().any(|c| c.info.shape().len() == r)).collect();
    assert_eq!(ranks, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn quantize_and_pad_agree_with_numpy() {
    for case in Case::all() {
        let (info, reals) = (&case.info, case.f32s("reals").unwrap());
        let (integers, padded) = (case.i8s("integers").unwrap(), case.i8s("padded").unwrap());
        case.check_i8("quantize", &integers, |out| tensor::quantize(info, &reals, out));
        case.check_i8("pad", &padded, |out| tensor::pad(info, &integers, out));
        case.check_i8("quantize_pad", &padded, |out| tensor::quantize_pad(info, &reals, out));
    }
}

#[test]
fn depad_and_dequantize_agree_with_numpy() {
    for case in Case::all() {
        let info = &case.info;
        let (integers, padded) = (case.i8s("integers").unwrap(), case.i8s("padded").unwrap());
        let reals = case.f32s("dequantized").unwrap();
        case.check_i8("depad", &integers, |out| tensor::depad(info, &padded, out));
        case.check_f32("dequantize", &reals, |out| tensor::dequantize(info, &integers, out));
        case.check_f32("depad_dequantize", &reals, |out| tensor::depad_dequantize(info, &padded, out));
        if let Some(planes) = case.f32s("nchw") {
            case.check_f32("nchw", &planes, |out| tensor::depad_dequantize_nchw(info, &padded, out));
        }
    }
}

#[test]
fn images_agree_with_numpy() {
    for case in Case::all() {
        let Some(bytes) = case.u8s("pixels_u8") else { continue };
        let (mean, std) = (case.channels("mean").unwrap(), case.channels("std").unwrap());
        let quantizer = ImageQuantizer::new(&case.info, &mean, &std).unwrap();
        let from_bytes = case.i8s("padded").unwrap();
        case.check_i8("image from bytes", &from_bytes, |out| quantizer.write_u8(&bytes, out));
        let (floats, from_floats) = (case.f32s("pixels_f32").unwrap(), case.i8s("padded_f32").unwrap());
        case.check_i8("image from floats", &from_floats, |out| quantizer.write_f32(&floats, out));
    }
}
