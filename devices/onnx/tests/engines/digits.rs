//! The digits model: its accuracy on the images it was not trained on, and that the engines agree.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use nbuffer_runtime::{Engine, HostBuffer};

use crate::{on_each_engine, rten};

on_each_engine!(batch_1_is_as_accurate_as_expected, batch_4_gives_what_batch_1_gives);

const HEIGHT: usize = 10;
const WIDTH: usize = 16;
const CHANNELS: usize = 4;
const INPUT: usize = HEIGHT * WIDTH * CHANNELS;
const OUTPUT: usize = 64;
const CLASSES: usize = 10;

fn batch_1_is_as_accurate_as_expected(engine: &Arc<dyn Engine>) {
    let expected: serde_json::Value = read_json("digits/expected.json");
    let images = held_out();
    assert_eq!(images.len() as u64, expected["images"]["held_out"].as_u64().unwrap());
    let scores = scores(engine, 1);
    let correct = scores.iter().zip(images).filter(|(scores, image)| class(scores) == image.class).count();
    let accuracy = correct as f64 / images.len() as f64;
    let (float, int8) = (&expected["accuracy"]["float"], &expected["accuracy"]["int8"]);
    println!("accuracy with {}: {accuracy:.4}, float model {float}", engine.describe());
    assert!((accuracy - int8.as_f64().unwrap()).abs() < 1e-6, "{accuracy} is not {int8}");
    assert!(accuracy >= 0.97 && (accuracy - float.as_f64().unwrap()).abs() <= 0.01);
}

fn batch_4_gives_what_batch_1_gives(engine: &Arc<dyn Engine>) {
    assert_eq!(scores(engine, 1), scores(engine, 4));
}

#[test]
fn the_engines_agree_to_the_bit() {
    for other in [crate::ort(), crate::openvino()].into_iter().flatten() {
        for batch in [1, 4] {
            assert_eq!(scores(&rten(), batch), scores(&other, batch), "{}", other.describe());
        }
    }
}

struct Image {
    class: usize,
    pixels: [u8; 64],
}

/// The held-out images, in the order of their paths.
fn held_out() -> &'static [Image] {
    static IMAGES: OnceLock<Vec<Image>> = OnceLock::new();
    IMAGES.get_or_init(read_images)
}

fn read_images() -> Vec<Image> {
    let mut images = Vec::new();
    for class in 0..CLASSES {
        let mut paths: Vec<PathBuf> = fs::read_dir(models().join(format!("digits/images/{class}")))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        images.extend(paths.iter().map(|path| Image { class, pixels: decode(path) }));
    }
    images
}

fn decode(path: &Path) -> [u8; 64] {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = [0; 64];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

/// The int8 scores of all images, in calls of `batch`, which is 1 or 4.
///
/// They are computed once, since an unoptimised rten takes its time.
fn scores(engine: &Arc<dyn Engine>, batch: usize) -> &'static [[i8; CLASSES]] {
    static SCORES: [OnceLock<Vec<[i8; CLASSES]>>; 6] = [const { OnceLock::new() }; 6];
    let (slot, directory) = match batch {
        1 => (0, "digits"),
        _ => (1, "digits/batch4"),
    };
    let of_engine = nbuffer_onnx::ENGINES.iter().position(|&name| name == engine.name()).unwrap();
    let slot = slot + 2 * of_engine;
    SCORES[slot].get_or_init(|| compute_scores(engine, directory, batch))
}

fn compute_scores(engine: &Arc<dyn Engine>, directory: &str, batch: usize) -> Vec<[i8; CLASSES]> {
    let model = read_json(&format!("{directory}/model.json"));
    let manifest = read_json(&format!("{directory}/manifest.json"));
    let graph = models().join(directory).join(model["nbuffer"]["graph"].as_str().unwrap());
    let mut session = engine.load(&graph).unwrap().session(batch, 1).unwrap();
    let (mut inputs, mut outputs) =
        ([HostBuffer::zeroed(batch * INPUT)], [HostBuffer::zeroed(batch * OUTPUT)]);
    let mut scores = Vec::new();
    for call in held_out().chunks(batch) {
        for (image, input) in call.iter().zip(inputs[0].as_mut_slice::<i8>().chunks_exact_mut(INPUT)) {
            preprocess(&image.pixels, &model, &manifest, input);
        }
        session.run(&inputs, &mut outputs).unwrap();
        let items = outputs[0].as_slice::<i8>().chunks_exact(OUTPUT).take(call.len());
        scores.extend(items.map(|item| <[i8; CLASSES]>::try_from(&item[..CLASSES]).unwrap()));
    }
    scores
}

/// Normalises, quantises and pads as the two files say.
fn preprocess(pixels: &[u8; 64], model: &serde_json::Value, manifest: &serde_json::Value, input: &mut [i8]) {
    let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
    let preprocess = &model["nbuffer"]["preprocess"];
    let (scale, zero) =
        (number(&manifest["quantize_params"][0][0]), number(&manifest["quantize_params"][0][1]));
    input.fill(zero as i8);
    for (position, &pixel) in pixels.iter().enumerate() {
        let first = ((1 + position / 8) * WIDTH + 1 + position % 8) * CHANNELS;
        for channel in 0..3 {
            let (mean, std) = (number(&preprocess["mean"][channel]), number(&preprocess["std"][channel]));
            let real = (f32::from(pixel) / 255.0 - mean) / std;
            input[first + channel] = (real / scale + zero).round_ties_even() as i8;
        }
    }
}

/// The first class with the highest score.
fn class(scores: &[i8; CLASSES]) -> usize {
    (0..CLASSES).rev().max_by_key(|&class| scores[class]).unwrap()
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

fn read_json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(models().join(path)).unwrap()).unwrap()
}
