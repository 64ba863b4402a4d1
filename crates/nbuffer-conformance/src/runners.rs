//! The devices of this project, a runner each.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use axruntime_stand_in::StandIn;
use nbuffer_axruntime::AxDevice;
use nbuffer_cuda::CudaDevice;
use nbuffer_onnx::{CpuDevice, Rten};
use nbuffer_opencl::OpenClDevice;
use nbuffer_runtime::{BoxError, Device};

use crate::{Forms, Runner};

/// All of them, in the order of the table's columns. One whose hardware or library is missing says so in its column.
pub fn all() -> Vec<Runner> {
    vec![
        cpu("rten"),
        cpu("ort"),
        cpu("openvino"),
        sim("metis", false),
        sim("metis", true),
        sim("fpga", false),
        sim("gpu", false),
        opencl(),
        cuda("cuda"),
        cuda("cuda,graph"),
        metis("metis stand-in", false, &[]),
        metis("metis stand-in late", true, &[]),
        metis("metis stand-in blocking", false, &["axr_run_async_model_instance"]),
    ]
}

/// The host with this engine, which computes graphs. `ort` is here where `ORT_DYLIB_PATH` names its library,
/// `openvino` where `OPENVINO_DYLIB_PATH` does.
fn cpu(engine: &'static str) -> Runner {
    let open = move || nbuffer_onnx::engine(engine, None).map(|engine| CpuDevice::new(engine, 1));
    let forms = Forms::Graphs(graphs());
    Runner { forms, lanes_max: 2, ..Runner::new(&format!("cpu {engine}"), open) }
}

/// A simulated device; its values are those of the built-in forms.
fn sim(profile: &'static str, double_buffer: bool) -> Runner {
    let open = move || nbuffer_sim::open(profile, Arc::new(Rten));
    let late = if double_buffer { " late" } else { "" };
    // A lane of Metis is a core; the others have one, which several queues share.
    Runner { lanes_max: 4, double_buffer, ..Runner::new(&format!("sim:{profile}{late}"), open) }
}

/// The OpenCL device that is chosen where none is named. Its queues tell the device's own times.
fn opencl() -> Runner {
    let open = || {
        let device = OpenClDevice::new("opencl");
        device.check().map(|()| device)
    };
    Runner { lanes_max: 4, ..Runner::new("opencl", open) }
}

/// The first NVIDIA GPU, on streams or with graphs.
fn cuda(name: &'static str) -> Runner {
    let open = move || {
        let device = CudaDevice::new(name)?;
        device.check()?;
        Ok::<_, BoxError>(device)
    };
    Runner { lanes_max: 4, ..Runner::new(name, open) }
}

/// The Metis through a library with its vendor's C interface that is this project's own, since no card can run the suite's models.
/// Calls are asynchronous where results do not come late, unless the library is `without` that function.
fn metis(name: &str, double_buffer: bool, without: &'static [&'static str]) -> Runner {
    // One for all openings, and none where the column is not asked for: it is copied and stays loaded.
    let stand_in = Arc::new(LazyLock::new(|| StandIn::without(without).map_err(|error| error.to_string())));
    let at_rest = {
        let stand_in = Arc::clone(&stand_in);
        move || Ok((**stand_in).as_ref().map_err(String::as_str)?.is_at_rest()?)
    };
    let open = move || {
        let device = AxDevice::new(None, Some((**stand_in).as_ref().map_err(String::as_str)?.path()));
        device.check()?;
        Ok::<_, BoxError>(device)
    };
    let folder = tempfile::tempdir().expect("a folder for compiled models");
    Runner {
        forms: Forms::Compiled(Arc::new(folder)),
        lanes_max: 4,
        double_buffer,
        at_rest: Some(Box::new(at_rest)),
        ..Runner::new(name, open)
    }
}

fn graphs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("graphs")
}
