//! Python's items: objects on their way, and the iterable they come from.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use nbuffer::image::RgbImage;
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator};

/// One item.
pub(crate) struct Item {
    /// What the user gave.
    pub(crate) object: Py<PyAny>,
    /// What was submitted with it: a future and a tag.
    pub(crate) token: Option<Py<PyAny>>,
    /// The image in it, read off while Python was at hand; whoever preprocesses it takes it.
    image: Mutex<Option<PyResult<Image>>>,
}

/// An image, where it can be used without Python.
pub(crate) enum Image {
    File(PathBuf),
    Encoded(Vec<u8>),
    Pixels(RgbImage),
}

impl Item {
    pub(crate) fn new(object: Bound<'_, PyAny>, token: Option<Py<PyAny>>, is_image: bool) -> Arc<Self> {
        let image = Mutex::new(is_image.then(|| Image::of(&object)));
        Arc::new(Item { object: object.unbind(), token, image })
    }

    pub(crate) fn take_image(&self) -> PyResult<Image> {
        let image = self.image.lock().expect("nothing panics while it holds this lock").take();
        image.unwrap_or_else(|| Err(PyValueError::new_err("the item's image was taken before")))
    }
}

impl Image {
    fn of(object: &Bound<'_, PyAny>) -> PyResult<Image> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Image::Encoded(bytes.as_bytes().to_vec()));
        }
        if let Ok(pixels) = object.extract::<PyReadonlyArrayDyn<'_, u8>>() {
            return Ok(Image::Pixels(pixels_of(&pixels)?));
        }
        if let Ok(path) = object.extract::<PathBuf>() {
            return Ok(Image::File(path));
        }
        let kind = object.get_type();
        Err(PyTypeError::new_err(format!(
            "{kind} is no image: a path, the bytes of a PNG or JPEG file, or a uint8 array of shape (height, width, 3) \
             or (height, width) is expected"
        )))
    }
}

/// The pixels of a colour or grey picture.
fn pixels_of(pixels: &PyReadonlyArrayDyn<'_, u8>) -> PyResult<RgbImage> {
    let shape = pixels.shape().to_vec();
    let wrong = || {
        PyValueError::new_err(format!(
            "an array of shape {shape:?} is no image: (height, width, 3) or (height, width) is expected"
        ))
    };
    let (&[height, width] | &[height, width, 3]) = &shape[..] else {
        return Err(wrong());
    };
    let side = |side: usize| u32::try_from(side).map_err(|_| wrong());
    let bytes = match pixels.as_slice() {
        Ok(bytes) => bytes.to_vec(),
        // A slice, a mirror image, one plane of several.
        Err(_) => pixels.as_array().iter().copied().collect(),
    };
    let bytes = if shape.len() == 2 { bytes.iter().flat_map(|&grey| [grey; 3]).collect() } else { bytes };
    RgbImage::new(side(width)?, side(height)?, bytes)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// What an iterable raised instead of its next item.
pub(crate) type Failed = Arc<Mutex<Option<PyErr>>>;

/// The items of an iterable.
pub(crate) struct Items {
    iterator: Py<PyIterator>,
    images: bool,
    failed: Failed,
}

impl Items {
    pub(crate) fn new(items: &Bound<'_, PyAny>, images: bool) -> PyResult<Self> {
        Ok(Items { iterator: items.try_iter()?.unbind(), images, failed: Failed::default() })
    }

    pub(crate) fn failed(&self) -> Failed {
        Arc::clone(&self.failed)
    }
}

impl Iterator for Items {
    type Item = Arc<Item>;

    /// Ends with the iterable, with its exception, and with the interpreter.
    fn next(&mut self) -> Option<Arc<Item>> {
        let next = Python::try_attach(|py| {
            let next = self.iterator.bind(py).clone().next()?;
            Some(next.map(|object| Item::new(object, None, self.images)))
        });
        match next.flatten()? {
            Ok(item) => Some(item),
            Err(error) => {
                *self.failed.lock().expect("nothing panics while it holds this lock") = Some(error);
                None
            }
        }
    }
}
