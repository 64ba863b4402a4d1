//! The gaps between the kernels of a lane, and what each of them was spent waiting for.

use super::path::{After, Begin, For, To};
use super::stretch::{Step, Stretch};
use super::{Cause, Gap, Shares, TIE};
use crate::measure::{Nanos, Stage};
use crate::trace::Interval;

/// The most steps a way is followed for what was waited for. Each wait on it takes its part of the gap, so it is long
/// only where next to nothing was waited for.
const STEPS_MAX: usize = 256;

/// Finds the gaps of a stretch.
pub(super) struct Gaps<'a> {
    stretch: Stretch<'a>,
    /// Where the way back from each step leads, by its number.
    reached: Vec<Reached>,
}

/// Whether the way back from a step leads to a device at work, or to a set that came free.
#[derive(Clone, Copy)]
enum Reached {
    NotLooked,
    /// It leads along steps that waited for each other, to the source, or out of the stretch.
    Never,
    At(Nanos),
}

impl<'a> Gaps<'a> {
    pub(super) fn new(stretch: Stretch<'a>) -> Self {
        let steps = STEPS_OF_ITEM * stretch.journeys.len() + stretch.n_calls;
        Gaps { reached: vec![Reached::NotLooked; steps], stretch }
    }

    /// Tells each gap, lane by lane, and returns how long the lanes were steady, all together.
    pub(super) fn each(&mut self, mut tell: impl FnMut(Gap)) -> Nanos {
        (0..self.stretch.lanes.len()).map(|lane| self.of_lane(lane, &mut tell)).sum()
    }

    fn of_lane(&mut self, lane: usize, tell: &mut impl FnMut(Gap)) -> Nanos {
        let Some(&(first, mut after)) = self.stretch.lanes[lane].kernels.first() else { return 0 };
        let mut until = first.end;
        for number in 1..self.stretch.lanes[lane].kernels.len() {
            let (kernel, item) = self.stretch.lanes[lane].kernels[number];
            if kernel.start > until {
                let sequence = |item: u32| self.stretch.journeys[item as usize].sequence;
                let (after, before) = (sequence(after), sequence(item));
                let time = Interval::new(until, kernel.start);
                tell(Gap { lane, after, before, time, shares: self.shares(lane, number, time) });
            }
            if kernel.end >= until {
                (until, after) = (kernel.end, item);
            }
        }
        until - first.start
    }

    fn shares(&mut self, lane_no: usize, number: usize, gap: Interval) -> Shares {
        let lane = &self.stretch.lanes[lane_no];
        // A loop of the lane's sets is as many kernels long as there are sets. What has not closed twice as far back
        // is none: something else was busy for a whole round of the sets.
        let sets = lane.place.sets;
        let rounds = 2 * sets.inputs().max(sets.outputs());
        let since = number.checked_sub(rounds).map_or(0, |number| lane.kernels[number].0.start);
        let (kernel, item) = lane.kernels[number];
        let calls = lane.call_at(lane.kernels[number - 1].0.start).zip(lane.call_at(kernel.start));
        let Some((before, own)) = calls.filter(|_| lane.place.blocking) else {
            let written = self.stretch.journeys[item as usize].write;
            if written.is_some_and(|write| write.end <= gap.start) {
                return Shares::of(Cause::Launch, gap.length());
            }
            let kernel = Begin::Stage(Step { item, stage: Stage::Kernel });
            return self.waited(kernel, gap.length(), since);
        };
        // While a lane makes a call it can begin no other one; only between the two it waited.
        let returned = lane.calls[before].time.end.clamp(gap.start, gap.end);
        let called = lane.calls[own].time.start.clamp(returned, gap.end);
        let mut shares = self.in_call(lane_no, Interval::new(gap.start, returned));
        shares += self.in_call(lane_no, Interval::new(called, gap.end));
        if called > returned {
            shares += self.waited(Begin::Call(lane_no, own), called - returned, since);
        }
        shares
    }

    /// Time within a blocking call before or after its kernel: that of its transfers is theirs, with what they waited for
    /// their link, and the rest is launch.
    fn in_call(&self, lane: usize, time: Interval) -> Shares {
        let mut shares = Shares::default();
        let mut until = time.end;
        while let Some((end, step)) = self.stretch.lanes[lane].moves.latest(until)
            && end > time.start
        {
            let begun = self.stretch.link_held_since(lane, step, time.start);
            shares.add(Cause::of(step.stage), end.min(until) - begun.min(until));
            // What begins and ends at once is not looked at again.
            until = begun.min(end - 1);
        }
        shares.add(Cause::Launch, time.length() - shares.total());
        shares
    }

