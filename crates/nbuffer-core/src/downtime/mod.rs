//! Why a compute unit sat idle between two kernels.
//!
//! From each kernel that began late the trace is followed back, from the beginning of a step to what ended last before
//! it and so let it begin, up to a kernel:
//!
//! ```text
//!            0         10        20        30
//! host 0     |ppppppppp|qqqqqqqqq|rrrrrrrrr|      p, q, r: preprocess of three items
//! link in              |pp|      |qq|      |rr
//! kernel                  |ppppp|   |qqqqq|   |rrrrr
//!                               ^^^^      ^^^^  gaps
//! ```
//!
//! `r`'s kernel began after its write, this after its preprocess: that is the way of any item, and would be hidden if it
//! had begun earlier. But its preprocess began after that of `q`, which had the thread: it *waited for the host*. So
//!
//! - **what an item waited for, on the way back, is why the kernel was late**: another item on its link or on the host
//!   threads, the source, the call before. Each wait takes as much of the gap as it lasted, the latest first, until the
//!   gap is accounted for;
//! - **a set that came free counts only if the way then leads back to a kernel within two rounds of the lane's sets**.
//!   Then kernel, set and kernel make a loop, more sets would have hidden it, and what is left of the gap is
//!   [`Cause::Buffers`]. Otherwise the sets were all held up by something that was busy for a whole round, so that more
//!   of them would be held up as well. The same holds for places of the reorder window ([`Cause::Delivery`]);
//! - a wait for the source ends such a loop: the item would have come no sooner with more sets;
//! - a kernel that had its input when the one before ended waited for its **launch**;
//! - **a blocking lane waits only between its calls**. What is left of a call after one kernel, and comes in a call before
//!   the next, is its own: up to the end of the last transfer that transfer's, and the rest launch.
//!
//! Sets, threads and places of the window count as used up when as many items held one as there were. Of things that
//! came free within [`TIE`] of each other, a set is taken for the one that was waited for, then the lane, then a thread.
//! Where nothing was waited for, as at the beginning of a run, a gap counts as what the item did meanwhile.

mod cause;
mod gaps;
mod path;
mod sentence;
mod stock;
mod stretch;

pub use cause::{Cause, Shares};

use crate::measure::Nanos;
use crate::schedule::Sequence;
use crate::trace::{Interval, Trace};
use gaps::Gaps;
use stretch::Stretch;

/// Things that happened within 2 us of each other may have happened in either order: a clock read on one thread and
/// one read on another differ by as much as it takes to hand over.
pub const TIE: Nanos = 2_000;

/// The most gaps that are kept, the longest ones.
pub const GAPS_MAX: usize = 100;

/// A stretch of time between two kernels of a lane in which its compute unit was idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The lane.
    pub lane: usize,
    /// The item whose kernel ended before it.
    pub after: Sequence,
    /// The item whose kernel ended it.
    pub before: Sequence,
    /// When.
    pub time: Interval,
    /// What it was spent waiting for. They add up to its length.
    pub shares: Shares,
}

/// The downtime of all compute units of a trace, by cause.
///
/// Each lane is one compute unit. Only what was traced counts: between two stretches of a trace nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downtime {
    /// Idle time between two kernels, by cause, over all units. Its total is the downtime.
    pub by_cause: Shares,
    /// From the first kernel's start to the last one's end, over all units and stretches.
    pub steady: Nanos,
    /// How many gaps there are.
    pub n_gaps: u64,
    /// The longest of them, the longest first: up to [`GAPS_MAX`].
    pub longest: Vec<Gap>,
}

impl Downtime {
    /// What the compute units of a trace waited for.
    pub fn of(trace: &Trace) -> Downtime {
        let mut downtime = Downtime::default();
        for stretch in trace.stretches() {
            let mut gaps = Gaps::new(Stretch::new(trace, stretch));
            downtime.steady += gaps.each(|gap| downtime.add(gap));
        }
        downtime.keep_longest();
        downtime
    }

    /// Idle time between two kernels, over all units.
    pub fn downtime(&self) -> Nanos {
        self.by_cause.total()
    }

    /// Downtime over steady time; 0 where no kernel ran.
    pub fn fraction(&self) -> f64 {
        if self.steady == 0 { 0.0 } else { self.downtime() as f64 / self.steady as f64 }
    }

    /// The cause with the largest share; `None` where there was no downtime.
    pub fn main_cause(&self) -> Option<Cause> {
        self.by_cause.main()
    }

    fn add(&mut self, gap: Gap) {
        self.by_cause += gap.shares;
        self.n_gaps += 1;
        self.longest.push(gap);
        if self.longest.len() >= 10 * GAPS_MAX {
            self.keep_longest();
        }
    }

    fn keep_longest(&mut self) {
        self.longest.sort_by_key(|gap| (std::cmp::Reverse(gap.time.length()), gap.time.start));
        self.longest.truncate(GAPS_MAX);
    }
}
