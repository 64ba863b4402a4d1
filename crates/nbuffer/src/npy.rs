//! Arrays as NumPy saves them (`.npy`), read straight into the buffer they are for.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use nbuffer_core::tensor::{DType, TensorInfo};

/// The most bytes of a header. What NumPy writes has 128, and a longer one only for structured types.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Why an array cannot be an input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NpyError {
    #[error("cannot read array `{path}`: {source}")]
    Read { path: String, source: io::Error },
    #[error("`{path}` is not a .npy file: {why}; write it with numpy.save")]
    NotNpy { path: String, why: &'static str },
    #[error(
        "array `{path}` is {dtype} {order} of shape {shape:?}, input `{input}` takes {expected_dtype} of shape {expected_shape:?} in C order"
    )]
    Disagrees {
        path: String,
        dtype: String,
        order: &'static str,
        shape: Vec<usize>,
        input: String,
        expected_dtype: DType,
        expected_shape: Vec<usize>,
    },
    #[error("array `{path}` has {found} B of data, its shape takes {expected}: write it again, whole")]
    Length { path: String, found: u64, expected: usize },
}

/// What the head of a file says of its array.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    /// NumPy's code of the type: `<f4`.
    descr: String,
    is_fortran: bool,
    shape: Vec<usize>,
    /// Where the data begins.
    data_at: u64,
}

/// Reads the array in `path` into `slot`, which is for one item of `tensor`, described with a batch of one. The array's shape is the padded one,
/// with or without the batch.
pub(crate) fn read_into(path: &Path, tensor: &TensorInfo, slot: &mut [u8]) -> Result<(), NpyError> {
    let name = || path.display().to_string();
    let failed = |source| NpyError::Read { path: name(), source };
    // Asked before opening, since opening a pipe waits for its other end.
    let metadata = path.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(NpyError::NotNpy { path: name(), why: "it is no regular file" });
    }
    let mut file = File::open(path).map_err(failed)?;
    let header = header(&mut file).map_err(failed)?;
    let header = header.map_err(|why| NpyError::NotNpy { path: name(), why })?;
    let is_shape = header.shape == tensor.shape() || header.shape == tensor.shape()[1..];
    if !is_shape || header.is_fortran || dtype_of(&header.descr) != Some(tensor.dtype()) {
        return Err(NpyError::Disagrees {
            path: name(),
            dtype: dtype_of(&header.descr).map_or(header.descr, |dtype| dtype.name().to_owned()),
            order: if header.is_fortran { "in Fortran order" } else { "in C order" },
            shape: header.shape,
            input: tensor.name().to_owned(),
            expected_dtype: tensor.dtype(),
            expected_shape: tensor.shape().to_vec(),
        });
    }
    let found = metadata.len().saturating_sub(header.data_at);
    if found != slot.len() as u64 {
        return Err(NpyError::Length { path: name(), found, expected: slot.len() });
    }
    file.read_exact(slot).map_err(failed)
}

/// The type of NumPy's code, if it is one that tensors have, in this machine's byte order.
fn dtype_of(descr: &str) -> Option<DType> {
    let (order, code) = descr.split_at_checked(1)?;
    let own = if cfg!(target_endian = "little") { "<" } else { ">" };
    match (order, code) {
        (_, "i1") => Some(DType::I8),
        (_, "u1") => Some(DType::U8),
        (order, "i4") if order == own => Some(DType::I32),
        (order, "u4") if order == own => Some(DType::U32),
        (order, "i8") if order == own => Some(DType::I64),
        (order, "f4") if order == own => Some(DType::F32),
        _ => None,
    }
}

/// Reads the head of a file; the inner error says what is no head.
fn header(file: &mut impl Read) -> io::Result<Result<Header, &'static str>> {
    let mut start = [0; 8];
    if let Err(error) = file.read_exact(&mut start) {
        return if error.kind() == io::ErrorKind::UnexpectedEof {
            Ok(Err("it is too short"))
        } else {
            Err(error)
        };
    }
    let [magic @ .., major, _minor] = start;
    if magic != *b"\x93NUMPY" {
        return Ok(Err("it does not begin like one"));
    }
    // Version 1 counts its header in 16 bits, later ones in 32.
    let mut length = [0; 4];
    let length_bytes = match major {
        1 => 2,
        2 | 3 => 4,
        _ => return Ok(Err("its version is not 1, 2 or 3")),
    };
    file.read_exact(&mut length[..length_bytes])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > HEADER_BYTES_MAX {
        return Ok(Err("its header has more than 65536 bytes"));
    }
    let mut text = vec![0; length];
    file.read_exact(&mut text)?;
    let Ok(text) = String::from_utf8(text) else { return Ok(Err("its header is not text")) };
    let data_at = (start.len() + length_bytes + length) as u64;
    Ok(parse(&text, data_at).ok_or("its header is not one of a plain array"))
}

