//! What goes wrong on a simulated device, and when: planned, and the same in every run.

use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The call fails. It costs its item alone and nothing moves.
    Fail,
    /// The call does not return, nor the submit complete, before the program is dropped. With a limit the
    /// lane is lost after that long.
    Hang {
        /// How long at most.
        limit: Option<Duration>,
    },
    /// The result comes later than the device's units account for.
    Late {
        /// By how much.
        by: Duration,
    },
    /// One byte of the result is inverted.
    Corrupt,
    /// The lane is lost from then on.
    Disappear {
        /// All lanes of the device are.
        device: bool,
    },
}

impl FaultKind {
    /// The names a profile gives the kinds.
    pub const NAMES: [&str; 5] = ["fail", "hang", "late", "corrupt", "disappear"];

    /// Its place in [`NAMES`](FaultKind::NAMES).
    pub(crate) fn index(&self) -> usize {
        match self {
            FaultKind::Fail => 0,
            FaultKind::Hang { .. } => 1,
            FaultKind::Late { .. } => 2,
            FaultKind::Corrupt => 3,
            FaultKind::Disappear { .. } => 4,
        }
    }

    /// The name a profile gives it.
    pub fn name(&self) -> &'static str {
        FaultKind::NAMES[self.index()]
    }
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Trigger {
    /// In this call of a lane, from 0. Calls that only flush count too: a device cannot tell them apart.
    Call(u64),
    /// In each call with this probability, decided by seed, lane and call alone.
    Probability {
        /// From 0 to 1.
        probability: f64,
        /// Repeats a run.
        seed: u64,
    },
}

/// One planned fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// On which lane; `None` is each of them.
    pub lane: Option<usize>,
    /// When.
    pub when: Trigger,
}

/// All that goes wrong. Where several faults meet in one call, the first in the file strikes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FaultPlan {
    faults: Vec<Fault>,
}

impl FaultPlan {
    /// These faults, in this order.
    pub fn new(faults: Vec<Fault>) -> Self {
        FaultPlan { faults }
    }

    /// Whether nothing is planned.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// What goes wrong in call `call` of lane `lane`.
    pub fn strikes(&self, lane: usize, call: u64) -> Option<FaultKind> {
        let strikes = |(index, fault): &(usize, &Fault)| {
            fault.lane.is_none_or(|l| l == lane)
                && match fault.when {
                    Trigger::Call(planned) => planned == call,
                    Trigger::Probability { probability, seed } => {
                        unit_interval(&[seed, *index as u64, lane as u64, call]) < probability
                    }
                }
        };
        self.faults.iter().enumerate().find(strikes).map(|(_, fault)| fault.kind)
    }
}

/// Which of `len` bytes a corrupted result has inverted; `None` where there is none.
pub(crate) fn corrupted_byte(lane: usize, call: u64, len: usize) -> Option<usize> {
    (len > 0).then(|| (mix(&[lane as u64, call]) % len as u64) as usize)
}

/// A number in [0, 1) that depends on `words` alone.
fn unit_interval(words: &[u64]) -> f64 {
    (mix(words) >> 11) as f64 / (1u64 << 53) as f64
}

/// Folds `words` through the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0, |state, word| {
        let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(fault: Fault) -> FaultPlan {
        FaultPlan::new(vec![fault])
    }

    #[test]
    fn a_planned_call_strikes_once_on_its_lane() {
        let plan = plan(Fault { kind: FaultKind::Fail, lane: Some(1), when: Trigger::Call(3) });
        let struck = (0..4).flat_map(|lane| (0..10).map(move |call| (lane, call)));
        let struck: Vec<_> = struck.filter(|&(lane, call)| plan.strikes(lane, call).is_some()).collect();
        assert_eq!(struck, [(1, 3)]);
    }

    #[test]
    fn a_probability_is_kept_and_repeats_by_seed() {
        let with_seed = |seed| {
            let when = Trigger::Probability { probability: 0.1, seed };
            let plan = plan(Fault { kind: FaultKind::Corrupt, lane: None, when });
            (0..20_000).filter(|&call| plan.strikes(0, call).is_some()).collect::<Vec<u64>>()
        };
        let struck = with_seed(7);
        assert!((1_850..2_150).contains(&struck.len()), "{} of 20000 calls", struck.len());
        assert_eq!(struck, with_seed(7));
        assert_ne!(struck, with_seed(8));
    }

    #[test]
    fn never_and_always() {
        for (probability, expected) in [(0.0, 0), (1.0, 1000)] {
            let when = Trigger::Probability { probability, seed: 1 };
            let plan = plan(Fault { kind: FaultKind::Fail, lane: None, when });
            assert_eq!((0..1000).filter(|&call| plan.strikes(0, call).is_some()).count(), expected);
        }
    }

    #[test]
    fn the_corrupted_byte_is_within_the_result() {
        assert_eq!(corrupted_byte(0, 0, 0), None);
        for call in 0..1000 {
            assert!(corrupted_byte(2, call, 7).is_some_and(|byte| byte < 7));
        }
    }
}
