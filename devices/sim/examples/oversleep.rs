//! How much later than its device time a simulated call returns, on this machine.
//!
//!     cargo run --release -p nbuffer-sim --example oversleep
//!
//! Makes 1000 blocking calls with a kernel of 2 ms, once one after another and once double-buffered.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nbuffer_core::schedule::Transit;
use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::model::Kernel;
use nbuffer_runtime::{Calls, Device, Ended, Engine, EngineError, Flight, Graph, Lane, LaneOptions, Model};
use nbuffer_sim::{Profile, SimDevice};

const CALLS: usize = 1000;

/// The identity is built in, so no engine is asked for anything.
#[derive(Debug)]
struct NoEngine;

impl Engine for NoEngine {
    fn name(&self) -> &'static str {
        "none"
    }

    fn describe(&self) -> String {
        "none".into()
    }

    fn load(&self, _: &Path) -> Result<Arc<dyn Graph>, EngineError> {
        Err(EngineError::Unavailable { engine: "none", why: "this example has none".into() })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let profile = Profile::parse("lockstep-2ms", include_str!("../profiles/examples/lockstep-2ms.toml"))?;
    let device = SimDevice::new("lockstep-2ms", profile, Arc::new(NoEngine));
    let tensor = |name: &str| TensorInfo::new(name, [1, 1024], [], 1.0, 0, DType::I8);
    let model = Arc::new(Model {
        name: "identity".into(),
        kernel: Kernel::Identity,
        inputs: vec![tensor("in")?],
        outputs: vec![tensor("out")?],
        batch: 1,
        kernel_s: None,
        model_bytes: 0,
        preprocess: None,
        labels: None,
    });
    for (double_buffer, call_time) in [(false, Duration::from_millis(3)), (true, Duration::from_millis(2))] {
        let program = device.prepare(&model, 1)?;
        let Lane { calls, mut memory } = program.open_lane(LaneOptions { lane: 0, double_buffer })?;
        let Calls::Blocking(mut lane) = calls else {
            return Err("a lockstep lane blocks".into());
        };
        let mut spare_input = Some(memory.input()?);
        let mut free: Vec<_> = (0..3).map(|_| memory.output()).collect::<Result<_, _>>()?;
        let mut late: Vec<Duration> = Vec::with_capacity(CALLS);
        for item in 0..CALLS {
            let input = spare_input.take().ok_or("a call gives its input back")?;
            let output = free.pop().ok_or("three outputs are enough")?;
            let id = Transit::new(0, 0, 0, item as u64);
            let begin = Instant::now();
            let called = lane.call(Some(Flight { id, input, output }));
            late.push(begin.elapsed().saturating_sub(call_time));
            spare_input = called.input.map(|(_, input)| input);
            match called.ended {
                Ended::Landed(_, output, _) => free.push(output),
                Ended::Nothing => {}
                other => return Err(format!("{other:?}").into()),
            }
        }
        // The first two double-buffered calls move less and take less.
        let late = &mut late[2..];
        late.sort();
        let mean = late.iter().sum::<Duration>() / late.len() as u32;
        let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
        let efficiency = call_time.as_secs_f64() / (call_time + mean).as_secs_f64();
        println!(
            "double buffering {double_buffer}: {CALLS} calls of {call_time:?} returned late by {mean:?} on average (p50 {:?}, p90 {:?}, p99 {:?}, max {:?}), efficiency {efficiency:.4}",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
    Ok(())
}
