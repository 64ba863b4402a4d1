//! Class names.

use std::path::Path;

use super::error::ModelError;
use super::json::read_small;

/// Reads a labels file: UTF-8 text with one class name per line, in the order of the classes.
///
/// Blanks around a name, empty lines at the end and a byte order mark are not part of any name.
///
/// # Errors
///
/// When the file cannot be read, is not text, has no label, or has an empty line before the last label.
pub fn read_labels(file: impl AsRef<Path>) -> Result<Vec<String>, ModelError> {
    let file = file.as_ref();
    let bytes = read_small(file)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| ModelError::NotText {
        file: file.to_path_buf(),
        valid_up_to: error.valid_up_to(),
    })?;
    let lines = text.trim_start_matches('\u{feff}').trim_end().lines();
    let labels: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
    if labels.is_empty() {
        return Err(ModelError::Empty { file: file.to_path_buf() });
    }
    match labels.iter().position(String::is_empty) {
        Some(idx) => Err(ModelError::EmptyLabel { file: file.to_path_buf(), line: idx + 1 }),
        None => Ok(labels),
    }
}
