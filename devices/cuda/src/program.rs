//! A model prepared for a GPU.

use std::sync::Arc;

use nbuffer_core::tensor::TensorInfo;
use nbuffer_runtime::model::Model;
use nbuffer_runtime::{DeviceError, InputSet, Lane, LaneOptions, OutputSet, Program};

use crate::buffers::CudaMemory;
use crate::driver::Context;
use crate::lane::CudaLane;
use crate::work::Work;

/// What the lanes of one program share.
pub(crate) struct Prepared {
    /// The device's name.
    pub(crate) device: String,
    pub(crate) context: Arc<Context>,
    pub(crate) work: Work,
    /// Items are launched as graphs.
    pub(crate) graphs: bool,
}

/// A model prepared for a GPU, shared by its lanes.
pub(crate) struct CudaProgram {
    prepared: Arc<Prepared>,
    model: Arc<Model>,
    remark: String,
}

impl CudaProgram {
    pub(crate) fn new(prepared: Prepared, model: &Arc<Model>, remark: String) -> Self {
        CudaProgram { prepared: Arc::new(prepared), model: Arc::clone(model), remark }
    }
}

impl Program for CudaProgram {
    fn inputs(&self) -> &[TensorInfo] {
        &self.model.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.model.outputs
    }

    fn engine(&self) -> Option<String> {
        None
    }

    fn model_bytes(&self) -> u64 {
        self.model.model_bytes
    }

    fn open_lane(&self, options: LaneOptions) -> Result<Lane<InputSet, OutputSet>, DeviceError> {
        let Prepared { device, context, .. } = &*self.prepared;
        if options.double_buffer {
            return Err(DeviceError::Unsupported {
                device: device.clone(),
                why: "its lanes overlap transfer and kernel by themselves; leave double buffering off".into(),
            });
        }
        let memory = CudaMemory::new(device.clone(), context, self.inputs(), self.outputs());
        let memory = memory.map_err(|failure| DeviceError::Unavailable {
            device: device.clone(),
            why: format!("lane {} gets no stream: {failure}", options.lane),
        })?;
        let lane = CudaLane::new(&self.prepared, options.lane)?;
        Ok(Lane::queued(move |completions| lane.open(completions), memory))
    }

    fn remarks(&self) -> Vec<String> {
        vec![self.remark.clone()]
    }
}
