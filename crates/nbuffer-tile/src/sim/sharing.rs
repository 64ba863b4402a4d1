//! Copies that share bandwidth.
//!
//! A copy alone takes the cycles of its curve. Together, copies are slowed down so that no limit is exceeded: what a pipe of a core
//! can move, what a core can move in and out together, and what global memory (or the L2 cache) gives all cores. Each limit slows those who
//! share it by the same factor, and the tightest one counts. Who shares is looked at anew whenever a copy begins or ends.

use crate::instruction::Copy;
use crate::pipe::Pipe;
use crate::profile::{CopyCurve, Profile};

/// A copy under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    of: Which,
    /// Past the L2 cache.
    is_far: bool,
    /// Bytes a cycle it asks for: its bytes over its cycles alone.
    demand: f64,
    /// The same as a part of what its pipe can move on its way at most.
    part: f64,
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
    /// Bytes a cycle: of a core, of L2, of global memory.
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
        Sharing {
            active: Vec::new(),
            core: profile.global.core_bytes_per_cycle,
            near: if fits_l2 { per_cycle(profile.global.l2_bytes_per_s) } else { far },
            far,
        }
    }

    /// A copy begins.
    pub(super) fn begin(
        &mut self,
        now: f64,
        of: Which,
        copy: &Copy,
        curve: &CopyCurve,
        foreseen: &mut Vec<Foreseen>,
    ) {
        let cycles = curve.cycles(copy.bytes());
        let demand = if cycles > 0.0 { copy.bytes() as f64 / cycles } else { 0.0 };
        self.active.push(Transfer {
            of,
            is_far: copy.bypasses_l2,
            demand,
            part: demand / curve.peak,
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
        let total = |of: &dyn Fn(&Transfer) -> bool, what: fn(&Transfer) -> f64| -> f64 {
            self.active.iter().filter(|transfer| of(transfer)).map(what).sum()
        };
        let sum = |of: &dyn Fn(&Transfer) -> bool| total(of, |transfer| transfer.demand);
        let factor = |limit: f64, demand: f64| if demand > limit { limit / demand } else { 1.0 };
        let near = factor(self.near, sum(&|_| true));
        let far = factor(self.far, sum(&|transfer| transfer.is_far));
        let speed_of = |transfer: &Transfer| {
            let Which { core, pipe, .. } = transfer.of;
            let on_pipe = total(&|other| (other.of.core, other.of.pipe) == (core, pipe), |other| other.part);
            let on_core = sum(&|other| other.of.core == core);
            let own = factor(1.0, on_pipe).min(factor(self.core, on_core)).min(near);
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
