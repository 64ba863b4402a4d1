//! More at once than there is room for.

use std::thread;

use nbuffer_runtime::{DeviceError, Options};

use super::options;
use crate::models::{self, Work};
use crate::stream::Prepared;
use crate::{Problem, Runner, Sizes};

/// Twice as many lanes as the device has cores, and more host threads than this machine has: refused with a reason, or right.
pub(super) fn oversubscribed(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let device = (runner.open)()?;
    let cores = device.info().cores;
    let model = models::model(&runner.forms, Work::Power, 1, sizes.elements)?;
    if device.lanes(&model, cores) == 0 {
        return Err(format!("says that its {cores} cores carry no lane").into());
    }
    drop(device);
    let lanes = (2 * cores).min(16);
    let refused =
        |error: &DeviceError| matches!(error, DeviceError::Unsupported { .. } | DeviceError::Memory { .. });
    let prepared = match Prepared::new(runner, sizes, Work::Power, 1, lanes) {
        Ok(prepared) => prepared,
        Err(error) if error.downcast_ref().is_some_and(refused) => return Ok(()),
        Err(error) => return Err(format!("refuses {lanes} lanes as if something had failed: {error}").into()),
    };
    match prepared.lanes(lanes) {
        Ok(opened) => drop(opened),
        Err(error) if refused(&error) => return Ok(()),
        Err(error) => return Err(format!("refuses {lanes} lanes as if something had failed: {error}").into()),
    }
    let options = Options { host_threads: 8, ..options(2) };
    prepared.run(sizes.items * 4, lanes, &options)?;
    Ok(())
}

/// Two models of one device, each with a stream of its own, at the same time.
pub(super) fn two_pipelines(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let power = Prepared::new(runner, sizes, Work::Power, 1, 1)?;
    let copy = models::model(&runner.forms, Work::Copy, 1, sizes.elements)?;
    let copy = match power.device.prepare(&copy, 1) {
        Ok(program) => power.beside(program, Work::Copy),
        Err(error) => return Err(format!("takes no second model: {error}").into()),
    };
    // A device of one core may have no room for a second lane; then the two take turns.
    let both = power.lane(0).and_then(|first| copy.lane(0).map(|second| (first, second)));
    if let Err(DeviceError::Unsupported { .. } | DeviceError::Memory { .. }) = both.map(drop) {
        power.run(sizes.items, 1, &options(2))?;
        copy.run(sizes.items, 1, &options(2))?;
        return Ok(());
    }
    let (power, copy) = thread::scope(|scope| {
        let run = |prepared: &Prepared| {
            prepared
                .run(sizes.items * 2, 1, &options(2))
                .map(drop)
                .map_err(|why| format!("{:?}: {why}", prepared.work))
        };
        let copy = scope.spawn(move || run(&copy));
        (run(&power), copy.join())
    });
    power?;
    copy.map_err(|_| "the second stream panicked")??;
    Ok(())
}
