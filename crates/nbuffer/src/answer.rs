//! What a model's outputs mean for one item: a class where they are scores, else their bytes as a digest.

use nbuffer_core::tensor::{self, DType, TensorInfo};
use nbuffer_runtime::{BoxError, HostBuffer};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// What a model said about one item.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The class with the highest score.
    Class(Class),
    /// A model that gives no class scores: a digest of each output.
    Outputs {
        /// One per output.
        outputs: Vec<OutputDigest>,
    },
}

/// The class with the highest score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Class {
    /// Its number.
    pub class: usize,
    /// Its name, or its number where it has none.
    pub label: String,
    /// Its share of the softmax over all scores.
    pub score: f32,
}

/// One output of one item, as a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputDigest {
    /// Its padded shape.
    pub shape: Vec<usize>,
    /// XXH3 (64 bit) of its bytes, in hexadecimal: fast enough not to show beside a transfer.
    pub checksum: String,
}

/// Reads answers off the output buffers of one call.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// The outputs, described for one item of the batch.
    items: Vec<TensorInfo>,
    scores: bool,
    labels: Vec<String>,
}

impl Reader {
    /// A reader for these outputs of a whole batch.
    pub(crate) fn new(
        outputs: &[TensorInfo],
        batch: usize,
        labels: Option<&[String]>,
    ) -> Result<Self, BoxError> {
        let one_item = |info: &TensorInfo| {
            let mut shape = info.shape().to_vec();
            if let Some(first) = shape.first_mut() {
                *first /= batch.max(1);
            }
            TensorInfo::new(info.name(), shape, info.padding(), info.scale(), info.zero_point(), info.dtype())
        };
        let items = outputs.iter().map(one_item).collect::<Result<Vec<_>, _>>()?;
        let scores = match &items[..] {
            [only] => is_scores(only),
            _ => false,
        };
        Ok(Reader { items, scores, labels: labels.unwrap_or_default().to_vec() })
    }

    /// The same for outputs that are values and no scores, whatever their shape.
    pub(crate) fn without_scores(self) -> Self {
        Reader { scores: false, ..self }
    }

    /// How many classes an item's output tells apart, where it is one score per class.
    pub(crate) fn classes(&self) -> Option<usize> {
        self.scores.then(|| self.items[0].unpadded_shape().iter().product())
    }

    /// The answer for item `index` of the batch.
    pub(crate) fn read(&self, outputs: &[HostBuffer], index: usize) -> Result<Answer, BoxError> {
        let slot = |i: usize| {
            let size = self.items[i].size();
            &outputs[i].bytes()[index * size..(index + 1) * size]
        };
        if self.scores {
            return Ok(Answer::Class(self.class(&self.items[0], slot(0))?));
        }
        let digest = |(i, info): (usize, &TensorInfo)| OutputDigest {
            shape: info.shape().to_vec(),
            checksum: format!("{:016x}", xxh3_64(slot(i))),
        };
        Ok(Answer::Outputs { outputs: self.items.iter().enumerate().map(digest).collect() })
    }

    fn class(&self, info: &TensorInfo, bytes: &[u8]) -> Result<Class, BoxError> {
        let mut scores = vec![0.0; info.unpadded_shape().iter().product()];
        match info.dtype() {
            DType::F32 => scores.copy_from_slice(bytemuck::cast_slice(bytes)),
            _ => tensor::depad_dequantize(info, bytemuck::cast_slice(bytes), &mut scores)?,
        }
        // The first of equals wins, as argmax does everywhere; NaN never does.
        let best =
            |best: usize, i: usize| if scores[i] > scores[best] || scores[best].is_nan() { i } else { best };
        let class = (0..scores.len()).reduce(best).ok_or("the output has no classes")?;
        let top = scores[class];
        let sum: f32 = scores.iter().map(|score| (score - top).exp()).sum();
        let label = self.labels.get(class).cloned().unwrap_or_else(|| class.to_string());
        Ok(Class { class, label, score: 1.0 / sum })
    }
}

/// Whether a tensor of one item holds one score per class: all dimensions but the last are 1, and it has
/// more than one class.
fn is_scores(info: &TensorInfo) -> bool {
    let shape = info.unpadded_shape();
    let single = |n: &usize| *n == 1;
    let Some((&classes, others)) = shape.split_last() else {
        return false;
    };
    matches!(info.dtype(), DType::I8 | DType::F32) && classes > 1 && others.iter().all(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> HostBuffer {
        let mut buffer = HostBuffer::zeroed(bytes.len());
        buffer.bytes_mut().copy_from_slice(bytes);
        buffer
    }

    #[test]
    fn the_highest_score_of_its_own_slot_wins_and_padding_is_not_looked_at() {
        let info = TensorInfo::new("out", [2, 1, 1, 4], [(0, 0), (0, 0), (0, 0), (0, 1)], 0.5, 0, DType::I8);
        let labels = ["a", "b", "c"].map(str::to_owned);
        let reader = Reader::new(&[info.unwrap()], 2, Some(&labels)).unwrap();
        let outputs = [buffer(&[1, 3, 2, 100, 4, 4, 0, 100])];
        let class = |index| match reader.read(&outputs, index).unwrap() {
            Answer::Class(class) => class,
            other => panic!("{other:?}"),
        };
        assert_eq!((class(0).class, class(0).label.as_str()), (1, "b"));
        assert_eq!(class(1).class, 0, "the first of equals");
        let expected = 1.0 / ((-1.0_f32).exp() + 1.0 + (-0.5_f32).exp());
        assert!((class(0).score - expected).abs() < 1e-6);
    }

    #[test]
    fn other_outputs_are_digests() {
        let info = TensorInfo::new("out", [1, 2, 2, 1], [], 1.0, 0, DType::I8).unwrap();
        let reader = Reader::new(&[info], 1, None).unwrap();
        let answer = reader.read(&[buffer(b"abcd")], 0).unwrap();
        let digest = OutputDigest { shape: vec![1, 2, 2, 1], checksum: "6497a96f53a89890".into() };
        assert_eq!(answer, Answer::Outputs { outputs: vec![digest] });
    }
}
