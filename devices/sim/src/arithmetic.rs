//! The values of a simulated run, computed on the host while device time passes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nbuffer_runtime::{Compute, DeviceError, HostBuffer, Session};

use crate::fault::FaultKind;

/// Computes one lane's values.
pub(crate) struct Arithmetic {
    compute: Arc<Compute>,
    session: Box<dyn Session>,
    kernel: Duration,
    monitor: Arc<Monitor>,
}

impl Arithmetic {
    /// A session of `compute` for one lane of a device whose kernel takes `kernel`.
    ///
    /// # Errors
    ///
    /// When the engine cannot set up the session.
    pub(crate) fn new(
        compute: &Arc<Compute>,
        kernel: Duration,
        monitor: &Arc<Monitor>,
    ) -> Result<Self, DeviceError> {
        let session = compute.session(1)?;
        Ok(Arithmetic { compute: Arc::clone(compute), session, kernel, monitor: Arc::clone(monitor) })
    }

    /// Computes `outputs` from `inputs` and notes whether that took longer than the kernel may.
    ///
    /// # Errors
    ///
    /// When the engine fails or panics; the outputs are then unspecified.
    pub(crate) fn run(
        &mut self,
        inputs: &[HostBuffer],
        outputs: &mut [HostBuffer],
    ) -> Result<(), DeviceError> {
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| self.session.run(inputs, outputs)));
        self.monitor.computed(start.elapsed(), self.kernel);
        match result {
            Ok(result) => Ok(result?),
            Err(panic) => {
                // What the panic left of the session is not to be trusted with the next item.
                self.session = self.compute.session(1)?;
                Err(DeviceError::Panicked { message: panic_text(&*panic).to_owned() })
            }
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// What a program's lanes met that its report must tell.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    computed: AtomicU64,
    overran: AtomicU64,
    worst_ns: AtomicU64,
    faults: [AtomicU64; FaultKind::NAMES.len()],
}

// All counters are relaxed: each is read for a report on its own, and orders nothing.
impl Monitor {
    fn computed(&self, took: Duration, kernel: Duration) {
        self.computed.fetch_add(1, Ordering::Relaxed);
        if took > kernel {
            self.overran.fetch_add(1, Ordering::Relaxed);
            self.worst_ns.fetch_max(took.as_nanos() as u64, Ordering::Relaxed);
        }
    }

    /// Notes that a planned fault has struck.
    pub(crate) fn struck(&self, fault: FaultKind) {
        self.faults[fault.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// What a reader of the report must know.
    pub(crate) fn remarks(&self, kernel: Duration) -> Vec<String> {
        let mut remarks = Vec::new();
        let overran = self.overran.load(Ordering::Relaxed);
        if overran > 0 {
            let worst = Duration::from_nanos(self.worst_ns.load(Ordering::Relaxed));
            remarks.push(format!(
                "timing is void: in {overran} of {} calls the arithmetic took longer than the declared kernel time of {kernel:?} (worst {worst:?})",
                self.computed.load(Ordering::Relaxed)
            ));
        }
        let counts = self.faults.iter().map(|count| count.load(Ordering::Relaxed)).zip(FaultKind::NAMES);
        let struck: Vec<_> = counts.filter(|&(n, _)| n > 0).map(|(n, name)| format!("{n} {name}")).collect();
        if !struck.is_empty() {
            remarks.push(format!("planned faults struck: {}", struck.join(", ")));
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arithmetic_longer_than_the_kernel_voids_the_timing() {
        let monitor = Monitor::default();
        let [kernel, longer] = [2, 3].map(Duration::from_millis);
        monitor.computed(kernel, kernel);
        assert!(monitor.remarks(kernel).is_empty());
        monitor.computed(longer, kernel);
        monitor.computed(longer / 2, kernel);
        let remarks = monitor.remarks(kernel);
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].contains("void") && remarks[0].contains("1 of 3"), "{remarks:?}");
        assert!(remarks[0].contains("2ms") && remarks[0].contains("worst 3ms"), "{remarks:?}");
    }

    #[test]
    fn faults_are_counted_by_kind() {
        let monitor = Monitor::default();
        monitor.struck(FaultKind::Corrupt);
        monitor.struck(FaultKind::Fail);
        monitor.struck(FaultKind::Corrupt);
        assert_eq!(monitor.remarks(Duration::from_secs(1)), ["planned faults struck: 1 fail, 2 corrupt"]);
    }
}
