//! A model, images and devices: the arguments of every command that runs a model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nbuffer::{Device, Model, Settings, inputs};

use super::engine::EngineArgs;
use super::values::{AutoOr, TimeOrNone, at_least_one, count, three};

/// What to run, on what, and what of it does not depend on buffering.
#[derive(Debug, clap::Args)]
pub(super) struct Workload {
    /// A model directory with model.json and manifest.json, or a plain .onnx file
    model: PathBuf,
    /// Images (PNG or JPEG) or arrays (.npy; `x.npy+y.npy` for several inputs), folders of them, or `-` for one path a line on stdin
    #[arg(required_unless_present = "synthetic")]
    inputs: Vec<PathBuf>,
    /// Generate so many items in place of inputs: every element tells its item's number, and every output is checked
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["inputs", "repeat"])]
    synthetic: Option<u64>,
    /// Device to run on: cpu, cpu:THREADS (of each lane), sim:metis, sim:FILE.toml, opencl, cuda, metis (`nbuffer devices` lists all); may repeat
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: Vec<String>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Cores of each device to use [default: all]
    #[arg(long, value_name = "N", value_parser = count)]
    cores: Option<usize>,
    /// Threads that prepare inputs and read outputs
    #[arg(long, value_name = "auto|C", default_value = "auto")]
    host_threads: AutoOr,
    /// Run over the inputs so many times
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "1")]
    pub(super) repeat: u64,
    /// Stop after so many items
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) limit: Option<u64>,
    /// Give a lane up when a device call takes longer
    #[arg(long, value_name = "TIME|none", default_value = "30s")]
    watchdog: TimeOrNone,
    /// Class names, one a line [default: the model's]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Mean per channel, subtracted after x/255 [default: the model's, or 0,0,0]
    #[arg(long, value_name = "R,G,B", value_parser = three, allow_hyphen_values = true)]
    mean: Option<[f32; 3]>,
    /// Standard deviation per channel, divided by [default: the model's, or 1,1,1]
    #[arg(long, value_name = "R,G,B", value_parser = three)]
    std: Option<[f32; 3]>,
}

impl Workload {
    pub(super) fn model(&self) -> anyhow::Result<Arc<Model>> {
        Ok(Arc::new(Model::open(&self.model)?))
    }

    pub(super) fn devices(&self) -> anyhow::Result<Vec<Box<dyn Device>>> {
        let engine = self.engine.engine()?;
        let devices = self.device.iter().map(|name| nbuffer::device(name, &engine));
        Ok(devices.collect::<Result<_, _>>()?)
    }

    /// What these arguments settle; the rest is as by default.
    pub(super) fn settings(&self, model: &Model) -> anyhow::Result<Settings> {
        let declared = model.preprocess.as_ref().map(|p| (p.mean, p.std)).unwrap_or(([0.0; 3], [1.0; 3]));
        let normalise = (self.mean.is_some() || self.std.is_some())
            .then(|| (self.mean.unwrap_or(declared.0), self.std.unwrap_or(declared.1)));
        Ok(Settings {
            cores: self.cores,
            host_threads: match self.host_threads {
                AutoOr::Auto => None,
                AutoOr::Count(threads) => Some(threads),
            },
            watchdog: self.watchdog.0,
            normalise,
            synthetic: self.synthetic.is_some(),
            labels: self.labels.as_deref().map(nbuffer::model::read_labels).transpose()?,
            ..Settings::default()
        })
    }

    /// Whether paths come in on stdin, instead of or beside other inputs.
    pub(super) fn is_from_stdin(&self) -> bool {
        self.inputs.iter().any(|input| input.as_os_str() == "-")
    }

    /// How many inputs were given.
    pub(super) fn n_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The items of inputs that can be read again, or are generated.
    pub(super) fn images(&self) -> anyhow::Result<Images> {
        let generated =
            (0..self.synthetic.unwrap_or(0)).map(|item| Path::new(&format!("synthetic/{item}")).into());
        let mut files: Vec<Arc<Path>> = generated.collect();
        for input in &self.inputs {
            files.extend(inputs::expand(input)?);
        }
        let all = (files.len() as u64).saturating_mul(self.repeat);
        Ok(Images { count: self.limit.map_or(all, |limit| limit.min(all)), files: files.into() })
    }
}

/// Files, taken in turn until there are enough items.
#[derive(Clone, Debug)]
pub(super) struct Images {
    pub(super) files: Arc<[Arc<Path>]>,
    /// How many items they make.
    pub(super) count: u64,
}

impl Images {
    /// Which of the files an item is made of.
    pub(super) fn file_of(&self, sequence: u64) -> usize {
        (sequence % self.files.len() as u64) as usize
    }

    /// The items.
    pub(super) fn items(&self) -> impl Iterator<Item = Arc<Path>> + Send + 'static {
        let images = self.clone();
        (0..images.count).map(move |sequence| Arc::clone(&images.files[images.file_of(sequence)]))
    }
}
