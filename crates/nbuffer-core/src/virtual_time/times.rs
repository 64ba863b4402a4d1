//! How long each stage of each item takes.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, LogNormal};

use super::SetupError;
use crate::measure::{Nanos, Stage};
use crate::schedule::Sequence;

/// The five stage times of one item, in the order of [`Stage::ALL`].
pub type StageTimes = [Nanos; 5];

/// The longest stage time or pause a set-up may ask for: one hour. It keeps the clock of the longest stream far
/// from its end.
pub const LONGEST: Nanos = 3_600_000_000_000;

/// Where stage times come from. An item's times depend on its number alone, never on when or where it runs, so
/// that two set-ups of the same times see the same items.
#[derive(Clone, Debug, PartialEq)]
pub enum Times {
    /// The same for every item.
    Fixed(StageTimes),
    /// Drawn from a log-normal distribution for each stage.
    Drawn {
        /// Mean times.
        mean: StageTimes,
        /// Coefficients of variation: standard deviation over mean.
        cv: [f64; 5],
        /// What repeats the draw. Each stage has a stream of its own.
        seed: u64,
    },
    /// Item `k` takes what entry `k` says; after the last entry the first follows again.
    Replayed(Vec<StageTimes>),
    /// Times that change during the stream.
    Drifting {
        /// The times before the change.
        of: Box<Times>,
        /// The first item with changed times.
        from: Sequence,
        /// What each stage's time is multiplied by.
        factor: [f64; 5],
    },
}

impl Times {
    /// Times of one stage of one item.
    pub(super) fn sampler(&self) -> Result<Sampler, SetupError> {
        Ok(match self {
            Times::Fixed(times) => Sampler::Fixed(checked(*times)?),
            Times::Drawn { mean, cv, seed } => {
                checked(*mean)?;
                let mut stages = [const { None }; 5];
                for stage in Stage::ALL {
                    let i = stage as usize;
                    stages[i] = Draw::new(stage, mean[i], cv[i], *seed)?;
                }
                Sampler::Drawn(Box::new(stages))
            }
            Times::Replayed(times) if times.is_empty() => return Err(SetupError::NothingToReplay),
            Times::Replayed(times) => {
                for &times in times {
                    checked(times)?;
                }
                Sampler::Replayed(times.clone())
            }
            Times::Drifting { of, from, factor } => {
                for stage in Stage::ALL {
                    in_range("factor", stage, factor[stage as usize])?;
                }
                Sampler::Drifting { of: Box::new(of.sampler()?), from: *from, factor: *factor }
            }
        })
    }
}

fn checked(times: StageTimes) -> Result<StageTimes, SetupError> {
    match Stage::ALL.into_iter().find(|&stage| times[stage as usize] > LONGEST) {
        Some(stage) => Err(SetupError::TooLong { what: stage.name(), value: times[stage as usize] }),
        None => Ok(times),
    }
}

fn in_range(what: &'static str, stage: Stage, value: f64) -> Result<(), SetupError> {
    if (0.0..=1e6).contains(&value) { Ok(()) } else { Err(SetupError::Factor { what, stage, value }) }
}

/// One stage's stream of draws.
#[derive(Clone, Debug)]
pub(super) struct Draw {
    distribution: LogNormal<f64>,
    rng: ChaCha8Rng,
}

impl Draw {
    /// `None` for a stage that takes no time.
    fn new(stage: Stage, mean: Nanos, cv: f64, seed: u64) -> Result<Option<Self>, SetupError> {
        const WHAT: &str = "coefficient of variation";
        in_range(WHAT, stage, cv)?;
        if mean == 0 {
            return Ok(None);
        }
        let distribution = LogNormal::from_mean_cv(mean as f64, cv).map_err(|_| SetupError::Factor {
            what: WHAT,
            stage,
            value: cv,
        })?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stage as u64);
        Ok(Some(Draw { distribution, rng }))
    }

    fn next(&mut self) -> Nanos {
        rounded(self.distribution.sample(&mut self.rng))
    }
}

