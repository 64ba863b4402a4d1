//! Buffer sets of one kind, each with its state: all sets of a joint ring, or one side of a split one.

use super::Sequence;

/// Where a buffer set is. Each state has exactly one owner.
///
/// A joint set goes through all of them; of a split ring, an input set is never landed or postprocessing, and an
/// output set never preprocessing or ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetState {
    /// In the ring, holding nothing.
    Free,
    /// With the host thread that fills its inputs.
    Preprocessing(Sequence),
    /// In the ring, filled, waiting for the lane.
    Ready(Sequence),
    /// With the device.
    InFlight(Sequence),
    /// In the ring, its outputs filled, waiting for a host thread.
    Landed(Sequence),
    /// With the host thread that reads its outputs.
    Postprocessing(Sequence),
    /// Taken out of use by a smaller ring, until a larger one takes it back.
    Surplus,
    /// Never used again: the lane's device is lost and might still write to it.
    Retired,
}

#[derive(Clone, Debug)]
pub(super) struct Pool {
    states: Vec<SetState>,
    /// Free sets, the warmest last.
    free: Vec<u16>,
    surplus: Vec<u16>,
    /// How many sets there are to be in use. While there are more, each one that comes back becomes surplus.
    target: usize,
    in_flight: usize,
    lost: bool,
}

impl Pool {
    pub(super) fn new(sets: usize) -> Self {
        let mut pool = Pool {
            states: Vec::new(),
            free: Vec::new(),
            surplus: Vec::new(),
            target: 0,
            in_flight: 0,
            lost: false,
        };
        pool.resize(sets);
        // The first set comes first.
        pool.free.reverse();
        pool
    }

    pub(super) fn states(&self) -> &[SetState] {
        &self.states
    }

    pub(super) fn target(&self) -> usize {
        self.target
    }

    pub(super) fn n_free(&self) -> usize {
        self.free.len()
    }

    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether every set in use is with the device, so that none comes free unless the device gives one back.
    pub(super) fn is_all_in_flight(&self) -> bool {
        self.in_flight == self.in_use()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn in_use(&self) -> usize {
        self.states.len() - self.surplus.len()
    }

    /// Takes a free set for an item.
    pub(super) fn take(&mut self, state: SetState) -> u16 {
        let set = self.free.pop().expect("a set was taken where one was free");
        self.states[usize::from(set)] = state;
        set
    }

    pub(super) fn holds(&self, set: usize, state: SetState) -> bool {
        self.states[set] == state
    }

    /// Hands a set from one owner to the next.
    pub(super) fn pass(&mut self, set: usize, from: SetState, to: SetState) {
        if self.states[set] != from {
            wrong_state(set, self.states[set], from);
        }
        self.states[set] = to;
    }

    /// Counts a set handed to the device.
    pub(super) fn depart(&mut self) {
        self.in_flight += 1;
    }

    /// Counts a set that is back from the device.
    pub(super) fn arrive(&mut self) {
        self.in_flight -= 1;
    }

    /// A set's contents are no longer needed. Whether it is free now; otherwise it is surplus, or its lane is
    /// lost.
    pub(super) fn release(&mut self, set: usize, from: SetState) -> bool {
        if self.lost || self.in_use() > self.target {
            let to = if self.lost { SetState::Retired } else { SetState::Surplus };
            self.pass(set, from, to);
            if !self.lost {
                self.surplus.push(set as u16);
            }
            return false;
        }
        self.pass(set, from, SetState::Free);
        self.free.push(set as u16);
        true
    }

    /// From now on `target` sets are to be in use.
    pub(super) fn resize(&mut self, target: usize) {
        self.target = target;
        while self.in_use() < target {
            let set = self.surplus.pop().unwrap_or_else(|| {
                self.states.push(SetState::Surplus);
                (self.states.len() - 1).try_into().expect("a ring has at most LIMIT sets")
            });
            self.states[usize::from(set)] = SetState::Free;
            self.free.push(set);
        }
        while self.in_use() > target
            && let Some(set) = self.free.pop()
        {
            self.states[usize::from(set)] = SetState::Surplus;
            self.surplus.push(set);
        }
    }

    /// Retires every set but those with a host thread, or safely back: these end by themselves.
    pub(super) fn lose(&mut self) {
        self.lost = true;
        self.in_flight = 0;
        self.free.clear();
        self.surplus.clear();
        for state in &mut self.states {
            match *state {
                SetState::Free | SetState::Ready(_) | SetState::InFlight(_) | SetState::Surplus => {
                    *state = SetState::Retired;
                }
                SetState::Preprocessing(_)
                | SetState::Landed(_)
                | SetState::Postprocessing(_)
                | SetState::Retired => {}
            }
        }
    }
}

#[cold]
#[inline(never)]
fn wrong_state(set: usize, is: SetState, expected: SetState) -> ! {
    panic!("buffer set {set} is {is:?} where it was to be {expected:?}: an event answers no command")
}
