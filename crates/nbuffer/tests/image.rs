//! Image files to input tensors: values, layouts, limits, and what is said of files that are no images.

use std::fs;
use std::path::Path;

use nbuffer::image::{ImagePreprocess, RgbImage};
use nbuffer_core::tensor::{DType, TensorInfo};
use png::{BitDepth, ColorType};
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
fn slopes(width: u32, height: u32) -> RgbImage {
    let pixel = |x, y| [x * 7, y * 5, (x ^ y) * 3].map(|channel| channel as u8);
    let bytes = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    RgbImage::new(width, height, bytes).unwrap()
}

fn row(pixels: &[[u8; 3]]) -> RgbImage {
    RgbImage::new(pixels.len() as u32, 1, pixels.as_flattened().to_vec()).unwrap()
}

/// A PNG of the given type and depth; `samples` are as the file stores them, rows filled up to whole bytes.
fn png_of(size: (u32, u32), color_type: ColorType, bit_depth: BitDepth, samples: &[u8]) -> Vec<u8> {
    encoded(size, samples, |encoder| {
        encoder.set_color(color_type);
        encoder.set_depth(bit_depth);
    })
}

fn encoded(
    (width, height): (u32, u32),
    samples: &[u8],
    set_up: impl FnOnce(&mut png::Encoder<'_, &mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    set_up(&mut encoder);
    encoder.write_header().unwrap().write_image_data(samples).unwrap();
    bytes
}

/// `image` as a PNG.
fn png(image: &RgbImage) -> Vec<u8> {
    png_of((image.width(), image.height()), ColorType::Rgb, BitDepth::Eight, image.as_bytes())
}

/// A file that `images/make.py` made.
fn stored(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images").join(name)).unwrap()
}

#[track_caller]
fn check_decodes(bytes: &[u8], expected: &RgbImage) {
    let preprocess = plain([1, 3, expected.height() as usize, expected.width() as usize]);
    assert_eq!(&preprocess.decode("tested", bytes).unwrap(), expected);
}

#[test]
fn an_image_has_three_bytes_for_each_pixel() {
    let image = RgbImage::new(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
    assert_eq!((image.width(), image.height(), image.pixels()), (2, 1, &[[1, 2, 3], [4, 5, 6]][..]));
    assert_eq!(RgbImage::from_pixel(2, 2, [1, 2, 3]).as_bytes(), [1, 2, 3].repeat(4));
    let message = RgbImage::new(2, 1, vec![0; 5]).unwrap_err().to_string();
    assert_eq!(message, "2 x 1 pixels take three bytes each, 5 B are given");
    assert!(RgbImage::new(u32::MAX, u32::MAX, vec![]).is_err());
}

#[test]
fn a_png_of_the_right_size_keeps_its_pixels() {
    check_decodes(&png(&slopes(31, 17)), &slopes(31, 17));
}

#[test]
fn png_samples_of_every_depth_become_8_bits() {
    let grey = |values: &[u8]| row(&values.iter().map(|&value| [value; 3]).collect::<Vec<_>>());
    let check = |bit_depth, width, samples: &[u8], expected: &[u8]| {
        check_decodes(&png_of((width, 1), ColorType::Grayscale, bit_depth, samples), &grey(expected));
    };
    check(BitDepth::One, 9, &[0b1010_0001, 0b1000_0000], &[255, 0, 255, 0, 0, 0, 0, 255, 255]);
    check(BitDepth::Two, 5, &[0b0001_1011, 0b0100_0000], &[0, 85, 170, 255, 85]);
    check(BitDepth::Four, 3, &[0x0f, 0x20], &[0, 255, 34]);
    check(BitDepth::Eight, 3, &[0, 77, 255], &[0, 77, 255]);
    // Nearest, not cut off: 128 is less than half of 257, and 129 more.
    let deep = [0, 128, 129, 257 * 9, 257 * 9 + 128, 257 * 9 + 129, 65535_u16];
    let samples: Vec<u8> = deep.iter().flat_map(|sample| sample.to_be_bytes()).collect();
    check(BitDepth::Sixteen, 7, &samples, &[0, 0, 1, 9, 9, 10, 255]);
}

#[test]
fn png_colours_become_rgb_and_alpha_is_dropped() {
    use BitDepth::{Eight, Sixteen};
    let check = |color_type, bit_depth, samples: &[u8]| {
        let expected = row(match color_type {
            ColorType::Grayscale | ColorType::GrayscaleAlpha => &[[1; 3], [200; 3]],
            _ => &[[1, 2, 3], [40, 50, 60]],
        });
        check_decodes(&png_of((2, 1), color_type, bit_depth, samples), &expected);
    };
    check(ColorType::Grayscale, Eight, &[1, 200]);
    check(ColorType::GrayscaleAlpha, Eight, &[1, 0, 200, 128]);
    check(ColorType::Rgb, Eight, &[1, 2, 3, 40, 50, 60]);
    check(ColorType::Rgba, Eight, &[1, 2, 3, 0, 40, 50, 60, 128]);
    // In 16 bits, a value of 8 bits stands twice.
    check(ColorType::Grayscale, Sixteen, &[1, 1, 200, 200]);
    check(ColorType::GrayscaleAlpha, Sixteen, &[1, 1, 0, 0, 200, 200, 99, 9]);
    check(ColorType::Rgb, Sixteen, &[1, 1, 2, 2, 3, 3, 40, 40, 50, 50, 60, 60]);
    check(ColorType::Rgba, Sixteen, &[1, 1, 2, 2, 3, 3, 0, 0, 40, 40, 50, 50, 60, 60, 99, 9]);
}

#[test]
fn png_palettes_are_looked_up() {
    let palette = [[1, 2, 3], [40, 50, 60], [7, 8, 9]];
    for (bit_depth, samples) in [(BitDepth::Two, &[0b0110_0000][..]), (BitDepth::Eight, &[1, 2, 0])] {
        for transparency in [None, Some([0, 128])] {
            let bytes = encoded((3, 1), samples, |encoder| {
                encoder.set_color(ColorType::Indexed);
                encoder.set_depth(bit_depth);
                encoder.set_palette(palette.concat());
                if let Some(alpha) = transparency {
                    encoder.set_trns(alpha.to_vec());
                }
            });
            check_decodes(&bytes, &row(&[palette[1], palette[2], palette[0]]));
        }
    }
}

#[test]
fn a_palette_that_ends_within_a_colour_is_refused() {
    // The decoder panicked on these, whose checksums are right.
    for n_bytes in [4, 5, 7, 767] {
        let bytes = encoded((1, 1), &[0], |encoder| {
            encoder.set_color(ColorType::Indexed);
            encoder.set_palette(vec![9; n_bytes]);
        });
        let says =
            format!("cannot be decoded: its palette has {n_bytes} B, which are not three for each colour");
        assert_eq!(refusal(&bytes), says);
    }
}

#[test]
fn a_transparent_colour_keeps_its_value() {
    let bytes = encoded((2, 1), &[1, 2, 3, 40, 50, 60], |encoder| {
        encoder.set_color(ColorType::Rgb);
        encoder.set_trns(vec![0, 1, 0, 2, 0, 3]);
    });
    check_decodes(&bytes, &row(&[[1, 2, 3], [40, 50, 60]]));
}

#[test]
fn interlaced_pngs_come_out_whole() {
    check_decodes(&stored("interlaced-rgb.png"), &slopes(19, 13));
    let bits = (0..13_u8).flat_map(|y| (0..19_u8).flat_map(move |x| [((x ^ y) & 1) * 255; 3]));
    let chequered = RgbImage::new(19, 13, bits.collect()).unwrap();
    check_decodes(&stored("interlaced-grey-1-bit.png"), &chequered);
}

/// Checks that no sample of the JPEG is farther than `tolerance` from what libjpeg makes of it.
#[track_caller]
fn check_jpeg(name: &str, (width, height): (u32, u32), tolerance: u8) {
    let decode =
        |file: &str| plain([1, 3, height as usize, width as usize]).decode(file, &stored(file)).unwrap();
    let (found, expected) = (decode(&format!("{name}.jpg")), decode(&format!("{name}.png")));
    let errors =
        found.as_bytes().iter().zip(expected.as_bytes()).map(|(&found, &expected)| found.abs_diff(expected));
    assert!(errors.clone().max().unwrap() <= tolerance, "{name} is off by {:?}", errors.max());
}

#[test]
fn jpegs_come_out_as_libjpeg_decodes_them() {
    // Decoders may round a sample to either side. Without colours to convert, that is all.
    check_jpeg("grey", (19, 13), 1);
    check_jpeg("rgb", (19, 13), 1);
    // An ink times black: both may be off.
    check_jpeg("cmyk", (19, 13), 2);
    // One of luma, and one of blue difference, which weighs 1.772 in blue (ITU-T T.871), together make 3.
    check_jpeg("slopes", (64, 48), 3);
    check_jpeg("flat", (40, 24), 3);
    check_jpeg("progressive", (19, 13), 3);
    check_jpeg("halved-chroma", (45, 37), 3);
}

#[test]
fn a_jpeg_is_one_whatever_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.png");
    fs::write(&file, stored("flat.jpg")).unwrap();
    let preprocess = plain([1, 3, 24, 40]);
    assert_eq!(preprocess.load(&file).unwrap(), preprocess.decode("flat", &stored("flat.jpg")).unwrap());
}

#[test]
fn a_jpeg_whose_colours_contradict_each_other_is_refused() {
    let mut jpeg = stored("slopes.jpg");
    // A note of Adobe's programs that says CMYK, in a file of three components.
    let note = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00";
    jpeg.splice(2..2, *note);
    assert_eq!(
        refusal(&jpeg),
        "has 3 colour components of a kind that is not decoded: convert it to RGB or grey"
    );
}

#[test]
fn resizing_takes_the_nearest_two_pixels_of_each_axis() {
    let row = |reds: &[u8]| row(&reds.iter().map(|&red| [red, 0, 255]).collect::<Vec<_>>());
    let reds = |image: RgbImage| image.pixels().iter().map(|pixel| pixel[0]).collect::<Vec<u8>>();

    // Twice as wide: the centres of the new pixels lie a quarter from those of the old ones.
    assert_eq!(reds(plain([1, 3, 1, 4]).resize(row(&[0, 100]))), [0, 25, 75, 100]);
    // A quarter as wide: the two in the middle of four count, where antialiasing would average them all.
    let wide = row(&[255, 10, 30, 255, 255, 50, 70, 255]);
    assert_eq!(reds(plain([1, 3, 1, 2]).resize(wide)), [20, 60]);
    // Stretched, not cropped: height and width scale apart.
    let stretched = plain([1, 3, 6, 2]).resize(slopes(2, 3));
    assert_eq!((stretched.width(), stretched.height()), (2, 6));
}

#[test]
fn float_inputs_take_channels_second_or_last() {
    let image = RgbImage::new(2, 1, vec![0, 51, 102, 153, 204, 255]).unwrap();
    let column = RgbImage::new(1, 2, image.as_bytes().to_vec()).unwrap();
    assert_eq!(reals(&plain([1, 3, 1, 2]), &image), [0.0, 0.6, 0.2, 0.8, 0.4, 1.0]);
    assert_eq!(reals(&plain([1, 2, 1, 3]), &column), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    // Where both could be meant, channels come second.
    assert_eq!(plain([1, 3, 5, 3]).size(), (5, 3));
}

#[test]
fn one_channel_inputs_take_the_luma() {
    let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9], [255, 255, 255]];
    let image = RgbImage::new(5, 1, colours.concat()).unwrap();
    // What Pillow's `Image.convert("L")` gives for these colours.
    let expected = [76, 150, 29, 9, 255].map(|luma: u8| f32::from(luma) / 255.0);
    assert_eq!(reals(&plain([1, 1, 1, 5]), &image), expected);
    let column = RgbImage::new(1, 5, colours.concat()).unwrap();
    assert_eq!(reals(&plain([1, 5, 1, 1]), &column), expected);
}

