//! `manifest.json`: the tensors of a compiled model.

use std::path::Path;

use nbuffer_core::tensor::{DType, TensorError, TensorInfo};
use serde::Deserialize;

use super::TENSOR_BYTES_MAX;
use super::error::{FieldProblem, ModelError};
use super::json::{Samples, sample};
use super::path::{Field, ModelDir};

const SHAPES: &str = "[[1, 230, 240, 4]], the padded N, H, W, C of each tensor";
const SHAPES_ORIGINAL: &str = "[[1, 3, 224, 224]], the unpadded N, C, H, W of each tensor";
const PARAMS: &str = "[[0.0039, -128]], scale and zero point of each tensor";
const PADDING: &str = "[[0, 0, 3, 3, 3, 13, 0, 1]], before and after of each dimension of each tensor";
const DTYPES: &str = "[\"float32\"], the int8, int32, uint32 or float32 of each tensor";
const PATH: &str = "\"postprocess_graph.onnx\", a path within the model directory";

/// How each field is written, for the error messages.
pub(super) const SAMPLES: &Samples = &[
    ("input_shapes", SHAPES),
    ("output_shapes", SHAPES),
    ("input_shapes_original", SHAPES_ORIGINAL),
    ("output_shapes_original", SHAPES_ORIGINAL),
    ("quantize_params", PARAMS),
    ("dequantize_params", PARAMS),
    ("n_padded_ch_inputs", PADDING),
    ("n_padded_ch_outputs", PADDING),
    ("input_dtypes", DTYPES),
    ("output_dtypes", DTYPES),
    ("input_tensor_layout", "\"NHWC\""),
    ("manifest_version", "\"1.0\""),
    ("quantized_model_file", PATH),
    ("model_lib_file", PATH),
    ("model_params_file", PATH),
    ("preprocess_graph", PATH),
    ("postprocess_graph", PATH),
];

/// The file as it is written. Every field may be missing or null here, so that what is needed can be asked
/// for by its own name. Keys this version does not know are passed over.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Manifest {
    #[serde(rename = "manifest_version")]
    _manifest_version: Option<String>,
    quantized_model_file: Option<String>,
    model_lib_file: Option<String>,
    model_params_file: Option<String>,
    preprocess_graph: Option<String>,
    postprocess_graph: Option<String>,
    input_tensor_layout: Option<String>,
    input_dtypes: Option<Vec<ElementType>>,
    output_dtypes: Option<Vec<ElementType>>,
    input_shapes: Option<Vec<Vec<usize>>>,
    input_shapes_original: Option<Vec<Vec<usize>>>,
    quantize_params: Option<Vec<Vec<f64>>>,
    n_padded_ch_inputs: Option<Vec<Vec<usize>>>,
    output_shapes: Option<Vec<Vec<usize>>>,
    output_shapes_original: Option<Vec<Vec<usize>>>,
    dequantize_params: Option<Vec<Vec<f64>>>,
    n_padded_ch_outputs: Option<Vec<Vec<usize>>>,
}

/// The element types a manifest may give. Without any all tensors are int8.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ElementType {
    Int8,
    Int32,
    Uint32,
    Float32,
}

impl From<ElementType> for DType {
    fn from(element: ElementType) -> DType {
        match element {
            ElementType::Int8 => DType::I8,
            ElementType::Int32 => DType::I32,
            ElementType::Uint32 => DType::U32,
            ElementType::Float32 => DType::F32,
        }
    }
}

/// The lists that describe one side of the model, each with its field name.
struct Side<'a> {
    prefix: &'static str,
    shapes: (&'static str, &'a Option<Vec<Vec<usize>>>),
    originals: (&'static str, &'a Option<Vec<Vec<usize>>>),
    params: (&'static str, &'a Option<Vec<Vec<f64>>>),
    padding: (&'static str, &'a Option<Vec<Vec<usize>>>),
    dtypes: (&'static str, &'a Option<Vec<ElementType>>),
}

