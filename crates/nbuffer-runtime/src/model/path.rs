//! Paths that model files give: relative to the model directory, and never out of it.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::error::{FieldProblem, ModelError};

/// A model directory.
pub(super) struct ModelDir {
    /// As the user gave it, for messages and for opening files.
    path: PathBuf,
    /// Without links, for telling inside from outside.
    real: PathBuf,
}

impl ModelDir {
    pub(super) fn new(path: &Path) -> Result<Self, ModelError> {
        let real =
            path.canonicalize().map_err(|source| ModelError::Read { file: path.to_path_buf(), source })?;
        Ok(ModelDir { path: path.to_path_buf(), real })
    }

    /// The directory's own name, also where it was given as `.`.
    pub(super) fn name(&self) -> String {
        let name = self.path.file_name().or_else(|| self.real.file_name());
        name.unwrap_or(self.real.as_os_str()).to_string_lossy().into_owned()
    }

    /// The path of a file every model directory has.
    pub(super) fn required(&self, name: &str, advice: &'static str) -> Result<PathBuf, ModelError> {
        let file = self.path.join(name);
        match file.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ModelError::Missing { file, advice })
            }
            _ => Ok(file),
        }
    }

    /// The file that a field names, if it is there.
    ///
    /// # Errors
    ///
    /// When the path leads out of the directory, by its text or by a link, whether the file is there or not.
    pub(super) fn optional(&self, field: Field<'_>, relative: &str) -> Result<Option<PathBuf>, ModelError> {
        let escapes = || field.error(FieldProblem::PathEscapes { path: relative.to_owned() });
        let path = Path::new(relative);
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(escapes());
        }
        let file = self.path.join(path);
        match file.canonicalize() {
            Ok(real) if real == self.real => Err(escapes()),
            Ok(real) if !real.starts_with(&self.real) => {
                Err(field.error(FieldProblem::LinkEscapes { path: relative.to_owned() }))
            }
            Ok(real) if !real.is_file() => Err(ModelError::NotARegularFile { file }),
            Ok(_) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // A NUL within the name is an invalid input and not a file anywhere.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(escapes()),
            Err(source) => Err(ModelError::Read { file, source }),
        }
    }

    /// The file that a field names, which must be there.
    pub(super) fn existing(&self, field: Field<'_>, relative: &str) -> Result<PathBuf, ModelError> {
        self.optional(field, relative)?
            .ok_or_else(|| field.error(FieldProblem::MissingFile { path: relative.to_owned() }))
    }
}

/// A field of a model file, for errors to name.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) file: &'a Path,
    pub(super) name: &'a str,
}

impl Field<'_> {
    pub(super) fn error(self, problem: FieldProblem) -> ModelError {
        ModelError::Field { file: self.file.to_path_buf(), field: self.name.to_owned(), problem }
    }
}
