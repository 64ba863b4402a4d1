//! Sizes that change during a stream: rings, the reorder window, host threads.

use super::config::{ConfigError, in_range};
use super::{HostThreads, LaneConfig, Schedule, Sets};

impl Schedule {
    /// Gives a lane's ring another size, at any moment.
    ///
    /// A larger ring takes surplus sets back and then adds new ones, numbered on from the last: whoever drives the
    /// schedule has buffers for sets `0..n` ready before this call. Sets of a smaller ring become
    /// [surplus](super::SetState::Surplus) as they come free, and their numbers stay valid. Nothing changes for a lost
    /// lane. The reorder window keeps its size; see [`grow_window`](Self::grow_window).
    ///
    /// # Errors
    ///
    /// A number that is 0 or beyond [`LIMIT`](super::LIMIT), or another layout than the ring has.
    ///
    /// # Panics
    ///
    /// If there is no such lane.
    pub fn resize(&mut self, lane: usize, sets: Sets) -> Result<(), ConfigError> {
        let ring = &mut self.rings[lane];
        LaneConfig { sets, lag: ring.lag }.validate()?;
        if ring.lost {
            return Ok(());
        }
        let free_before = ring.inputs().n_free();
        if !ring.resize(sets) {
            return Err(ConfigError::Layout { lane, from: ring.sets(), to: sets });
        }
        let (free, can_submit) = (ring.inputs().n_free(), ring.can_submit());
        if ring.listed && !can_submit {
            // It lost the free output it was to use.
            ring.listed = false;
            self.callable.retain(|&callable| callable != lane);
        }
        self.list_callable(lane);
        // The latest requests go first, so that no other lane's place in the line changes.
        self.fills.truncate(self.fills.len() - free_before.saturating_sub(free));
        for _ in free_before..free {
            self.request_fill();
        }
        Ok(())
    }

    /// From now on at least `places` items may lie between take and delivery. A window never shrinks: a smaller
    /// number changes nothing.
    ///
    /// # Errors
    ///
    /// A number that is 0 or beyond [`LIMIT`](super::LIMIT).
    pub fn grow_window(&mut self, places: usize) -> Result<(), ConfigError> {
        in_range("window places", places)?;
        self.window.grow(places);
        Ok(())
    }

    /// Changes how many host steps may run at once, at any moment. Steps that run beyond a smaller number run to
    /// their end.
    ///
    /// # Errors
    ///
    /// A number that is 0 or beyond [`LIMIT`](super::LIMIT).
    pub fn set_host_threads(&mut self, threads: HostThreads) -> Result<(), ConfigError> {
        threads.validate()?;
        self.host.set_threads(threads);
        Ok(())
    }
}
