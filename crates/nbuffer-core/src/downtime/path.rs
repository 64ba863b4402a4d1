//! The way back from a kernel that began late: what each step began after.

use super::stock::Timed;
use super::stretch::{Step, Stretch};
use super::{Cause, TIE};
use crate::measure::{Nanos, Stage};
use crate::schedule::Sets;
use crate::trace::Journey;

/// A source that takes less than this part of the time from item to item does not keep a stream waiting.
const SMALL_PART: Nanos = 20;

/// Something that began, and not before something else had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// A stage of an item.
    Stage(Step),
    /// A wait for the source that brought an item.
    Source(u32),
    /// The request such a wait begins with.
    Request(u32),
    /// A call of a lane, by their numbers.
    Call(usize, usize),
}

/// Where a way goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// To what ended, and so to its beginning.
    Begin(Begin),
    /// To a kernel that ended then: until then a device was at work.
    Kernel(Nanos),
}

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// For its own item, which comes from the step before.
    Item,
    /// For its turn: a call of a blocking lane after the one before, a request after the item before.
    Turn,
    /// For something that another item uses for so long.
    Busy(Cause, Nanos),
    /// For one of those things of which there are many, all alike.
    Stock(Cause),
    /// For the source.
    Source,
}

/// An end that a step could not begin before.
#[derive(Clone, Copy, Debug)]
pub(super) struct After {
    pub(super) at: Nanos,
    pub(super) what: For,
    pub(super) to: To,
}

/// All that a step had to wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Afters {
    afters: [Option<After>; 5],
    n: usize,
}

impl Afters {
    fn of(afters: impl IntoIterator<Item = Option<After>>) -> Self {
        let mut all = Afters::default();
        for after in afters.into_iter().flatten() {
            all.afters[all.n] = Some(after);
            all.n += 1;
        }
        all
    }

    fn iter(&self) -> impl Iterator<Item = After> + use<'_> {
        self.afters[..self.n].iter().flatten().copied()
    }

    fn latest(&self) -> Option<Nanos> {
        self.iter().map(|after| after.at).max()
    }

    /// The last one; of those that are tied the first in the order of [`For::rank`].
    pub(super) fn last(&self) -> Option<After> {
        let latest = self.latest()?;
        self.iter().filter(|after| after.at + TIE >= latest).min_by_key(|after| after.what.rank())
    }

    /// Those that another step ended.
    pub(super) fn without(self, after: After) -> Self {
        Afters::of(self.iter().filter(|other| other.to != after.to).map(Some))
    }

    /// What else the step of `after` gave back, if anything.
    pub(super) fn beside(self, after: After) -> Option<After> {
        self.iter().find(|other| other.to == after.to && other.what != after.what)
    }
}

impl For {
    fn rank(self) -> usize {
        match self {
            For::Stock(_) => 0,
            For::Busy(..) => 1,
            For::Source => 2,
            For::Turn => 3,
            For::Item => 4,
        }
    }
}

fn stage(item: u32, stage: Stage) -> To {
    To::Begin(Begin::Stage(Step { item, stage }))
}

