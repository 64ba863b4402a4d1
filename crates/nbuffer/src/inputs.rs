//! What a run is made over: files, the files of folders, or paths that come in line by line.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fill::arrays;

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
    /// A link to a folder that it lies in.
    #[error("input folder `{}` is a link to a folder that it lies in; take the link out", path.display())]
    Loop {
        /// The link.
        path: PathBuf,
    },
}

/// The files named by `path`: itself, or all files below it in the order of their paths. Hidden files, whose
/// names begin with a dot, are passed over. `x.npy+y.npy` is one item of several inputs.
///
/// Whether a file is an image or an array is not looked at: that is for its item to find out, and costs that item alone.
///
/// # Errors
///
/// When the path cannot be read, or is a folder without files.
pub fn expand(path: &Path) -> Result<Vec<Arc<Path>>, InputError> {
    let read = |source| InputError::Read { path: path.to_owned(), source };
    if let Some(arrays) = arrays(path).filter(|arrays| arrays.len() > 1) {
        for array in arrays {
            std::fs::metadata(&array).map_err(|source| InputError::Read { path: array, source })?;
        }
        return Ok(vec![path.into()]);
    }
    if !std::fs::metadata(path).map_err(read)?.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    walk(path, &mut files, &mut Vec::new())?;
    if files.is_empty() {
        return Err(InputError::Empty { path: path.to_owned() });
    }
    Ok(files)
}

/// Adds the files below `folder`, which lies in the folders `around` it.
fn walk(folder: &Path, files: &mut Vec<Arc<Path>>, around: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let read = |source| InputError::Read { path: folder.to_owned(), source };
    // Without its links a folder has one path only.
    let real = folder.canonicalize().map_err(read)?;
    if around.contains(&real) {
        return Err(InputError::Loop { path: folder.to_owned() });
    }
    around.push(real);
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
            walk(&path, files, around)?;
        } else {
            files.push(path.into());
        }
    }
    around.pop();
    Ok(())
}

/// The most bytes of one line of paths; systems take paths of some 4 to 32 KiB.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Paths as they come in, one a line, until `reader` ends. Empty lines are passed over.
///
/// An error of the reader, or a line too long for a path, is the last item.
pub fn lines(mut reader: impl BufRead) -> impl Iterator<Item = io::Result<Arc<Path>>> {
    let mut over = false;
    std::iter::from_fn(move || {
        while !over {
            match line(&mut reader) {
                Ok(None) => over = true,
                Ok(Some(line)) if line.is_empty() => {}
                Ok(Some(line)) => return Some(Ok(path_of(&line))),
                Err(error) => {
                    over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    })
}

/// The next line without its end, or `None` after the last.
fn line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if reader.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    } else if line.len() == LINE_BYTES_MAX {
        let why = format!("a line has more than {LINE_BYTES_MAX} bytes; one path a line is expected");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(Some(line))
}

/// A path need not be text on Unix.
#[cfg(unix)]
fn path_of(line: &[u8]) -> Arc<Path> {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(line)).into()
}

/// A line that is not text becomes an item that fails with its name.
#[cfg(not(unix))]
fn path_of(line: &[u8]) -> Arc<Path> {
    Path::new(&*String::from_utf8_lossy(line)).into()
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
            let expected =
                format!("input folder `{}/loop` is a link to a folder that it lies in", dir.path().display());
            assert!(says(dir.path()).starts_with(&expected));
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_to_other_folders_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("1.png"), "").unwrap();
        for link in ["a", "b"] {
            std::os::unix::fs::symlink(other.path(), dir.path().join(link)).unwrap();
        }
        let files = expand(dir.path()).unwrap();
        assert_eq!(
            files.iter().map(|f| &**f).collect::<Vec<_>>(),
            [dir.path().join("a/1.png"), dir.path().join("b/1.png")]
        );
    }

    #[test]
    fn lines_are_paths() {
        let paths: Vec<_> = lines(&b"a.png\r\n\nb c.png\nlast"[..]).map(Result::unwrap).collect();
        assert_eq!(
            paths.iter().map(|p| p.to_str().unwrap()).collect::<Vec<_>>(),
            ["a.png", "b c.png", "last"]
        );
    }

    #[test]
    fn lines_end_with_the_first_error() {
        let longest = [vec![b'a'; LINE_BYTES_MAX - 1], b"\nb\n".to_vec()].concat();
        assert_eq!(lines(&longest[..]).filter(Result::is_ok).count(), 2);
        let endless = io::Read::chain(&b"a\n"[..], io::BufReader::new(io::repeat(b'x')));
        let mut paths = lines(endless);
        assert_eq!(paths.next().unwrap().unwrap().to_str(), Some("a"));
        assert!(paths.next().unwrap().unwrap_err().to_string().contains("more than 65536 bytes"));
        assert!(paths.next().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn paths_need_not_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let path = lines(&b"caf\xe9.png\n"[..]).next().unwrap().unwrap();
        assert_eq!(path.as_os_str().as_bytes(), b"caf\xe9.png");
    }
}
