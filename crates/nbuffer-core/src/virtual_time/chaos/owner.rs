//! Who holds buffer sets, found out from what the simulation is doing.

use super::super::{Simulation, Watch};
use crate::measure::Stage;
use crate::schedule::{Slot, Transit};

/// Somebody who holds sets of a lane.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Preprocess(Slot),
    Device { transit: Transit, reads_input: bool },
    Postprocess(Slot),
}

/// Everybody who holds sets of a lane.
pub(super) fn owners<W: Watch>(simulation: &Simulation<W>, lane: usize) -> Vec<Owner> {
    let steps = simulation.threads.running().filter(|step| step.slot.lane() == lane);
    let hosts = steps.map(|step| match step.stage {
        Stage::Postprocess => Owner::Postprocess(step.slot),
        _ => Owner::Preprocess(step.slot),
    });
    let mut owners: Vec<Owner> = hosts.collect();
    let state = &simulation.lanes[lane];
    if state.is_lost() {
        return owners;
    }
    if state.is_lockstep() {
        let inside = state.inside();
        owners.extend(inside.map(|(transit, reads_input)| Owner::Device { transit, reads_input }));
        return owners;
    }
    let jobs = simulation.servers.iter().flat_map(|server| server.jobs());
    let jobs = jobs.filter(|job| job.transit.lane() == lane);
    owners.extend(jobs.map(|job| {
        let reads_input = job.stage != Stage::Read || !state.is_queued();
        Owner::Device { transit: job.transit, reads_input }
    }));
    owners
}
