//! The root of all objects.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nbuffer_runtime::{Device, Engine};

use super::card::{Card, DeviceInfo};
use super::connection::{self, Connection};
use super::error::{Error, Object};
use super::life::Counted;
use super::model::{self, Model};

/// Owner of devices, Connections and Models. A clone is another handle to the same Context.
///
/// It is released when the last handle to it or to anything of it is dropped, at the latest.
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
}

/// What holds for all of a Context. The default suits a program that shares its devices with nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Cores are reserved against other processes too, by locks on files in `NBUFFER_LOCK_DIR` (a folder for
    /// temporary files without it). For devices that are simulated in each process this is make-believe, which
    /// programs that come from real ones may want.
    pub among_processes: bool,
    /// The first two results of a double-buffered instance, which belong to no item, are 0xa5 in every byte, so
    /// that nobody takes them for results. They are the zero point otherwise.
    pub poison: bool,
}

/// Which device to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice<'a> {
    /// The first one, in the order of [`Context::list_devices`], that has enough free cores.
    First,
    /// The one at this place of the list, from 0.
    Ordinal(usize),
    /// The one of this name.
    Named(&'a str),
}

impl fmt::Display for DeviceChoice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::First => f.write_str("at all"),
            DeviceChoice::Ordinal(idx) => write!(f, "number {idx}"),
            DeviceChoice::Named(name) => write!(f, "`{name}`"),
        }
    }
}

struct Shared {
    cards: Vec<Arc<Card>>,
    engine: Arc<dyn Engine>,
    settings: Settings,
    released: AtomicBool,
    children: Mutex<Children>,
    _counted: Counted,
}

/// What the Context owns. Children hold no reference to it, so that it goes with the last handle.
#[derive(Default)]
struct Children {
    connections: Vec<Arc<connection::Shared>>,
    models: Vec<Arc<model::Shared>>,
}

