//! How an item becomes inputs: an image, arrays, or nothing but its number.

use std::path::{Path, PathBuf};

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::{BoxError, InputSet};

use crate::image::ImagePreprocess;
use crate::npy;
use crate::synthetic::Synthetic;

/// How items become inputs.
pub(crate) enum Fill {
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

impl Fill {
    /// Fills place `index` of `input` for the item `number`, which is called `path`.
    pub(crate) fn item(
        &self,
        number: u64,
        path: &Path,
        index: usize,
        input: &mut InputSet,
    ) -> Result<(), BoxError> {
        let (image, inputs) = match self {
            Fill::Files { image, inputs } => (image, inputs),
            Fill::Generated(synthetic) => {
                synthetic.fill(number, index, input);
                return Ok(());
            }
        };
        let Some(arrays) = arrays(path) else {
            let image = image
                .as_ref()
                .ok_or("this model takes no images: give .npy files, one per input as `a.npy+b.npy`")?;
            let slot = place(input, 0, index, image.item_bytes());
            return Ok(image.load(path).and_then(|loaded| image.fill(&loaded, slot))?);
        };
        if arrays.len() != inputs.len() {
            let (given, there) = (arrays.len(), inputs.len());
            return Err(format!(
                "{given} arrays for {there} inputs: give one .npy file per input, as `a.npy+b.npy`"
            )
            .into());
        }
        for (i, (array, tensor)) in arrays.iter().zip(inputs).enumerate() {
            npy::read_into(array, tensor, place(input, i, index, tensor.size()))?;
        }
        Ok(())
    }
}

fn place(input: &mut InputSet, i: usize, index: usize, size: usize) -> &mut [u8] {
    &mut input[i].bytes_mut()[index * size..][..size]
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
