//! Several items in one buffer set: a model of batch B takes B items a call.
//!
//! To the schedule a batch is one item. Here it is taken apart again, so that one bad item costs one item.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use nbuffer_core::schedule::Sequence;
use nbuffer_runtime::{BoxError, HostBuffer, HostStages, InputSet, ItemError, OutputSet, Step};

/// The host's part in one item's way through a model, whatever the model's batch.
///
/// Both stages may run for several items at once, on any host thread.
pub trait ItemStages: Send + Sync + 'static {
    /// What the source gives. It is kept until its result is handed out, so a clone should be cheap: an `Arc`.
    type Item: Clone + Send + Sync + 'static;
    /// A result.
    type Output: Send + 'static;

    /// Fills the item's part of each input buffer, in the model's order. Items are numbered from 0 as they were taken.
    ///
    /// # Errors
    ///
    /// Costs this item, and no other.
    fn fill(&self, number: Sequence, item: &Self::Item, inputs: &mut [&mut [u8]]) -> Result<(), BoxError>;

    /// Makes a result of the item's part of each output buffer, in the model's order.
    ///
    /// # Errors
    ///
    /// Costs this item, and no other.
    fn read(&self, number: Sequence, item: &Self::Item, outputs: &[&[u8]]) -> Result<Self::Output, BoxError>;

    /// Runs `work`, which is all that one of the pipeline's threads does; see [`HostStages::around_thread`].
    fn around_thread(&self, work: &mut (dyn FnMut() + Send)) {
        work();
    }

    /// What a reader of the summary must know of what these stages do.
    fn remark(&self) -> Option<String> {
        None
    }

    /// What an event about an item that failed calls it beside its number: its file, for example.
    fn name(&self, item: &Self::Item) -> String {
        let _ = item;
        String::new()
    }
}

/// Why one item of a batch has no result.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(crate) struct EntryError {
    pub(crate) step: Step,
    pub(crate) source: BoxError,
}

impl EntryError {
    fn at(step: Step) -> impl Fn(BoxError) -> EntryError {
        move |source| EntryError { step, source }
    }
}

/// The items of one call.
pub(crate) type Batch<T> = Arc<[T]>;

/// The number of the first item of a call, and its items.
pub(crate) type Numbered<T> = (Sequence, Batch<T>);

/// What became of each item of a batch.
pub(crate) type Entries<T> = Vec<Result<T, EntryError>>;

/// The items that are on their way, by the number of their batch: so that a batch that fails as a whole is
/// still reported item by item.
#[derive(Debug)]
pub(crate) struct OnTheWay<T>(Arc<Mutex<HashMap<Sequence, Numbered<T>>>>);

impl<T> Clone for OnTheWay<T> {
    fn clone(&self) -> Self {
        OnTheWay(Arc::clone(&self.0))
    }
}

impl<T> Default for OnTheWay<T> {
    fn default() -> Self {
        OnTheWay(Arc::default())
    }
}

impl<T: Clone + Send + Sync + 'static> OnTheWay<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Sequence, Numbered<T>>> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }

    /// The items of a batch that has ended, and the number of the first of them.
    pub(crate) fn arrived(&self, sequence: Sequence) -> Option<Numbered<T>> {
        self.lock().remove(&sequence)
    }

    /// The items of all batches before this one that have not ended.
    pub(crate) fn items_before(&self, sequence: Sequence) -> u64 {
        let batches = self.lock();
        batches.iter().filter(|(of, _)| **of < sequence).map(|(_, (_, batch))| batch.len() as u64).sum()
    }

    /// Notes batches as they pass.
    pub(crate) fn note(
        &self,
        mut batches: impl FnMut() -> Vec<T> + Send + 'static,
    ) -> impl Iterator<Item = Numbered<T>> + Send + 'static {
        let on_the_way = self.clone();
        let mut first = 0;
        (0..).map_while(move |sequence| {
            let batch: Batch<T> = batches().into();
            if batch.is_empty() {
                return None;
            }
            let numbered = (first, batch);
            first += numbered.1.len() as u64;
            on_the_way.lock().insert(sequence, numbered.clone());
            Some(numbered)
        })
    }
}

/// The stages of single items, as those of the batches that go through the schedule.
pub(crate) struct Batched<S> {
    pub(crate) stages: Arc<S>,
    /// Items of a full call.
    pub(crate) batch: usize,
}

impl<S: ItemStages> HostStages for Batched<S> {
    type Item = Numbered<S::Item>;
    type InputSet = InputSet;
    type OutputSet = OutputSet;
    type Carry = (Numbered<S::Item>, Vec<Result<(), EntryError>>);
    type Output = Entries<S::Output>;

    fn keep(&self, numbered: &Numbered<S::Item>) -> Option<Numbered<S::Item>> {
        Some(numbered.clone())
    }

    fn around_thread(&self, work: &mut (dyn FnMut() + Send)) {
        self.stages.around_thread(work);
    }

    fn preprocess(
        &self,
        (first, batch): Numbered<S::Item>,
        input: &mut InputSet,
    ) -> Result<Self::Carry, BoxError> {
        let entry_bytes = |buffer: &HostBuffer| buffer.len() / self.batch;
        let sizes: Vec<usize> = input.iter().map(entry_bytes).collect();
        let fill = |(index, item): (usize, &S::Item)| {
            let parts = input.iter_mut().zip(&sizes);
            let mut parts: Vec<&mut [u8]> = parts
                .map(|(buffer, size)| &mut buffer.bytes_mut()[index * size..(index + 1) * size])
                .collect();
            self.stages.fill(first + index as u64, item, &mut parts).map_err(EntryError::at(Step::Preprocess))
        };
        let filled: Vec<_> = batch.iter().enumerate().map(fill).collect();
        // A batch without a single good item is not worth a device call.
        if filled.iter().all(Result::is_err) {
            return Err(BatchFailed(filled.into_iter().filter_map(Result::err).collect()).into());
        }
        Ok(((first, batch), filled))
    }

    fn postprocess(&self, carry: Self::Carry, output: &mut OutputSet) -> Result<Self::Output, BoxError> {
        let ((first, batch), filled) = carry;
        let read = |((index, item), filled): ((usize, &S::Item), Result<(), EntryError>)| {
            filled?;
            let part = |buffer: &HostBuffer| {
                let size = buffer.len() / self.batch;
                index * size..(index + 1) * size
            };
            let parts: Vec<&[u8]> = output.iter().map(|buffer| &buffer.bytes()[part(buffer)]).collect();
            self.stages.read(first + index as u64, item, &parts).map_err(EntryError::at(Step::Postprocess))
        };
        Ok(batch.iter().enumerate().zip(filled).map(read).collect())
    }
}

/// Every item of a batch failed, each for a reason of its own.
#[derive(Debug, thiserror::Error)]
#[error("no item of the batch could be prepared: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub(crate) struct BatchFailed(Vec<EntryError>);

impl BatchFailed {
    /// The reason of each item, if this is why the batch failed.
    pub(crate) fn each(error: ItemError) -> Result<Vec<EntryError>, ItemError> {
        match error {
            ItemError::Stage { step, sequence, source } => match source.downcast::<BatchFailed>() {
                Ok(failed) => Ok(failed.0),
                Err(source) => Err(ItemError::Stage { step, sequence, source }),
            },
            other => Err(other),
        }
    }
}
