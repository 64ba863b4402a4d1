//! What a run ran on: its lanes, the devices they belong to, the links between these and the host.

use super::Unit;
use crate::measure::Stage;
use crate::schedule::{Duplex, LaneConfig, Sets};

/// What a run ran on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The devices by name.
    pub devices: Vec<String>,
    /// The lanes by number. Each is one compute unit.
    pub lanes: Vec<LanePlace>,
    /// Host threads as the run began.
    pub host_threads: usize,
}

/// Where a lane is, and what it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanePlace {
    /// Its device, as an index into [`Topology::devices`].
    pub device: usize,
    /// The number of its link. Lanes with the same number share it.
    pub link: usize,
    /// Whether both directions of its link go at once.
    pub duplex: Duplex,
    /// By how many calls its results come late.
    pub lag: usize,
    /// Whether a call of it returns only when the device is done.
    pub blocking: bool,
    /// Its buffer sets as the run began.
    pub sets: Sets,
}

impl Topology {
    /// Lanes of one device, each with a full-duplex link of its own.
    pub fn new(device: impl Into<String>, lanes: &[LaneConfig], host_threads: usize) -> Self {
        let place = |(link, lane): (usize, &LaneConfig)| LanePlace {
            device: 0,
            link,
            duplex: Duplex::Full,
            lag: lane.lag,
            blocking: lane.lag > 0,
            sets: lane.sets,
        };
        let lanes = lanes.iter().enumerate().map(place).collect();
        Topology { devices: vec![device.into()], lanes, host_threads }
    }

    /// Where a device stage of a lane runs. Host stages have no place of their own: any host thread takes them.
    pub(super) fn unit(&self, lane: usize, stage: Stage) -> Unit {
        let LanePlace { link, duplex, .. } = self.lanes[lane];
        match (stage, duplex) {
            (Stage::Write, Duplex::Full) => Unit::LinkIn(link),
            (Stage::Read, Duplex::Full) => Unit::LinkOut(link),
            (Stage::Write | Stage::Read, Duplex::Half) => Unit::Link(link),
            _ => Unit::Kernel(lane),
        }
    }
}
