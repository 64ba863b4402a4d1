//! Image files in, answers out: the stages of a run over images.

use std::path::Path;
use std::sync::Arc;

use nbuffer_runtime::BoxError;

use super::ImagePreprocess;
use crate::answer::{Answer, Reader};
use crate::batch::ItemStages;

/// Image files into input buffers, output buffers into answers.
#[derive(Debug)]
pub struct ImageStages {
    pub(crate) image: ImagePreprocess,
    pub(crate) reader: Reader,
}

impl ItemStages for ImageStages {
    type Item = Arc<Path>;
    type Output = Answer;

    fn fill(&self, path: &Arc<Path>, inputs: &mut [&mut [u8]]) -> Result<(), BoxError> {
        let image = self.image.load(path)?;
        Ok(self.image.fill(&image, inputs[0])?)
    }

    fn read(&self, _: &Arc<Path>, outputs: &[&[u8]]) -> Result<Answer, BoxError> {
        self.reader.read(outputs)
    }

    fn name(&self, path: &Arc<Path>) -> String {
        path.display().to_string()
    }
}