    /// What was waited for on the way back from `begin`, as shares of `time`.
    fn waited(&mut self, begin: Begin, time: Nanos, since: Nanos) -> Shares {
        let mut waits = Waits { left: time, waited: Shares::default(), worked: Shares::default() };
        let mut begin = begin;
        for _ in 0..STEPS_MAX {
            let Some(after) = self.follow(begin, since, &mut waits) else { break };
            let To::Begin(next) = after.to else { break };
            if waits.left == 0 {
                break;
            }
            if !matches!(after.what, For::Busy(..)) {
                let (cause, lasted) = self.stretch.work(next);
                waits.worked.add(cause, lasted.min(time - waits.worked.total()));
            }
            begin = next;
        }
        waits.shares(time)
    }

    /// Which end the way goes back to from here. What was waited for meanwhile is counted.
    fn follow(&mut self, begin: Begin, since: Nanos, waits: &mut Waits) -> Option<After> {
        let mut afters = self.stretch.before(begin);
        loop {
            let after = afters.last()?;
            let others = afters.without(after);
            let next = others.last();
            let cause = match after.what {
                For::Item | For::Turn => return Some(after),
                For::Source => Cause::Source,
                For::Stock(cause) | For::Busy(cause, _) => cause,
            };
            let is_limit = match after.what {
                // These come from outside, whatever was before.
                For::Source | For::Stock(Cause::Delivery) => true,
                _ => self.reached(after.to).is_some_and(|at| at >= since),
            };
            if is_limit {
                waits.wait(cause, next.map_or(Nanos::MAX, |next| after.at.saturating_sub(next.at)));
                afters = others;
                continue;
            }
            // A set held up by what is busy all the time: that is what was waited for, if the set came with it.
            let busy = [Some(after), afters.beside(after), next.filter(|next| next.at + TIE >= after.at)];
            let busy = busy.into_iter().flatten().find(|after| matches!(after.what, For::Busy(..)));
            if let Some(After { what: For::Busy(cause, held), .. }) = busy {
                waits.wait(cause, held);
            }
            return Some(busy.unwrap_or(after));
        }
    }

    /// When the way back from here leads to a device at work, or to a set that came free with nothing else: then nothing
    /// on it was busy all the time. `None` where it does not, or only through a wait for the source.
    fn reached(&mut self, to: To) -> Option<Nanos> {
        let mut way = Vec::new();
        let mut to = to;
        let reached = loop {
            let begin = match to {
                To::Kernel(at) => break Reached::At(at),
                To::Begin(begin) => begin,
            };
            let number = self.number(begin);
            match self.reached[number] {
                Reached::NotLooked => {}
                known => break known,
            }
            // What leads to itself, as steps without length at one time might, leads to no kernel.
            self.reached[number] = Reached::Never;
            way.push(number);
            let afters = self.stretch.before(begin);
            match afters.last() {
                None | Some(After { what: For::Source, .. }) => break Reached::Never,
                Some(after) if matches!(after.what, For::Stock(_)) && afters.beside(after).is_none() => {
                    break Reached::At(after.at);
                }
                Some(after) => to = after.to,
            }
        };
        for number in way {
            self.reached[number] = reached;
        }
        match reached {
            Reached::At(at) => Some(at),
            Reached::Never | Reached::NotLooked => None,
        }
    }

    /// A number of its own for each step.
    fn number(&self, begin: Begin) -> usize {
        let of_item = |item: u32, step| STEPS_OF_ITEM * item as usize + step;
        match begin {
            Begin::Stage(Step { item, stage }) => of_item(item, stage as usize),
            Begin::Source(item) => of_item(item, 5),
            Begin::Request(item) => of_item(item, 6),
            Begin::Call(lane, call) => {
                STEPS_OF_ITEM * self.stretch.journeys.len() + self.stretch.lanes[lane].first_call + call
            }
        }
    }
}

/// Five stages, source and request.
const STEPS_OF_ITEM: usize = 7;

/// What was waited for, as far as there is time left to explain.
struct Waits {
    left: Nanos,
    waited: Shares,
    /// What the items themselves did meanwhile, the latest first.
    worked: Shares,
}

impl Waits {
    fn wait(&mut self, cause: Cause, lasted: Nanos) {
        let time = lasted.min(self.left);
        self.waited.add(cause, time);
        self.left -= time;
    }

    /// All of the time: what no wait accounts for counts as those there are, or else as what the items did.
    fn shares(mut self, time: Nanos) -> Shares {
        self.waited.stretch(self.left);
        if self.waited.total() == 0 {
            self.waited = self.worked;
            self.waited.add(Cause::Unknown, time - self.worked.total());
        }
        self.waited
    }
}
