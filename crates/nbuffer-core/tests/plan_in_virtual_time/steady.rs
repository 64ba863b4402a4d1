//! The steady state of a run in virtual time, exactly: a run whose times never vary comes back to a state it was in
//! before, and from then on does the same for ever.

use std::cell::RefCell;

use nbuffer_core::measure::{Nanos, Stage};
use nbuffer_core::trace::Span;
use nbuffer_core::virtual_time::{Simulation, Spans};

use super::case::Case;

/// Longer than any run of these tests takes to repeat itself. (One of a shared server may take longer.)
const ITEMS_MAX: u64 = 10_000;

/// What a run repeats for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cycle {
    /// Results of one repetition.
    pub(crate) items: u64,
    /// How long it lasts, in ticks.
    pub(crate) lasts: Nanos,
    /// How long its items stay from the start of preprocess to the end of postprocess, in ticks, all together.
    pub(crate) stays: Nanos,
    /// The latest result in units of the plan: the largest `end of item k - k * period`, with the period of this
    /// cycle, over all items up to the end of the first repetition and so over all there will ever be.
    pub(crate) latest: f64,
    /// Whether the run came back to a state it was in, or was cut off and this is the mean of its last half.
    pub(crate) is_exact: bool,
}

impl Cycle {
    pub(crate) fn period(&self) -> f64 {
        self.lasts as f64 / self.items as f64
    }

    /// Whether the period is that of the plan, exactly: as two fractions with denominators of at most a few thousand
    /// they either agree in all digits or differ far before the ninth.
    pub(crate) fn has_period(&self, period_s: f64) -> bool {
        (self.period() - period_s).abs() <= 1e-9 * period_s
    }
}

/// Where an item has been.
#[derive(Clone, Copy)]
struct Item {
    lane: usize,
    began: Nanos,
    ended: [Nanos; 5],
}

const NOT_YET: Item = Item { lane: usize::MAX, began: Nanos::MAX, ended: [Nanos::MAX; 5] };

#[derive(Default)]
struct History(Vec<Item>);

impl History {
    fn add(&mut self, span: Span) {
        let k = span.sequence as usize;
        if self.0.len() <= k {
            self.0.resize(k + 1, NOT_YET);
        }
        let item = &mut self.0[k];
        item.lane = span.lane;
        item.ended[span.stage as usize] = span.end;
        if span.stage == Stage::Preprocess {
            item.began = span.start;
        }
    }

    /// Whether everything around two moments is the same, seen from each of them: who has ended which stage how long
    /// ago, of those within `reach` items of the last result. What waits and what runs follows from that.
    fn is_alike(&self, a: Moment, b: Moment, reach: usize) -> bool {
        let seen = |moment: Moment, offset: usize| {
            let item = self.0.get(moment.results + offset - reach).copied().unwrap_or(NOT_YET);
            let ago = item.ended.map(|end| moment.at.checked_sub(end));
            (ago, ago[0].map(|_| item.lane))
        };
        // The newest differ first.
        (0..2 * reach).rev().all(|offset| seen(a, offset) == seen(b, offset))
    }
}

/// A time at which results came out, and how many had by then.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Nanos,
    results: usize,
}

/// Runs a case until it repeats itself.
pub(crate) fn steady(case: &Case) -> Cycle {
    let history = RefCell::new(History::default());
    let look_on = Spans(|span| history.borrow_mut().add(span));
    let mut simulation = Simulation::watched(&case.setup(ITEMS_MAX), look_on).expect("the set-up is valid");
    let reach = case.lanes * case.sets.items_max() + case.threads.total();
    let mut now = Moment { at: 0, results: 0 };
    let mut has_results = false;
    let mut search = Search::default();
    while let Some(at) = simulation.step() {
        // All that happens at a time has happened when the next one comes.
        if at > now.at && has_results && now.results >= reach {
            has_results = false;
            if let Some(since) = search.look(now, |a, b| history.borrow().is_alike(a, b, reach)) {
                return Cycle::between(since, now, &history.borrow(), true);
            }
        }
        now.at = at;
        let results = (simulation.schedule().ended() - simulation.schedule().undelivered()) as usize;
        has_results |= results > now.results;
        now.results = results;
    }
    let history = history.borrow();
    let half = ITEMS_MAX as usize / 2;
    let of = |results: usize| Moment { at: history.0[results - 1].ended[4], results };
    Cycle::between(of(half), of(ITEMS_MAX as usize), &history, false)
}

/// Brent's search for a cycle: now is compared with one moment, which moves on after ever longer times.
#[derive(Default)]
struct Search {
    reference: Option<Moment>,
    looks: u64,
    patience: u64,
}

impl Search {
    fn look(&mut self, now: Moment, is_alike: impl Fn(Moment, Moment) -> bool) -> Option<Moment> {
        if let Some(reference) = self.reference.filter(|&reference| is_alike(reference, now)) {
            return Some(reference);
        }
        self.looks += 1;
        if self.looks >= self.patience {
            *self = Search { reference: Some(now), looks: 0, patience: 2 * self.patience.max(1) };
        }
        None
    }
}

impl Cycle {
    fn between(from: Moment, to: Moment, history: &History, is_exact: bool) -> Cycle {
        let (items, lasts) = ((to.results - from.results) as u64, to.at - from.at);
        let stays = history.0[from.results..to.results].iter().map(|item| item.ended[4] - item.began).sum();
        let ahead = |(k, item): (usize, &Item)| item.ended[4] as f64 - k as f64 * lasts as f64 / items as f64;
        let latest = history.0[..to.results].iter().enumerate().map(ahead).fold(f64::MIN, f64::max);
        Cycle { items, lasts, stays, latest, is_exact }
    }
}
