//! The words between a schedule and whoever drives it: commands out, events in.

/// The number of an item, from 0 in the order the source gave them.
pub type Sequence = u64;

/// Which item occupies which buffer set of which lane: an input set in a preprocess step, an output set in a
/// postprocess step.
///
/// It is copied several times an item, so it is 16 bytes: [`LIMIT`](super::LIMIT) lanes and sets fit 16 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    sequence: Sequence,
    lane: u16,
    set: u16,
}

impl Slot {
    /// Item `sequence` in set `set` of lane `lane`.
    ///
    /// # Panics
    ///
    /// If the lane or the set is [`LIMIT`](super::LIMIT) or more.
    pub fn new(lane: usize, set: usize, sequence: Sequence) -> Self {
        Slot { sequence, lane: narrow(lane), set: narrow(set) }
    }

    /// The lane.
    pub fn lane(self) -> usize {
        self.lane.into()
    }

    /// The buffer set within the lane's ring.
    pub fn set(self) -> usize {
        self.set.into()
    }

    /// The item.
    pub fn sequence(self) -> Sequence {
        self.sequence
    }
}

/// An item on its way through a device: from which input set into which output set of which lane.
///
/// With [`Sets::Joint`](super::Sets::Joint) both are the same set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transit {
    sequence: Sequence,
    lane: u16,
    input: u16,
    output: u16,
}

impl Transit {
    /// Item `sequence` from set `input` to set `output` of lane `lane`.
    ///
    /// # Panics
    ///
    /// If the lane or a set is [`LIMIT`](super::LIMIT) or more.
    pub fn new(lane: usize, input: usize, output: usize, sequence: Sequence) -> Self {
        Transit { sequence, lane: narrow(lane), input: narrow(input), output: narrow(output) }
    }

    /// The lane.
    pub fn lane(self) -> usize {
        self.lane.into()
    }

    /// The input set within the lane's ring.
    pub fn input(self) -> usize {
        self.input.into()
    }

    /// The output set within the lane's ring.
    pub fn output(self) -> usize {
        self.output.into()
    }

    /// The item.
    pub fn sequence(self) -> Sequence {
        self.sequence
    }

    /// The item in its input set, as preprocess left it.
    pub fn input_slot(self) -> Slot {
        Slot { sequence: self.sequence, lane: self.lane, set: self.input }
    }

    /// The item in its output set, as postprocess gets it.
    pub fn output_slot(self) -> Slot {
        Slot { sequence: self.sequence, lane: self.lane, set: self.output }
    }
}

fn narrow(index: usize) -> u16 {
    index.try_into().expect("lanes and sets are numbered below LIMIT")
}

/// What is to be done now. Whoever gets a command carries it out and reports its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask the source for the next item. Ends with [`Event::Taken`] or [`Event::SourceEnded`].
    Take,
    /// Fill the inputs of this input set from its item: the one taken last, or with [`Retry::OtherLane`](super::Retry)
    /// one that a lost lane held. Ends with [`Event::Preprocessed`].
    Preprocess(Slot),
    /// Hand the item's sets to the lane. Ends with [`Event::CallReturned`].
    Submit(Transit),
    /// Make a call that submits nothing, so that the lane's oldest result comes out. Ends with
    /// [`Event::CallReturned`].
    Flush(usize),
    /// Read the outputs of this output set. Ends with [`Event::Postprocessed`].
    Postprocess(Slot),
}

/// How a host step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It did what it should.
    Done,
    /// It failed, and the item with it.
    Failed,
}

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its result is there.
    Ok,
    /// A step, its device call or its lane failed.
    Failed,
    /// The stream was cancelled before it was done.
    Cancelled,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The source gave an item; its number is the count of items taken before.
    Taken,
    /// The source has no more items.
    SourceEnded,
    /// Preprocessing ended.
    Preprocessed(Slot, Step),
    /// A submit or flush call returned, so that the lane takes the next one.
    CallReturned(usize),
    /// The device has read the item's input for the last time. Optional, and before the item lands or fails:
    /// a device that does not tell is taken to read until then.
    InputFree(Transit),
    /// The item is back and its outputs are filled. For a blocking lane, reported before the call's return.
    Landed(Transit),
    /// The item is back and failed on the device. The lane goes on.
    CallFailed(Transit),
    /// The lane's device is gone: every item in its ring that needs the device fails, or is begun again for another
    /// lane, and the ring is retired.
    LaneLost(usize),
    /// Postprocessing ended.
    Postprocessed(Slot, Step),
    /// The source has paused for as long as the driver thinks worth a flush call.
    Idle,
    /// Nothing new starts; what the devices hold is drained. An item the source gives later is not taken.
    Cancel,
}

/// Items by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Items the source gave.
    pub taken: u64,
    /// Items whose result is there.
    pub ok: u64,
    /// Items that failed.
    pub failed: u64,
    /// Items cancelled.
    pub cancelled: u64,
    /// How often an item was begun again because its lane was lost; however it ended, it counts there too.
    pub retried: u64,
}

impl Totals {
    /// Items that ended, one way or another.
    pub fn ended(&self) -> u64 {
        self.ok + self.failed + self.cancelled
    }
}
