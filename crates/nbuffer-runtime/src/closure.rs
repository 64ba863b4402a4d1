//! A lane that is a plain closure: N-way buffering for work that runs on the host's own cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::buffer::Memory;
use crate::device::DeviceError;
use crate::item_error::{BoxError, panic_message};
use crate::lane::{BlockingLane, Called, Flight, Lane, Spans};
use crate::pipeline::{HostStages, Options, Pipeline, Timing};

struct Closure<F>(F);

impl<I, O, F> BlockingLane<Option<I>, Option<O>> for Closure<F>
where
    I: Send,
    O: Send,
    F: FnMut(I) -> O + Send,
{
    fn cores(&self) -> usize {
        1
    }

    fn call(&mut self, flight: Option<Flight<Option<I>, Option<O>>>) -> Called<Option<I>, Option<O>> {
        let Some(mut flight) = flight else {
            return Called::NOTHING;
        };
        let input = flight.input.take().expect("a set is submitted after preprocess has filled it");
        match catch_unwind(AssertUnwindSafe(|| (self.0)(input))) {
            Ok(output) => {
                flight.output = Some(output);
                Called::landed(flight, Spans::default())
            }
            Err(panic) => Called::failed(flight, DeviceError::Panicked { message: panic_message(&*panic) }),
        }
    }
}

/// The buffer sets of a closure hold what goes in and what came out.
struct Nothing;

impl<I, O> Memory<Option<I>, Option<O>> for Nothing {
    fn input(&mut self) -> Result<Option<I>, DeviceError> {
        Ok(None)
    }

    fn output(&mut self) -> Result<Option<O>, DeviceError> {
        Ok(None)
    }
}

impl<I: Send + 'static, O: Send + 'static> Lane<Option<I>, Option<O>> {
    /// A lane that runs `work` on each input.
    pub fn closure(work: impl FnMut(I) -> O + Send + 'static) -> Self {
        Lane::blocking(Closure(work), Nothing)
    }
}

/// Host stages around closure lanes: `before` runs on a host thread ahead of the lane, `after` behind it.
#[derive(Debug)]
pub struct Around<T, I, O, P, Q> {
    before: P,
    after: Q,
    types: std::marker::PhantomData<fn(T, O) -> I>,
}

impl<T, I, O, P, Q> Around<T, I, O, P, Q> {
    /// Host stages that run `before` ahead of a closure lane and `after` behind it.
    pub fn new<R>(before: P, after: Q) -> Self
    where
        P: Fn(T) -> I,
        Q: Fn(O) -> R,
    {
        Around { before, after, types: std::marker::PhantomData }
    }
}

impl<T, I, O, R, P, Q> HostStages for Around<T, I, O, P, Q>
where
    T: Send + 'static,
    I: Send + 'static,
    O: Send + 'static,
    R: Send + 'static,
    P: Fn(T) -> I + Send + Sync + 'static,
    Q: Fn(O) -> R + Send + Sync + 'static,
{
    type Item = T;
    type InputSet = Option<I>;
    type OutputSet = Option<O>;
    type Carry = ();
    type Output = R;

    fn preprocess(&self, item: T, input: &mut Option<I>) -> Result<(), BoxError> {
        *input = Some((self.before)(item));
        Ok(())
    }

    fn postprocess(&self, (): (), output: &mut Option<O>) -> Result<R, BoxError> {
        Ok((self.after)(output.take().expect("a set lands after its closure has filled it")))
    }
}

/// Host stages that only move items in and results out.
pub type PassThrough<I, O> = Around<I, I, O, fn(I) -> I, fn(O) -> O>;

/// An iterator that is worked on by lanes, in order and in parallel.
pub trait BufferedMap: Iterator + Sized {
    /// Maps `work` over the items on `lanes` lanes side by side. Results come in order; a panic costs its own
    /// item and comes out as an error in its place.
    ///
    /// At most a few items per lane are on their way at any time, so an endless source is fine. Dropping the
    /// iterator early cancels what has not started and joins the threads.
    ///
    /// ```
    /// use nbuffer_runtime::BufferedMap;
    ///
    /// let lengths: Result<Vec<usize>, _> = ["a", "bb", "ccc"].into_iter().buffered_map(2, str::len).collect();
    /// assert_eq!(lengths.unwrap(), [1, 2, 3]);
    /// ```
    ///
    /// # Panics
    ///
    /// If `lanes` is 0 or beyond any machine, or no thread can be started.
    fn buffered_map<O, F>(self, lanes: usize, work: F) -> Pipeline<PassThrough<Self::Item, O>>
    where
        Self: Send + 'static,
        Self::Item: Send + 'static,
        O: Send + 'static,
        F: Fn(Self::Item) -> O + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        let lane = |_| {
            let work = Arc::clone(&work);
            Lane::closure(move |item| work(item))
        };
        let options = Options { timing: Timing::Sampled, ..Options::new(2, 1) };
        let stages = PassThrough::new(std::convert::identity, std::convert::identity);
        match Pipeline::start(self, stages, (0..lanes).map(lane).collect(), &options) {
            Ok(pipeline) => pipeline,
            Err(error) => panic!("buffered_map: {error}"),
        }
    }
}

impl<I: Iterator> BufferedMap for I {}
