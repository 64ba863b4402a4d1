//! Who looks on while a simulation runs.

use crate::measure::{Nanos, Stage};
use crate::schedule::{Outcome, Sequence, Slot, Transit};
use crate::trace::{Interval, Span, Tracer, What};

/// A result handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The item.
    pub sequence: Sequence,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was handed out: handing out takes no time.
    pub at: Nanos,
}

/// Is told what happens in a simulation as it happens. `()` looks away.
pub trait Watch {
    /// A unit was busy. Told when the stage is over, so that ends never go back in time.
    fn span(&mut self, _span: Span) {}

    /// A result was handed out.
    fn delivered(&mut self, _delivery: Delivery) {}

    /// An item came from the source, which had been asked for it from `source.start` on.
    fn taken(&mut self, _sequence: Sequence, _source: Interval) {}

    /// A host step of an item began.
    fn host_begins(&mut self, _slot: Slot, _stage: Stage) {}

    /// An item was handed to its lane.
    fn call_begins(&mut self, _transit: Transit, _at: Nanos) {}

    /// A lane takes the next call. `submitted` is what the one before handed to it, unless that was a flush call.
    fn call_ends(&mut self, _lane: usize, _submitted: Option<Transit>, _call: Interval) {}

    /// The device has read an item's input for the last time.
    fn input_free(&mut self, _transit: Transit, _at: Nanos) {}

    /// An item's output is back with the host.
    fn landed(&mut self, _transit: Transit, _at: Nanos) {}

    /// A lane was lost.
    fn lane_lost(&mut self, _lane: usize, _at: Nanos) {}

    /// The stream was cancelled.
    fn cancelled(&mut self, _at: Nanos) {}

    /// So many items may lie between take and delivery from now on.
    fn window_grows(&mut self, _places: usize) {}
}

impl Watch for () {}

impl Watch for Tracer {
    fn span(&mut self, Span { stage, sequence, start, end, .. }: Span) {
        let time = Interval { start, end };
        match stage {
            Stage::Preprocess | Stage::Postprocess => self.host_ends(sequence, stage, time),
            Stage::Write | Stage::Kernel | Stage::Read => self.device_stage(sequence, stage, time),
        }
    }

    fn delivered(&mut self, Delivery { sequence, outcome, at }: Delivery) {
        if outcome == Outcome::Failed {
            self.moment(at, What::Failed { sequence, why: "planned".to_owned() });
        }
        Tracer::delivered(self, sequence, outcome, at);
    }

    fn taken(&mut self, sequence: Sequence, source: Interval) {
        Tracer::taken(self, sequence, source);
    }

    fn host_begins(&mut self, slot: Slot, stage: Stage) {
        Tracer::host_begins(self, slot, stage);
    }

    fn call_begins(&mut self, transit: Transit, at: Nanos) {
        Tracer::call_begins(self, transit, at);
    }

    fn call_ends(&mut self, lane: usize, submitted: Option<Transit>, call: Interval) {
        match submitted {
            Some(transit) => Tracer::call_ends(self, transit.sequence(), call.end),
            None => self.moment(call.start, What::Flush { lane, call }),
        }
    }

    fn input_free(&mut self, transit: Transit, at: Nanos) {
        Tracer::input_free(self, transit.sequence(), at);
    }

    fn landed(&mut self, transit: Transit, at: Nanos) {
        Tracer::landed(self, transit.sequence(), at);
    }

    fn lane_lost(&mut self, lane: usize, at: Nanos) {
        self.moment(at, What::LaneLost { lane, why: "planned".to_owned() });
    }

    fn cancelled(&mut self, at: Nanos) {
        self.moment(at, What::Cancelled);
    }

    fn window_grows(&mut self, places: usize) {
        self.grow(places);
    }
}

impl<W: Watch> Watch for &mut W {
    fn span(&mut self, span: Span) {
        W::span(self, span);
    }

    fn delivered(&mut self, delivery: Delivery) {
        W::delivered(self, delivery);
    }

    fn taken(&mut self, sequence: Sequence, source: Interval) {
        W::taken(self, sequence, source);
    }

    fn host_begins(&mut self, slot: Slot, stage: Stage) {
        W::host_begins(self, slot, stage);
    }

    fn call_begins(&mut self, transit: Transit, at: Nanos) {
        W::call_begins(self, transit, at);
    }

    fn call_ends(&mut self, lane: usize, submitted: Option<Transit>, call: Interval) {
        W::call_ends(self, lane, submitted, call);
    }

    fn input_free(&mut self, transit: Transit, at: Nanos) {
        W::input_free(self, transit, at);
    }

    fn landed(&mut self, transit: Transit, at: Nanos) {
        W::landed(self, transit, at);
    }

    fn lane_lost(&mut self, lane: usize, at: Nanos) {
        W::lane_lost(self, lane, at);
    }

    fn cancelled(&mut self, at: Nanos) {
        W::cancelled(self, at);
    }

    fn window_grows(&mut self, places: usize) {
        W::window_grows(self, places);
    }
}

/// Tells a closure every span.
#[derive(Clone, Debug)]
pub struct Spans<F>(pub F);

impl<F: FnMut(Span)> Watch for Spans<F> {
    fn span(&mut self, span: Span) {
        (self.0)(span);
    }
}

/// Keeps everything: for short streams.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The spans, in the order they ended.
    pub spans: Vec<Span>,
    /// The results, in the order they were handed out.
    pub deliveries: Vec<Delivery>,
}

impl Watch for Recording {
    fn span(&mut self, span: Span) {
        self.spans.push(span);
    }

    fn delivered(&mut self, delivery: Delivery) {
        self.deliveries.push(delivery);
    }
}
