//! The device's clock, told in the host's time.
//!
//! A driver's events know only how long they are apart, in milliseconds as a 32-bit float: after a quarter of a minute that
//! is coarser than a microsecond, after an hour a quarter of a millisecond. So there is a [`Reference`], an event whose
//! host time is known, and a new one every two seconds. That also keeps the two clocks from drifting apart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::driver::{Context, Event, Failure, Stream};

/// How long a reference serves.
const RENEWED_AFTER: Duration = Duration::from_secs(2);

/// How long a try may take: an idle stream reaches an event in a few microseconds. One that shares a hardware queue
/// with a long kernel does not, and then the old reference serves on.
const PATIENCE: Duration = Duration::from_micros(200);

/// An event that was reached at a known time of the host.
#[derive(Debug)]
pub(crate) struct Reference {
    event: Event,
    at: Instant,
}

impl Reference {
    /// When `event`, which was recorded after this reference, was reached.
    pub(crate) fn time_of(&self, event: &Event) -> Result<Instant, Failure> {
        let seconds = event.seconds_since(&self.event)?;
        Ok(self.at + Duration::from_secs_f64(seconds.max(0.0)))
    }
}

/// Keeps a reference that is not too old.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Only references are recorded here.
    stream: Stream,
    reference: Arc<Reference>,
    tried_at: Instant,
}

impl Clock {
    pub(crate) fn new(context: &Arc<Context>) -> Result<Self, Failure> {
        let stream = Stream::new(context)?;
        // The first look may have to wake the device up; the shortest of a few is closest.
        let mut best = None;
        for _ in 0..4 {
            if let Some(look) = look(&stream, PATIENCE)?
                && best.as_ref().is_none_or(|best: &Look| look.width < best.width)
            {
                best = Some(look);
            }
        }
        let reference = match best {
            Some(look) => look.reference,
            // Others keep the device busy.
            None => {
                let event = Event::timed(context)?;
                event.record(&stream)?;
                event.wait()?;
                Reference { event, at: Instant::now() }
            }
        };
        Ok(Clock { stream, reference: Arc::new(reference), tried_at: Instant::now() })
    }

    /// The reference for what is about to be given to the device.
    pub(crate) fn reference(&mut self) -> Result<&Arc<Reference>, Failure> {
        if self.tried_at.elapsed() > RENEWED_AFTER {
            self.tried_at = Instant::now();
            if let Some(look) = look(&self.stream, PATIENCE)? {
                self.reference = Arc::new(look.reference);
            }
        }
        Ok(&self.reference)
    }
}

/// One try that the device got to in time.
struct Look {
    reference: Reference,
    /// How far apart the host times are between which the device was there.
    width: Duration,
}

fn look(stream: &Stream, patience: Duration) -> Result<Option<Look>, Failure> {
    let event = Event::timed(stream.context())?;
    let before = Instant::now();
    event.record(stream)?;
    loop {
        let is_reached = event.is_reached()?;
        let width = before.elapsed();
        if width > patience {
            return Ok(None);
        }
        if is_reached {
            return Ok(Some(Look { reference: Reference { event, at: before + width / 2 }, width }));
        }
        std::hint::spin_loop();
    }
}
