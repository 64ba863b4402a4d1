//! Copies that share bandwidth.
//!
//! A copy alone takes the cycles of its curve. Together, copies are slowed down so that no limit is exceeded: what a pipe of a core
//! can move, what a core can move in and out together, and what global memory (or the L2 cache) gives all cores. Each limit slows those who
//! share it by the same factor, and the tightest one counts. Who shares is looked at anew whenever time goes on after copies
//! began or ended.

use crate::instruction::Copy;
use crate::pipe::Pipe;
use crate::profile::{CopyCurve, Profile};

/// A copy under way.
#[derive(Clone, Copy, Debug)]
struct Transfer {
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
    /// When it ends if nothing changes.
    end: f64,
}

/// Which copy: the core, its pipe, and the pipe's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) core: u32,
    pub(super) pipe: Pipe,
    pub(super) slot: u16,
}

/// What the copies of one core ask for together.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    demand: f64,
    parts: [f64; Pipe::ALL.len()],
}

/// All copies between cores and global memory.
#[derive(Debug)]
pub(super) struct Sharing {
    active: Vec<Transfer>,
    /// By core.
    asked: Vec<Asked>,
    /// Copies began or ended since speeds were given.
    changed: bool,
    /// When the next copy ends.
    next_end: f64,
    /// Bytes a cycle: of a core, of L2, of global memory.
    core: f64,
    near: f64,
    far: f64,
}

impl Sharing {
    pub(super) fn new(profile: &Profile, cores: usize, fits_l2: bool) -> Self {
        Sharing {
            active: Vec::new(),
            asked: vec![Asked::default(); cores],
            changed: false,
            next_end: f64::INFINITY,
            core: profile.global.core_bytes_per_cycle,
            near: profile.bytes_per_cycle(fits_l2),
            far: profile.bytes_per_cycle(false),
        }
    }

    /// A copy begins.
    pub(super) fn begin(&mut self, now: f64, of: Which, copy: &Copy, curve: &CopyCurve) {
        let cycles = curve.cycles(copy.bytes());
        let demand = if cycles > 0.0 { copy.bytes() as f64 / cycles } else { 0.0 };
        self.active.push(Transfer {
            of,
            is_far: copy.bypasses_l2,
            demand,
            part: demand / curve.peak,
            left: cycles,
            // No speed yet: it gets one before time goes on.
            speed: 0.0,
            since: now,
            end: f64::INFINITY,
        });
        self.changed = true;
    }

    /// When the next copy ends, if none begins before; infinite if there is none. Asked before time goes on.
    pub(super) fn next_end(&mut self, now: f64) -> f64 {
        if self.changed {
            self.share(now);
        }
        self.next_end
    }

    /// Takes out a copy that is over now.
    pub(super) fn take_ended(&mut self, now: f64) -> Option<Which> {
        let index = self.active.iter().position(|transfer| transfer.end <= now)?;
        self.changed = true;
        Some(self.active.swap_remove(index).of)
    }

    /// Gives everybody the speed that is right now.
    fn share(&mut self, now: f64) {
        self.changed = false;
        self.asked.fill(Asked::default());
        let (mut near, mut far) = (0.0, 0.0);
        for Transfer { of, is_far, demand, part, .. } in &self.active {
            let asked = &mut self.asked[of.core as usize];
            asked.demand += demand;
            asked.parts[of.pipe as usize] += part;
            near += demand;
            far += if *is_far { *demand } else { 0.0 };
        }
        let factor = |limit: f64, asked: f64| if asked > limit { limit / asked } else { 1.0 };
        let (near, far) = (factor(self.near, near), factor(self.far, far));
        self.next_end = f64::INFINITY;
        for transfer in &mut self.active {
            let asked = &self.asked[transfer.of.core as usize];
            let on_pipe = factor(1.0, asked.parts[transfer.of.pipe as usize]);
            let own = on_pipe.min(factor(self.core, asked.demand)).min(near);
            let speed = if transfer.is_far { own.min(far) } else { own };
            if transfer.speed != speed {
                transfer.left = (transfer.left - (now - transfer.since) * transfer.speed).max(0.0);
                (transfer.speed, transfer.since) = (speed, now);
                transfer.end = now + transfer.left / speed;
            }
            self.next_end = self.next_end.min(transfer.end);
        }
    }
}
