//! The reference work as the vendor's compiler would leave it: int8, padded, quantised, and a file that says what is computed.

use std::fs;
use std::path::Path;

use nbuffer_core::tensor::DType;
use nbuffer_runtime::Model;
use serde_json::{Value, json};

use crate::Problem;
use crate::models::{FACTOR, KERNEL_S, POWER, Work};
use crate::payload::{quantized_input, quantized_output};

/// Channels are filled up to a multiple of this.
const CHANNELS: usize = 64;

/// Writes `work` over `elements` elements for each of `batch` items into a directory of its own in `folder`, and opens it.
///
/// Elements are channels of one pixel, with a pixel of padding before it. The vendor's library for tests computes with the
/// real numbers in them, by the model in `reals`.
pub(crate) fn write(folder: &Path, work: Work, batch: usize, elements: usize) -> Result<Model, Problem> {
    let name = format!("{work:?}-{batch}-{elements}").to_lowercase();
    let directory = folder.join(name);
    let (n_inputs, form, mut args) = match work {
        Work::Power => (1, "power", json!([{"input": 0}, {"output": 0}, {"u32": POWER}])),
        Work::Saxpy => (2, "saxpy", json!([{"input": 0}, {"input": 1}, {"output": 0}, {"f32": FACTOR}])),
        Work::Copy => (1, "copy", json!([{"input": 0}, {"output": 0}])),
    };

    let padded = elements.next_multiple_of(CHANNELS);
    let (shape, padding) = (json!([batch, 1, 2, padded]), json!([0, 0, 0, 0, 1, 0, 0, padded - elements]));
    write_model(
        &directory,
        json!({
            "input_shapes": vec![&shape; n_inputs],
            "n_padded_ch_inputs": vec![&padding; n_inputs],
            "quantize_params": (0..n_inputs).map(quantized_input).collect::<Vec<_>>(),
            "output_shapes": [&shape],
            "n_padded_ch_outputs": [&padding],
            "dequantize_params": [quantized_output(work)],
            "model_lib_file": "model.json",
        }),
        json!({ "stand_in": "reals" }),
    )?;

    let (shape, dtype) = (json!([batch, elements]), DType::F32.name());
    let n = batch * elements;
    args.as_array_mut().expect("they are a list").push(json!({ "u32": n }));
    write_model(
        &directory.join("reals"),
        json!({
            "input_shapes": vec![&shape; n_inputs],
            "input_dtypes": vec![dtype; n_inputs],
            "output_shapes": [&shape],
            "output_dtypes": [dtype],
        }),
        json!({ "nbuffer": {
            "format": 1,
            "kernel_time_s": KERNEL_S,
            "program": { "cpu": form, "global": [n], "args": args },
        }}),
    )?;
    Ok(Model::open(directory)?)
}

fn write_model(directory: &Path, manifest: Value, model: Value) -> Result<(), Problem> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("manifest.json"), manifest.to_string())?;
    fs::write(directory.join("model.json"), model.to_string())?;
    Ok(())
}
