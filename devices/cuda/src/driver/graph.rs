//! A graph: work that is described once and launched with one call.

use std::ptr;
use std::sync::Arc;

use cudarc::driver::sys::{CUgraph, CUgraphExec};

use super::failure::Failure;
use super::functions::functions;
use super::{Context, Stream};

/// Work that can be launched again and again, one launch at a time.
#[derive(Debug)]
pub(crate) struct Graph {
    instance: CUgraphExec,
    context: Arc<Context>,
}

// SAFETY: a graph may be used from any thread, one at a time: it is not `Sync`.
unsafe impl Send for Graph {}

/// What a capture recorded.
pub(super) struct Definition {
    raw: CUgraph,
    context: Arc<Context>,
}

impl Graph {
    pub(super) fn definition(raw: CUgraph, context: &Arc<Context>) -> Definition {
        Definition { raw, context: Arc::clone(context) }
    }

    /// Gives the work to `stream`.
    ///
    /// # Safety
    ///
    /// What holds for each of its parts holds for the launch: see where it was captured.
    pub(crate) unsafe fn launch(&self, stream: &Stream) -> Result<(), Failure> {
        // SAFETY: the graph exists, and the caller answers for the memory it touches.
        unsafe { functions().cuGraphLaunch(self.instance, stream.raw()) }
    }
}

impl Definition {
    pub(super) fn instantiate(self) -> Result<Graph, Failure> {
        let mut instance = ptr::null_mut();
        // SAFETY: the graph exists, there are no flags, and `instance` outlives the call that writes it.
        unsafe { functions().cuGraphInstantiateWithFlags(&mut instance, self.raw, 0)? };
        Ok(Graph { instance, context: Arc::clone(&self.context) })
    }
}

impl Drop for Definition {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: the capture made it once; instances are independent of it.
            let _ = unsafe { functions().cuGraphDestroy(self.raw) };
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.context.bind().is_ok() {
            // SAFETY: it was made once. A launch still under way goes on; the driver frees the instance after it.
            let _ = unsafe { functions().cuGraphExecDestroy(self.instance) };
        }
    }
}