impl Manifest {
    /// Inputs and outputs, each valid and all of one batch.
    pub(super) fn tensors(&self, file: &Path) -> Result<(Vec<TensorInfo>, Vec<TensorInfo>), ModelError> {
        if let Some(layout) = &self.input_tensor_layout
            && layout != "NHWC"
        {
            let field = Field { file, name: "input_tensor_layout" };
            return Err(field.error(FieldProblem::Layout { found: layout.clone() }));
        }
        let inputs = Side {
            prefix: "input",
            shapes: ("input_shapes", &self.input_shapes),
            originals: ("input_shapes_original", &self.input_shapes_original),
            params: ("quantize_params", &self.quantize_params),
            padding: ("n_padded_ch_inputs", &self.n_padded_ch_inputs),
            dtypes: ("input_dtypes", &self.input_dtypes),
        }
        .tensors(file)?;
        let outputs = Side {
            prefix: "output",
            shapes: ("output_shapes", &self.output_shapes),
            originals: ("output_shapes_original", &self.output_shapes_original),
            params: ("dequantize_params", &self.dequantize_params),
            padding: ("n_padded_ch_outputs", &self.n_padded_ch_outputs),
            dtypes: ("output_dtypes", &self.output_dtypes),
        }
        .tensors(file)?;

        let batch = inputs[0].shape()[0];
        for (list, tensors) in [("input_shapes", &inputs), ("output_shapes", &outputs)] {
            for (idx, tensor) in tensors.iter().enumerate() {
                let found = tensor.shape()[0];
                if found != batch {
                    let name = format!("{list}[{idx}]");
                    return Err(Field { file, name: &name }.error(FieldProblem::Batch { found, batch }));
                }
            }
        }
        Ok((inputs, outputs))
    }

    /// Checks the paths the manifest names. nbuffer opens none of these files, but a model that names one
    /// outside its directory is not to be trusted, and one that lacks a graph it declares is not whole.
    pub(super) fn check_paths(&self, file: &Path, dir: &ModelDir) -> Result<(), ModelError> {
        let named = |path: &Option<String>| path.clone().filter(|path| !path.is_empty());
        for (name, path) in [
            ("quantized_model_file", &self.quantized_model_file),
            ("model_lib_file", &self.model_lib_file),
            ("model_params_file", &self.model_params_file),
        ] {
            if let Some(path) = named(path) {
                dir.optional(Field { file, name }, &path)?;
            }
        }
        for (name, path) in
            [("preprocess_graph", &self.preprocess_graph), ("postprocess_graph", &self.postprocess_graph)]
        {
            if let Some(path) = named(path) {
                dir.existing(Field { file, name }, &path)?;
            }
        }
        Ok(())
    }
}

/// A list that must be there.
fn required<'a, T>(
    file: &Path,
    (name, list): (&'static str, &'a Option<Vec<T>>),
) -> Result<&'a [T], ModelError> {
    let missing = || Field { file, name }.error(FieldProblem::Missing { sample: sample(SAMPLES, name) });
    list.as_deref().ok_or_else(missing)
}

impl Side<'_> {
    fn tensors(&self, file: &Path) -> Result<Vec<TensorInfo>, ModelError> {
        let shapes = required(file, self.shapes)?;
        if shapes.is_empty() {
            return Err(Field { file, name: self.shapes.0 }.error(FieldProblem::NoTensors));
        }
        let count_agrees = |name: &'static str, found: usize| {
            if found == shapes.len() {
                return Ok(());
            }
            let problem = FieldProblem::Count { found, expected: shapes.len(), other: self.shapes.0 };
            Err(Field { file, name }.error(problem))
        };
        let dtypes = self.dtypes.1.as_deref();
        if let Some(dtypes) = dtypes {
            count_agrees(self.dtypes.0, dtypes.len())?;
        }
        let dtype = |idx: usize| dtypes.map_or(DType::I8, |dtypes| dtypes[idx].into());
        let params = match self.params.1.as_deref() {
            None if (0..shapes.len()).all(|idx| dtype(idx) != DType::I8) => None,
            _ => Some(required(file, self.params)?),
        };
        if let Some(params) = params {
            count_agrees(self.params.0, params.len())?;
        }
        let padding = self.padding.1.as_deref();
        if let Some(padding) = padding {
            count_agrees(self.padding.0, padding.len())?;
        }
        let originals = self.originals.1.as_deref();
        if let Some(originals) = originals {
            count_agrees(self.originals.0, originals.len())?;
        }
        let mut tensors = Vec::with_capacity(shapes.len());
        for (idx, shape) in shapes.iter().enumerate() {
            let at = |list: &str, problem| Field { file, name: &format!("{list}[{idx}]") }.error(problem);
            let (scale, zero_point) = params
                .map_or(Ok((1.0, 0)), |params| quantization(&params[idx]))
                .map_err(|problem| at(self.params.0, problem))?;
            if dtype(idx) != DType::I8 && (scale, zero_point) != (1.0, 0) {
                let advice = "write [1, 0] where other tensors have quantisation";
                return Err(at(self.params.0, FieldProblem::NotQuantized { advice }));
            }
            let padding = padding.map_or(Ok(vec![(0, 0); shape.len()]), |padding| {
                pairs(&padding[idx], shape.len()).map_err(|problem| at(self.padding.0, problem))
            })?;
            let tensor = TensorInfo::new(
                format!("{}_{idx}", self.prefix),
                shape.as_slice(),
                padding,
                scale,
                zero_point,
                dtype(idx),
            )
            .map_err(|source| self.refused(source, &at))?;
            check_extent(&tensor).map_err(|problem| at(self.shapes.0, problem))?;
            check_padding(&tensor).map_err(|problem| at(self.padding.0, problem))?;
            if dtype(idx) != DType::I8 && tensor.padding().iter().any(|&pair| pair != (0, 0)) {
                let advice = "only int8 tensors are padded";
                return Err(at(self.padding.0, FieldProblem::NotQuantized { advice }));
            }
            if let Some(originals) = originals {
                check_original(&originals[idx], &tensor).map_err(|problem| at(self.originals.0, problem))?;
            }
            tensors.push(tensor);
        }
        Ok(tensors)
    }

    /// Puts a tensor error to the list it comes from.
    fn refused(&self, source: TensorError, at: &dyn Fn(&str, FieldProblem) -> ModelError) -> ModelError {
        let (list, advice) = match source {
            TensorError::Scale { .. } => (self.params.0, "write the scale the model was quantised with"),
            TensorError::PaddingTooLong { .. } | TensorError::PaddingRank { .. } => {
                (self.padding.0, "make the padding shorter than the padded shape")
            }
            _ => (self.shapes.0, "correct the shape"),
        };
        at(list, FieldProblem::Tensor { source, advice })
    }
}

