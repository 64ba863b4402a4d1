//! `model.json`: what computes the model, and what it takes.

use std::path::Path;

use serde::Deserialize;

use super::Preprocess;
use super::error::{FieldProblem, ModelError};
use super::json::{self, Samples};
use super::path::{Field, ModelDir};
use super::program::{Argument, Code, CpuForm, DeviceCode, KernelProgram};

/// The version of the `nbuffer` section that this code reads.
const FORMAT: u64 = 1;

/// The longest kernel time that is taken for meant.
const KERNEL_S_MAX: f64 = 3600.0;

const SECTION: &str = "{\"format\": 1, \"graph\": \"model.onnx\"}";

/// How each field is written, for the error messages.
const SAMPLES: &Samples = &[
    ("memory_pools", "[{\"memory\": \"l2\", \"size\": 16384}], with memory l2 or ddr and size in bytes"),
    ("nbuffer", SECTION),
    ("nbuffer.format", "1"),
    ("nbuffer.graph", "\"model.onnx\", a path within the model directory"),
    ("nbuffer.kernel", "\"identity\", \"checksum\" or \"compiled\""),
    (
        "nbuffer.program",
        "{\"opencl\": {\"source\": \"k.cl\", \"entry\": \"k\"}, \"global\": [1024], \"args\": [{\"input\": 0}, {\"output\": 0}]}",
    ),
    ("nbuffer.program.cpu", "\"power\", \"saxpy\" or \"copy\""),
    (
        "nbuffer.program.opencl",
        "{\"source\": \"k.cl\", \"entry\": \"k\", \"options\": \"\"}, or with \"binary\" for \"source\"",
    ),
    ("nbuffer.program.cuda", "{\"ptx\": \"k.ptx\", \"entry\": \"k\"}, or with \"source\" for \"ptx\""),
    ("nbuffer.program.global", "[1048576], the work items along 1 to 3 dimensions"),
    ("nbuffer.program.local", "[256], the work items of a group along as many dimensions as `global`"),
    (
        "nbuffer.program.args",
        "[{\"input\": 0}, {\"output\": 0}, {\"u32\": 7}], with input, output, u32, i32, u64 or f32",
    ),
    ("nbuffer.kernel_time_s", "0.002, in seconds"),
    ("nbuffer.preprocess", "{\"height\": 224, \"width\": 224, \"mean\": [0, 0, 0], \"std\": [1, 1, 1]}"),
    ("nbuffer.labels", "\"labels.txt\", a path within the model directory"),
];

/// The file as it is written. Other keys belong to others and are passed over.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Descriptor {
    memory_pools: Option<Vec<MemoryPool>>,
    #[serde(default = "Section::of_a_compiler")]
    pub(super) nbuffer: Section,
}

/// Constants of the model in a memory of the device.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct MemoryPool {
    #[serde(rename = "memory")]
    _memory: Memory,
    size: u64,
    blob_file: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Memory {
    L2,
    Ddr,
}

/// nbuffer's own section. A key it does not know is an error, since it may be a misspelt one.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct Section {
    #[serde(rename = "format")]
    _format: u64,
    pub(super) graph: Option<String>,
    pub(super) kernel: Option<BuiltIn>,
    pub(super) program: Option<ProgramSection>,
    kernel_time_s: Option<f64>,
    preprocess: Option<ImageSection>,
    pub(super) labels: Option<String>,
}

/// The kernels without a file of their own.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BuiltIn {
    Identity,
    Checksum,
    Compiled,
}

