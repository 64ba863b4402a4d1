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
//! `r`'s kernel began after its write, and this after its preprocess: that is the way of any item, and would not show if
//! it had begun earlier. But its preprocess began after that of `q`, which had the thread: it *waited for the host*.
//!
//! **A gap is spent on what was waited for on the way back**, and not on what the items did: on what other items used
//! (links, threads, a lane's calls), on sets and places of the reorder window that others held, on the source. On the
//! way back from a gap, until it is accounted for:
//!
//! - each wait takes so much of the gap as it ended later than whatever else the step had to wait for. Then the way goes
//!   on from that: without the one wait the other would have been left;
//! - but what was **busy all the time** counts as long as it was busy. That is so where the way from a wait leads along
//!   steps that waited for each other, and within two rounds of the lane's sets neither to a device at work nor to a set
//!   that came free. A set that was held up by it does not count: more sets would have been held up as well;
//! - so a set counts ([`Cause::Buffers`]) where kernel, set and kernel make a loop, which more sets would have opened;
//! - a kernel that had its input when the one before ended waited for its **launch**;
//! - **a blocking lane waits only between its calls**. What is left of a call after one kernel, and comes in a call before
//!   the next, is the call's own: that of its transfers theirs, with what they waited for their link, and the rest launch.
//!
//! Sets and threads count as used up when as many items held one as there were; the reorder window, whose size is not
//! traced, when it held as many as it ever did. Of things that came free within [`TIE`] of each other a set is taken for
//! the one that was waited for, then a thread, a link or a call. Where nothing was waited for, as at the beginning of a
//! run, a gap counts as what its item did meanwhile.
//!
//! This looks at one gap at a time. What it cannot see is that an item which the source brings at fixed times would have
//! come no sooner if it had been asked for sooner: what kept the source from being asked has its share beside the
//! source's, and a source that takes less than a twentieth of the time from item to item is taken for one that works
//! only when it is asked. And a collision on a link that is not busy all the time counts, though it may only move idle time from one
//! gap to another. `tests/downtime` compares the main cause with the limit that plans give.

mod cause;
mod gaps;
mod path;
mod sentence;
mod stock;
mod stretch;

pub use cause::{Cause, Shares};

use crate::measure::Nanos;
use crate::schedule::Sequence;
use crate::trace::{Interval, Journey, Trace};
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
/// Each lane is one compute unit. Only what was traced counts: between two stretches of a trace nothing is known, nor
/// where kernels of items that were left out may have run beside those that were kept.
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
        for (number, stretch) in trace.stretches().enumerate() {
            let mut gaps = Gaps::new(Stretch::new(trace, stretch, known(trace, number, stretch)));
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

/// When it is known of a stretch which kernels ran: those of items that were left out ran after the last item before
/// them was taken, and before anything that was handed out after them.
fn known(trace: &Trace, number: usize, stretch: &[Journey]) -> Interval {
    if trace.left_out == 0 {
        return Interval::new(0, Nanos::MAX);
    }
    if number > 0 {
        let handed_out = stretch.iter().map(|journey| journey.delivered).min();
        return Interval::new(handed_out.unwrap_or(0), Nanos::MAX);
    }
    let in_a_row = stretch.iter().zip(0..).take_while(|(journey, number)| journey.sequence == *number);
    let last = in_a_row.last().and_then(|(journey, _)| journey.source);
    Interval::new(0, last.map_or(0, |source| source.end))
}
