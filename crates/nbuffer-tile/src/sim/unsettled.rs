//! Accesses to global memory of which not every pipe knows yet that they are over.
//!
//! A kernel never comes back to most of what it touches there, so that nothing could be kept by place. But its queues tell its pipes
//! of each other: what all of them know of is settled, and forgotten. What is left is a few tiles.

use super::strip::Strip;
use super::watcher::Access;

/// Accesses kept before settled ones are looked for, and at most. Beyond, the oldest are forgotten: a kernel that lets so many
/// stand has had its hazards reported.
const KEPT: usize = 16;
const KEPT_MAX: usize = 512;

#[derive(Debug)]
pub(super) struct Unsettled {
    accesses: Vec<(Strip, Access)>,
    limit: usize,
}

impl Unsettled {
    pub(super) fn new() -> Self {
        Unsettled { accesses: Vec::new(), limit: KEPT }
    }

    /// Shows what touched any of these bytes before, and the first bytes that it did.
    pub(super) fn look(&self, strip: &Strip, mut look: impl FnMut((u64, u64), &Access)) {
        for (other, access) in &self.accesses {
            if let Some(bytes) = other.overlap(strip) {
                look(bytes, access);
            }
        }
    }

    /// Keeps an access.
    pub(super) fn keep(&mut self, strip: Strip, access: Access, is_settled: impl Fn(&Access) -> bool) {
        if self.accesses.len() >= self.limit {
            self.accesses.retain(|(_, access)| !is_settled(access));
            let surplus = self.accesses.len().saturating_sub(KEPT_MAX / 2);
            self.accesses.drain(..surplus);
            self.limit = (2 * self.accesses.len()).clamp(KEPT, KEPT_MAX);
        }
        self.accesses.push((strip, access));
    }
}
