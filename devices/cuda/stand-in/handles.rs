//! Handles: numbers that look like pointers, so that a stale one is an error and not a crash.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::kernels::{Function, Module};
use crate::machine::{Event, Op, Stream};

/// What a handle stands for.
#[derive(Clone)]
pub(crate) enum Object {
    Stream(Arc<Stream>),
    Event(Arc<Event>),
    Module(Arc<Module>),
    Function(Arc<Function>),
    Graph(Arc<Vec<Op>>),
    Instance(Arc<Vec<Op>>),
}

#[derive(Default)]
pub(crate) struct Handles {
    objects: HashMap<usize, Object>,
    last: usize,
}

pub(crate) fn handles() -> MutexGuard<'static, Handles> {
    static HANDLES: OnceLock<Mutex<Handles>> = OnceLock::new();
    HANDLES.get_or_init(Mutex::default).lock().unwrap()
}

impl Handles {
    pub(crate) fn add(&mut self, object: Object) -> *mut c_void {
        self.last += 0x10;
        self.objects.insert(self.last, object);
        std::ptr::without_provenance_mut(self.last)
    }

    pub(crate) fn remove(&mut self, handle: *mut c_void) -> Option<Object> {
        self.objects.remove(&handle.addr())
    }

    /// Objects that still exist, functions aside: they go with their module.
    pub(crate) fn live(&self) -> usize {
        self.objects.values().filter(|object| !matches!(object, Object::Function(_))).count()
    }
}

macro_rules! kinds {
    ($($name:ident, $variant:ident, $type:ty;)*) => {
        $(
            /// The object of this kind, or the driver's code for a handle that is none.
            pub(crate) fn $name(handle: *mut c_void) -> Result<Arc<$type>, u32> {
                match handles().objects.get(&handle.addr()) {
                    Some(Object::$variant(object)) => Ok(Arc::clone(object)),
                    _ => Err(crate::machine::INVALID_HANDLE),
                }
            }
        )*
    };
}

kinds! {
    stream, Stream, Stream;
    event, Event, Event;
    module, Module, Module;
    function, Function, Function;
    graph, Graph, Vec<Op>;
    instance, Instance, Vec<Op>;
}