#[test]
fn float_pixels_are_normalised_per_channel() {
    let (mean, std) = ([0.5, 0.25, 0.0], [0.5, 0.125, 2.0]);
    let preprocess = ImagePreprocess::new(&float([4, 3, 1, 1]), mean, std).unwrap();
    // One item of a batch of four.
    assert_eq!(preprocess.item_bytes(), 12);
    let image = RgbImage::from_pixel(1, 1, [255, 0, 51]);
    assert_eq!(reals(&preprocess, &image), [1.0, -2.0, 0.1]);
}

#[test]
fn int8_inputs_are_quantised_and_padded_item_by_item() {
    let padding = [(0, 0), (1, 0), (0, 1), (0, 1)];
    let input = TensorInfo::new("image", [2, 2, 3, 4], padding, 1.0 / 255.0, -128, DType::I8).unwrap();
    let preprocess = ImagePreprocess::new(&input, [0.0; 3], [1.0; 3]).unwrap();
    assert_eq!((preprocess.size(), preprocess.item_bytes()), ((1, 2), 24));

    let image = RgbImage::new(2, 1, vec![0, 1, 2, 253, 254, 255]).unwrap();
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
    preprocess.fill(&RgbImage::from_pixel(1, 1, [0, 0, 255]), &mut slot).unwrap();
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
    assert_eq!(message(&slopes(2, 4), &mut [0; 96]), says);
    assert_eq!(message(&slopes(4, 2), &mut [0; 95]), "the slot has 95 B, one item of the input has 96 B");
}

