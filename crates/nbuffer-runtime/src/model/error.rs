//! Why a model is refused.

use std::io;
use std::path::PathBuf;

use nbuffer_core::tensor::TensorError;

use super::TENSOR_BYTES_MAX;

/// Why a model is refused. Each message names the file, the field where there is one, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Neither a directory, nor a `model.json`, nor an `.onnx` file.
    #[error("`{path}` is not a model: give a directory with model.json and manifest.json, or an .onnx file")]
    NotAModel {
        /// The path that was given.
        path: PathBuf,
    },
    /// A file every model of this form has is not there.
    #[error("`{file}` is missing: {advice}")]
    Missing {
        /// The file.
        file: PathBuf,
        /// What to do.
        advice: &'static str,
    },
    /// The operating system refuses to read the file.
    #[error("`{file}` cannot be read: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory, pipe or device where a file is expected.
    #[error("`{file}` is not a regular file: put the file itself there")]
    NotARegularFile {
        /// The path.
        file: PathBuf,
    },
    /// The file has no content.
    #[error("`{file}` is empty: write it again, whole")]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The file is far larger than any of its kind.
    #[error(
        "`{file}` has {size_bytes} B, more than the {limit_bytes} B such a file may have: is it the right one?"
    )]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its size; for a file that grows while it is read, what had been read.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The file is not JSON, or ends too early.
    #[error("`{file}` is not valid JSON: {why}; write it again, whole")]
    Json {
        /// The file.
        file: PathBuf,
        /// What is wrong, with field, line and column.
        why: String,
    },
    /// The file is not UTF-8 text.
    #[error("`{file}` is not UTF-8 text from byte {valid_up_to} on: save it as UTF-8")]
    NotText {
        /// The file.
        file: PathBuf,
        /// Offset of the first byte that is wrong.
        valid_up_to: usize,
    },
    /// A line of the labels file has no label.
    #[error("`{file}`, line {line}: the label is empty; write one label per line")]
    EmptyLabel {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A field has a value this version cannot use.
    #[error("`{file}`, field `{field}`: {problem}")]
    Field {
        /// The file.
        file: PathBuf,
        /// The field, as a path within the file: `quantize_params[0]`.
        field: String,
        /// What is wrong with it.
        problem: FieldProblem,
    },
}

