//! One lane's ring: its buffer sets, joint or split, and what waits in it.

use std::collections::VecDeque;

use super::pool::Pool;
use super::{LaneConfig, Sequence, SetState, Sets, Slot, Transit};

#[derive(Clone, Debug)]
pub(super) struct Ring {
    pub(super) lag: usize,
    /// Input sets; of a joint ring, all its sets.
    inputs: Pool,
    /// Output sets of a split ring. A joint ring's outputs are those of its one pool, and this is the only
    /// difference between the two.
    outputs: Option<Pool>,
    /// Filled sets in the order they were filled.
    pub(super) ready: VecDeque<Slot>,
    pub(super) preprocessing: usize,
    /// Items that hold a set.
    pub(super) items: usize,
    /// A call occupies the lane: blocking, or handing a set to its queue.
    pub(super) calling: bool,
    /// The lane stands in the schedule's list of callable lanes.
    pub(super) listed: bool,
    pub(super) lost: bool,
    /// When this lane was last chosen, in takes; breaks ties between equally loaded lanes.
    pub(super) chosen_at: u64,
}

impl Ring {
    pub(super) fn new(config: LaneConfig) -> Self {
        let (inputs, outputs) = match config.sets {
            Sets::Joint(sets) => (sets, None),
            Sets::Split { inputs, outputs } => (inputs, Some(outputs)),
        };
        Ring {
            lag: config.lag,
            inputs: Pool::new(inputs),
            outputs: outputs.map(Pool::new),
            ready: VecDeque::with_capacity(inputs),
            preprocessing: 0,
            items: 0,
            calling: false,
            listed: false,
            lost: false,
            chosen_at: 0,
        }
    }

    pub(super) fn sets(&self) -> Sets {
        match &self.outputs {
            None => Sets::Joint(self.inputs.target()),
            Some(outputs) => Sets::Split { inputs: self.inputs.target(), outputs: outputs.target() },
        }
    }

    /// Takes another size of the same layout; false if the layout is another one.
    pub(super) fn resize(&mut self, sets: Sets) -> bool {
        match (sets, &mut self.outputs) {
            (Sets::Joint(sets), None) => self.inputs.resize(sets),
            (Sets::Split { inputs, outputs }, Some(pool)) => {
                self.inputs.resize(inputs);
                pool.resize(outputs);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn inputs(&self) -> &Pool {
        &self.inputs
    }

    pub(super) fn outputs(&self) -> &Pool {
        self.outputs.as_ref().unwrap_or(&self.inputs)
    }

    fn outputs_mut(&mut self) -> &mut Pool {
        self.outputs.as_mut().unwrap_or(&mut self.inputs)
    }

    /// Items with the device.
    pub(super) fn in_flight(&self) -> usize {
        self.outputs().in_flight()
    }

    /// Whether a call could be made, with or without an item.
    pub(super) fn can_call(&self) -> bool {
        !self.calling && !self.lost
    }

    /// Whether a filled set can be handed to the device.
    pub(super) fn can_submit(&self) -> bool {
        self.can_call()
            && !self.ready.is_empty()
            && self.outputs.as_ref().is_none_or(|outputs| outputs.has_free())
    }

    /// Gives a free input set to a host thread.
    pub(super) fn begin_preprocess(&mut self, sequence: Sequence) -> usize {
        self.items += 1;
        self.preprocessing += 1;
        self.inputs.take(SetState::Preprocessing(sequence)).into()
    }

    /// The input set is filled and waits for the lane.
    pub(super) fn make_ready(&mut self, slot: Slot) {
        let s = slot.sequence();
        self.inputs.pass(slot.set(), SetState::Preprocessing(s), SetState::Ready(s));
        self.ready.push_back(slot);
    }

    /// Hands the set that waits longest to the device.
    pub(super) fn begin_flight(&mut self) -> Transit {
        let slot = self.ready.pop_front().expect("a callable lane has a filled set");
        let s = slot.sequence();
        self.calling = true;
        self.inputs.pass(slot.set(), SetState::Ready(s), SetState::InFlight(s));
        self.inputs.depart();
        let output = match &mut self.outputs {
            None => slot.set(),
            Some(outputs) => {
                outputs.depart();
                outputs.take(SetState::InFlight(s)).into()
            }
        };
        Transit::new(slot.lane(), slot.set(), output, s)
    }

    /// The device has read the item's input for the last time. Whether its set is free now: not so in a joint
    /// ring, where it goes on with the item's output.
    ///
    /// # Panics
    ///
    /// If the item does not hold the input.
    pub(super) fn free_input(&mut self, transit: Transit) -> bool {
        if self.outputs.is_none() {
            return false;
        }
        self.inputs.arrive();
        self.inputs.release(transit.input(), SetState::InFlight(transit.sequence()))
    }

    /// Whether the device may still read the item's input, and its set is not that of the output.
    pub(super) fn holds_input(&self, transit: Transit) -> bool {
        self.outputs.is_some() && self.inputs.holds(transit.input(), SetState::InFlight(transit.sequence()))
    }

    /// The device is done with the output set, which then waits for a host thread.
    pub(super) fn land(&mut self, transit: Transit) {
        let s = transit.sequence();
        let outputs = self.outputs_mut();
        outputs.pass(transit.output(), SetState::InFlight(s), SetState::Landed(s));
        outputs.arrive();
    }

    pub(super) fn begin_postprocess(&mut self, slot: Slot) {
        let s = slot.sequence();
        self.outputs_mut().pass(slot.set(), SetState::Landed(s), SetState::Postprocessing(s));
    }

    /// An item ends before it reached the device. Whether its input set is free now.
    pub(super) fn leave_from_input(&mut self, slot: Slot, from: SetState) -> bool {
        self.items -= 1;
        self.inputs.release(slot.set(), from)
    }

    /// An item ends after it left the device. Whether an *input* set is free now: in a joint ring it is the same
    /// set.
    pub(super) fn leave_from_output(&mut self, slot: Slot, from: SetState) -> bool {
        self.items -= 1;
        let is_joint = self.outputs.is_none();
        self.outputs_mut().release(slot.set(), from) && is_joint
    }

    /// The lane's device is gone. The items that needed it.
    pub(super) fn lose(&mut self) -> Vec<Sequence> {
        let ready = self.inputs.states().iter().filter_map(|state| match *state {
            SetState::Ready(sequence) => Some(sequence),
            _ => None,
        });
        let in_flight = self.outputs().states().iter().filter_map(|state| match *state {
            SetState::InFlight(sequence) => Some(sequence),
            _ => None,
        });
        let failed: Vec<Sequence> = ready.chain(in_flight).collect();
        self.items -= failed.len();
        self.lost = true;
        // Whoever makes the call may never come back; nothing waits for it any more.
        self.calling = false;
        self.listed = false;
        self.ready.clear();
        self.inputs.lose();
        if let Some(outputs) = &mut self.outputs {
            outputs.lose();
        }
        failed
    }
}
