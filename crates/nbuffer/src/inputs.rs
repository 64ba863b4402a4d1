//! What a run is made over: files, the files of folders, or paths that come in line by line.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why there is nothing to run over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A path that is not there, or a folder that cannot be read.
    #[error("cannot read input `{}`", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder without files.
    #[error("input folder `{}` holds no files; give one that holds images", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Links that lead back into a folder being read.
    #[error("input folder `{}` nests more than {} folders deep; do its links form a loop?", path.display(), DEPTH_MAX)]
    TooDeep {
        /// The folder.
        path: PathBuf,
    },
}

/// The most folders within folders that are followed.
const DEPTH_MAX: usize = 64;

/// The files named by `path`: itself, or all files below it in the order of their paths. Hidden files, whose
/// names begin with a dot, are passed over.
///
/// Whether a file is an image is not looked at: that is for its item to find out, and costs that item alone.
///
/// # Errors
///
/// When the path cannot be read, or is a folder without files.
pub fn expand(path: &Path) -> Result<Vec<Arc<Path>>, InputError> {
    let read = |source| InputError::Read { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(read)?.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    walk(path, &mut files, 0)?;
    if files.is_empty() {
        return Err(InputError::Empty { path: path.to_owned() });
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<Arc<Path>>, depth: usize) -> Result<(), InputError> {
    if depth > DEPTH_MAX {
        return Err(InputError::TooDeep { path: folder.to_owned() });
    }
    let read = |source| InputError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, files, depth + 1)?;
        } else {
            files.push(path.into());
        }
    }
    Ok(())
}

/// Paths as they come in, one a line, until the end of `lines`. Empty lines are passed over.
///
/// A line that cannot be read as text ends up as an item of its own, which fails with its name.
pub fn lines(reader: impl BufRead) -> impl Iterator<Item = Arc<Path>> {
    reader
        .split(b'\n')
        .map_while(Result::ok)
        .map(|mut line| {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            line
        })
        .filter(|line| !line.is_empty())
        .map(|line| Arc::from(Path::new(&*String::from_utf8_lossy(&line))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_their_files_in_order_and_hide_the_hidden() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["b/2.png", "b/1.png", "a.png", "c/d/e.png", ".hidden", "b/.also"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let files = expand(dir.path()).unwrap();
        let names: Vec<_> =
            files.iter().map(|f| f.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.png", "b/1.png", "b/2.png", "c/d/e.png"]);
    }

    #[test]
    fn missing_empty_and_looping_folders_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let says = |path: &Path| expand(path).unwrap_err().to_string();
        assert!(says(dir.path()).ends_with("holds no files; give one that holds images"));
        assert!(says(&dir.path().join("x")).starts_with("cannot read input `"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
            assert!(
                says(dir.path()).contains("do its links form a loop?")
                    || says(dir.path()).contains("cannot read")
            );
        }
    }

    #[test]
    fn lines_are_paths() {
        let paths: Vec<_> = lines(&b"a.png\r\n\nb c.png\nlast"[..]).collect();
        assert_eq!(
            paths.iter().map(|p| p.to_str().unwrap()).collect::<Vec<_>>(),
            ["a.png", "b c.png", "last"]
        );
    }
}
