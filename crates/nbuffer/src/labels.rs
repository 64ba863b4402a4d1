//! The right class of an image, read off the folder it lies in.

use std::path::Path;

/// The class whose name the file's folder has, as in `images/7/0012.png`: the common way to keep a labelled
/// set of images.
pub fn class_of_folder(path: &Path, labels: &[String]) -> Option<usize> {
    let folder = path.parent()?.file_name()?.to_str()?;
    labels.iter().position(|label| label == folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_names_the_class() {
        let labels = ["cat".to_owned(), "dog".to_owned()];
        let class = |path: &str| class_of_folder(Path::new(path), &labels);
        assert_eq!(class("set/dog/1.png"), Some(1));
        assert_eq!(class("set/bird/1.png"), None);
        assert_eq!(class("1.png"), None);
    }
}
