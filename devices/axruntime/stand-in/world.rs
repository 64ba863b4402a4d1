//! The objects that are alive, the devices, and the last errors.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CString, c_int};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use nbuffer_runtime::{Device, Engine};
use nbuffer_sim::{Profile, SimDevice};

use crate::abi::DeviceInfo;
use crate::compiled::Compiled;
use crate::control::Control;
use crate::instance::Instance;

pub(crate) const SUCCESS: c_int = 0;
pub(crate) const RUNTIME_ERROR: c_int = 1;
pub(crate) const VALUE_ERROR: c_int = 2;
pub(crate) const INVALID_ARGUMENT: c_int = 3;
pub(crate) const CONNECTION_ERROR: c_int = 4;
pub(crate) const DEVICE_IN_USE: c_int = 5;
pub(crate) const NOT_IMPLEMENTED: c_int = 8;

/// Cores of a device.
const CORES: usize = 4;

/// What is simulated where no profile is given: quick, with transfers that take a while.
const PROFILE: &str = "
    description = \"stand-in\"
    class = \"lockstep\"
    cores = 4
    kernel_time = \"200us\"
    double_buffer = true
    [link]
    duplex = \"full\"
    write_time = \"50us\"
    read_time = \"50us\"
";

/// An error as a function reports it.
pub(crate) type Failed = (c_int, String);

/// What a handle stands for.
pub(crate) enum Kind {
    Context { listed: Mutex<Vec<Box<[DeviceInfo]>>> },
    Properties(BTreeMap<String, String>),
    Model { model: Arc<Compiled> },
    Connection { device: usize, cores: usize },
    Instance { connection: usize, instance: Instance },
}

pub(crate) struct Object {
    pub(crate) kind: Kind,
    /// The context; a context's own handle is its own.
    pub(crate) context: usize,
    error: Mutex<Failed>,
}

/// One simulated card.
struct Card {
    device: SimDevice,
    taken: usize,
}

pub(crate) struct World {
    objects: BTreeMap<usize, Arc<Object>>,
    next: usize,
    cards: Vec<Card>,
}

static INSTANCES: AtomicUsize = AtomicUsize::new(0);

impl World {
    pub(crate) fn get() -> MutexGuard<'static, World> {
        static WORLD: LazyLock<Mutex<World>> =
            LazyLock::new(|| Mutex::new(World { objects: BTreeMap::new(), next: 0x1000, cards: Vec::new() }));
        WORLD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn alive(&self, kind: &str) -> u64 {
        self.objects.values().filter(|object| object.kind.name() == kind).count() as u64
    }

    pub(crate) fn add(&mut self, kind: Kind, context: Option<usize>) -> usize {
        let handle = self.next;
        self.next += 16;
        let error = Mutex::new((SUCCESS, String::new()));
        self.objects.insert(handle, Arc::new(Object { kind, context: context.unwrap_or(handle), error }));
        handle
    }

    /// The object behind a handle; one that is stale or of another kind is a misuse.
    pub(crate) fn object(handle: usize, kind: &str) -> Option<Arc<Object>> {
        let object = World::get().objects.get(&handle).cloned();
        let object = object.filter(|object| kind == "object" || object.kind.name() == kind);
        if object.is_none() {
            Control::misused(format!("{handle:#x} is no {kind} that is alive"));
        }
        object
    }

    /// Destroys an object and what belongs to it.
    pub(crate) fn destroy(handle: usize) {
        let Some(object) = World::object(handle, "object") else { return };
        let mut gone = vec![object];
        {
            let mut world = World::get();
            let children = match &gone[0].kind {
                Kind::Context { .. } => {
                    let of_it = |other: &Object| other.context == handle;
                    world.handles(of_it).into_iter().filter(|&child| child != handle).collect()
                }
                Kind::Connection { .. } => world.handles(|other| other.connection() == Some(handle)),
                _ => Vec::new(),
            };
            if !children.is_empty() {
                // Allowed by the documentation, and not how this project does it.
                Control::misused(format!("a {} was destroyed before what it owns", gone[0].kind.name()));
            }
            for handle in children.into_iter().chain([handle]) {
                gone.extend(world.objects.remove(&handle));
            }
            for object in &gone[1..] {
                if let Kind::Connection { device, cores } = object.kind {
                    world.cards[device].taken -= cores;
                }
            }
        }
        // Instances end their threads, which must not find the table locked.
        for object in &gone {
            if let Kind::Instance { instance, .. } = &object.kind {
                instance.end();
            }
        }
    }

