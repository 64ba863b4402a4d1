//! What the tests of this crate need.

use std::path::Path;
use std::sync::Arc;

use nbuffer_core::tensor::{DType, TensorInfo};
use nbuffer_runtime::model::Kernel;
use nbuffer_runtime::{Engine, EngineError, Graph, Model};

/// An engine that loads nothing; built-in kernels need none.
pub(crate) fn no_engine() -> Arc<dyn Engine> {
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
            Err(EngineError::Unavailable { engine: "none", why: "this is a test".into() })
        }
    }
    Arc::new(NoEngine)
}

/// The identity on `bytes` int8 values with zero point 3, for each of `batch` items.
pub(crate) fn byte_model(batch: usize, bytes: usize) -> Model {
    let tensor = |name: &str| TensorInfo::new(name, [batch, bytes], [], 1.0, 3, DType::I8).unwrap();
    Model {
        name: "bytes".into(),
        kernel: Kernel::Identity,
        inputs: vec![tensor("in")],
        outputs: vec![tensor("out")],
        batch,
        kernel_s: None,
        model_bytes: 1000,
        preprocess: None,
        labels: None,
    }
}
