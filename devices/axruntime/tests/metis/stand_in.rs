//! The stand-in library, and the device and the models over it.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use nbuffer_axruntime::AxDevice;
use nbuffer_runtime::{Device, InputSet, Lane, LaneOptions, Model, OutputSet, Program};
use serde_json::{Value, json};

/// A copy of the library of its own, so that tests side by side share no state.
pub(crate) struct StandIn(axruntime_stand_in::StandIn);

impl Deref for StandIn {
    type Target = axruntime_stand_in::StandIn;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl StandIn {
    pub(crate) fn new() -> Self {
        StandIn::without(&[])
    }

    /// The library as an older version of it would be, without these functions.
    pub(crate) fn without(functions: &[&str]) -> Self {
        let stand_in = axruntime_stand_in::StandIn::without(functions);
        StandIn(stand_in.unwrap_or_else(|error| panic!("{error}")))
    }

    /// One with this to do.
    pub(crate) fn told(lines: &str) -> Self {
        let stand_in = StandIn::new();
        stand_in.tell(lines);
        stand_in
    }

    /// Everything was destroyed, and nothing was done that must not be.
    #[track_caller]
    pub(crate) fn check_over(&self) {
        assert_eq!(self.is_at_rest(), Ok(()));
    }

    pub(crate) fn device(&self) -> AxDevice {
        AxDevice::new(None, Some(self.path()))
    }

    pub(crate) fn named(&self, name: &str) -> AxDevice {
        AxDevice::new(Some(name), Some(self.path()))
    }

    /// A compiled model of `batch` items, 64 bytes each, whose outputs are its inputs.
    pub(crate) fn model(&self, batch: usize) -> Arc<Model> {
        self.model_of(json!([batch, 1, 1, 64]), json!([batch, 1, 1, 64]), "identity")
    }

    pub(crate) fn model_of(&self, input: Value, output: Value, values: &str) -> Arc<Model> {
        let folder = tempfile::tempdir_in(self.folder()).unwrap().keep();
        let manifest = json!({
            "quantize_params": [[1.0, 0]], "dequantize_params": [[1.0, 0]],
            "input_shapes": [input], "output_shapes": [output], "model_lib_file": "model.json",
        });
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
        fs::write(folder.join("model.json"), json!({ "stand_in": values }).to_string()).unwrap();
        Arc::new(Model::open(folder).unwrap())
    }

    /// A file for a simulated device: quick, with these faults.
    pub(crate) fn profile(&self, faults: &str) -> PathBuf {
        let profile = format!(
            "description = \"test\"\nclass = \"lockstep\"\ncores = 4\nkernel_time = \"100us\"\ndouble_buffer = true\n[link]\nduplex = \"full\"\nwrite_time = \"20us\"\nread_time = \"20us\"\n{faults}"
        );
        let file = self.folder().join("profile.toml");
        fs::write(&file, profile).unwrap();
        file
    }
}

/// Lanes 0 to `n` of a program.
pub(crate) fn lanes(
    program: &Arc<dyn Program>,
    n: usize,
    double_buffer: bool,
) -> Vec<Lane<InputSet, OutputSet>> {
    let open = |lane| program.open_lane(LaneOptions { lane, double_buffer });
    (0..n).map(|lane| open(lane).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Why a model cannot be prepared.
#[track_caller]
pub(crate) fn refusal(device: &AxDevice, model: &Arc<Model>) -> String {
    match device.prepare(model, 1) {
        Ok(_) => panic!("it was prepared"),
        Err(error) => error.to_string(),
    }
}
