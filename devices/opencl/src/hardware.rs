//! The one device that programs and lanes share: its context, its memory and its clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nbuffer_runtime::DeviceError;

use crate::cl::{Buffer, ClError, Context, Event, Queue, wait_for};
use crate::clock::Clock;
use crate::find::Found;

/// Small copies whose times set the clock.
const CLOCK_PROBES: usize = 16;

/// A device that is in use.
#[derive(Debug)]
pub(crate) struct Hardware {
    /// As on the command line: `opencl:0:0`.
    pub(crate) name: String,
    pub(crate) found: Found,
    pub(crate) context: Context,
    /// For what is done when a buffer set is made or dropped.
    housekeeping: Queue,
    clock: Mutex<Clock>,
    memory_used_bytes: Mutex<u64>,
}

impl Hardware {
    pub(crate) fn new(name: &str, found: Found) -> Result<Arc<Self>, DeviceError> {
        let context = Context::new(found.device)?;
        let housekeeping = Queue::new(&context)?;
        let clock = Mutex::new(measured_clock(&context, &housekeeping)?);
        Ok(Arc::new(Hardware {
            name: name.to_owned(),
            found,
            context,
            housekeeping,
            clock,
            memory_used_bytes: Mutex::new(0),
        }))
    }

    pub(crate) fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn housekeeping(&self) -> &Queue {
        &self.housekeeping
    }

    /// Device memory of `len_bytes` zero bytes, which `what` needs. Memory of an empty tensor has one byte.
    pub(crate) fn device_buffer(
        self: &Arc<Self>,
        len_bytes: usize,
        what: &str,
    ) -> Result<DeviceBuffer, DeviceError> {
        let lease = self.lease(len_bytes.max(1) as u64, what)?;
        let buffer = Buffer::on_device(&self.context, len_bytes.max(1));
        let buffer = buffer.map_err(|error| self.refused(error, len_bytes, what))?;
        // Drivers give memory when it is first used. Here a lack of it costs no item.
        self.fill(&buffer).map_err(|error| self.refused(error, len_bytes, what))?;
        Ok(DeviceBuffer { buffer, _lease: lease })
    }

    fn fill(&self, buffer: &Buffer) -> Result<(), ClError> {
        let zeros = vec![0u8; buffer.len()];
        // SAFETY: `zeros` has as many bytes and lives until the command has ended, and nobody else knows the buffer.
        let event = unsafe { self.housekeeping.write(buffer, zeros.as_ptr()) }?;
        wait_for([&event]).inspect_err(|_| {
            // It may have failed without an end.
            std::mem::forget(zeros);
        })
    }

    /// Takes `bytes` of this device's memory into account.
    pub(crate) fn lease(self: &Arc<Self>, bytes: u64, what: &str) -> Result<Lease, DeviceError> {
        if bytes > self.found.buffer_bytes_max {
            return Err(self.no_memory(bytes, self.found.buffer_bytes_max, format!("one tensor of {what}")));
        }
        let mut used = self.used();
        let needed = used.saturating_add(bytes);
        if needed > self.found.memory_bytes {
            return Err(self.no_memory(needed, self.found.memory_bytes, what.to_owned()));
        }
        *used = needed;
        Ok(Lease { hardware: Arc::clone(self), bytes })
    }

    /// Why an object was not made.
    pub(crate) fn refused(&self, error: ClError, len_bytes: usize, what: &str) -> DeviceError {
        if error.is_out_of_memory() {
            let needed = self.used().saturating_add(len_bytes as u64);
            return self.no_memory(needed, self.found.memory_bytes, format!("{what} ({error})"));
        }
        error.into()
    }

    fn no_memory(&self, needed_bytes: u64, available_bytes: u64, what: String) -> DeviceError {
        DeviceError::Memory { device: self.name.clone(), needed_bytes, available_bytes, what }
    }

    /// What objects take of this device's memory now.
    #[cfg(test)]
    pub(crate) fn memory_used_bytes(&self) -> u64 {
        *self.used()
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.memory_used_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory of a device, given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    hardware: Arc<Hardware>,
    bytes: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.hardware.used() -= self.bytes;
    }
}

/// A memory object on the device's side.
#[derive(Debug)]
pub(crate) struct DeviceBuffer {
    buffer: Buffer,
    _lease: Lease,
}

impl std::ops::Deref for DeviceBuffer {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.buffer
    }
}

/// The clock, from the times of small copies that nothing else delays.
fn measured_clock(context: &Context, queue: &Queue) -> Result<Clock, ClError> {
    static BYTE: u8 = 0;
    let epoch = Instant::now();
    let target = Buffer::on_device(context, 1)?;
    let mut commands = Vec::with_capacity(CLOCK_PROBES);
    for _ in 0..CLOCK_PROBES {
        let before = Instant::now();
        // SAFETY: `BYTE` is one byte, like the buffer, and lives for ever; nobody else knows the buffer.
        let event: Event = unsafe { queue.write(&target, &raw const BYTE) }?;
        let queued = Instant::now();
        wait_for([&event])?;
        let after = Instant::now();
        commands.push((before, queued, after, event.times()?));
    }
    Ok(Clock::new(epoch, &commands))
}