/// A kernel of the model's own, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ProgramSection {
    cpu: Option<CpuForm>,
    opencl: Option<OpenClSection>,
    cuda: Option<CudaSection>,
    global: Vec<usize>,
    local: Option<Vec<usize>>,
    args: Vec<Argument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct OpenClSection {
    source: Option<String>,
    binary: Option<String>,
    entry: String,
    #[serde(default)]
    options: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct CudaSection {
    source: Option<String>,
    ptx: Option<String>,
    entry: String,
    #[serde(default)]
    options: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ImageSection {
    height: usize,
    width: usize,
    mean: Vec<f64>,
    std: Vec<f64>,
}

/// As much of the file as tells its version.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Version {
    nbuffer: Option<SectionVersion>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct SectionVersion {
    format: Option<serde_json::Value>,
}

impl Descriptor {
    /// Parses the file. The version is looked at first, so that a newer file is called newer and not wrong.
    pub(super) fn parse(file: &Path, bytes: &[u8]) -> Result<Self, ModelError> {
        let version: Version = json::parse(file, bytes, SAMPLES)?;
        if let Some(section) = version.nbuffer {
            let field = Field { file, name: "nbuffer.format" };
            let missing = || field.error(FieldProblem::Missing { sample: "1" });
            let format = section.format.ok_or_else(missing)?;
            if format.as_u64() != Some(FORMAT) {
                return Err(field.error(FieldProblem::Format { found: shortened(&format) }));
            }
        }
        json::parse(file, bytes, SAMPLES)
    }

    /// Bytes of all memory pools, if the file lists any.
    pub(super) fn pool_bytes(&self, file: &Path) -> Result<Option<u64>, ModelError> {
        let Some(pools) = self.memory_pools.as_deref().filter(|pools| !pools.is_empty()) else {
            return Ok(None);
        };
        let sum = pools.iter().try_fold(0, |sum: u64, pool| sum.checked_add(pool.size));
        sum.map(Some).ok_or_else(|| Field { file, name: "memory_pools" }.error(FieldProblem::PoolOverflow))
    }

    /// The files that memory pools name, each with its field.
    pub(super) fn pool_files(&self) -> impl Iterator<Item = (String, &str)> {
        self.memory_pools.iter().flatten().enumerate().filter_map(|(idx, pool)| {
            let path = pool.blob_file.as_deref().filter(|path| !path.is_empty())?;
            Some((format!("memory_pools[{idx}].blob_file"), path))
        })
    }
}

impl Section {
    /// A compiler knows nothing of this section and leaves it out.
    fn of_a_compiler() -> Self {
        Section { kernel: Some(BuiltIn::Compiled), ..Section::default() }
    }

    /// The declared kernel time in seconds.
    pub(super) fn kernel_s(&self, file: &Path) -> Result<Option<f64>, ModelError> {
        match self.kernel_time_s {
            Some(kernel_s) if !(0.0..=KERNEL_S_MAX).contains(&kernel_s) => {
                Err(Field { file, name: "nbuffer.kernel_time_s" }
                    .error(FieldProblem::KernelTime { kernel_s }))
            }
            kernel_s => Ok(kernel_s),
        }
    }

    /// The declared preprocessing, its numbers usable in f32.
    pub(super) fn preprocess(&self, file: &Path) -> Result<Option<Preprocess>, ModelError> {
        let Some(section) = &self.preprocess else { return Ok(None) };
        let channels = |name, values: &[f64], check: fn(f64) -> Result<f32, FieldProblem>| {
            let list = Field { file, name };
            let values: [f64; 3] =
                values.try_into().map_err(|_| list.error(FieldProblem::Channels { found: values.len() }))?;
            let mut checked = [0.0; 3];
            for (idx, value) in values.into_iter().enumerate() {
                let name = format!("{name}[{idx}]");
                checked[idx] = check(value).map_err(|problem| Field { file, name: &name }.error(problem))?;
            }
            Ok(checked)
        };
        Ok(Some(Preprocess {
            height: section.height,
            width: section.width,
            mean: channels("nbuffer.preprocess.mean", &section.mean, checked_mean)?,
            std: channels("nbuffer.preprocess.std", &section.std, checked_std)?,
        }))
    }
}

impl ProgramSection {
    /// The program, with every file it names. Whether its parts fit each other is not looked at here.
    pub(super) fn program(&self, file: &Path, dir: &ModelDir) -> Result<KernelProgram, ModelError> {
        let opencl = self.opencl.as_ref().map(|OpenClSection { source, binary, entry, options }| {
            let code = code(file, dir, "opencl", source.as_deref(), ("binary", binary.as_deref()))?;
            Ok(DeviceCode { code, entry: entry.clone(), options: options.clone() })
        });
        let cuda = self.cuda.as_ref().map(|CudaSection { source, ptx, entry, options }| {
            let code = code(file, dir, "cuda", source.as_deref(), ("ptx", ptx.as_deref()))?;
            Ok(DeviceCode { code, entry: entry.clone(), options: options.clone() })
        });
        Ok(KernelProgram {
            cpu: self.cpu,
            opencl: opencl.transpose()?,
            cuda: cuda.transpose()?,
            global: self.global.clone(),
            local: self.local.clone(),
            args: self.args.clone(),
        })
    }
}

/// The one file of a device's section: text, or what a compiler made, under the name that device has for it.
fn code(
    file: &Path,
    dir: &ModelDir,
    device: &str,
    source: Option<&str>,
    (compiled, binary): (&'static str, Option<&str>),
) -> Result<Code, ModelError> {
    let section = format!("nbuffer.program.{device}");
    let existing = |name: &str, path: &str| {
        let code = dir.existing(Field { file, name: &format!("{section}.{name}") }, path)?;
        let metadata = code.metadata();
        match metadata.map_err(|source| ModelError::Read { file: code.clone(), source })?.len() {
            0 => Err(ModelError::Empty { file: code }),
            _ => Ok(code),
        }
    };
    let found = match (source, binary) {
        (Some(path), None) => return existing("source", path).map(Code::Source),
        (None, Some(path)) => return existing(compiled, path).map(Code::Binary),
        (Some(_), Some(_)) => "both",
        (None, None) => "neither",
    };
    Err(Field { file, name: &section }.error(FieldProblem::SourceOrBinary { found, compiled }))
}

fn checked_mean(value: f64) -> Result<f32, FieldProblem> {
    let mean = value as f32;
    if mean.is_finite() { Ok(mean) } else { Err(FieldProblem::Mean { value }) }
}

fn checked_std(value: f64) -> Result<f32, FieldProblem> {
    let std = value as f32;
    if std.is_normal() && std > 0.0 { Ok(std) } else { Err(FieldProblem::Std { value }) }
}

/// A JSON value for a message: as it stands, but not longer than a line.
fn shortened(value: &serde_json::Value) -> String {
    const CHARS_MAX: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}
