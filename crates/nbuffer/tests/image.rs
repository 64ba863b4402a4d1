//! Image files to input tensors: values, layouts, limits, and what is said of files that are no images.

use std::fs;
use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbaImage};
use nbuffer::image::{ImagePreprocess, RgbImage};
use nbuffer_core::tensor::{DType, TensorInfo};
use proptest::prelude::*;

fn float(shape: [usize; 4]) -> TensorInfo {
    TensorInfo::float32("image", shape).unwrap()
}

/// Images for a float input of the given shape, neither shifted nor scaled.
fn plain(shape: [usize; 4]) -> ImagePreprocess {
    ImagePreprocess::new(&float(shape), [0.0; 3], [1.0; 3]).unwrap()
}

fn reals(preprocess: &ImagePreprocess, image: &RgbImage) -> Vec<f32> {
    let mut slot = vec![0xee; preprocess.item_bytes()];
    preprocess.fill(image, &mut slot).unwrap();
    slot.chunks_exact(4).map(|real| f32::from_ne_bytes(real.try_into().unwrap())).collect()
}

/// A picture with edges and slopes, so that a codec has something to store.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7) as u8, (y * 5) as u8, ((x ^ y) * 3) as u8]))
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn a_png_of_the_right_size_keeps_its_pixels() {
    let picture = picture(31, 17);
    let decoded = plain([1, 3, 17, 31]).decode("a.png", &encoded(picture.clone(), ImageFormat::Png)).unwrap();
    assert_eq!(decoded, picture);
}

#[test]
fn a_jpeg_comes_close_whatever_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let picture = RgbImage::from_pixel(40, 24, Rgb([200, 100, 50]));
    fs::write(dir.path().join("a.png"), encoded(picture, ImageFormat::Jpeg)).unwrap();
    let decoded = plain([1, 3, 24, 40]).load(dir.path().join("a.png")).unwrap();
    for pixel in decoded.pixels() {
        for (found, expected) in pixel.0.into_iter().zip([200_u8, 100, 50]) {
            assert!(found.abs_diff(expected) <= 4, "{pixel:?}");
        }
    }
}

#[test]
fn grey_deep_and_transparent_images_become_rgb() {
    let preprocess = plain([1, 3, 1, 2]);
    let grey = GrayImage::from_raw(2, 1, vec![0, 77]).unwrap();
    let decoded = preprocess.decode("grey", &encoded(grey, ImageFormat::Png)).unwrap();
    assert_eq!(decoded.as_raw(), &[0, 0, 0, 77, 77, 77]);

    let transparent = RgbaImage::from_raw(2, 1, vec![1, 2, 3, 0, 4, 5, 6, 128]).unwrap();
    let decoded = preprocess.decode("transparent", &encoded(transparent, ImageFormat::Png)).unwrap();
    assert_eq!(decoded.as_raw(), &[1, 2, 3, 4, 5, 6]);

    let deep = image::ImageBuffer::<Rgb<u16>, _>::from_raw(2, 1, vec![0, 65535, 257 * 9, 0, 0, 0]).unwrap();
    let decoded = preprocess.decode("deep", &encoded(deep, ImageFormat::Png)).unwrap();
    assert_eq!(decoded.as_raw(), &[0, 255, 9, 0, 0, 0]);
}

#[test]
fn resizing_takes_the_nearest_two_pixels_of_each_axis() {
    let row =
        |values: &[u8]| RgbImage::from_fn(values.len() as u32, 1, |x, _| Rgb([values[x as usize], 0, 255]));
    let reds = |image: RgbImage| image.pixels().map(|pixel| pixel[0]).collect::<Vec<u8>>();

    // Twice as wide: the centres of the new pixels lie a quarter from those of the old ones.
    assert_eq!(reds(plain([1, 3, 1, 4]).resize(row(&[0, 100]))), [0, 25, 75, 100]);
    // A quarter as wide: the two in the middle of four count, where antialiasing would average them all.
    let wide = row(&[255, 10, 30, 255, 255, 50, 70, 255]);
    assert_eq!(reds(plain([1, 3, 1, 2]).resize(wide)), [20, 60]);
    // Stretched, not cropped: height and width scale apart.
    let stretched = plain([1, 3, 6, 2]).resize(picture(2, 3));
    assert_eq!(stretched.dimensions(), (2, 6));
}