/// The header's three keys, as numpy.save writes them: a Python dictionary in one line.
fn parse(text: &str, data_at: u64) -> Option<Header> {
    let value = |key: &str| {
        let (_, rest) = text.split_once(&format!("'{key}':"))?;
        Some(rest.trim_start())
    };
    let (descr, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
    let order = value("fortran_order")?;
    let is_fortran = order.starts_with("True");
    if !is_fortran && !order.starts_with("False") {
        return None;
    }
    let (dims, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
    let dims = dims.split(',').map(str::trim).filter(|dim| !dim.is_empty());
    let shape = dims.map(|dim| dim.parse().ok()).collect::<Option<Vec<usize>>>()?;
    Some(Header { descr: descr.to_owned(), is_fortran, shape, data_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as numpy.save writes it.
    fn saved(dict: &str, data: &[u8]) -> Vec<u8> {
        let mut header = format!("{dict}\n").into_bytes();
        header.splice(dict.len()..dict.len(), vec![b' '; 128 - 10 - header.len()]);
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], &header, data].concat()
    }

    fn read(bytes: &[u8]) -> Result<Vec<f32>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        std::fs::write(&path, bytes).unwrap();
        let mut slot = vec![0; 8];
        let tensor = TensorInfo::float32("x", [1, 2]).unwrap();
        read_into(&path, &tensor, &mut slot).map_err(|error| error.to_string())?;
        Ok(slot.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect())
    }

    const DATA: [u8; 8] = [0, 0, 128, 63, 0, 0, 0, 64];

    #[test]
    fn arrays_of_the_shape_of_the_input_are_read() {
        for shape in ["(1, 2)", "(2,)"] {
            let dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            assert_eq!(read(&saved(&dict, &DATA)), Ok(vec![1.0, 2.0]));
        }
        let mut second = saved("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", &DATA);
        second[6] = 2;
        second.splice(10..10, [0, 0]);
        assert_eq!(read(&second), Ok(vec![1.0, 2.0]), "version 2");
    }

    #[test]
    fn other_arrays_and_files_say_what_is_wrong() {
        let array = |descr: &str, order: &str, shape: &str, data: &[u8]| {
            let dict = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
            read(&saved(&dict, data)).unwrap_err()
        };
        for (found, says) in [
            (
                array("'<f4'", "False", "(3,)", &[0; 12]),
                "is float32 in C order of shape [3], input `x` takes float32 of shape [1, 2]",
            ),
            (array("'<f8'", "False", "(2,)", &[0; 16]), "is <f8 in C order"),
            (array("'>f4'", "False", "(2,)", &DATA), "is >f4 in C order"),
            (array("'<f4'", "True", "(2,)", &DATA), "is float32 in Fortran order"),
            (array("'<f4'", "False", "(2,)", &DATA[..7]), "has 7 B of data, its shape takes 8"),
            (array("'<f4'", "False", "(2,)", &[0; 9]), "has 9 B of data, its shape takes 8"),
            (array("[('a', '<f4')]", "False", "(2,)", &DATA), "not one of a plain array"),
            (array("'<f4'", "Maybe", "(2,)", &DATA), "not one of a plain array"),
            (array("'<f4'", "False", "(-2,)", &DATA), "not one of a plain array"),
            (read(b"\x93NUMPY\x04\x00\x00\x00").unwrap_err(), "its version is not 1, 2 or 3"),
            (read(b"PNG").unwrap_err(), "it is too short"),
            (read(b"PK\x03\x04 and so on").unwrap_err(), "it does not begin like one"),
            (read(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").unwrap_err(), "more than 65536 bytes"),
            (read(b"\x93NUMPY\x01\x00\x80\x00{").unwrap_err(), "cannot read array"),
        ] {
            assert!(found.contains(says), "should say {says:?}: {found}");
        }
    }
}
