//! Why a run was slower, or faster, than its plan.

use super::{Plan, Time};

/// A measured period this close to the planned one is as planned.
const CLOSE: f64 = 0.02;

/// A machine whose cores are at work for more than this share has none left for what no stage accounts for.
const CORES_FULL: f64 = 0.9;

impl Plan {
    /// Why a run that measured these stage times did not run at the planned period, as far as the plan can tell; `None`
    /// when it did, within 2 %. `cores` are those of the machine, and `computing` those of them that lanes compute on.
    pub fn likely_cause(&self, measured_period_s: f64, cores: usize, computing: f64) -> Option<String> {
        let planned_s = self.period_s();
        let difference = measured_period_s / planned_s - 1.0;
        if difference.abs() <= CLOSE {
            return None;
        }
        if difference < 0.0 {
            return Some("stages that compete for cores take longer by the clock than they work".to_owned());
        }
        let need = &self.buffers;
        let sets = self.setting.sets;
        let has_spare = sets.inputs() >= need.advised.inputs() && sets.outputs() >= need.advised.outputs();
        if need.spare.jitter > 0 && !has_spare {
            return Some("stage times vary, and there are no spare buffer sets against it".to_owned());
        }
        if !need.spare.jitter_covered {
            return Some(
                "stage times vary more than any small number of buffer sets can make up for".to_owned(),
            );
        }
        if need.spare.shared > 0 && !has_spare {
            return Some(
                "stages that share a resource get in each other's way without spare buffer sets".to_owned(),
            );
        }
        let at_work = self.cores_busy() * planned_s / measured_period_s + computing;
        if at_work > CORES_FULL * cores as f64 {
            return Some(format!("the {cores} cores of this machine are at work all the time"));
        }
        Some(format!(
            "{} an item that no stage accounts for: hand-offs, wake-ups, or a machine busy with other work",
            Time(measured_period_s - planned_s)
        ))
    }
}