#[test]
fn float_inputs_take_channels_second_or_last() {
    let image = RgbImage::from_raw(2, 1, vec![0, 51, 102, 153, 204, 255]).unwrap();
    let column = RgbImage::from_raw(1, 2, image.as_raw().clone()).unwrap();
    assert_eq!(reals(&plain([1, 3, 1, 2]), &image), [0.0, 0.6, 0.2, 0.8, 0.4, 1.0]);
    assert_eq!(reals(&plain([1, 2, 1, 3]), &column), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    // Where both could be meant, channels come second.
    assert_eq!(plain([1, 3, 5, 3]).size(), (5, 3));
}

#[test]
fn one_channel_inputs_take_the_luma() {
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9], [255, 255, 255]];
    let image = RgbImage::from_raw(5, 1, colours.concat()).unwrap();
    // What Pillow's `Image.convert("L")` gives for these colours.
    let expected = [76, 150, 29, 9, 255].map(|luma: u8| f32::from(luma) / 255.0);
    assert_eq!(reals(&plain([1, 1, 1, 5]), &image), expected);
    let column = RgbImage::from_raw(1, 5, colours.concat()).unwrap();
    assert_eq!(reals(&plain([1, 5, 1, 1]), &column), expected);
}

#[test]
fn float_pixels_are_normalised_per_channel() {
    let (mean, std) = ([0.5, 0.25, 0.0], [0.5, 0.125, 2.0]);
    let preprocess = ImagePreprocess::new(&float([4, 3, 1, 1]), mean, std).unwrap();
    // One item of a batch of four.
    assert_eq!(preprocess.item_bytes(), 12);
    let image = RgbImage::from_pixel(1, 1, Rgb([255, 0, 51]));
    assert_eq!(reals(&preprocess, &image), [1.0, -2.0, 0.1]);
}

#[test]
fn int8_inputs_are_quantised_and_padded_item_by_item() {
    let padding = [(0, 0), (1, 0), (0, 1), (0, 1)];
    let input = TensorInfo::new("image", [2, 2, 3, 4], padding, 1.0 / 255.0, -128, DType::I8).unwrap();
    let preprocess = ImagePreprocess::new(&input, [0.0; 3], [1.0; 3]).unwrap();
    assert_eq!((preprocess.size(), preprocess.item_bytes()), ((1, 2), 24));

    let image = RgbImage::from_raw(2, 1, vec![0, 1, 2, 253, 254, 255]).unwrap();
    let mut slot = vec![0xee; 24];
    preprocess.fill(&image, &mut slot).unwrap();
    let row = [-128, -127, -126, -128, 125, 126, 127, -128, -128, -128, -128, -128];
    let expected: Vec<u8> = [-128_i8; 12].iter().chain(&row).map(|&integer| integer as u8).collect();
    assert_eq!(slot, expected);
}

#[test]
fn int8_inputs_of_one_channel_take_the_luma() {
    let input = TensorInfo::new("image", [1, 1, 1, 4], [(0, 0), (0, 0), (0, 0), (0, 3)], 1.0, 0, DType::I8);
    // A std of 1/255 brings pixels back to the scale 0 to 255.
    let preprocess = ImagePreprocess::new(&input.unwrap(), [0.0; 3], [1.0 / 255.0; 3]).unwrap();
    let mut slot = [0xee; 4];
    preprocess.fill(&RgbImage::from_pixel(1, 1, Rgb([0, 0, 255])), &mut slot).unwrap();
    assert_eq!(slot, [29, 0, 0, 0]);
}

#[test]
fn inputs_that_take_no_images() {
    let check = |input: TensorInfo, mean: f32, std: f32, says: &str| {
        let message = ImagePreprocess::new(&input, [mean; 3], [std; 3]).unwrap_err().to_string();
        assert!(message.contains(says), "should say {says:?}: {message}");
    };
    let tensor = |shape: &[usize], dtype| TensorInfo::new("image", shape, [], 1.0, 0, dtype).unwrap();
    check(tensor(&[1, 10], DType::F32), 0.0, 1.0, "input `image` (float32 [1, 10]) takes no images");
    check(tensor(&[1, 4, 8, 4], DType::F32), 0.0, 1.0, "1 or 3 channels second, or N, H, W, C");
    check(tensor(&[1, 3, 8, 8], DType::I8), 0.0, 1.0, "need N, H, W, C with 1 or 3 channels last");
    check(tensor(&[1, 8, 8, 3], DType::U8), 0.0, 1.0, "images become int8 or float32");
    check(tensor(&[1, 3, 0, 8], DType::F32), 0.0, 1.0, "not between 1 and 16384");
    check(tensor(&[1, 3, 8, 20000], DType::F32), 0.0, 1.0, "not between 1 and 16384");
    for dtype in [DType::F32, DType::I8] {
        for (mean, std) in [(f32::NAN, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, f32::INFINITY)] {
            check(tensor(&[1, 8, 8, 3], dtype), mean, std, "channel 0");
        }
    }
}