#[test]
fn an_image_without_pixels_becomes_black() {
    assert_eq!(plain([1, 3, 1, 2]).resize(RgbImage::new(0, 7, vec![]).unwrap()).as_bytes(), [0; 6]);
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
    let (png, jpeg) = (png(&slopes(64, 48)), stored("slopes.jpg"));
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
    let mut jpeg = stored("slopes.jpg");
    let preprocess = plain([1, 3, 48, 64]);
    let whole = preprocess.decode("whole", &jpeg).unwrap();
    jpeg.extend(b"\xff\xe1 a maker's own");
    assert_eq!(preprocess.decode("more", &jpeg).unwrap(), whole);
}

#[test]
fn damaged_images_are_refused_with_the_decoders_reason() {
    let mut png = png(&slopes(64, 48));
    let middle = png.len() / 2;
    png[middle] ^= 0xff;
    let says = refusal(&png);
    assert!(says.starts_with("cannot be decoded: ") && says.len() > 30, "{says}");
}

#[test]
fn images_that_would_eat_the_memory_are_refused() {
    let mut png = png(&slopes(4, 4));
    // Width and height of the header, whose checksum then has to be right again.
    for (width, height) in [(16385_u32, 1_u32), (1, u32::MAX >> 1), (16384, 16384)] {
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        let says = refusal(&png);
        assert!(says.starts_with("is too large: at most 16384 x 16384"), "{width} x {height}: {says}");
    }
    let mut jpeg = stored("flat.jpg");
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

/// Makes the checksums of a PNG right again, as far as its chunks can be followed.
fn repair_checksums(png: &mut [u8]) {
    let mut rest = &mut png[8..];
    while let Some(&length) = rest.first_chunk() {
        let length = u32::from_be_bytes(length) as usize;
        let Some((chunk, after)) = rest.split_at_mut_checked(length.saturating_add(12)) else { return };
        let (covered, checksum) = chunk[4..].split_at_mut(length + 4);
        checksum.copy_from_slice(&crc32(covered).to_be_bytes());
        rest = after;
    }
}

/// What is damaged: both formats, in one pass and in several, and a palette.
fn whole_images() -> Vec<Vec<u8>> {
    let palette = encoded((4, 2), &[0b0001_1011, 0b1110_0100], |encoder| {
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Two);
        encoder.set_palette((0..12).collect::<Vec<u8>>());
        encoder.set_trns(vec![0, 128]);
    });
    let files = ["grey.jpg", "progressive.jpg", "cmyk.jpg", "progressive.png", "interlaced-rgb.png"];
    files.map(stored).into_iter().chain([palette]).collect()
}

