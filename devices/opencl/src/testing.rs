//! What the tests of this crate need.

use std::fs;
use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::Model;
use nbuffer_runtime::model::{Argument, Code, DeviceCode, Kernel, KernelProgram};
use tempfile::TempDir;

use crate::OpenClDevice;
use crate::find;
use crate::hardware::Hardware;

/// Work items, and elements of each tensor, of the models here.
pub(crate) const N: usize = 64;

/// `out = x + a * n`, after some turns that take time.
pub(crate) const SHIFT: &str = "
    __kernel void shift(__global const float *x, __global float *out, uint turns, float a) {
        size_t i = get_global_id(0);
        float y = x[i];
        for (uint turn = 0; turn < turns; turn++) y = y * 0.5f + x[i] * 0.5f;
        out[i] = y + a;
    }";

/// The arguments of [`SHIFT`].
pub(crate) fn shift_args(turns: u32) -> Vec<Argument> {
    vec![Argument::Input(0), Argument::Output(0), Argument::U32(turns), Argument::F32(0.5)]
}

/// Whether the tests that need a device run. Without one they pass, unless `NBUFFER_REQUIRE_OPENCL` is 1.
fn runs() -> bool {
    match find::find("opencl") {
        Ok(_) => true,
        Err(why) if std::env::var_os("NBUFFER_REQUIRE_OPENCL").is_some_and(|value| value == "1") => {
            panic!("NBUFFER_REQUIRE_OPENCL is set: {why}")
        }
        Err(why) => {
            eprintln!("not tested: {why}");
            false
        }
    }
}

/// The device to test on, if there is one.
pub(crate) fn device() -> Option<OpenClDevice> {
    runs().then(|| OpenClDevice::new("opencl"))
}

/// The same, in use.
pub(crate) fn hardware() -> Option<Arc<Hardware>> {
    runs().then(|| Hardware::new("opencl", find::find("opencl").unwrap()).unwrap())
}

/// A model and the folder its code is in.
pub(crate) struct TestModel {
    pub(crate) model: Model,
    _folder: TempDir,
}

impl TestModel {
    /// The entry of `source` over [`N`] work items. The input and the output that `args` name are of as many float32.
    pub(crate) fn new(source: &str, entry: &str, args: Vec<Argument>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kernel.cl");
        fs::write(&file, source).unwrap();
        let code = DeviceCode { code: Code::Source(file), entry: entry.into(), options: String::new() };
        let tensor = |argument, name: &str| {
            args.contains(&argument).then(|| TensorInfo::float32(name, [1, N]).unwrap())
        };
        let inputs = tensor(Argument::Input(0), "input_0").into_iter().collect();
        let outputs = tensor(Argument::Output(0), "output_0").into_iter().collect();
        let program =
            KernelProgram { cpu: None, opencl: Some(code), cuda: None, global: vec![N], local: None, args };
        let model = Model {
            name: "test".into(),
            kernel: Kernel::Program(Arc::new(program)),
            inputs,
            outputs,
            batch: 1,
            kernel_s: None,
            model_bytes: 0,
            preprocess: None,
            labels: None,
        };
        TestModel { model, _folder: folder }
    }

    pub(crate) fn program(&mut self) -> &mut KernelProgram {
        let Kernel::Program(program) = &mut self.model.kernel else { unreachable!("it was made a program") };
        Arc::make_mut(program)
    }
}
