//! The way back from a kernel that began late: what each step began after.

use super::Cause;
use super::stock::Timed;
use super::stretch::{Step, Stretch};
use super::TIE;
use crate::measure::{Nanos, Stage};
use crate::schedule::Sets;
use crate::trace::Journey;

/// Something that began, and not before something else had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// A stage of an item.
    Stage(Step),
    /// The wait for the source that brought an item, and the request it began with.
    Source(u32),
    Request(u32),
    /// A call, by number, of a lane.
    Call(usize, usize),
}

/// Where the way goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// To what ended last, and so to its beginning.
    Begin(Begin),
    /// To a kernel that ended then: until then a device was at work.
    Kernel(Nanos),
    /// Nothing is known of what was before.
    Nowhere,
}

/// One step back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Back {
    /// What there was none of until this gave it back.
    pub(super) shortage: Option<Cause>,
    /// That this step is one of another item, or of the source, that had to be waited for. `None` where an item goes
    /// from one step to its next.
    pub(super) wait: Option<(Cause, Nanos)>,
    pub(super) to: To,
}

impl Back {
    const NOWHERE: Back = Back { shortage: None, wait: None, to: To::Nowhere };

    fn own(begin: Begin) -> Self {
        Back { to: To::Begin(begin), ..Back::NOWHERE }
    }

    fn kernel(at: Nanos) -> Self {
        Back { to: To::Kernel(at), ..Back::NOWHERE }
    }
}

fn stage(item: u32, stage: Stage) -> Begin {
    Begin::Stage(Step { item, stage })
}