impl Context {
    /// Opens devices by the names that [`crate::device`] takes. A name that occurs twice is two devices. The same
    /// name in two Contexts of this process is the same device, with one set of cores.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] when there is no such device, [`Error::Device`] when it is not here.
    pub fn open<'a>(
        devices: impl IntoIterator<Item = &'a str>,
        engine: &Arc<dyn Engine>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let names: Vec<&str> = devices.into_iter().collect();
        let cards = names.iter().enumerate().map(|(idx, &name)| {
            let number = names[..idx].iter().filter(|&&before| before == name).count();
            let card = Card::open(name, number, engine)?;
            card.device.check()?;
            Ok(card)
        });
        Ok(Context::of(cards.collect::<Result<_, Error>>()?, engine, settings))
    }

    /// A Context over devices of the caller's own. `engine` reads plain `.onnx` files.
    pub fn new(devices: Vec<Box<dyn Device>>, engine: &Arc<dyn Engine>, settings: Settings) -> Self {
        let mut cards: Vec<Arc<Card>> = Vec::new();
        for device in devices {
            let name = device.info().name;
            let like_it = cards.iter().filter(|card| card.device.info().name == name).count();
            let known_by = if like_it == 0 { name } else { format!("{name}#{like_it}") };
            cards.push(Card::new(known_by, device));
        }
        Context::of(cards, engine, settings)
    }

    fn of(cards: Vec<Arc<Card>>, engine: &Arc<dyn Engine>, settings: Settings) -> Self {
        let shared = Shared {
            cards,
            engine: Arc::clone(engine),
            settings,
            released: AtomicBool::new(false),
            children: Mutex::default(),
            _counted: Counted::new(Object::Context),
        };
        Context { shared: Arc::new(shared) }
    }

    /// The devices, and who uses them now.
    ///
    /// # Errors
    ///
    /// [`Error::Released`].
    pub fn list_devices(&self) -> Result<Vec<DeviceInfo>, Error> {
        self.check()?;
        let among_processes = self.shared.settings.among_processes;
        Ok(self.shared.cards.iter().map(|card| card.info(among_processes)).collect())
    }

    /// Reserves `cores` cores of a device until the Connection is released.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDevice`], [`Error::Cores`] for more than the device has, [`Error::DeviceInUse`] for more than are
    /// free.
    pub fn device_connect(&self, device: DeviceChoice<'_>, cores: usize) -> Result<Connection, Error> {
        self.check()?;
        let among_processes = self.shared.settings.among_processes;
        let mut refused = None;
        for card in self.candidates(device)? {
            match card.cores.reserve(cores, among_processes) {
                Ok(reservation) => {
                    let connection = Connection::new(self, card, reservation);
                    let mut children = self.children();
                    // Checked under the lock, so that a release that is under way misses nothing.
                    self.check()?;
                    children.connections.retain(|connection| !connection.is_released());
                    children.connections.push(Arc::clone(connection.shared()));
                    return Ok(connection);
                }
                // Nearer to what was wanted than what the devices before said.
                Err(error @ Error::DeviceInUse { .. }) => refused = Some(error),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| self.no_such(device)))
    }

    /// Reads a model: a `model.json`, its folder, or a plain `.onnx` file.
    ///
    /// # Errors
    ///
    /// [`Error::Model`], which names file and field; [`Error::Device`] when no engine can load a plain graph.
    pub fn load_model(&self, path: impl AsRef<Path>) -> Result<Model, Error> {
        self.check()?;
        let model = Model::load(self, path.as_ref(), &self.shared.engine)?;
        let mut children = self.children();
        self.check()?;
        children.models.retain(|model| !model.is_released());
        children.models.push(Arc::clone(model.shared()));
        Ok(model)
    }

    /// Configures a device by the vendor's keys. The values are checked and kept; no device here runs at another
    /// speed for them.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`]; nothing has changed then.
    pub fn configure_device(
        &self,
        device: DeviceChoice<'_>,
        values: &[(String, String)],
    ) -> Result<(), Error> {
        let card = self.card(device)?;
        card.configuration.set(&card.name, values)
    }

    /// Whether a device is ready, as it is as soon as it is configured.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDevice`], or [`Error::Device`] when it is gone.
    pub fn device_ready(&self, device: DeviceChoice<'_>) -> Result<bool, Error> {
        self.card(device)?.device.check()?;
        Ok(true)
    }

    /// The configuration of a device, by the vendor's keys.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchDevice`].
    pub fn read_device_configuration(
        &self,
        device: DeviceChoice<'_>,
    ) -> Result<BTreeMap<String, String>, Error> {
        Ok(self.card(device)?.configuration.read())
    }

    /// What computes values where a device is simulated or is this machine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.shared.engine
    }

    /// What holds for all of it.
    pub fn settings(&self) -> Settings {
        self.shared.settings
    }

    /// Whether it has been released.
    pub fn is_released(&self) -> bool {
        // Acquire pairs with the Release in `Shared::release`.
        self.shared.released.load(Ordering::Acquire)
    }

    /// Releases all Connections, their instances, and all Models.
    pub fn release(&self) {
        self.shared.release();
    }

    /// Whether two handles are of one Context.
    pub fn is(&self, other: &Context) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    fn check(&self) -> Result<(), Error> {
        if self.is_released() { Err(Error::Released { object: Object::Context }) } else { Ok(()) }
    }

    fn candidates(&self, device: DeviceChoice<'_>) -> Result<&[Arc<Card>], Error> {
        let cards = &self.shared.cards;
        let place = match device {
            DeviceChoice::First => return Ok(cards),
            DeviceChoice::Ordinal(idx) => Some(idx).filter(|&idx| idx < cards.len()),
            DeviceChoice::Named(name) => cards.iter().position(|card| card.name == name),
        };
        place.map(|idx| &cards[idx..=idx]).ok_or_else(|| self.no_such(device))
    }

    fn card(&self, device: DeviceChoice<'_>) -> Result<&Card, Error> {
        self.check()?;
        self.candidates(device)?.first().map(|card| &**card).ok_or_else(|| self.no_such(device))
    }

    fn no_such(&self, device: DeviceChoice<'_>) -> Error {
        let known = self.shared.cards.iter().map(|card| card.name.clone()).collect();
        Error::NoSuchDevice { wanted: device.to_string(), known }
    }

    fn children(&self) -> MutexGuard<'_, Children> {
        self.shared.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// A second release waits for the first one.
    fn release(&self) {
        self.released.store(true, Ordering::Release);
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let Children { connections, models } = std::mem::take(&mut *children);
        connections.iter().for_each(|connection| connection.release());
        models.iter().for_each(|model| model.release());
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let devices: Vec<&str> = self.shared.cards.iter().map(|card| card.name.as_str()).collect();
        f.debug_struct("Context").field("devices", &devices).field("released", &self.is_released()).finish()
    }
}
