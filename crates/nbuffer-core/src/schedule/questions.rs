//! What can be asked of a schedule at any moment, without changing it.

use super::machine::Source;
use super::{HostThreads, Schedule, Sequence, SetState, Sets, Totals};

impl Schedule {
    /// Whether every item has ended and been delivered, and none will come.
    ///
    /// Once true it stays true.
    pub fn is_ended(&self) -> bool {
        !self.wants_items() && self.is_settled() && self.undelivered() == 0
    }

    /// Whether every item taken has ended, whether delivered or not, and no step runs that could add one.
    pub fn is_settled(&self) -> bool {
        self.totals.taken == self.ended() && self.host.busy() == 0 && !self.is_asking() && self.calls == 0
    }

    /// Whether items are still taken from the source.
    pub fn wants_items(&self) -> bool {
        matches!(self.source, Source::Waiting | Source::Asked)
    }

    /// Whether [`deliver`](Self::deliver) would give a result.
    pub fn can_deliver(&self) -> bool {
        self.window.can_deliver()
    }

    /// Whether the source is being asked for an item at this moment, and the item will be taken.
    pub fn is_asking(&self) -> bool {
        self.source == Source::Asked
    }

    /// Whether lanes with lag hold results that only a flush call or a further item brings out, while
    /// nothing but the source could bring one: the moment to start the idle time.
    pub fn waits_for_source(&self) -> bool {
        self.any_lag
            && !self.idle
            && self.wants_items()
            && self.host.busy() == 0
            && self.calls == 0
            && self.rings.iter().any(|ring| ring.lag > 0 && ring.in_flight() > 0)
            && self.rings.iter().all(|ring| ring.ready.is_empty())
    }

    /// Whether an item in the reorder window has not ended. One that a lost lane held may be begun again.
    pub fn is_under_way(&self, sequence: Sequence) -> bool {
        self.window.is_active(sequence)
    }

    /// Items that wait to be begun again, since their lane was lost.
    pub fn waiting_again(&self) -> usize {
        self.again.len()
    }

    /// Items by how they ended so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Items that ended, delivered or not.
    pub fn ended(&self) -> u64 {
        self.totals.ended()
    }

    /// Items that ended and were not delivered yet.
    pub fn undelivered(&self) -> u64 {
        self.ended() - self.delivered
    }

    /// Whether any lane's results come calls late.
    pub fn has_lag(&self) -> bool {
        self.any_lag
    }

    /// Lanes that are not lost.
    pub fn lanes_alive(&self) -> usize {
        self.lanes_alive
    }

    /// The size of a lane's ring. While it shrinks, more sets may still be in use.
    pub fn sets(&self, lane: usize) -> Sets {
        self.rings[lane].sets()
    }

    /// State of every input set of a lane, by its number. The sets of a joint ring are inputs and outputs.
    pub fn inputs(&self, lane: usize) -> &[SetState] {
        self.rings[lane].inputs().states()
    }

    /// State of every output set of a lane, by its number.
    pub fn outputs(&self, lane: usize) -> &[SetState] {
        self.rings[lane].outputs().states()
    }

    /// Places of the reorder window: how many items may lie between take and delivery.
    pub fn window(&self) -> usize {
        self.window.places()
    }

    /// How many host steps may run at once.
    pub fn host_threads(&self) -> HostThreads {
        self.host.threads()
    }

    /// Host steps running now.
    pub fn host_busy(&self) -> usize {
        self.host.busy()
    }
}
