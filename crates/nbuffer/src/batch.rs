//! Several items in one buffer set: a model of batch B takes B items a call.
//!
//! To the schedule a batch is one item. Here it is taken apart again, so that one bad image costs one image.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use nbuffer_core::schedule::Sequence;
use nbuffer_runtime::{BoxError, HostStages, InputSet, ItemError, OutputSet};

use crate::answer::{Answer, Reader};
use crate::fill::Fill;

/// The items of one call, as the files they come from; a generated one has a name like a file's.
pub(crate) type Batch = Vec<Arc<Path>>;

/// A batch with the number of its first item.
pub(crate) struct Numbered {
    first: Sequence,
    batch: Batch,
}

/// What became of each item of a batch.
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
    ) -> impl Iterator<Item = Numbered> + Send + 'static {
        let on_the_way = self.clone();
        (0..).map_while(move |sequence| {
            let batch: Batch = images.by_ref().take(size).collect();
            if batch.is_empty() {
                return None;
            }
            on_the_way.lock().insert(sequence, batch.clone());
            Some(Numbered { first: sequence * size as u64, batch })
        })
    }
}

/// Items into input buffers, output buffers into answers.
pub(crate) struct ItemStages {
    pub(crate) fill: Fill,
    pub(crate) reader: Reader,
}

/// What preprocess leaves of a batch.
pub(crate) struct Filled {
    first: Sequence,
    /// Whether each item's inputs are there.
    each: Vec<Result<(), BoxError>>,
}

impl HostStages for ItemStages {
    type Item = Numbered;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = Filled;
    type Output = Answers;

    fn preprocess(
        &self,
        Numbered { first, batch }: Numbered,
        input: &mut InputSet,
    ) -> Result<Filled, BoxError> {
        let items = batch.iter().zip(first..).enumerate();
        let each: Vec<Result<(), BoxError>> =
            items.map(|(index, (path, number))| self.fill.item(number, path, index, input)).collect();
        // A batch without a single good item is not worth a device call.
        if each.iter().all(Result::is_err) {
            return Err(BatchFailed(each.into_iter().filter_map(Result::err).collect()).into());
        }
        Ok(Filled { first, each })
    }

    fn postprocess(
        &self,
        Filled { first, mut each }: Filled,
        output: &mut OutputSet,
    ) -> Result<Answers, BoxError> {
        if let Fill::Generated(synthetic) = &self.fill {
            each = synthetic.check(first, each.len(), output)?;
        }
        let answer = |(index, filled): (usize, Result<(), BoxError>)| {
            filled.and_then(|()| self.reader.read(output, index))
        };
        Ok(each.into_iter().enumerate().map(answer).collect())
    }
}

/// Every item of a batch failed, each for a reason of its own.
#[derive(Debug, thiserror::Error)]
#[error("no item of the batch could be prepared: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
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
