//! Memory of the device and pinned memory of the host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::machine::{ILLEGAL_ADDRESS, INVALID_VALUE, OUT_OF_MEMORY};

/// Bytes of the device.
pub(crate) const DEVICE_BYTES: usize = 1 << 30;

/// Addresses of the device are no addresses of the host.
const DEVICE_BASE: u64 = 0x7f00_0000_0000_0000;

/// An allocation. The lock keeps races that a test provokes from being undefined: values are wrong, and nothing else.
type Bytes = Arc<Mutex<Vec<u8>>>;

pub(crate) struct Memory {
    device: BTreeMap<u64, Bytes>,
    used: usize,
    next: u64,
    /// Allocations of the host by address, as the host writes them, without a lock.
    host: BTreeMap<usize, Arc<Pinned>>,
}

/// Pinned memory: the host has the pointer.
pub(crate) struct Pinned {
    words: *mut u64,
    len_words: usize,
}

// SAFETY: it owns its memory.
unsafe impl Send for Pinned {}
// SAFETY: the bytes are only touched through the pointer, by whoever the driver's rules allow to.
unsafe impl Sync for Pinned {}

impl Pinned {
    fn new(len: usize) -> Self {
        // What was there before is not zero.
        let words = vec![0xa5a5_a5a5_a5a5_a5a5_u64; len.div_ceil(8)].into_boxed_slice();
        Pinned { len_words: words.len(), words: Box::into_raw(words).cast() }
    }

    pub(crate) fn address(&self) -> *mut u8 {
        self.words.cast()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: it is the box of `new`.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.words, self.len_words)) });
    }
}

static MEMORY: Mutex<Memory> =
    Mutex::new(Memory { device: BTreeMap::new(), used: 0, next: DEVICE_BASE, host: BTreeMap::new() });

pub(crate) fn memory() -> MutexGuard<'static, Memory> {
    MEMORY.lock().unwrap()
}

impl Memory {
    pub(crate) fn allocate(&mut self, len: usize) -> Result<u64, u32> {
        if len == 0 {
            return Err(INVALID_VALUE);
        }
        if len > DEVICE_BYTES - self.used {
            return Err(OUT_OF_MEMORY);
        }
        let address = self.next;
        // Never used again, and apart, so that whatever is outside an allocation is found.
        self.next += (len as u64).next_multiple_of(256) + 256;
        self.used += len;
        self.device.insert(address, Arc::new(Mutex::new(vec![0xa5; len])));
        Ok(address)
    }

    pub(crate) fn free(&mut self, address: u64) -> Result<(), u32> {
        let bytes = self.device.remove(&address).ok_or(INVALID_VALUE)?;
        self.used -= bytes.lock().unwrap().len();
        Ok(())
    }

    pub(crate) fn free_bytes(&self) -> usize {
        DEVICE_BYTES - self.used
    }

    /// The allocation `len` bytes from `address` are in, and where they begin.
    pub(crate) fn device(&self, address: u64, len: usize) -> Result<(Bytes, usize), u32> {
        let (base, bytes) = self.device.range(..=address).next_back().ok_or(ILLEGAL_ADDRESS)?;
        let offset = (address - base) as usize;
        let fits = offset.checked_add(len).is_some_and(|end| end <= bytes.lock().unwrap().len());
        if fits { Ok((Arc::clone(bytes), offset)) } else { Err(ILLEGAL_ADDRESS) }
    }

    pub(crate) fn pin(&mut self, len: usize) -> Result<*mut u8, u32> {
        if len == 0 {
            return Err(INVALID_VALUE);
        }
        let pinned = Arc::new(Pinned::new(len));
        let address = pinned.address();
        self.host.insert(address.addr(), pinned);
        Ok(address)
    }

    pub(crate) fn unpin(&mut self, address: usize) -> Result<(), u32> {
        self.host.remove(&address).map(drop).ok_or(INVALID_VALUE)
    }

    /// The pinned allocation these bytes are in. The driver would take other memory too, and copy while the caller waits.
    pub(crate) fn pinned(&self, address: usize, len: usize) -> Result<Arc<Pinned>, u32> {
        let (base, pinned) = self.host.range(..=address).next_back().ok_or(INVALID_VALUE)?;
        let fits = (address - base).checked_add(len).is_some_and(|end| end <= pinned.len_words * 8);
        if fits { Ok(Arc::clone(pinned)) } else { Err(INVALID_VALUE) }
    }

    /// Allocations that still exist.
    pub(crate) fn live(&self) -> usize {
        self.device.len() + self.host.len()
    }
}
