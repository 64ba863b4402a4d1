//! Times one call of a graph on each engine, single-threaded, over zeroed inputs:
//!
//!     cargo run --release -p nbuffer-onnx --example speed models/digits/digits_int8.onnx [CALLS]
//!
//! ONNX Runtime takes part where `ORT_DYLIB_PATH` names it.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nbuffer_runtime::{GraphTensor, HostBuffer};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("name a graph")?);
    let n_calls: usize = match arguments.next() {
        Some(number) => number.to_string_lossy().parse()?,
        None => 1000,
    };
    for name in nbuffer_onnx::ENGINES {
        let engine = match nbuffer_onnx::engine(name, None) {
            Ok(engine) => engine,
            Err(error) => {
                eprintln!("{error}");
                continue;
            }
        };
        let graph = engine.load(&path)?;
        let mut session = graph.session(1, 1)?;
        let inputs: Vec<_> = graph.inputs().iter().map(buffer).collect();
        let mut outputs: Vec<_> = graph.outputs().iter().map(buffer).collect();
        let mut times = Vec::with_capacity(n_calls);
        for _ in 0..n_calls.max(1) {
            let start = Instant::now();
            session.run(&inputs, &mut outputs)?;
            times.push(start.elapsed());
        }
        times.sort();
        let at = |share: f64| micros(times[((times.len() - 1) as f64 * share) as usize]);
        println!(
            "{:<50} {} calls: median {:.1} us, p10 {:.1}, p90 {:.1}",
            engine.describe(),
            times.len(),
            at(0.5),
            at(0.1),
            at(0.9)
        );
    }
    Ok(())
}

/// Zeroes for a tensor, its open dimensions taken as 1.
fn buffer(tensor: &GraphTensor) -> HostBuffer {
    let elements: usize = tensor.dims.iter().map(|dim| dim.unwrap_or(1)).product();
    HostBuffer::zeroed(elements * tensor.dtype.size_bytes())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
