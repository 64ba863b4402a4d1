//! Copies that share bandwidth.
//!
//! A copy alone takes the cycles of its curve. Together, copies are slowed down so that no limit is exceeded: what a pipe of a core
//! can move, what a core can move in and out together, and what global memory (or the L2 cache) gives all cores. Each limit slows those who
//! share it by the same factor, and the tightest one counts. Who shares is looked at anew whenever a copy begins or ends.

use crate::instruction::Copy;
use crate::pipe::Pipe;
use crate::profile::Profile;

/// A copy under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    of: Which,
    /// Past the L2 cache.
    is_far: bool,
    /// Bytes a cycle it asks for: its bytes over its cycles alone.
    demand: f64,
    /// Cycles left, as if it were alone.
    left: f64,
    speed: f64,
    since: f64,
    /// Counts changes of speed, so that an outdated end is known.
    version: u32,
}

/// Which copy: the core, its pipe, and the pipe's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) core: usize,
    pub(super) pipe: Pipe,
    pub(super) slot: usize,
}

/// All copies between cores and global memory.
#[derive(Debug)]
pub(super) struct Sharing {
    active: Vec<Transfer>,
    /// Bytes a cycle: of each pipe, of a core, of L2, of global memory.
    pipes: [f64; Pipe::ALL.len()],
    core: f64,
    near: f64,
    far: f64,
}

/// When a copy will end if nothing changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foreseen {
    pub(super) of: Which,
    version: u32,
    pub(super) at: f64,
}

impl Sharing {
    pub(super) fn new(profile: &Profile, fits_l2: bool) -> Self {
        let per_cycle = |bytes_per_s: f64| bytes_per_s / (profile.clock_mhz * 1e6);
        let far = per_cycle(profile.global.bytes_per_s);
        let copies = &profile.copies;
        let mut pipes = [f64::INFINITY; Pipe::ALL.len()];
        pipes[Pipe::Mte2 as usize] = copies.gm_to_ub.peak.max(copies.gm_to_l1.peak);
        pipes[Pipe::Mte3 as usize] = copies.ub_to_gm.peak;
        pipes[Pipe::Fix as usize] = copies.l0c_to_gm.peak;
        Sharing {
            active: Vec::new(),
            pipes,
            core: profile.global.core_bytes_per_cycle,
            near: if fits_l2 { per_cycle(profile.global.l2_bytes_per_s) } else { far },
            far,
        }
    }

    /// A copy begins that takes `cycles` alone.
    pub(super) fn begin(
        &mut self,
        now: f64,
        of: Which,
        copy: &Copy,
        cycles: f64,
        foreseen: &mut Vec<Foreseen>,
    ) {
        let demand = if cycles > 0.0 { copy.bytes() as f64 / cycles } else { 0.0 };
        self.active.push(Transfer {
            of,
            is_far: copy.bypasses_l2,
            demand,
            left: cycles,
            // No speed yet: it gets one below.
            speed: f64::NAN,
            since: now,
            version: 0,
        });
        self.share(now, foreseen);
    }

    /// Whether a foreseen end is that of a copy as it runs now; if so, it is over.
    pub(super) fn end(&mut self, now: f64, foreseen: Foreseen, others: &mut Vec<Foreseen>) -> bool {
        let is_it = |transfer: &Transfer| (transfer.of, transfer.version) == (foreseen.of, foreseen.version);
        let Some(index) = self.active.iter().position(is_it) else { return false };
        self.active.swap_remove(index);
        self.share(now, others);
        true
    }

    /// Gives everybody the speed that is right now.
    fn share(&mut self, now: f64, foreseen: &mut Vec<Foreseen>) {
        let sum = |of: &dyn Fn(&Transfer) -> bool| -> f64 {
            self.active.iter().filter(|transfer| of(transfer)).map(|transfer| transfer.demand).sum()
        };
        let factor = |limit: f64, demand: f64| if demand > limit { limit / demand } else { 1.0 };
        let near = factor(self.near, sum(&|_| true));
        let far = factor(self.far, sum(&|transfer| transfer.is_far));
        let speed_of = |transfer: &Transfer| {
            let Which { core, pipe, .. } = transfer.of;
            let on_pipe = sum(&|other| (other.of.core, other.of.pipe) == (core, pipe));
            let on_core = sum(&|other| other.of.core == core);
            let own = factor(self.pipes[pipe as usize], on_pipe).min(factor(self.core, on_core)).min(near);
            if transfer.is_far { own.min(far) } else { own }
        };
        let speeds: Vec<f64> = self.active.iter().map(speed_of).collect();
        for (transfer, speed) in self.active.iter_mut().zip(speeds) {
            if transfer.speed == speed {
                continue;
            }
            if transfer.speed.is_finite() {
                transfer.left = (transfer.left - (now - transfer.since) * transfer.speed).max(0.0);
            }
            (transfer.speed, transfer.since) = (speed, now);
            transfer.version += 1;
            let at = now + transfer.left / speed;
            foreseen.push(Foreseen { of: transfer.of, version: transfer.version, at });
        }
    }
}
