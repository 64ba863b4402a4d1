//! The one simulated device that programs and lanes share: its timeline, its cores and its memory.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use nbuffer_runtime::DeviceError;

use crate::bell::Bell;
use crate::profile::{Class, Profile};
use crate::timeline::{JobId, Progress, Step, Timeline};
use crate::times::Units;

/// A device that is switched on.
#[derive(Debug)]
pub(crate) struct Hardware {
    /// As on the command line: `sim:metis`.
    pub(crate) name: String,
    pub(crate) profile: Profile,
    pub(crate) units: Units,
    /// Time 0 of the timeline.
    pub(crate) epoch: Instant,
    state: Mutex<State>,
    /// Why the whole device is gone, once it is.
    gone: OnceLock<String>,
    bells: Mutex<Vec<Weak<Bell>>>,
}

#[derive(Debug)]
struct State {
    timeline: Timeline,
    cores_taken: Vec<bool>,
    memory_used_bytes: u64,
    l2_used_bytes: u64,
}

impl Hardware {
    pub(crate) fn new(name: String, profile: Profile) -> Arc<Self> {
        let mut timeline = Timeline::new();
        let units = Units::new(&mut timeline, &profile);
        let cores_taken = vec![false; profile.cores];
        let state = State { timeline, cores_taken, memory_used_bytes: 0, l2_used_bytes: 0 };
        Arc::new(Hardware {
            name,
            profile,
            units,
            epoch: Instant::now(),
            state: Mutex::new(state),
            gone: OnceLock::new(),
            bells: Mutex::default(),
        })
    }

    /// Begins a job now.
    pub(crate) fn submit(&self, steps: Vec<Step>) -> JobId {
        let mut state = self.state();
        // The clock is read under the lock, so that jobs begin in the order of their times.
        let now_ns = self.now_ns();
        state.timeline.submit(now_ns, steps)
    }

    /// How far a job is by now.
    pub(crate) fn progress(&self, job: JobId) -> Progress {
        let mut state = self.state();
        let now_ns = self.now_ns();
        state.timeline.advance(now_ns);
        state.timeline.progress(job)
    }

    /// Forgets a job nobody waits for any more.
    pub(crate) fn abandon(&self, job: JobId) {
        self.state().timeline.abandon(job);
    }

    /// A time of the timeline on the host's clock.
    pub(crate) fn instant(&self, ns: u64) -> Instant {
        self.epoch + Duration::from_nanos(ns)
    }

    /// Why the device is gone, if it is.
    pub(crate) fn gone(&self) -> Option<&str> {
        self.gone.get().map(String::as_str)
    }

    /// Makes the device disappear for all its lanes.
    pub(crate) fn disappear(&self, why: String) {
        // Only the first reason is kept.
        let _ = self.gone.set(why);
        self.ring_all();
    }

    /// A bell that also rings on news that concern every lane.
    pub(crate) fn new_bell(&self) -> Arc<Bell> {
        let bell = Arc::new(Bell::default());
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|bell| bell.strong_count() > 0);
        bells.push(Arc::downgrade(&bell));
        bell
    }

    /// Makes every waiting lane look around.
    pub(crate) fn ring_all(&self) {
        let bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.iter().filter_map(Weak::upgrade).for_each(|bell| bell.ring());
    }

    /// Reserves cores for one instance.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Unsupported`] when fewer are free.
    pub(crate) fn take_cores(self: &Arc<Self>, count: usize, lane: usize) -> Result<CoreLease, DeviceError> {
        let mut state = self.state();
        let free: Vec<usize> = (0..state.cores_taken.len()).filter(|&c| !state.cores_taken[c]).collect();
        let Some(cores) = free.get(..count).filter(|cores| !cores.is_empty()) else {
            let (total, free) = (self.profile.cores, free.len());
            let why = format!(
                "lane {lane} needs {count} cores (one per item of a batch), {free} of {total} are free; use fewer lanes or a smaller batch"
            );
            return Err(DeviceError::Unsupported { device: self.name.clone(), why });
        };
        cores.iter().for_each(|&core| state.cores_taken[core] = true);
        Ok(CoreLease { hardware: Arc::clone(self), cores: cores.to_vec() })
    }

    /// Reserves no memory yet, of one kind.
    pub(crate) fn lease_memory(self: &Arc<Self>, kind: MemoryKind) -> MemoryLease {
        MemoryLease { hardware: Arc::clone(self), kind, bytes: 0 }
    }

    fn now_ns(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cores reserved for one lane, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct CoreLease {
    hardware: Arc<Hardware>,
    cores: Vec<usize>,
}

impl CoreLease {
    /// The core whose unit stands for all of the instance's.
    pub(crate) fn first(&self) -> usize {
        self.cores[0]
    }
}

impl Drop for CoreLease {
    fn drop(&mut self) {
        let mut state = self.hardware.state();
        self.cores.iter().for_each(|&core| state.cores_taken[core] = false);
    }
}

/// A kind of memory a device has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MemoryKind {
    Device,
    L2,
}

/// Memory reserved on the device, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct MemoryLease {
    hardware: Arc<Hardware>,
    kind: MemoryKind,
    bytes: u64,
}

impl MemoryLease {
    /// Reserves `bytes` more.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Memory`], saying `what` needs them, when there is no room.
    pub(crate) fn grow(&mut self, bytes: u64, what: impl FnOnce() -> String) -> Result<(), DeviceError> {
        let mut state = self.hardware.state();
        let limit = match (self.kind, &self.hardware.profile.class) {
            (MemoryKind::Device, _) => self.hardware.profile.memory_bytes,
            (MemoryKind::L2, Class::Lockstep { l2_bytes, .. }) => *l2_bytes,
            (MemoryKind::L2, Class::Queued { .. }) => None,
        };
        let used = match self.kind {
            MemoryKind::Device => &mut state.memory_used_bytes,
            MemoryKind::L2 => &mut state.l2_used_bytes,
        };
        let needed_bytes = used.saturating_add(bytes);
        let available_bytes = limit.unwrap_or(u64::MAX);
        if needed_bytes > available_bytes {
            let device = self.hardware.name.clone();
            return Err(DeviceError::Memory { device, needed_bytes, available_bytes, what: what() });
        }
        *used = needed_bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        let mut state = self.hardware.state();
        match self.kind {
            MemoryKind::Device => state.memory_used_bytes -= self.bytes,
            MemoryKind::L2 => state.l2_used_bytes -= self.bytes,
        }
    }
}
