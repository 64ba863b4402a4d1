//! Launching a kernel: each core's program in order on a thread, the simulator beside them.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use crate::core::Core;
use crate::error::{ErrorKind, KernelError};
use crate::profile::Profile;
use crate::sim::{Engine, Feed, GlobalMemory, Run};

/// How a kernel is launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Cores that run it.
    pub cores: usize,
    /// Whether data is moved and computed; without it only time is. On hollow memory it never is.
    pub values: bool,
    /// Whether dependent vector instructions are ordered by themselves, as the vendor's compiler does unless told otherwise.
    pub auto_sync: bool,
    /// How many spans to keep: half of them of the beginning, half of the end.
    pub spans: usize,
}

impl Launch {
    /// On so many cores, with values and without spans.
    pub fn on(cores: usize) -> Self {
        Launch { cores, values: true, auto_sync: true, spans: 0 }
    }
}

/// Chunks of instructions between a kernel's program and the simulator.
const CHUNKS: usize = 2;

/// Runs a kernel: its program on every core, in program order, and then in cycles what it left for the pipes.
///
/// The same kernel on the same data gives the same run.
///
/// # Errors
///
/// The first mistake of the program, that of the core with the lowest number; pipes that wait for each other for ever; a
/// number of cores that the device does not have; two cores that write one place.
#[track_caller]
pub fn launch(
    profile: &Arc<Profile>,
    memory: &mut GlobalMemory,
    how: &Launch,
    kernel: impl Fn(&Core) -> Result<(), KernelError> + Sync,
) -> Result<Run, KernelError> {
    let at = Location::caller();
    if how.cores == 0 || how.cores > profile.cores {
        let kind =
            ErrorKind::Cores { asked: how.cores, available: profile.cores, device: profile.name.clone() };
        return Err(KernelError::new(kind, at));
    }
    let tensors: Arc<[u64]> = memory.tensors.iter().map(|tensor| tensor.len() as u64).collect();
    std::thread::scope(|scope| {
        let mut feeds = Vec::with_capacity(how.cores);
        let mut programs = Vec::with_capacity(how.cores);
        for index in 0..how.cores {
            let (sender, receiver) = sync_channel(CHUNKS);
            feeds.push(Feed::new(receiver));
            let (profile, tensors, kernel) = (Arc::clone(profile), Arc::clone(&tensors), &kernel);
            programs.push(scope.spawn(move || {
                let core = Core::new(index, how.cores, profile, tensors, sender);
                let ended = catch_unwind(AssertUnwindSafe(|| kernel(&core)));
                let ended = ended.unwrap_or_else(|panic| {
                    let message = panic.downcast_ref::<String>().cloned();
                    let message =
                        message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                    let message = message.unwrap_or_else(|| "it did not say why".to_owned());
                    Err(KernelError::new(ErrorKind::Panicked { message }, at))
                });
                core.finish(ended).map_err(|error| KernelError { core: Some(index), ..error })
            }));
        }
        let how = &Launch { values: how.values && memory.holds_values(), ..how.clone() };
        let engine = Engine::new(profile, memory, feeds, how);
        let run = engine.run();
        let mut failed = None;
        for program in programs {
            // The program's own panics are caught; what is left is a bug of this crate, and goes on.
            let ended = program.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // What was stopped was so because of an error that stands elsewhere.
            failed = failed.or(ended.err().filter(|error| error.kind != ErrorKind::Stopped));
        }
        match failed {
            Some(error) => Err(error),
            None => run,
        }
    })
}
