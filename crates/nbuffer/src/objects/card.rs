//! A device that is open in this process, whichever Contexts use it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use nbuffer_runtime::{Device, Engine};

use super::configuration::Configuration;
use super::cores::Cores;
use super::error::Error;

/// An open device: one simulated card for all Contexts of this process, as a real one would be.
pub(super) struct Card {
    pub(super) name: String,
    pub(super) device: Box<dyn Device>,
    pub(super) cores: Arc<Cores>,
    pub(super) configuration: Configuration,
}

/// What tells cards apart: the name a Context knows it by, and what computes its values.
type Key = (String, String);

static OPEN: Mutex<Vec<(Key, Weak<Card>)>> = Mutex::new(Vec::new());

impl Card {
    /// A device of the caller's own, which nobody else can find.
    pub(super) fn new(name: String, device: Box<dyn Device>) -> Arc<Self> {
        let cores = Cores::new(name.clone(), device.info().cores);
        Arc::new(Card { name, device, cores, configuration: Configuration::default() })
    }

    /// The device that [`crate::device`] opens by this name; for `number` 1 and up another one like it.
    pub(super) fn open(name: &str, number: usize, engine: &Arc<dyn Engine>) -> Result<Arc<Self>, Error> {
        let known_by = if number == 0 { name.to_owned() } else { format!("{name}#{number}") };
        let key = (known_by.clone(), engine.describe());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, card)| card.strong_count() > 0);
        if let Some(card) = open.iter().find(|(other, _)| *other == key).and_then(|(_, card)| card.upgrade())
        {
            return Ok(card);
        }
        let card = Card::new(known_by, crate::device(name, engine).map_err(Arc::new)?);
        open.push((key, Arc::downgrade(&card)));
        Ok(card)
    }

    pub(super) fn info(&self, among_processes: bool) -> DeviceInfo {
        let info = self.device.info();
        let holders = self.cores.holders(among_processes);
        DeviceInfo {
            name: self.name.clone(),
            description: info.description,
            cores: self.cores.count(),
            memory_bytes: info.memory_bytes,
            in_use: !holders.is_empty(),
            in_use_by: holders.join(", "),
            double_buffer: info.double_buffer,
        }
    }
}

/// What a device is, and who uses it at the moment of asking.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// The name to connect by: `sim:metis`; a second one like it is `sim:metis#1`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Cores it has, free or not.
    pub cores: usize,
    /// Its memory in bytes, where that is limited.
    pub memory_bytes: Option<u64>,
    /// Whether some of its cores are reserved.
    pub in_use: bool,
    /// By whom, in words; empty when nobody has one.
    pub in_use_by: String,
    /// Whether instances on it can be double-buffered.
    pub double_buffer: bool,
}