/// Gives each item its times, in the order of their numbers.
#[derive(Clone, Debug)]
pub(super) enum Sampler {
    Fixed(StageTimes),
    Drawn(Box<[Option<Draw>; 5]>),
    Replayed(Vec<StageTimes>),
    Drifting { of: Box<Sampler>, from: Sequence, factor: [f64; 5] },
}

impl Sampler {
    pub(super) fn next(&mut self, sequence: Sequence) -> StageTimes {
        match self {
            Sampler::Fixed(times) => *times,
            Sampler::Drawn(stages) => {
                std::array::from_fn(|i| stages[i].as_mut().map_or(0, |draw| draw.next()))
            }
            Sampler::Replayed(times) => times[(sequence % times.len() as u64) as usize],
            Sampler::Drifting { of, from, factor } => {
                let times = of.next(sequence);
                if sequence < *from {
                    return times;
                }
                std::array::from_fn(|i| rounded(times[i] as f64 * factor[i]))
            }
        }
    }
}

fn rounded(nanos: f64) -> Nanos {
    nanos.round().min(LONGEST as f64) as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_times_have_the_mean_and_the_variation_asked_for() {
        let (mean, cv) = ([0, 1_000, 20_000, 300, 5_000], [0.5, 0.0, 0.3, 1.0, 0.1]);
        let mut sampler = Times::Drawn { mean, cv, seed: 7 }.sampler().unwrap();
        let n = 200_000;
        let items: Vec<StageTimes> = (0..n).map(|k| sampler.next(k)).collect();
        for i in 0..5 {
            let times = || items.iter().map(|times| times[i] as f64);
            let sample_mean = times().sum::<f64>() / n as f64;
            let variance = times().map(|t| (t - sample_mean).powi(2)).sum::<f64>() / n as f64;
            let expected = if mean[i] == 0 { 0.0 } else { cv[i] };
            assert!((sample_mean - mean[i] as f64).abs() <= 0.01 * mean[i] as f64, "{sample_mean}");
            assert!((variance.sqrt() - expected * sample_mean).abs() <= 0.02 * sample_mean, "{variance}");
        }
    }

    #[test]
    fn one_stage_does_not_change_what_another_draws() {
        let draw = |cv: [f64; 5]| {
            let mut sampler = Times::Drawn { mean: [1_000; 5], cv, seed: 3 }.sampler().unwrap();
            (0..50).map(|k| sampler.next(k)).collect::<Vec<_>>()
        };
        let (a, b) = (draw([0.5; 5]), draw([0.5, 0.5, 0.1, 0.5, 0.5]));
        for (a, b) in a.iter().zip(&b) {
            assert_eq!((a[0], a[1], a[3], a[4]), (b[0], b[1], b[3], b[4]));
        }
        assert_ne!(a, b);
    }

    #[test]
    fn impossible_times_are_refused() {
        let says = |times: Times| times.sampler().unwrap_err().to_string();
        assert_eq!(
            says(Times::Fixed([0, 0, LONGEST + 1, 0, 0])),
            "kernel: 3600000000001 ns: a set-up takes at most 3600000000000 ns (one hour)"
        );
        assert_eq!(
            says(Times::Drawn { mean: [1; 5], cv: [0.0, -0.5, 0.0, 0.0, 0.0], seed: 0 }),
            "-0.5 as coefficient of variation of write: from 0 to 1000000 is possible"
        );
        assert_eq!(says(Times::Replayed(vec![])), "no stage times to replay: give at least one item's");
        let of = Box::new(Times::Fixed([1; 5]));
        assert_eq!(
            says(Times::Drifting { of, from: 3, factor: [1.0, 1.0, 1.0, 1.0, f64::NAN] }),
            "NaN as factor of postprocess: from 0 to 1000000 is possible"
        );
    }
}