/// What is wrong with a field of a model file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FieldProblem {
    /// The field is not there, or null.
    #[error("is missing; write it like {sample}")]
    Missing {
        /// How it is written.
        sample: &'static str,
    },
    /// Another JSON type than expected, a number out of range, or an unknown key.
    #[error("{why}; it is written like {sample}")]
    Type {
        /// What was found and expected, with line and column.
        why: String,
        /// How the field is written.
        sample: &'static str,
    },
    /// A version of the `nbuffer` section this version does not know.
    #[error(
        "is {found}, this version reads format 1: convert the model, or use a version of nbuffer that reads it"
    )]
    Format {
        /// What the file says.
        found: String,
    },
    /// A layout other than NHWC.
    #[error("is `{found}`, only `NHWC` is supported: transpose the model's tensors to NHWC")]
    Layout {
        /// What the file says.
        found: String,
    },
    /// The model has no input or no output.
    #[error("is an empty list: a model has at least one input and one output")]
    NoTensors,
    /// Two lists that go together differ in length.
    #[error("has {found} entries where `{other}` has {expected}: write one per tensor")]
    Count {
        /// Entries of this list.
        found: usize,
        /// Entries of the other.
        expected: usize,
        /// The other list.
        other: &'static str,
    },
    /// Not a pair of a scale and a whole zero point.
    #[error("is not a scale and a zero point that fits 32 bits: write it like [0.0039, -128]")]
    QuantizePair,
    /// A shape without dimensions, or with one of length 0.
    #[error("shape {shape:?} holds no element: every dimension is at least 1, the first is the batch")]
    EmptyShape {
        /// The shape.
        shape: Vec<usize>,
    },
    /// A tensor larger than any real one.
    #[error(
        "shape {shape:?} takes {size_bytes} B, more than the {TENSOR_BYTES_MAX} B a tensor may have: is a dimension wrong?"
    )]
    TensorTooLarge {
        /// The shape.
        shape: Vec<usize>,
        /// Bytes it takes.
        size_bytes: usize,
    },
    /// The padding list has not two numbers per dimension.
    #[error("has {found} numbers for the {rank} dimensions of the shape, which take {}: before and after of each, in N, H, W, C order", 2 * .rank)]
    PaddingLength {
        /// Numbers there are.
        found: usize,
        /// Dimensions of the shape.
        rank: usize,
    },
    /// The batch dimension is padded.
    #[error("pads the batch by ({before}, {after}): only the other dimensions may be padded")]
    PaddedBatch {
        /// Items before.
        before: usize,
        /// Items after.
        after: usize,
    },
    /// The padding takes up a whole dimension.
    #[error("padding {padding:?} leaves nothing of shape {shape:?}: make it shorter than the dimension")]
    NothingButPadding {
        /// The padded shape.
        shape: Vec<usize>,
        /// Before and after, per dimension.
        padding: Vec<(usize, usize)>,
    },
    /// The tensor description is not valid.
    #[error("{source}; {advice}")]
    Tensor {
        /// What is wrong.
        source: TensorError,
        /// What to do.
        advice: &'static str,
    },
    /// The unpadded shape is another than padded shape and padding give.
    #[error(
        "is {found:?}, padded shape minus padding gives {expected:?} (channels second): correct one of them"
    )]
    OriginalShape {
        /// What the file says.
        found: Vec<usize>,
        /// What follows from shape and padding, channels moved to the second place.
        expected: Vec<usize>,
    },
    /// Tensors of one model with different batches.
    #[error(
        "has batch {found}, `input_shapes[0]` has {batch}: the first dimension of all tensors is the batch"
    )]
    Batch {
        /// The first dimension of this tensor.
        found: usize,
        /// The first dimension of the first input.
        batch: usize,
    },
    /// A path that is absolute, climbs out of the directory, or names no file.
    #[error(
        "path `{path}` does not stay within the model directory: give a relative path without `..` to a file in it"
    )]
    PathEscapes {
        /// What the file says.
        path: String,
    },
    /// A symbolic link that leads out of the directory.
    #[error("`{path}` is a link that leaves the model directory: copy the file into it")]
    LinkEscapes {
        /// What the file says.
        path: String,
    },
    /// The file a field names is not there.
    #[error("names `{path}`, which is not in the model directory: add the file or correct the name")]
    MissingFile {
        /// What the file says.
        path: String,
    },
    /// Not exactly one of a graph, a built-in kernel and a kernel of the model's own.
    #[error(
        "has {}: give exactly one of `graph` for an ONNX file, `kernel` for `identity`, `checksum` or `compiled`, `program` for a kernel of your own",
        if .found.is_empty() { "nothing to compute with".to_owned() } else { format!("`{}`", .found.join("` and `")) }
    )]
    OneKernel {
        /// The ones there are.
        found: Vec<&'static str>,
    },
    /// Element types that only kernels of the model's own take.
    #[error("computes int8 tensors, but `{list}[{idx}]` is another type: leave it out, or use `program`")]
    Int8Only {
        /// The list of types in `manifest.json`.
        list: &'static str,
        /// The place in it.
        idx: usize,
    },
    /// Quantisation or padding of a tensor that has none.
    #[error("describes a tensor that is not int8: {advice}")]
    NotQuantized {
        /// What to do.
        advice: &'static str,
    },
    /// A program without any code.
    #[error("has no code: give at least one of `cpu`, `opencl` and `cuda`")]
    NoCode,
    /// Not exactly one file of code for a device.
    #[error("has {found} `source` and `{compiled}`: give one of them")]
    SourceOrBinary {
        /// `both` or `neither`.
        found: &'static str,
        /// What the compiled form is called for this device.
        compiled: &'static str,
    },
    /// The entry of a program cannot be a function's name.
    #[error("`{entry}` is not the name of a function: give the kernel's, of letters, digits and `_`")]
    Entry {
        /// What the file says.
        entry: String,
    },
    /// Work items that cannot be launched.
    #[error("is {found:?}: give 1 to 3 numbers from 1 to 4294967295")]
    WorkItems {
        /// What the file says.
        found: Vec<usize>,
    },
    /// A group with other dimensions than the whole.
    #[error("has {found} dimensions where `global` has {expected}: give as many")]
    GroupRank {
        /// Dimensions of the group.
        found: usize,
        /// Dimensions of the whole.
        expected: usize,
    },
    /// An argument names a tensor that is not there.
    #[error("names {side} {idx}, the manifest has {there}: count from 0")]
    ArgumentTensor {
        /// `input` or `output`.
        side: &'static str,
        /// The number given.
        idx: usize,
        /// How many there are.
        there: usize,
    },
    /// A tensor the entry does not get.
    #[error("does not have {side} {idx} of the manifest: every tensor is an argument")]
    ArgumentMissing {
        /// `input` or `output`.
        side: &'static str,
        /// Which one.
        idx: usize,
    },
    /// An output that is given twice.
    #[error("names output {idx} again: an output is one argument")]
    ArgumentTwice {
        /// Which one.
        idx: usize,
    },
    /// A number that float32 cannot hold.
    #[error("is not a finite number that float32 can hold")]
    ArgumentRange,
    /// A built-in form that does not take these arguments and tensors.
    #[error("`{form}` takes {takes}: correct arguments and manifest, or leave `cpu` out")]
    CpuForm {
        /// Its name.
        form: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// The identity kernel needs outputs like its inputs.
    #[error(
        "`identity` copies inputs to outputs, but inputs have {inputs:?} B and outputs {outputs:?} B: make them equal"
    )]
    IdentitySizes {
        /// Sizes of the inputs.
        inputs: Vec<usize>,
        /// Sizes of the outputs.
        outputs: Vec<usize>,
    },
    /// The checksum kernel needs one output with room for its sum.
    #[error(
        "`checksum` writes 8 bytes to its only output, but outputs have {outputs:?} B: declare one of at least 8 B"
    )]
    ChecksumOutput {
        /// Sizes of the outputs.
        outputs: Vec<usize>,
    },
    /// A kernel time that is negative or absurd.
    #[error("{kernel_s} s is no kernel time: give seconds, from 0 to 3600")]
    KernelTime {
        /// What the file says.
        kernel_s: f64,
    },
    /// Not one number per colour channel.
    #[error("has {found} numbers: give three, for red, green and blue")]
    Channels {
        /// Numbers there are.
        found: usize,
    },
    /// A mean that float32 cannot hold.
    #[error("{value} is not a finite number that float32 can hold")]
    Mean {
        /// What the file says.
        value: f64,
    },
    /// A standard deviation that cannot be divided by.
    #[error("{value} cannot be divided by: give a positive number that float32 can hold, 1 for no scaling")]
    Std {
        /// What the file says.
        value: f64,
    },
    /// Images are declared for an input that does not take them.
    #[error(
        "declares images, but the first input holds {unpadded:?} without padding: images need N, H, W and 1 or 3 channels"
    )]
    NotAnImageInput {
        /// The unpadded shape of the first input.
        unpadded: Vec<usize>,
    },
    /// Images are declared for a model that takes more than an image.
    #[error("declares images, but the model has {inputs} inputs: images need a model with one")]
    SeveralInputs {
        /// How many inputs there are.
        inputs: usize,
    },
    /// The preprocessed size is another than the input's.
    #[error("is {found}, the first input holds {expected} without padding: make them equal")]
    ImageSize {
        /// What the file says.
        found: usize,
        /// What the input takes.
        expected: usize,
    },
    /// The number of labels is that of no output's channels.
    #[error(
        "`{path}` has {found} labels, the outputs have {channels:?} channels without padding: give one label per class"
    )]
    LabelCount {
        /// The labels file.
        path: String,
        /// Labels in it.
        found: usize,
        /// Unpadded channels of each output.
        channels: Vec<usize>,
    },
    /// Pools that add up to more than 64 bits hold.
    #[error("the pool sizes add up to more than can be counted: correct them")]
    PoolOverflow,
}