    fn handles(&self, wanted: impl Fn(&Object) -> bool) -> Vec<usize> {
        self.objects.iter().filter(|(_, object)| wanted(object)).map(|(&handle, _)| handle).collect()
    }

    /// Reserves cores of a card.
    pub(crate) fn connect(&mut self, device: usize, cores: usize) -> Result<(), Failed> {
        let (profile, in_use) = {
            let control = Control::get();
            (control.profile.clone(), if device == 0 { control.in_use } else { 0 })
        };
        while self.cards.len() <= device {
            let profile = match &profile {
                Some(file) => Profile::load(file.to_str().expect("a path of text")),
                None => Profile::parse("stand-in", PROFILE),
            };
            let profile = profile.unwrap_or_else(|error| panic!("{error}"));
            let engine: Arc<dyn Engine> = Arc::new(nbuffer_onnx::Rten);
            self.cards.push(Card { device: SimDevice::new("stand-in", profile, engine), taken: 0 });
        }
        let card = &mut self.cards[device];
        if cores == 0 || cores > CORES {
            return Err((INVALID_ARGUMENT, format!("num_sub_devices is {cores}, the device has {CORES}")));
        }
        if card.taken + in_use + cores > CORES {
            let free = CORES - card.taken - in_use;
            return Err((DEVICE_IN_USE, format!("num_sub_devices {cores} > available {free}")));
        }
        card.taken += cores;
        Ok(())
    }

    /// An instance of a model on a connection.
    pub(crate) fn instance(
        &self,
        connection: usize,
        model: &Arc<Compiled>,
        given: &BTreeMap<String, String>,
    ) -> Result<Instance, Failed> {
        let known =
            ["aipu_cores", "num_sub_devices", "double_buffer", "async_mode", "max_inflight", "max_pending"];
        if let Some(unknown) = given.keys().find(|key| !known.contains(&key.as_str())) {
            let why = format!("Invalid properties: Unknown property key: {unknown}");
            return Err((INVALID_ARGUMENT, why));
        }
        let number = |key: &str, default: usize| match given.get(key).map(|value| value.parse()) {
            None => Ok(default),
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) => Err((VALUE_ERROR, format!("Invalid properties: {key} is not a number"))),
        };
        let Some(Kind::Connection { device, cores }) = self.objects.get(&connection).map(|o| &o.kind) else {
            return Err((INVALID_ARGUMENT, "no such connection".to_owned()));
        };
        if number("num_sub_devices", 0)? > *cores {
            return Err((INVALID_ARGUMENT, "num_sub_devices is more than the connection has".to_owned()));
        }
        if self.objects.values().any(|object| object.connection() == Some(connection)) {
            return Err((RUNTIME_ERROR, "Failed to wait for MSI".to_owned()));
        }
        let lane = INSTANCES.fetch_add(1, Ordering::Relaxed);
        let is_async = number("async_mode", 0)? != 0;
        let places = number("max_inflight", 1)? + number("max_pending", 1)?;
        let program = self.cards[*device].device.prepare(&model.simulated, 1);
        let program = program.map_err(|error| (RUNTIME_ERROR, error.to_string()))?;
        let double_buffer = number("double_buffer", 0)? != 0;
        Instance::new(program, model, lane, double_buffer, is_async.then_some(places))
    }
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Kind::Context { .. } => "context",
            Kind::Properties(_) => "properties",
            Kind::Model { .. } => "model",
            Kind::Connection { .. } => "connection",
            Kind::Instance { .. } => "instance",
        }
    }
}

impl Object {
    fn connection(&self) -> Option<usize> {
        match self.kind {
            Kind::Instance { connection, .. } => Some(connection),
            _ => None,
        }
    }

    pub(crate) fn set_error(&self, (code, text): Failed) -> c_int {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = (code, text);
        code
    }

    pub(crate) fn error(&self) -> Failed {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The string of the last error, which is gone with the next call in this thread.
pub(crate) fn with_error_text<R>(change: impl FnOnce(&mut Option<CString>) -> R) -> R {
    thread_local!(static TEXT: RefCell<Option<CString>> = const { RefCell::new(None) });
    TEXT.with_borrow_mut(change)
}
