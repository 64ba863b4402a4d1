//! What a compute unit can wait for, and time shared out among these.

use std::fmt;
use std::ops::{AddAssign, Index};

use crate::measure::{Nanos, Stage};

/// What a compute unit waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The source, which had no item yet.
    Source,
    /// The host threads, which were all at work.
    Host,
    /// The link to the device.
    Write,
    /// The link from the device.
    Read,
    /// A buffer set: more of them would have hidden what the items did meanwhile.
    Buffers,
    /// Nothing but the start of a kernel that had its input, or what a call costs beside its stages.
    Launch,
    /// Room in the reorder window, which was full of results that nobody took or that waited for an older one.
    Delivery,
    /// The trace does not tell.
    Unknown,
}

impl Cause {
    /// All causes, in the order in which they are listed.
    pub const ALL: [Cause; 8] = [
        Cause::Source,
        Cause::Host,
        Cause::Write,
        Cause::Read,
        Cause::Buffers,
        Cause::Launch,
        Cause::Delivery,
        Cause::Unknown,
    ];

    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Source => "source_late",
            Cause::Host => "host_late",
            Cause::Write => "write_late",
            Cause::Read => "read_late",
            Cause::Buffers => "no_free_set",
            Cause::Launch => "launch",
            Cause::Delivery => "results_wait",
            Cause::Unknown => "unknown",
        }
    }

    /// The name in words.
    pub const fn words(self) -> &'static str {
        match self {
            Cause::Source => "source late",
            Cause::Host => "host late",
            Cause::Write => "write late",
            Cause::Read => "read late",
            Cause::Buffers => "no free set",
            Cause::Launch => "launch",
            Cause::Delivery => "results wait",
            Cause::Unknown => "unknown",
        }
    }

    /// What is late when this stage is.
    pub(super) const fn of(stage: Stage) -> Cause {
        match stage {
            Stage::Preprocess | Stage::Postprocess => Cause::Host,
            Stage::Write => Cause::Write,
            Stage::Kernel => Cause::Launch,
            Stage::Read => Cause::Read,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// Time by cause, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares([Nanos; Cause::ALL.len()]);

impl Shares {
    pub(super) fn of(cause: Cause, time: Nanos) -> Self {
        let mut shares = Shares::default();
        shares.add(cause, time);
        shares
    }

    /// All causes together.
    pub fn total(&self) -> Nanos {
        self.0.iter().sum()
    }

    /// What part of the total a cause has, from 0 to 1; 0 when there is nothing to share.
    pub fn fraction(&self, cause: Cause) -> f64 {
        match self.total() {
            0 => 0.0,
            total => self[cause] as f64 / total as f64,
        }
    }

    /// The causes that have a share, the largest first.
    pub fn largest_first(&self) -> Vec<(Cause, Nanos)> {
        let mut shares: Vec<_> = self.iter().filter(|&(_, time)| time > 0).collect();
        shares.sort_by_key(|&(_, time)| std::cmp::Reverse(time));
        shares
    }

    /// The cause with the largest share; `None` when there is nothing to share.
    pub fn main(&self) -> Option<Cause> {
        self.largest_first().first().map(|&(cause, _)| cause)
    }

    /// Every cause with its time, in the order of [`Cause::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Cause, Nanos)> + use<> {
        Cause::ALL.into_iter().zip(self.0)
    }

    pub(super) fn add(&mut self, cause: Cause, time: Nanos) {
        self.0[cause as usize] += time;
    }

    /// Adds so much, in proportion to what is there already; nothing where there is nothing.
    pub(super) fn stretch(&mut self, by: Nanos) {
        let total = u128::from(self.total());
        let Some(main) = self.main().filter(|_| by > 0) else { return };
        let more = self.0.map(|time| (u128::from(by) * u128::from(time) / total) as Nanos);
        for (time, more) in self.0.iter_mut().zip(more) {
            *time += more;
        }
        // What the divisions left over.
        self.add(main, by - more.iter().sum::<Nanos>());
    }
}

impl Index<Cause> for Shares {
    type Output = Nanos;

    fn index(&self, cause: Cause) -> &Nanos {
        &self.0[cause as usize]
    }
}

impl AddAssign for Shares {
    fn add_assign(&mut self, other: Shares) {
        for (time, more) in self.0.iter_mut().zip(other.0) {
            *time += more;
        }
    }
}
