//! Reading the small files of a model, bounded, with the place of each error.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::{FieldProblem, ModelError};

/// The most bytes of a model's JSON or text file, so that a wrong path does not eat the memory.
pub(super) const SMALL_FILE_BYTES_MAX: u64 = 16 << 20;

/// How each top-level field is written, for the error messages.
pub(super) type Samples = [(&'static str, &'static str)];

/// The sample of the field that `field` is or lies in.
pub(super) fn sample(samples: &Samples, field: &str) -> &'static str {
    let within = |name: &str| {
        field.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    // The longest name wins: `nbuffer.preprocess.std` lies in `nbuffer` too.
    let found = samples.iter().filter(|(name, _)| within(name)).max_by_key(|(name, _)| name.len());
    found.map_or("{\"field\": value, ..}", |(_, sample)| sample)
}

/// Reads a regular file of at most [`SMALL_FILE_BYTES_MAX`].
pub(super) fn read_small(file: &Path) -> Result<Vec<u8>, ModelError> {
    let failed = |source| ModelError::Read { file: file.to_path_buf(), source };
    // Asked before opening, since opening a pipe waits for its other end.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(ModelError::NotARegularFile { file: file.to_path_buf() });
    }
    let too_large = |size_bytes| ModelError::TooLarge {
        file: file.to_path_buf(),
        size_bytes,
        limit_bytes: SMALL_FILE_BYTES_MAX,
    };
    if metadata.len() > SMALL_FILE_BYTES_MAX {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(failed)?;
    opened.take(SMALL_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    // A file may grow, and those under /proc state no size.
    if bytes.len() as u64 > SMALL_FILE_BYTES_MAX {
        return Err(too_large(bytes.len() as u64));
    }
    if bytes.is_empty() {
        return Err(ModelError::Empty { file: file.to_path_buf() });
    }
    Ok(bytes)
}

/// Parses one JSON document; an error names the field, or line and column where there is no field.
pub(super) fn parse<T: DeserializeOwned>(
    file: &Path,
    bytes: &[u8],
    samples: &Samples,
) -> Result<T, ModelError> {
    let not_json = |why| ModelError::Json { file: file.to_path_buf(), why };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = match error.path().to_string() {
            root if root == "." => "(top level)".to_owned(),
            field => field,
        };
        let why = error.inner().to_string();
        match error.inner().classify() {
            Category::Data => {
                let problem = FieldProblem::Type { why, sample: sample(samples, &field) };
                ModelError::Field { file: file.to_path_buf(), field, problem }
            }
            Category::Syntax | Category::Eof | Category::Io => not_json(format!("in `{field}`, {why}")),
        }
    })?;
    deserializer.end().map_err(|error| not_json(error.to_string()))?;
    Ok(value)
}
