//! Who looks on while a simulation runs.

use crate::measure::Nanos;
use crate::schedule::{Outcome, Sequence};
use crate::trace::Span;

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
}

impl Watch for () {}

impl<W: Watch> Watch for &mut W {
    fn span(&mut self, span: Span) {
        W::span(self, span);
    }

    fn delivered(&mut self, delivery: Delivery) {
        W::delivered(self, delivery);
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