impl Stretch<'_> {
    fn journey(&self, item: u32) -> &Journey {
        &self.journeys[item as usize]
    }

    /// What a step did, and for how long.
    pub(super) fn work(&self, begin: Begin) -> (Cause, Nanos) {
        match begin {
            Begin::Stage(Step { item, stage }) => {
                (Cause::of(stage), self.journey(item).stage(stage).map_or(0, |time| time.length()))
            }
            // Where it is waited for it counts as that, and the stages of a call are steps of their own.
            Begin::Source(_) | Begin::Request(_) => (Cause::Source, 0),
            Begin::Call(..) => (Cause::Launch, 0),
        }
    }

    /// What ended last before this began.
    pub(super) fn back(&self, begin: Begin) -> Back {
        match begin {
            Begin::Stage(Step { item, stage }) => match stage {
                Stage::Preprocess => self.before_preprocess(item),
                Stage::Write => self.before_write(item),
                Stage::Kernel => self.before_kernel(item),
                Stage::Read => self.before_read(item),
                Stage::Postprocess => self.before_postprocess(item),
            },
            Begin::Source(item) => self.before_item(item),
            Begin::Request(item) => self.before_request(item),
            Begin::Call(lane, call) => self.before_call(lane, call),
        }
    }

    /// A kernel of a queue that found its unit free.
    fn before_kernel(&self, item: u32) -> Back {
        match self.journey(item).write {
            Some(_) => Back::own(stage(item, Stage::Write)),
            None => self.to_call(item),
        }
    }

    fn before_write(&self, item: u32) -> Back {
        let j = self.journey(item);
        let Some(write) = j.write else { return Back::NOWHERE };
        let asked = j.call.map_or(0, |call| call.start);
        match self.busy_channel(Step { item, stage: Stage::Write }, write.start, asked) {
            Some(back) => back,
            None => self.to_call(item),
        }
    }

    fn before_read(&self, item: u32) -> Back {
        let j = self.journey(item);
        let (Some(read), Some(kernel)) = (j.read, j.kernel) else { return Back::NOWHERE };
        let busy = self.busy_channel(Step { item, stage: Stage::Read }, read.start, kernel.end);
        busy.unwrap_or(Back::kernel(kernel.end))
    }

    /// The transfer that kept a step's channel from `asked` on until `start`.
    fn busy_channel(&self, step: Step, start: Nanos, asked: Nanos) -> Option<Back> {
        let channel = self.channel(self.lane_of(step.item)?, step.stage);
        let (end, other) = channel.latest_but(start, step)?;
        (end >= asked).then(|| self.wait_for(other))
    }

    fn wait_for(&self, step: Step) -> Back {
        let begin = Begin::Stage(step);
        Back { shortage: None, wait: Some(self.work(begin)), to: To::Begin(begin) }
    }

    /// From a stage on the device to the call that brought the item there.
    fn to_call(&self, item: u32) -> Back {
        let j = self.journey(item);
        let call = self.lane_of(item).zip(j.call).and_then(|(lane, time)| {
            let calls = &self.lanes[lane].calls;
            let first = calls.partition_point(|call| call.time.start < time.start);
            let own = calls[first..].iter().position(|call| call.item == Some(item))?;
            Some(Begin::Call(lane, first + own))
        });
        Back::own(call.unwrap_or(stage(item, Stage::Preprocess)))
    }

    fn before_call(&self, lane: usize, number: usize) -> Back {
        let lane_no = lane;
        let lane = &self.lanes[lane];
        let call = lane.calls[number];
        let ready = call.item.and_then(|item| self.journey(item).preprocess).map_or(0, |(_, time)| time.end);
        // Calls that take no time keep nobody waiting.
        let previous = number.checked_sub(1).map(|number| (number, lane.calls[number].time));
        let previous = previous.filter(|(_, time)| time.length() > 0 && time.end <= call.time.start);
        let lane_free = previous.map_or(0, |(_, time)| time.end);
        let output = call.item.and_then(|item| lane.outputs.latest_but(call.time.start, item));
        let latest = ready.max(lane_free).max(output.map_or(0, |(at, _)| at));
        if let Some((_, by)) = output.filter(|(at, _)| at + TIE >= latest) {
            return Back { shortage: Some(Cause::Buffers), ..Back::own(stage(by, Stage::Postprocess)) };
        }
        match (previous, call.item) {
            (Some((number, time)), _) if lane_free + TIE >= latest => {
                if lane.place.blocking {
                    return self.call_end(lane_no, number);
                }
                let to = To::Begin(Begin::Call(lane_no, number));
                Back { wait: Some((Cause::Launch, time.length())), to, ..Back::NOWHERE }
            }
            (_, Some(item)) => Back::own(stage(item, Stage::Preprocess)),
            (_, None) => Back::NOWHERE,
        }
    }

    /// A blocking call that ended: until then the device was at work, if it had a kernel to run.
    fn call_end(&self, lane: usize, call: usize) -> Back {
        match self.lanes[lane].kernel_in(self.lanes[lane].calls[call].time) {
            Some(kernel) => Back::kernel(kernel.end),
            None => Back::own(Begin::Call(lane, call)),
        }
    }

    fn before_preprocess(&self, item: u32) -> Back {
        let j = self.journey(item);
        let (Some((_, time)), Some(source)) = (j.preprocess, j.source) else { return Back::NOWHERE };
        match self.opening(item, time.start) {
            Some((at, back)) if at > source.end + TIE => back,
            _ => Back::own(Begin::Source(item)),
        }
    }

    fn before_item(&self, item: u32) -> Back {
        let waited = self.journey(item).source.map_or(0, |time| time.length());
        let wait = (waited > TIE).then_some((Cause::Source, waited));
        Back { wait, ..Back::own(Begin::Request(item)) }
    }

    /// The source is asked for an item when there is a set and a thread for it, the item before is no longer held, and
    /// the reorder window has room.
    fn before_request(&self, item: u32) -> Back {
        let Some(source) = self.journey(item).source else { return Back::NOWHERE };
        let asked = source.start;
        // Of two items in a row the first one's number is one less.
        let previous = item.checked_sub(1).map(|previous| (previous, self.journey(previous)));
        let previous = previous.filter(|(_, j)| j.sequence + 1 == self.journey(item).sequence);
        let begun = previous.and_then(|(_, j)| j.preprocess).map(|(_, time)| time.start);
        let turn = begun.filter(|&at| at <= asked).zip(previous);
        let opening = self.opening(item, asked);
        let turn_at = turn.map_or(0, |(at, _)| at);
        let known = opening.map_or(0, |(at, _)| at).max(turn_at);
        if let Some(back) = self.unlikely_opening(item, asked, known) {
            return back;
        }
        match (opening, turn) {
            (Some((at, back)), _) if at + TIE >= turn_at => back,
            (_, Some((_, (previous, _)))) => Back::own(stage(previous, Stage::Preprocess)),
            _ => Back::NOWHERE,
        }
    }

    /// The set or the host thread that came free last before a time when there had been none.
    fn opening(&self, item: u32, at: Nanos) -> Option<(Nanos, Back)> {
        let set = self.inputs.latest_but(at, item);
        let thread = self.threads.latest_but(at, Step { item, stage: Stage::Preprocess });
        let set_at = set.map_or(0, |(at, _)| at);
        let thread_at = thread.map_or(0, |(at, _)| at);
        match (set, thread) {
            (Some((_, by)), _) if set_at + TIE >= thread_at => {
                // One step may give back both.
                let wait = thread.filter(|_| thread_at + TIE >= set_at);
                let wait = wait.and_then(|(_, step)| self.wait_for(step).wait);
                let shortage = Some(Cause::Buffers);
                Some((set_at, Back { shortage, wait, ..self.input_back(by) }))
            }
            (_, Some((_, step))) => Some((thread_at, self.wait_for(step))),
            _ => None,
        }
    }

    /// What came free later than everything that is known to have been used up: a set of the lane whose turn it was,
    /// a thread that is for preprocess only, or a place of the window.
    fn unlikely_opening(&self, item: u32, asked: Nanos, known: Nanos) -> Option<Back> {
        let is_later = |at: Nanos| at > known + TIE;
        if asked <= known + TIE {
            return None;
        }
        let of_lane = self.lane_of(item).and_then(|lane| self.lanes[lane].inputs.latest_but(asked, item));
        if let Some((_, by)) = of_lane.filter(|&(at, _)| is_later(at)) {
            return Some(Back { shortage: Some(Cause::Buffers), ..self.input_back(by) });
        }
        let step = self.host.latest(asked).filter(|&(at, _)| is_later(at)).map(|(_, step)| step);
        let place = self.window.latest_but(asked, item).filter(|&(at, _)| is_later(at));
        match (step, place) {
            (Some(step), _) if step.stage == Stage::Preprocess => Some(self.wait_for(step)),
            (_, Some((_, by))) => Some(self.handed_out(by)),
            (Some(step), None) => Some(self.wait_for(step)),
            (None, None) => None,
        }
    }

    /// What ended when an item gave its input set back.
    fn input_back(&self, item: u32) -> Back {
        let j = self.journey(item);
        let back = j.input_free.or(j.landed).unwrap_or(j.delivered);
        let sets = self.lane_of(item).map(|lane| self.lanes[lane].place.sets);
        let is_joint = matches!(sets, Some(Sets::Joint(_)));
        match (j.kernel, j.postprocess) {
            (_, Some(_)) if is_joint => Back::own(stage(item, Stage::Postprocess)),
            (Some(kernel), _) if kernel.end <= back => Back::kernel(kernel.end),
            _ => self.to_call(item),
        }
    }

    /// A result that left the window.
    fn handed_out(&self, item: u32) -> Back {
        let j = self.journey(item);
        let Some((_, time)) = j.postprocess else { return Back::NOWHERE };
        let kept = j.delivered.saturating_sub(time.end);
        Back {
            shortage: Some(Cause::Delivery),
            wait: (kept > TIE).then_some((Cause::Delivery, kept)),
            to: To::Begin(stage(item, Stage::Postprocess)),
        }
    }

    fn before_postprocess(&self, item: u32) -> Back {
        let j = self.journey(item);
        let Some((_, time)) = j.postprocess else { return Back::NOWHERE };
        let back_at = j.landed.or(j.read.map(|read| read.end)).or(j.kernel.map(|kernel| kernel.end));
        let Some(back_at) = back_at else { return Back::NOWHERE };
        let own = Step { item, stage: Stage::Postprocess };
        let thread = self.threads.latest_but(time.start, own).filter(|&(at, _)| at >= back_at);
        // Where each stage has threads of its own, these can be all at work without all threads being so.
        let any = |host: &Timed<Step>| {
            host.latest_but(time.start, own).filter(|&(at, _)| at > back_at && time.start > back_at + TIE)
        };
        if let Some((_, step)) = thread.or_else(|| any(&self.host)) {
            return self.wait_for(step);
        }
        let lane = self.lane_of(item).filter(|&lane| self.lanes[lane].place.blocking);
        if let Some((lane, call)) = lane.and_then(|lane| Some((lane, self.lanes[lane].call_before(back_at)?))) {
            return self.call_end(lane, call);
        }
        match (j.read, j.kernel) {
            (Some(_), _) => Back::own(stage(item, Stage::Read)),
            (None, Some(kernel)) => Back::kernel(kernel.end),
            (None, None) => self.to_call(item),
        }
    }
}
