//! Several items in one buffer set: a model of batch B takes B images a call.
//!
//! To the schedule a batch is one item. Here it is taken apart again, so that one bad image costs one image.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use nbuffer_core::schedule::Sequence;
use nbuffer_runtime::{BoxError, HostStages, InputSet, ItemError, OutputSet};

use crate::answer::{Answer, Reader};
use crate::image::ImagePreprocess;

/// The images of one call.
pub(crate) type Batch = Vec<Arc<Path>>;

/// What became of each image of a batch.
pub(crate) type Answers = Vec<Result<Answer, BoxError>>;

/// The images that are on their way, by the number of their batch: so that a batch that fails as a whole is
/// still reported image by image.
#[derive(Clone, Debug, Default)]
pub(crate) struct OnTheWay(Arc<Mutex<HashMap<Sequence, Batch>>>);

impl OnTheWay {
    fn lock(&self) -> MutexGuard<'_, HashMap<Sequence, Batch>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }

    /// The images of a batch that has ended.
    pub(crate) fn arrived(&self, sequence: Sequence) -> Batch {
        self.lock().remove(&sequence).unwrap_or_default()
    }

    /// The images of all batches before this one that have not ended.
    pub(crate) fn images_before(&self, sequence: Sequence) -> u64 {
        let batches = self.lock();
        batches.iter().filter(|(of, _)| **of < sequence).map(|(_, batch)| batch.len() as u64).sum()
    }

    /// Groups images into batches and notes them; the last batch may have fewer.
    pub(crate) fn batches(
        &self,
        mut images: impl Iterator<Item = Arc<Path>> + Send + 'static,
        size: usize,
    ) -> impl Iterator<Item = Batch> + Send + 'static {
        let on_the_way = self.clone();
        (0..).map_while(move |sequence| {
            let batch: Batch = images.by_ref().take(size).collect();
            if batch.is_empty() {
                return None;
            }
            on_the_way.lock().insert(sequence, batch.clone());
            Some(batch)
        })
    }
}

/// Images into input buffers, output buffers into answers.
pub(crate) struct ImageStages {
    pub(crate) image: ImagePreprocess,
    pub(crate) reader: Reader,
}

impl HostStages for ImageStages {
    type Item = Batch;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = Vec<Result<(), BoxError>>;
    type Output = Answers;

    fn preprocess(&self, batch: Batch, input: &mut InputSet) -> Result<Self::Carry, BoxError> {
        let input = input[0].bytes_mut();
        let slots = input.chunks_exact_mut(self.image.item_bytes());
        let mut filled: Self::Carry = Vec::with_capacity(batch.len());
        for (path, slot) in batch.iter().zip(slots) {
            let done = self.image.load(path).and_then(|image| self.image.fill(&image, slot));
            filled.push(done.map_err(BoxError::from));
        }
        // A batch without a single good image is not worth a device call.
        if filled.iter().all(Result::is_err) {
            return Err(BatchFailed(filled.into_iter().filter_map(Result::err).collect()).into());
        }
        Ok(filled)
    }

    fn postprocess(&self, filled: Self::Carry, output: &mut OutputSet) -> Result<Answers, BoxError> {
        let answer = |(index, filled): (usize, Result<(), BoxError>)| {
            filled.and_then(|()| self.reader.read(output, index))
        };
        Ok(filled.into_iter().enumerate().map(answer).collect())
    }
}

/// Every image of a batch failed, each for a reason of its own.
#[derive(Debug, thiserror::Error)]
#[error("no image of the batch could be prepared: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub(crate) struct BatchFailed(Vec<BoxError>);

impl BatchFailed {
    /// The reason of each image, if this is why an item failed.
    pub(crate) fn of(error: &ItemError) -> Option<&[BoxError]> {
        let ItemError::Stage { source, .. } = error else {
            return None;
        };
        source.downcast_ref::<BatchFailed>().map(|BatchFailed(each)| &each[..])
    }
}
