//! Files in, answers out: how an item becomes inputs (an image, arrays, or nothing but its number), and what its outputs say.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nbuffer_core::schedule::Sequence;
use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::model::Kernel;
use nbuffer_runtime::{BoxError, Model, Program};

use crate::answer::{Answer, Reader};
use crate::batch::ItemStages;
use crate::image::ImagePreprocess;
use crate::job::{JobError, Settings};
use crate::npy;
use crate::synthetic::Synthetic;

/// Files into input buffers, output buffers into answers.
pub struct FileStages {
    fill: Fill,
    reader: Reader,
}

/// How items become inputs.
enum Fill {
    /// From files: `.npy` ones as they are, all others as images, where the model takes images.
    Files {
        /// For images.
        image: Option<Box<ImagePreprocess>>,
        /// Each input with a batch of one, for arrays.
        inputs: Vec<TensorInfo>,
    },
    /// From the item's number.
    Generated(Synthetic),
}

impl FileStages {
    /// Stages for this model, whose calls take `batch` items.
    pub(crate) fn new(
        model: &Model,
        program: &dyn Program,
        batch: usize,
        settings: &Settings,
    ) -> Result<Self, JobError> {
        let fill = Fill::new(model, program.inputs(), batch, settings)?;
        let labels = settings.labels.as_ref().or(model.labels.as_ref());
        let reader = Reader::new(program.outputs(), batch, labels.map(Vec::as_slice))
            .map_err(|source| JobError::Outputs { model: model.name.clone(), source })?;
        let reader =
            if matches!(model.kernel, Kernel::Program(_)) { reader.without_scores() } else { reader };
        // Those of the model itself were checked when it was opened.
        if let Some(given) = &settings.labels
            && reader.classes() != Some(given.len())
        {
            let (model, found, classes) = (model.name.clone(), given.len(), reader.classes());
            return Err(JobError::Labels { model, found, classes });
        }
        Ok(FileStages { fill, reader })
    }
}

impl Fill {
    fn new(
        model: &Model,
        inputs: &[TensorInfo],
        batch: usize,
        settings: &Settings,
    ) -> Result<Self, JobError> {
        if settings.synthetic {
            let synthetic = Synthetic::new(model)?;
            return synthetic
                .map(Fill::Generated)
                .ok_or_else(|| JobError::Synthetic { model: model.name.clone() });
        }
        let image = match inputs {
            [input] if !matches!(model.kernel, Kernel::Program(_)) => {
                let declared = model.preprocess.as_ref().map(|p| (p.mean, p.std));
                let (mean, std) = settings.normalise.or(declared).unwrap_or(([0.0; 3], [1.0; 3]));
                Some(Box::new(ImagePreprocess::new(input, mean, std)?))
            }
            _ => None,
        };
        // Where a call takes several items, every tensor has been found to have an equal part for each.
        let entry = |input: &TensorInfo| if batch > 1 { input.batch_entry() } else { Some(input.clone()) };
        Ok(Fill::Files { image, inputs: inputs.iter().filter_map(entry).collect() })
    }
}

impl ItemStages for FileStages {
    type Item = Arc<Path>;
    type Output = Answer;

    fn fill(&self, number: Sequence, path: &Arc<Path>, slots: &mut [&mut [u8]]) -> Result<(), BoxError> {
        let (image, inputs) = match &self.fill {
            Fill::Files { image, inputs } => (image, inputs),
            Fill::Generated(synthetic) => {
                synthetic.fill(number, slots);
                return Ok(());
            }
        };
        let Some(arrays) = arrays(path) else {
            let image = image
                .as_ref()
                .ok_or("this model takes no images: give .npy files, one per input as `a.npy+b.npy`")?;
            return Ok(image.load(path).and_then(|loaded| image.fill(&loaded, slots[0]))?);
        };
        if arrays.len() != inputs.len() {
            let (given, there) = (arrays.len(), inputs.len());
            return Err(format!(
                "{given} arrays for {there} inputs: give one .npy file per input, as `a.npy+b.npy`"
            )
            .into());
        }
        for ((array, tensor), slot) in arrays.iter().zip(inputs).zip(slots) {
            npy::read_into(array, tensor, slot)?;
        }
        Ok(())
    }

    fn read(&self, number: Sequence, _: &Arc<Path>, outputs: &[&[u8]]) -> Result<Answer, BoxError> {
        if let Fill::Generated(synthetic) = &self.fill {
            synthetic.check(number, outputs)?;
        }
        self.reader.read(outputs)
    }

    fn remark(&self) -> Option<String> {
        let remark =
            "inputs are generated; each output was compared, bit for bit, with what its item's must be";
        matches!(self.fill, Fill::Generated(_)).then(|| remark.to_owned())
    }

    fn name(&self, path: &Arc<Path>) -> String {
        path.display().to_string()
    }
}

impl std::fmt::Debug for FileStages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStages").field("reader", &self.reader).finish_non_exhaustive()
    }
}

/// The arrays that `path` names, one per input: `x.npy`, or `x.npy+y.npy`. `None` if it names none.
pub(crate) fn arrays(path: &Path) -> Option<Vec<PathBuf>> {
    let last_is_array = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
    let Some(text) = path.to_str().filter(|_| last_is_array) else {
        // A name that is not text names one file.
        return last_is_array.then(|| vec![path.to_owned()]);
    };
    let mut arrays: Vec<PathBuf> = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_once(".npy+") {
        arrays.push(format!("{first}.npy").into());
        rest = after;
    }
    arrays.push(rest.into());
    Some(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_name_an_array_per_input() {
        let named = |path: &str| {
            arrays(Path::new(path)).map(|all| all.iter().map(|a| a.display().to_string()).collect::<Vec<_>>())
        };
        assert_eq!(named("x.png"), None);
        assert_eq!(named("d/x.NPY"), Some(vec!["d/x.NPY".into()]));
        assert_eq!(named("d/x.npy+e/y.npy"), Some(vec!["d/x.npy".into(), "e/y.npy".into()]));
        assert_eq!(named("a+b.npy"), Some(vec!["a+b.npy".into()]));
        assert_eq!(named("x.npy+y.png"), None);
    }
}
