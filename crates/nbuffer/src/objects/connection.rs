//! Reserved cores of one device.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::card::{Card, DeviceInfo};
use super::context::Context;
use super::cores::Reservation;
use super::error::{Error, Object};
use super::instance::{self, ModelInstance};
use super::life::Counted;
use super::model::Model;
use super::options::InstanceOptions;

/// Cores of one device that nobody else has until this is released.
#[derive(Clone)]
pub struct Connection {
    context: Context,
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    card: Arc<Card>,
    cores: usize,
    released: AtomicBool,
    held: Mutex<Option<Held>>,
}

struct Held {
    /// Before the reservation, so that cores are free when the reservation ends.
    instances: Vec<Arc<instance::Shared>>,
    _reservation: Reservation,
    _counted: Counted,
}

impl Connection {
    pub(super) fn new(context: &Context, card: &Arc<Card>, reservation: Reservation) -> Self {
        let cores = reservation.count();
        let counted = Counted::new(Object::Connection);
        let held = Held { instances: Vec::new(), _reservation: reservation, _counted: counted };
        let (released, held) = (AtomicBool::new(false), Mutex::new(Some(held)));
        let shared = Arc::new(Shared { card: Arc::clone(card), cores, released, held });
        Connection { context: context.clone(), shared }
    }

    /// The Context that owns it.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Its device, and who uses that now.
    pub fn device(&self) -> DeviceInfo {
        self.shared.card.info(self.context.settings().among_processes)
    }

    /// How many cores it has reserved.
    pub fn cores(&self) -> usize {
        self.shared.cores
    }

    /// Puts a model on the device, ready to [`run`](ModelInstance::run), on as many cores as its batch needs.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectionFull`] and [`Error::TooFewCores`] when its cores do not suffice, [`Error::NotImplemented`] for
    /// what the device cannot do, [`Error::Device`] when the model does not fit it.
    pub fn load_model_instance(
        &self,
        model: &Model,
        options: &InstanceOptions,
    ) -> Result<ModelInstance, Error> {
        let Shared { card, cores, .. } = &*self.shared;
        if !self.context.is(model.context()) {
            return Err(Error::OtherContext);
        }
        let loaded = model.model()?;
        if self.shared.is_released() {
            return Err(Error::Released { object: Object::Connection });
        }
        let mut held = self.shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = &mut *held else {
            return Err(Error::Released { object: Object::Connection });
        };
        let needed = (1..=*cores).find(|&needed| card.device.lanes(&loaded, needed) > 0);
        let Some(needed) = needed else {
            return Err(Error::TooFewCores {
                model: loaded.name.clone(),
                batch: loaded.batch,
                cores: *cores,
            });
        };
        held.instances.retain(|instance| !instance.is_released());
        let used: usize = held.instances.iter().map(|instance| instance.cores()).sum();
        let (needed_or_asked, free) = (needed.max(options.num_sub_devices), cores - used);
        if options.num_sub_devices > *cores || needed > free {
            return Err(Error::ConnectionFull { needed: needed_or_asked, free, cores: *cores });
        }
        let shared = instance::Shared::new(card, &loaded, needed, options, self.context.settings().poison)?;
        let shared = Arc::new(shared);
        held.instances.push(Arc::clone(&shared));
        Ok(ModelInstance::new(&self.context, shared))
    }

    /// Whether it has been released.
    pub fn is_released(&self) -> bool {
        self.shared.is_released()
    }

    /// Releases its instances, then its cores.
    pub fn release(&self) {
        self.shared.release();
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    pub(super) fn is_released(&self) -> bool {
        // Acquire pairs with the Release in `release`.
        self.released.load(Ordering::Acquire)
    }

    /// A second release waits for the first one.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.take() {
            held.instances.iter().for_each(|instance| instance.release());
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { card, cores, .. } = &*self.shared;
        let mut f = f.debug_struct("Connection");
        f.field("device", &card.name).field("cores", cores).field("released", &self.is_released()).finish()
    }
}