#[test]
fn a_wrong_image_or_slot_is_refused() {
    let preprocess = plain([1, 3, 2, 4]);
    let message = |image: &RgbImage, slot: &mut [u8]| preprocess.fill(image, slot).unwrap_err().to_string();
    let says = "the image has 2 x 4 pixels, the input takes 4 x 2: resize it first";
    assert_eq!(message(&picture(2, 4), &mut [0; 96]), says);
    assert_eq!(message(&picture(4, 2), &mut [0; 95]), "the slot has 95 B, one item of the input has 96 B");
}

#[test]
fn an_image_without_pixels_becomes_black() {
    assert_eq!(plain([1, 3, 1, 2]).resize(RgbImage::new(0, 7)).as_raw(), &[0; 6]);
}

/// What is said of a file with this content.
fn refusal(content: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("some.png");
    fs::write(&file, content).unwrap();
    let message = plain([1, 3, 4, 4]).load(&file).unwrap_err().to_string();
    let named = format!("image `{}` ", file.display());
    message.strip_prefix(&named).unwrap_or_else(|| panic!("should name the file: {message}")).to_owned()
}

#[test]
fn files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let load = |name: &str| plain([1, 3, 4, 4]).load(dir.path().join(name)).unwrap_err().to_string();
    let message = load("missing.png");
    assert!(message.contains("missing.png` cannot be read: "), "{message}");
    fs::create_dir(dir.path().join("folder.png")).unwrap();
    let message = load("folder.png");
    assert!(message.ends_with("folder.png` is not a regular file"), "{message}");
    // Sparse: it has the size without the bytes.
    fs::File::create(dir.path().join("large.png")).unwrap().set_len(1 << 40).unwrap();
    let message = load("large.png");
    assert!(message.contains("large.png` has 1099511627776 B, at most 268435456 B are read"), "{message}");
}

#[test]
fn files_that_are_no_images() {
    for content in [&b""[..], b"text", b"GIF89a\x01\x00\x01\x00", b"\x89PN", b"\xff\xd8"] {
        assert!(refusal(content).starts_with("is neither PNG nor JPEG"), "{content:?}");
    }
}

#[test]
fn truncated_images_are_refused_wherever_they_end() {
    let png = encoded(picture(64, 48), ImageFormat::Png);
    let jpeg = encoded(picture(64, 48), ImageFormat::Jpeg);
    // A PNG whose last chunk, which holds nothing, is cut has all its pixels.
    for (whole, picture_end) in [(&png, png.len() - 12), (&jpeg, jpeg.len())] {
        for end in (8..picture_end).step_by(7).chain([picture_end - 1]) {
            let says = refusal(&whole[..end]);
            assert!(says.starts_with("is truncated"), "{end} of {}: {says}", whole.len());
        }
    }
}

#[test]
fn a_jpeg_may_carry_data_behind_its_end() {
    let mut jpeg = encoded(picture(64, 48), ImageFormat::Jpeg);
    let preprocess = plain([1, 3, 48, 64]);
    let whole = preprocess.decode("whole", &jpeg).unwrap();
    jpeg.extend(b"\xff\xe1 a maker's own");
    assert_eq!(preprocess.decode("more", &jpeg).unwrap(), whole);
}

#[test]
fn damaged_images_are_refused_with_the_decoders_reason() {
    let mut png = encoded(picture(64, 48), ImageFormat::Png);
    let middle = png.len() / 2;
    png[middle] ^= 0xff;
    let says = refusal(&png);
    assert!(says.starts_with("cannot be decoded: ") && says.len() > 30, "{says}");
}

#[test]
fn images_that_would_eat_the_memory_are_refused() {
    let mut png = encoded(picture(4, 4), ImageFormat::Png);
    // Width and height of the header, whose checksum then has to be right again.
    for (width, height) in [(16385_u32, 1_u32), (1, u32::MAX >> 1), (16384, 16384)] {
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        let says = refusal(&png);
        assert!(says.starts_with("is too large: at most 16384 x 16384"), "{width} x {height}: {says}");
    }
    let mut jpeg = encoded(picture(4, 4), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff); // height and width
    assert!(refusal(&jpeg).starts_with("is too large"), "{}", refusal(&jpeg));
}

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

proptest! {
    #[test]
    fn damaged_images_never_panic(
        jpeg: bool,
        damages in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = encoded(picture(19, 13), if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png });
        for (at, byte) in damages {
            *at.get_mut(&mut bytes) = byte;
        }
        match plain([1, 3, 5, 7]).decode("damaged", &bytes) {
            Ok(image) => prop_assert_eq!(image.dimensions(), (7, 5)),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("image `damaged` "), "{}", message);
            }
        }
    }
}
