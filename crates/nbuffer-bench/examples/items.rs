//! What an item costs in a Rust pipeline whose stages do what `benchmarks/python_pipeline.py` has Python do: quantise and
//! pad an array, give it back as real numbers.
//!
//! ```sh
//! cargo run --release -p nbuffer-bench --example items -- MODEL DEVICE,DEVICE.. ITEMS      # one core of each device
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use nbuffer::tensor::{TensorInfo, depad_dequantize, quantize_pad};
use nbuffer::{BoxError, ItemStages, Job, JobError, Model, Settings};

struct Stages {
    input: TensorInfo,
    output: TensorInfo,
}

impl ItemStages for Stages {
    type Item = Arc<Vec<f32>>;
    type Output = Vec<f32>;

    fn fill(&self, _: u64, item: &Arc<Vec<f32>>, inputs: &mut [&mut [u8]]) -> Result<(), BoxError> {
        Ok(quantize_pad(&self.input, item, bytemuck::cast_slice_mut(inputs[0]))?)
    }

    fn read(&self, _: u64, _: &Arc<Vec<f32>>, outputs: &[&[u8]]) -> Result<Vec<f32>, BoxError> {
        let mut reals = vec![0.0; self.output.unpadded_shape().iter().product()];
        depad_dequantize(&self.output, bytemuck::cast_slice(outputs[0]), &mut reals)?;
        Ok(reals)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or("MODEL DEVICE,DEVICE.. ITEMS are expected");
    let (model, devices, items) = (PathBuf::from(next()?), next()?, next()?.parse::<u32>()?);
    let engine = nbuffer::engine("rten", None)?;
    let devices =
        devices.split(',').map(|name| nbuffer::device(name, &engine)).collect::<Result<Vec<_>, _>>()?;
    let model = Arc::new(Model::open(&model)?);
    let settings = Settings { cores: Some(1), trace: Some(nbuffer::report::JOURNEYS), ..Settings::default() };
    let job = Job::with_stages(&model, &devices, &settings, |program, _| {
        Ok::<_, JobError>(Stages { input: program.inputs()[0].clone(), output: program.outputs()[0].clone() })
    })?;
    let len = job.inputs()[0].unpadded_shape().iter().product();
    let payload = move |item: u32| Arc::new(vec![(item % 60) as f32; len]);
    let start = Instant::now();
    let mut expected = 0;
    for finished in job.run((0..items).map(payload))? {
        let result = finished.result.map_err(|failure| format!("{failure:?}"))?;
        if result != *finished.item || result[0] != (expected % 60) as f32 {
            return Err(format!("item {expected} came to {:?}", result[0]).into());
        }
        expected += 1;
    }
    assert_eq!(expected, items);
    println!("{:.0}", start.elapsed().as_nanos() as f64 / f64::from(items));
    Ok(())
}
