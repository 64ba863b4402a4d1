//! The directory form of a model: reads its files and checks that they agree.

use std::path::Path;
use std::sync::Arc;

use nbuffer_core::tensor::{DType, TensorInfo};

use super::descriptor::{BuiltIn, Descriptor};
use super::error::{FieldProblem, ModelError};
use super::json;
use super::labels::read_labels;
use super::manifest::{self, Manifest};
use super::path::{Field, ModelDir};
use super::{Kernel, Model, Preprocess};

/// Reads and validates the model in the directory `path`.
pub(super) fn open(path: &Path) -> Result<Model, ModelError> {
    let dir = ModelDir::new(path)?;
    let descriptor_file =
        dir.required("model.json", "it says what computes the model; is this a model directory?")?;
    let descriptor = Descriptor::parse(&descriptor_file, &json::read_small(&descriptor_file)?)?;
    let manifest_file =
        dir.required("manifest.json", "it describes the tensors; take it from the compiler")?;
    let manifest: Manifest =
        json::parse(&manifest_file, &json::read_small(&manifest_file)?, manifest::SAMPLES)?;

    let (inputs, outputs) = manifest.tensors(&manifest_file)?;
    manifest.check_paths(&manifest_file, &dir)?;
    for (name, blob) in descriptor.pool_files() {
        dir.optional(Field { file: &descriptor_file, name: &name }, blob)?;
    }
    let kernel = kernel(&dir, &descriptor_file, &descriptor, &inputs, &outputs)?;
    let model_bytes = match (descriptor.pool_bytes(&descriptor_file)?, &kernel) {
        (Some(bytes), _) => bytes,
        (None, Kernel::Onnx(graph)) => {
            graph.metadata().map_err(|source| ModelError::Read { file: graph.clone(), source })?.len()
        }
        (None, Kernel::Identity | Kernel::Checksum | Kernel::Program(_) | Kernel::Compiled(_)) => 0,
    };
    let preprocess = descriptor.nbuffer.preprocess(&descriptor_file)?;
    if let Some(preprocess) = &preprocess {
        check_preprocess(&descriptor_file, preprocess, &inputs)?;
    }
    let labels = match &descriptor.nbuffer.labels {
        Some(labels) => Some(declared_labels(&dir, &descriptor_file, labels, &outputs)?),
        None => None,
    };
    Ok(Model {
        name: dir.name(),
        kernel,
        batch: inputs[0].shape()[0],
        inputs,
        outputs,
        kernel_s: descriptor.nbuffer.kernel_s(&descriptor_file)?,
        model_bytes,
        preprocess,
        labels,
    })
}

fn kernel(
    dir: &ModelDir,
    file: &Path,
    descriptor: &Descriptor,
    inputs: &[TensorInfo],
    outputs: &[TensorInfo],
) -> Result<Kernel, ModelError> {
    let refused = |name: &str, problem| Field { file, name }.error(problem);
    let section = &descriptor.nbuffer;
    let kernel = match (&section.graph, section.kernel, &section.program) {
        (Some(graph), None, None) => {
            let graph = dir.existing(Field { file, name: "nbuffer.graph" }, graph)?;
            let metadata = graph.metadata();
            match metadata.map_err(|source| ModelError::Read { file: graph.clone(), source })?.len() {
                0 => return Err(ModelError::Empty { file: graph }),
                _ => Kernel::Onnx(graph),
            }
        }
        (None, Some(BuiltIn::Identity), None) => Kernel::Identity,
        (None, Some(BuiltIn::Checksum), None) => Kernel::Checksum,
        (None, Some(BuiltIn::Compiled), None) => Kernel::Compiled(file.to_path_buf()),
        (None, None, Some(program)) => {
            let program = program.program(file, dir)?;
            program.check(inputs, outputs).map_err(|(field, problem)| {
                let dot = if field.is_empty() { "" } else { "." };
                refused(&format!("nbuffer.program{dot}{field}"), problem)
            })?;
            return Ok(Kernel::Program(Arc::new(program)));
        }
        (graph, kernel, program) => {
            let given =
                [("graph", graph.is_some()), ("kernel", kernel.is_some()), ("program", program.is_some())];
            let found = given.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
            return Err(refused("nbuffer", FieldProblem::OneKernel { found }));
        }
    };
    if let Some((list, idx)) = other_than_int8(inputs, outputs) {
        return Err(Field { file, name: "nbuffer" }.error(FieldProblem::Int8Only { list, idx }));
    }
    kernel.check_sizes(inputs, outputs).map_err(|problem| refused("nbuffer.kernel", problem))?;
    Ok(kernel)
}

/// The first tensor that is not int8, as the list of its type and its place there.
fn other_than_int8(inputs: &[TensorInfo], outputs: &[TensorInfo]) -> Option<(&'static str, usize)> {
    let first = |tensors: &[TensorInfo]| tensors.iter().position(|tensor| tensor.dtype() != DType::I8);
    let input = first(inputs).map(|idx| ("input_dtypes", idx));
    input.or_else(|| first(outputs).map(|idx| ("output_dtypes", idx)))
}

fn check_preprocess(file: &Path, preprocess: &Preprocess, inputs: &[TensorInfo]) -> Result<(), ModelError> {
    let section = Field { file, name: "nbuffer.preprocess" };
    let [input] = inputs else {
        return Err(section.error(FieldProblem::SeveralInputs { inputs: inputs.len() }));
    };
    let unpadded = input.unpadded_shape();
    let [_, height, width, 1 | 3] = unpadded[..] else {
        return Err(section.error(FieldProblem::NotAnImageInput { unpadded }));
    };
    for (name, found, expected) in [
        ("nbuffer.preprocess.height", preprocess.height, height),
        ("nbuffer.preprocess.width", preprocess.width, width),
    ] {
        if found != expected {
            return Err(Field { file, name }.error(FieldProblem::ImageSize { found, expected }));
        }
    }
    Ok(())
}

/// Reads the labels the model declares. Their number must be that of an output's channels; a detector has
/// outputs of other widths beside its classes.
fn declared_labels(
    dir: &ModelDir,
    file: &Path,
    relative: &str,
    outputs: &[TensorInfo],
) -> Result<Vec<String>, ModelError> {
    let field = Field { file, name: "nbuffer.labels" };
    let labels = read_labels(dir.existing(field, relative)?)?;
    let channels = outputs.iter().filter_map(|output| output.unpadded_shape().last().copied());
    let channels: Vec<usize> = channels.collect();
    if !channels.contains(&labels.len()) {
        let problem = FieldProblem::LabelCount { path: relative.to_owned(), found: labels.len(), channels };
        return Err(field.error(problem));
    }
    Ok(labels)
}
