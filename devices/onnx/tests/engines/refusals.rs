//! What cannot be loaded or run is refused with an error that names it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nbuffer_runtime::{Engine, EngineError, HostBuffer};
use tempfile::tempdir;

use crate::{buffer, load, on_each_engine, rten, small_model};

on_each_engine!(
    a_missing_file_is_refused,
    a_file_that_is_not_onnx_is_refused,
    a_truncated_file_is_refused,
    a_cut_at_any_byte_is_survived,
    a_number_without_end_is_refused,
    a_field_longer_than_the_file_is_refused,
    an_edge_of_another_type_is_refused,
    an_operator_nobody_knows_is_refused,
    buffers_of_the_wrong_size_are_refused,
    an_output_of_another_shape_is_refused,
);

fn a_missing_file_is_refused(engine: &Arc<dyn Engine>) {
    check_load(engine, Path::new("no/such/graph.onnx"), &["no/such/graph.onnx"]);
}

fn a_file_that_is_not_onnx_is_refused(engine: &Arc<dyn Engine>) {
    let directory = tempdir().unwrap();
    for content in ["", "{\"not\": \"onnx\"}", "\0\0\0\0\0\0\0\0"] {
        let path = directory.path().join("text.onnx");
        fs::write(&path, content).unwrap();
        check_load(engine, &path, &["text.onnx"]);
    }
    check_load(engine, directory.path(), &[]);
}

fn a_truncated_file_is_refused(engine: &Arc<dyn Engine>) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("truncated.onnx");
    let whole = fs::read(small_model("requantize_i8")).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    check_load(engine, &path, &["truncated.onnx"]);
}

/// A cut may fall so that what is left is a graph; loading it may then succeed, and must not panic.
fn a_cut_at_any_byte_is_survived(engine: &Arc<dyn Engine>) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("cut.onnx");
    let whole = fs::read(small_model("requantize_i8")).unwrap();
    let refused = (0..whole.len()).filter(|&len| {
        fs::write(&path, &whole[..len]).unwrap();
        engine.load(&path).is_err()
    });
    assert!(refused.count() > whole.len() / 2);
}

/// rten's own reader turns for ever on a number that does not end.
fn a_number_without_end_is_refused(engine: &Arc<dyn Engine>) {
    check_damaged(engine, &[&[8][..], &[0xff; 16]].concat());
}

/// rten's own reader reserves as much memory as a field claims to need.
fn a_field_longer_than_the_file_is_refused(engine: &Arc<dyn Engine>) {
    // A graph with a weight whose values claim 64 TiB.
    let weight = [0x4a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    check_damaged(engine, &[&[8, 8, 0x3a, 10, 0x2a, 8], &weight[..]].concat());
}

fn check_damaged(engine: &Arc<dyn Engine>, content: &[u8]) {
    let directory = tempdir().unwrap();
    let path = directory.path().join("damaged.onnx");
    fs::write(&path, content).unwrap();
    check_load(engine, &path, &["damaged.onnx"]);
}

fn an_edge_of_another_type_is_refused(engine: &Arc<dyn Engine>) {
    check_load(
        engine,
        &small_model("add_f64"),
        &["add_f64.onnx", "`a`", "int8, uint8, int32, int64 or float32"],
    );
}

fn an_operator_nobody_knows_is_refused(engine: &Arc<dyn Engine>) {
    check_load(engine, &small_model("unknown_operator"), &["unknown_operator.onnx", "Nonsense"]);
}

fn buffers_of_the_wrong_size_are_refused(engine: &Arc<dyn Engine>) {
    let four = || buffer(&[0.0_f32; 4]);
    check_run(engine, "add_f32", 1, &[four()], &mut [four()], &["1 input", "2 inputs"]);
    check_run(engine, "add_f32", 1, &[four(), four()], &mut [], &["0 output", "1 output"]);
    check_run(
        engine,
        "add_f32",
        1,
        &[four(), HostBuffer::zeroed(15)],
        &mut [four()],
        &["`b`", "16 B", "15 B"],
    );
    check_run(
        engine,
        "add_f32",
        1,
        &[four(), four()],
        &mut [HostBuffer::zeroed(20)],
        &["`sum`", "16 B", "20 B"],
    );
}

fn an_output_of_another_shape_is_refused(engine: &Arc<dyn Engine>) {
    let (inputs, mut outputs) = ([buffer(&[1.0_f32, 2.0])], [buffer(&[0.0_f32; 2])]);
    check_run(engine, "longer_than_declared", 2, &inputs, &mut outputs, &["`y`", "[4]", "[2]"]);
}

#[test]
fn a_value_an_engine_cannot_hold_is_refused() {
    for engine in [Some(rten()), crate::openvino()].into_iter().flatten() {
        let inputs = [buffer(&[0_i64, 1 << 31, 0, 0]), buffer(&[0_i64; 4])];
        let words = ["`a`", "2147483648", "`ort`"];
        check_run(&engine, "add_i64", 1, &inputs, &mut [buffer(&[0_i64; 4])], &words);
    }
}

#[test]
fn openvino_says_which_format_it_takes() {
    if let Some(engine) = crate::openvino() {
        let words = ["qlinear_pool_u8.onnx", "QLinearGlobalAveragePool", "QDQ", "`ort`"];
        check_load(&engine, &small_model("qlinear_pool_u8"), &words);
    }
}

#[test]
fn an_unknown_engine_is_refused_with_the_known_ones() {
    let error = nbuffer_onnx::engine("tract", None).expect_err("no such engine");
    assert_eq!(error.to_string(), "there is no engine `tract`; known are rten, ort, openvino");
}

#[test]
fn a_second_library_is_refused() {
    let directory = tempdir().unwrap();
    let other = directory.path().join("libopenvino_c.so.0");
    fs::write(&other, "").unwrap();
    for engine in [crate::ort(), crate::openvino()].into_iter().flatten() {
        assert!(nbuffer_onnx::engine(engine.name(), None).is_ok(), "the same library is no second one");
        let error =
            nbuffer_onnx::engine(engine.name(), Some(&other)).expect_err("a process takes one library");
        assert!(error.to_string().contains("has already loaded"), "{error}");
    }
}

fn check_load(engine: &Arc<dyn Engine>, path: &Path, words: &[&str]) {
    let error = engine.load(path).err().unwrap_or_else(|| panic!("{} was loaded", path.display()));
    assert!(matches!(error, EngineError::Load { .. }), "{error:?}");
    check_words(&error, engine, words);
}

fn check_run(
    engine: &Arc<dyn Engine>,
    name: &str,
    batch: usize,
    inputs: &[HostBuffer],
    outputs: &mut [HostBuffer],
    words: &[&str],
) {
    let mut session = load(engine, name).session(batch, 1).unwrap();
    let error = session.run(inputs, outputs).expect_err("the run was to fail");
    assert!(matches!(error, EngineError::Run { .. }), "{error:?}");
    check_words(&error, engine, words);
}

fn check_words(error: &EngineError, engine: &Arc<dyn Engine>, words: &[&str]) {
    let text = error.to_string();
    for word in words.iter().copied().chain([engine.name()]) {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}
