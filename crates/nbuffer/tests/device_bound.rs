//! Runs that only the device should limit, on simulated devices with a kernel of 2 ms: what nbuffer chooses
//! is no slower than one buffer set. The figures are printed:
//!
//! ```sh
//! cargo test --release -p nbuffer --test device_bound -- --nocapture
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nbuffer::summary::Summary;
use nbuffer::{Answer, Buffering, Job, Model, Settings};

const IMAGES: usize = 400;

/// One at a time, so that the runs do not take the host from each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(profile: &str, double_buffer: bool, buffering: Buffering) -> Summary {
    let root = repository();
    let profile = root.join("devices/sim/profiles/examples").join(profile);
    let engine = nbuffer_onnx::engine("rten", None).unwrap();
    let device = nbuffer::device(&format!("sim:{}", profile.display()), &engine).unwrap();
    let mut model = Model::open(root.join("models/checksum")).unwrap();
    // The model's own kernel time would stand in for the 2 ms of the profile.
    model.kernel_s = None;
    let model = Arc::new(model);
    let settings =
        Settings { cores: Some(1), buffering, double_buffer: Some(double_buffer), ..Settings::default() };
    let job = Job::new(&model, &[device], &settings).unwrap();
    let images = nbuffer::inputs::expand(&root.join("models/digits/images/3")).unwrap();
    let mut running = job.run(images.into_iter().cycle().take(IMAGES)).unwrap();
    for finished in &mut running {
        let answer = finished.result.unwrap();
        assert!(matches!(answer, Answer::Outputs { .. }), "a checksum, not {answer:?}");
    }
    running.summary()
}

#[track_caller]
fn check(profile: &str, double_buffer: bool) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|failed| failed.into_inner());
    let period_s = |buffering| {
        let summary = run(profile, double_buffer, buffering);
        let depth = summary.buffers.depth;
        assert_eq!(summary.lanes, 1);
        assert!(buffering == Buffering::Auto || buffering == Buffering::Depth(depth));
        assert_eq!((summary.items.taken, summary.items.ok), (IMAGES as u64, IMAGES as u64));
        let plan = summary.plan.expect("a run this long has a plan");
        let reached = plan.reached.expect("a run measures its period");
        let kernel = summary.kernel.expect("kernels were seen");
        eprintln!(
            "{profile}, N = {depth}: period {:.3} ms, efficiency {:.4}, downtime fraction {:.4}, limit {}",
            reached.measured_period_s * 1e3,
            reached.efficiency,
            kernel.downtime_fraction,
            plan.binding
        );
        reached.measured_period_s
    };
    let one = period_s(Buffering::Depth(1));
    let auto = period_s(Buffering::Auto);
    assert!(auto <= 1.02 * one, "a period of {auto} s by itself, of {one} s with one buffer set");
}

#[test]
fn a_queued_device_is_no_slower_than_with_one_buffer_set() {
    check("queued-2ms.toml", false);
}

#[test]
fn a_lockstep_device_is_no_slower_than_with_one_buffer_set() {
    check("lockstep-2ms.toml", true);
}