proptest! {
    #[test]
    fn damaged_images_never_panic(
        whole in proptest::sample::select(whole_images()),
        // Without it, damage to a PNG rarely gets past the checksums.
        repair: bool,
        damages in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = whole;
        for (at, byte) in damages {
            *at.get_mut(&mut bytes) = byte;
        }
        if repair && bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            repair_checksums(&mut bytes);
        }
        match plain([1, 3, 5, 7]).decode("damaged", &bytes) {
            Ok(image) => prop_assert_eq!((image.width(), image.height()), (7, 5)),
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("image `damaged` "), "{}", message);
            }
        }
    }
}

/// Cuts the middle out of an image whose pixels tell their column (red) and row (green).
#[track_caller]
fn check_middle(width: u32, height: u32, shorter_side: u32, expected: &[[u8; 2]]) {
    let input = TensorInfo::float32("image", [1, 3, 2, 2]).unwrap();
    let preprocess =
        ImagePreprocess::new(&input, [0.0; 3], [1.0; 3]).unwrap().center_crop(shorter_side).unwrap();
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 7]));
    let middle = preprocess.resize(RgbImage::new(width, height, pixels.collect()).unwrap());
    let seen: Vec<_> = middle.pixels().iter().map(|&[x, y, z]| (z == 7).then_some([x, y]).unwrap()).collect();
    assert_eq!(seen, expected);
}

#[test]
fn the_middle_is_cut_out_and_shapes_stay() {
    // Scaled by 1: the very pixels in the middle.
    check_middle(10, 4, 4, &[[4, 1], [5, 1], [4, 2], [5, 2]]);
    check_middle(2, 2, 2, &[[0, 0], [1, 0], [0, 1], [1, 1]]);
    // Scaled by a half: the shorter side is all there is, of the longer one the middle.
    let tall: Vec<_> = [[10, 30], [30, 30], [10, 50], [30, 50]].to_vec();
    check_middle(40, 80, 2, &tall);
}

#[test]
fn a_middle_larger_than_its_image_is_refused() {
    let error = plain([1, 3, 4, 6]).center_crop(5).unwrap_err().to_string();
    assert_eq!(
        error,
        "images scaled to a shorter side of 5 pixels have no middle of 6 x 4: scale to at least 6, at most 16384"
    );
}