impl Stretch<'_> {
    fn journey(&self, item: u32) -> &Journey {
        &self.journeys[item as usize]
    }

    /// What an item did from a beginning on, and for how long.
    pub(super) fn work(&self, begin: Begin) -> (Cause, Nanos) {
        match begin {
            Begin::Stage(Step { item, stage }) => {
                (Cause::of(stage), self.journey(item).stage(stage).map_or(0, |time| time.length()))
            }
            // A wait for the source counts as such, and the stages of a call are steps of their own.
            Begin::Source(_) | Begin::Request(_) => (Cause::Source, 0),
            Begin::Call(..) => (Cause::Launch, 0),
        }
    }

    /// What this could not begin before.
    pub(super) fn before(&self, begin: Begin) -> Afters {
        match begin {
            Begin::Stage(Step { item, stage }) => match stage {
                Stage::Preprocess => self.before_preprocess(item),
                Stage::Write => self.before_write(item),
                Stage::Kernel => self.before_kernel(item),
                Stage::Read => self.before_read(item),
                Stage::Postprocess => self.before_postprocess(item),
            },
            Begin::Source(item) => self.before_source(item),
            Begin::Request(item) => self.before_request(item),
            Begin::Call(lane, call) => self.before_call(lane, call),
        }
    }

    /// A kernel of a queue that found its unit free.
    fn before_kernel(&self, item: u32) -> Afters {
        let written = self.journey(item).write.map(|write| After {
            at: write.end,
            what: For::Item,
            to: stage(item, Stage::Write),
        });
        Afters::of([written.or_else(|| self.after_call(item))])
    }

    fn before_write(&self, item: u32) -> Afters {
        let start = self.journey(item).write.map_or(0, |write| write.start);
        let called = self.after_call(item);
        let asked = called.map_or(0, |called| called.at);
        Afters::of([self.after_transfer(Step { item, stage: Stage::Write }, start, asked), called])
    }

    fn before_read(&self, item: u32) -> Afters {
        let j = self.journey(item);
        let (Some(read), Some(kernel)) = (j.read, j.kernel) else { return Afters::default() };
        let computed = After { at: kernel.end, what: For::Item, to: To::Kernel(kernel.end) };
        let transfer = self.after_transfer(Step { item, stage: Stage::Read }, read.start, kernel.end);
        Afters::of([transfer, Some(computed)])
    }

    /// After the transfer that kept a step's channel until `start`, if the step asked for it before that ended.
    fn after_transfer(&self, step: Step, start: Nanos, asked: Nanos) -> Option<After> {
        let channel = self.channel(self.lane_of(step.item)?, step.stage);
        channel.latest_but(start, step).filter(|&(end, _)| end >= asked).map(|end| self.after_step(end))
    }

    /// Since when a transfer, or others right before it, held its link; no earlier than `from`.
    pub(super) fn link_held_since(&self, lane: usize, step: Step, from: Nanos) -> Nanos {
        let began = |step: Step| self.journey(step.item).stage(step.stage).map_or(0, |time| time.start);
        let (mut step, mut since) = (step, began(step));
        while since > from
            && let Some((end, before)) = self.channel(lane, step.stage).latest_but(since, step)
            && end + TIE >= since
            && began(before) < since
        {
            (step, since) = (before, began(before));
        }
        since.max(from)
    }

    /// After a step of another item.
    fn after_step(&self, (at, step): (Nanos, Step)) -> After {
        let (cause, length) = self.work(Begin::Stage(step));
        After { at, what: For::Busy(cause, length), to: To::Begin(Begin::Stage(step)) }
    }

    /// From a stage on the device to the call that brought the item there.
    fn after_call(&self, item: u32) -> Option<After> {
        let time = self.journey(item).call?;
        let lane = self.lane_of(item)?;
        let calls = &self.lanes[lane].calls;
        let first = calls.partition_point(|call| call.time.start < time.start);
        let own = calls[first..].iter().position(|call| call.item == Some(item))?;
        Some(After { at: time.start, what: For::Item, to: To::Begin(Begin::Call(lane, first + own)) })
    }

    fn before_call(&self, lane_no: usize, number: usize) -> Afters {
        let lane = &self.lanes[lane_no];
        let call = lane.calls[number];
        let start = call.time.start;
        let filled = call.item.and_then(|item| self.after_preprocess(item));
        let output = call.item.and_then(|item| lane.outputs.latest_but(start, item));
        let output = output.map(|(at, by)| After {
            at,
            what: For::Stock(Cause::Buffers),
            to: stage(by, Stage::Postprocess),
        });
        let before = number.checked_sub(1).map(|before| (before, lane.calls[before].time));
        // Calls that take no time keep nobody waiting.
        let before = before.filter(|(_, time)| time.length() > 0 && time.end <= start);
        let before = before.map(|(before, time)| match lane.place.blocking {
            true => After { at: time.end, what: For::Turn, to: self.end_of_call(lane_no, before) },
            false => After {
                at: time.end,
                what: For::Busy(Cause::Launch, time.length()),
                to: To::Begin(Begin::Call(lane_no, before)),
            },
        });
        Afters::of([output, before, filled])
    }

    fn after_preprocess(&self, item: u32) -> Option<After> {
        let (_, time) = self.journey(item).preprocess?;
        Some(After { at: time.end, what: For::Item, to: stage(item, Stage::Preprocess) })
    }

    /// Until a blocking call ended the device was at work, if it had a kernel to run.
    fn end_of_call(&self, lane: usize, call: usize) -> To {
        let kernel = self.lanes[lane].kernel_in(self.lanes[lane].calls[call].time);
        kernel.map_or(To::Begin(Begin::Call(lane, call)), |kernel| To::Kernel(kernel.end))
    }

    /// An item that the source gave is held until there is a set and a thread for it, which there was when the source
    /// was asked; but meanwhile it may have gone to another step.
    fn before_preprocess(&self, item: u32) -> Afters {
        let j = self.journey(item);
        let (Some((_, time)), Some(source)) = (j.preprocess, j.source) else { return Afters::default() };
        let taken = After { at: source.end, what: For::Item, to: To::Begin(Begin::Source(item)) };
        let is_later = |after: &After| after.at > source.end + TIE;
        let set = self.after_set(item, time.start).filter(is_later);
        Afters::of([set, self.after_thread(item, time.start).filter(is_later), Some(taken)])
    }

    /// The source brings an item when it has one, but no sooner than it is asked. One that takes a small part of the time
    /// from item to item, as to read a file, only does its work.
    fn before_source(&self, item: u32) -> Afters {
        let Some(source) = self.journey(item).source else { return Afters::default() };
        let last = item.checked_sub(1).and_then(|before| self.journey(before).source);
        let small = last.map_or(0, |last| source.end.saturating_sub(last.end) / SMALL_PART);
        let request = To::Begin(Begin::Request(item));
        let asked = After { at: source.start, what: For::Item, to: request };
        let came = After { at: source.end, what: For::Source, to: request };
        Afters::of([(source.length() > small.max(TIE)).then_some(came), Some(asked)])
    }

    /// The source is asked for an item when there is a set and a thread for it, the item before is no longer held, and
    /// the reorder window has room.
    fn before_request(&self, item: u32) -> Afters {
        let Some(asked) = self.journey(item).source.map(|source| source.start) else {
            return Afters::default();
        };
        // Of two items in a row the first one's number is one less.
        let before = item.checked_sub(1).map(|before| (before, self.journey(before)));
        let before = before.filter(|(_, j)| j.sequence + 1 == self.journey(item).sequence);
        let turn = before.and_then(|(before, j)| Some((before, j.preprocess?.1.start)));
        let turn = turn.filter(|&(_, at)| at <= asked).map(|(before, at)| After {
            at,
            what: For::Turn,
            to: stage(before, Stage::Preprocess),
        });
        let known = Afters::of([self.after_set(item, asked), self.after_thread(item, asked), turn]);
        let latest = known.latest().unwrap_or(0);
        let other = if asked > latest + TIE { self.after_other(item, asked, latest) } else { None };
        Afters::of([other].into_iter().chain(known.afters))
    }

    /// After the set that came free last when there had been none.
    fn after_set(&self, item: u32, until: Nanos) -> Option<After> {
        self.inputs.latest_but(until, item).map(|end| self.after_input(end))
    }

    fn after_input(&self, (at, by): (Nanos, u32)) -> After {
        After { at, what: For::Stock(Cause::Buffers), to: self.end_of_input(by, at) }
    }

    /// After the host step that ended last when all threads had been at work.
    fn after_thread(&self, item: u32, until: Nanos) -> Option<After> {
        let own = Step { item, stage: Stage::Preprocess };
        self.threads.latest_but(until, own).map(|end| self.after_step(end))
    }

    /// After what came free later than all that is known to have been used up: a set of the lane whose turn it was, a
    /// thread that is for preprocess only, or a place of the window.
    fn after_other(&self, item: u32, asked: Nanos, known: Nanos) -> Option<After> {
        let of_lane = self.lane_of(item).and_then(|lane| self.lanes[lane].inputs.latest_but(asked, item));
        let of_lane = of_lane.map(|end| self.after_input(end));
        let thread = self.preprocesses.latest(asked).map(|end| self.after_step(end));
        let place = self.window.latest_but(asked, item).map(|(at, by)| After {
            at,
            what: For::Stock(Cause::Delivery),
            to: stage(by, Stage::Postprocess),
        });
        // Of those at one time the last in this list.
        let others = [place, thread, of_lane].into_iter().flatten();
        others.filter(|after| after.at > known + TIE).max_by_key(|after| after.at)
    }

    /// What ended when an item gave its input set back.
    fn end_of_input(&self, item: u32, at: Nanos) -> To {
        let j = self.journey(item);
        let sets = self.lane_of(item).map(|lane| self.lanes[lane].place.sets);
        match (j.kernel, j.postprocess) {
            (_, Some(_)) if matches!(sets, Some(Sets::Joint(_))) => stage(item, Stage::Postprocess),
            (Some(kernel), _) if kernel.end <= at => To::Kernel(kernel.end),
            _ if j.call.is_some() => self.end_of_device(item, at),
            _ => stage(item, Stage::Preprocess),
        }
    }

    fn before_postprocess(&self, item: u32) -> Afters {
        let j = self.journey(item);
        let back = j.landed.or(j.read.map(|read| read.end)).or(j.kernel.map(|kernel| kernel.end));
        let (Some((_, time)), Some(back)) = (j.postprocess, back) else { return Afters::default() };
        let own = Step { item, stage: Stage::Postprocess };
        let ended =
            |host: &Timed<Step>, since| host.latest_but(time.start, own).filter(|&(at, _)| at >= since);
        // Whoever waited did so for a thread, and got the one that came free last.
        let waited = time.start > back + TIE;
        let post = ended(&self.postprocesses, back + 1).filter(|_| waited);
        let pre = ended(&self.preprocesses, back + 1).filter(|_| waited);
        let any = pre.filter(|pre| post.is_none_or(|post| post.0 < pre.0)).or(post);
        let thread = any.or_else(|| ended(&self.threads, back)).map(|end| self.after_step(end));
        let landed = After { at: back, what: For::Item, to: self.end_of_device(item, back) };
        Afters::of([thread, Some(landed)])
    }

    /// What ended when an item came back from its device.
    fn end_of_device(&self, item: u32, back: Nanos) -> To {
        let j = self.journey(item);
        let lane = self.lane_of(item).filter(|&lane| self.lanes[lane].place.blocking);
        if let Some((lane, call)) = lane.and_then(|lane| Some((lane, self.lanes[lane].call_before(back)?))) {
            return self.end_of_call(lane, call);
        }
        match (j.read, j.kernel) {
            (Some(_), _) => stage(item, Stage::Read),
            (None, Some(kernel)) => To::Kernel(kernel.end),
            (None, None) => self.after_call(item).map_or(stage(item, Stage::Preprocess), |call| call.to),
        }
    }
}
