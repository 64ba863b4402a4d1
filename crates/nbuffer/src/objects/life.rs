//! How many objects there are, for finding leaks.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::Object;

static ALIVE: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

/// Counts one object for as long as it is there.
#[derive(Debug)]
pub(super) struct Counted(Object);

impl Counted {
    pub(super) fn new(object: Object) -> Self {
        // Relaxed: the counts order nothing.
        ALIVE[object as usize].fetch_add(1, Ordering::Relaxed);
        Counted(object)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE[self.0 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many objects of this process hold something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive {
    /// Contexts, released or not, that something still refers to.
    pub contexts: usize,
    /// Connections that hold cores.
    pub connections: usize,
    /// Models in host memory.
    pub models: usize,
    /// Instances on a device.
    pub instances: usize,
}

/// Counts the objects of this process. True for as long as no thread makes or releases one.
pub fn alive() -> Alive {
    let of = |object: Object| ALIVE[object as usize].load(Ordering::Relaxed);
    Alive {
        contexts: of(Object::Context),
        connections: of(Object::Connection),
        models: of(Object::Model),
        instances: of(Object::ModelInstance),
    }
}