/// Reads `[scale, zero_point]`; the zero point may be written as `-128` or `-128.0`.
fn quantization(pair: &[f64]) -> Result<(f64, i32), FieldProblem> {
    let &[scale, zero_point] = pair else { return Err(FieldProblem::QuantizePair) };
    let zero_point_i32 = zero_point as i32;
    if f64::from(zero_point_i32) != zero_point {
        return Err(FieldProblem::QuantizePair);
    }
    Ok((scale, zero_point_i32))
}

/// Reads the flat `before, after, before, after, ..` of a padding list.
fn pairs(flat: &[usize], rank: usize) -> Result<Vec<(usize, usize)>, FieldProblem> {
    let (pairs, rest) = flat.as_chunks();
    if pairs.len() != rank || !rest.is_empty() {
        return Err(FieldProblem::PaddingLength { found: flat.len(), rank });
    }
    Ok(pairs.iter().map(|&[before, after]| (before, after)).collect())
}

fn check_extent(tensor: &TensorInfo) -> Result<(), FieldProblem> {
    let shape = tensor.shape();
    if shape.is_empty() || shape.contains(&0) {
        return Err(FieldProblem::EmptyShape { shape: shape.to_vec() });
    }
    if tensor.size() > TENSOR_BYTES_MAX {
        return Err(FieldProblem::TensorTooLarge { shape: shape.to_vec(), size_bytes: tensor.size() });
    }
    Ok(())
}

fn check_padding(tensor: &TensorInfo) -> Result<(), FieldProblem> {
    let (before, after) = tensor.padding()[0];
    if (before, after) != (0, 0) {
        return Err(FieldProblem::PaddedBatch { before, after });
    }
    if tensor.unpadded_shape().contains(&0) {
        return Err(FieldProblem::NothingButPadding {
            shape: tensor.shape().to_vec(),
            padding: tensor.padding().to_vec(),
        });
    }
    Ok(())
}

/// The original shape has its channels second. A graph may also have dropped dimensions of length 1 (a
/// classifier's `[1, 1000]` is `[1, 1, 1, 1024]` on the device), so with another rank those are not counted.
fn check_original(original: &[usize], tensor: &TensorInfo) -> Result<(), FieldProblem> {
    let mut expected = tensor.unpadded_shape();
    if expected.len() > 2 {
        expected[1..].rotate_right(1);
    }
    let without_ones =
        |shape: &[usize]| shape.iter().copied().filter(|&len| len != 1).collect::<Vec<usize>>();
    let agrees = if original.len() == expected.len() {
        original == expected
    } else {
        without_ones(original) == without_ones(&expected)
    };
    if agrees { Ok(()) } else { Err(FieldProblem::OriginalShape { found: original.to_vec(), expected }) }
}
