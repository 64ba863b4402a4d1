//! Cores of a device, each reserved by one Connection: within this process, and where asked for among processes.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::Error;

/// The folder of the lock files, when it is not to be the system's one for temporary files.
const FOLDER: &str = "NBUFFER_LOCK_DIR";

/// Which cores of one device are reserved.
#[derive(Debug)]
pub(super) struct Cores {
    device: String,
    taken: Mutex<Vec<bool>>,
}

/// Cores reserved, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    cores: Arc<Cores>,
    taken: Vec<Core>,
}

#[derive(Debug)]
struct Core {
    idx: usize,
    _lock: Option<Lock>,
}

/// A file that is locked as long as it is open, which the system ends with the process, however that ends. It says
/// who locked it.
#[derive(Debug)]
struct Lock(File);

/// Why one core cannot be had.
enum Refused {
    By(String),
    Failed(Error),
}

impl Cores {
    pub(super) fn new(device: String, cores: usize) -> Arc<Self> {
        Arc::new(Cores { device, taken: Mutex::new(vec![false; cores]) })
    }

    pub(super) fn count(&self) -> usize {
        self.taken().len()
    }

    /// Reserves `wanted` cores, `among_processes` or in this process alone.
    pub(super) fn reserve(
        self: &Arc<Self>,
        wanted: usize,
        among_processes: bool,
    ) -> Result<Reservation, Error> {
        let mut taken = self.taken();
        let (device, cores) = (self.device.clone(), taken.len());
        if !(1..=cores).contains(&wanted) {
            return Err(Error::Cores { device, wanted, cores });
        }
        let (mut got, mut holders) = (Vec::new(), Vec::new());
        for (idx, is_taken) in taken.iter().enumerate() {
            match self.core(idx, *is_taken, among_processes) {
                Ok(core) => got.push(core),
                Err(Refused::By(holder)) if holders.contains(&holder) => {}
                Err(Refused::By(holder)) => holders.push(holder),
                Err(Refused::Failed(error)) => return Err(error),
            }
            if got.len() == wanted {
                got.iter().for_each(|core| taken[core.idx] = true);
                return Ok(Reservation { cores: Arc::clone(self), taken: got });
            }
        }
        Err(Error::DeviceInUse { device, wanted, free: got.len(), cores, holders })
    }

    /// Who has cores now, in words.
    pub(super) fn holders(&self, among_processes: bool) -> Vec<String> {
        let mut holders = Vec::new();
        for (idx, &is_taken) in self.taken().iter().enumerate() {
            let holder = match is_taken {
                true => Some(this_process()),
                false if among_processes => Lock::holder(&self.lock_file(idx)),
                false => None,
            };
            holders.extend(holder.filter(|holder| !holders.contains(holder)));
        }
        holders
    }

    fn core(&self, idx: usize, is_taken: bool, among_processes: bool) -> Result<Core, Refused> {
        if is_taken {
            return Err(Refused::By(this_process()));
        }
        let _lock = if among_processes { Some(Lock::take(&self.lock_file(idx))?) } else { None };
        Ok(Core { idx, _lock })
    }

    fn lock_file(&self, idx: usize) -> PathBuf {
        let folder = std::env::var_os(FOLDER)
            .map_or_else(|| std::env::temp_dir().join("nbuffer-cores"), PathBuf::from);
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        folder.join(format!("{}.{idx}", self.device.chars().map(safe).collect::<String>()))
    }

    fn taken(&self) -> MutexGuard<'_, Vec<bool>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// How many cores these are.
    pub(super) fn count(&self) -> usize {
        self.taken.len()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut taken = self.cores.taken();
        self.taken.iter().for_each(|core| taken[core.idx] = false);
    }
}

fn this_process() -> String {
    format!("this process ({})", std::process::id())
}

impl Lock {
    fn take(file: &Path) -> Result<Self, Refused> {
        let failed = |source| {
            Refused::Failed(Error::Reservation { file: file.to_path_buf(), source: Arc::new(source) })
        };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(file);
        let mut opened = opened.map_err(failed)?;
        match opened.try_lock() {
            Ok(()) => {
                let holder = format!("process {}", std::process::id());
                opened.set_len(0).and_then(|()| opened.write_all(holder.as_bytes())).map_err(failed)?;
                Ok(Lock(opened))
            }
            Err(TryLockError::WouldBlock) => Err(Refused::By(read_holder(&mut opened))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Who has locked the file, if somebody has. A file that names nobody is not touched, so that asking is in
    /// nobody's way.
    fn holder(file: &Path) -> Option<String> {
        let mut opened = File::open(file).ok()?;
        if opened.metadata().ok()?.len() == 0 {
            return None;
        }
        // Whoever it names may have died.
        matches!(opened.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| read_holder(&mut opened))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The lock goes with the file; the name is a courtesy.
        let _ = self.0.set_len(0);
    }
}

fn read_holder(file: &mut File) -> String {
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(1..) => holder,
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores() -> Arc<Cores> {
        Cores::new("test".to_owned(), 4)
    }

    #[test]
    fn cores_are_free_again_when_a_reservation_is_dropped() {
        let cores = cores();
        let three = cores.reserve(3, false).unwrap();
        let error = cores.reserve(2, false).unwrap_err();
        assert!(matches!(error, Error::DeviceInUse { wanted: 2, free: 1, cores: 4, .. }), "{error}");
        assert!(error.to_string().ends_with(&format!("in use by this process ({})", std::process::id())));
        drop(three);
        assert_eq!(cores.reserve(4, false).unwrap().count(), 4);
        assert_eq!(cores.holders(false), [""; 0]);
    }

    #[test]
    fn more_cores_than_there_are_and_none_are_refused() {
        for wanted in [0, 5] {
            let error = cores().reserve(wanted, false).unwrap_err();
            assert!(matches!(error, Error::Cores { cores: 4, .. }), "{error}");
        }
    }

    #[test]
    fn a_locked_file_belongs_to_whoever_locked_it_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nested/core.0");
        let first = Lock::take(&file).map_err(|_| ()).unwrap();
        let me = format!("process {}", std::process::id());
        let Err(Refused::By(holder)) = Lock::take(&file) else { panic!("locked twice") };
        assert_eq!((&holder, Lock::holder(&file)), (&me, Some(me.clone())));
        drop(first);
        assert_eq!(Lock::holder(&file), None);
        assert!(Lock::take(&file).is_ok());
    }
}
