//! What one chaos stream is made of, and what changes while it runs.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::super::{DeviceModel, Fault, Links, Setup, Simulation, Source, Times, Watch};
use crate::measure::{Nanos, Stage};
use crate::schedule::{
    Config, ConfigError, Duplex, Flush, HostThreads, LaneChoice, LaneConfig, Order, Retry, Sets,
};

/// The longest mean stage time: times are short, so that many things happen at one time.
const STAGE_MAX: Nanos = 12;

pub(super) struct Case {
    dice: Dice,
    pub(super) setup: Setup,
    /// Sizes change in one of so many steps; 0 is never.
    change_one_in: u64,
}

impl Case {
    /// The case number `stream` of a seed.
    pub(super) fn draw(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let mut dice = Dice(rng);
        let setup = dice.setup();
        let change_one_in = if dice.one_in(2) { 0 } else { 1 + dice.below(50) };
        Case { dice, setup, change_one_in }
    }

    /// Perhaps changes a size, as something that watches the run might. Whether it did.
    pub(super) fn change<W: Watch>(&mut self, simulation: &mut Simulation<W>) -> Result<bool, ConfigError> {
        if !self.dice.one_in(self.change_one_in) {
            return Ok(false);
        }
        match self.dice.below(4) {
            0 => simulation.grow_window(1 + self.dice.below(60) as usize)?,
            1 => simulation.set_host_threads(self.dice.host_threads())?,
            _ => {
                let lane = self.dice.below(self.setup.devices.len() as u64) as usize;
                let sets = match simulation.schedule().sets(lane) {
                    Sets::Joint(_) => Sets::Joint(self.dice.size()),
                    Sets::Split { .. } => Sets::Split { inputs: self.dice.size(), outputs: self.dice.size() },
                };
                simulation.resize(lane, sets)?;
            }
        }
        Ok(true)
    }
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    /// True once in `n` times on average; never for 0.
    fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// A number of sets or threads.
    fn size(&mut self) -> usize {
        1 + self.below(8) as usize
    }

    fn sets(&mut self) -> Sets {
        if self.one_in(2) {
            return Sets::Joint(self.size());
        }
        Sets::Split { inputs: self.size(), outputs: self.size() }
    }

    fn host_threads(&mut self) -> HostThreads {
        if self.one_in(2) {
            return HostThreads::Shared(self.size());
        }
        HostThreads::Split { preprocess: self.size(), postprocess: self.size() }
    }

    fn setup(&mut self) -> Setup {
        let items = match self.below(8) {
            0 => self.below(4),
            1..5 => self.below(100),
            _ => self.below(3_000),
        };
        let devices: Vec<DeviceModel> = (0..1 + self.below(4)).map(|_| self.device()).collect();
        let lanes =
            devices.iter().map(|device| LaneConfig { sets: self.sets(), lag: device.lag() }).collect();
        let mut config = Config::new(lanes, self.host_threads());
        if self.one_in(2) {
            config.window = 1 + self.below(40) as usize;
        }
        config.order = self.pick(&[Order::InOrder, Order::Completed]);
        config.lane_choice = self.pick(&[LaneChoice::LeastLoaded, LaneChoice::RoundRobin]);
        config.flush = self.pick(&[Flush::AtEnd, Flush::AtEndOrIdle]);
        config.retry = self.pick(&[Retry::Never, Retry::OtherLane]);
        let duplex = self.pick(&[Duplex::Full, Duplex::Half]);
        let source = Source {
            items,
            interval: if self.one_in(2) { 0 } else { self.below(STAGE_MAX) },
            idle_after: if self.one_in(2) { None } else { Some(self.below(50)) },
        };
        let seats = if self.one_in(4) { Some(1 + self.below(4) as usize) } else { None };
        Setup {
            schedule: config,
            links: Links { duplex, shared: self.one_in(2) },
            seats,
            launch_overhead: self.below(3),
            times: self.times(items),
            faults: self.faults(items, devices.len()),
            source,
            devices,
        }
    }

    fn device(&mut self) -> DeviceModel {
        let call_cost = self.below(4);
        self.pick(&[DeviceModel::Queued, DeviceModel::Blocking, DeviceModel::Lockstep { call_cost }])
    }

    fn times(&mut self, items: u64) -> Times {
        let mut stages = || std::array::from_fn(|_| self.below(STAGE_MAX + 1));
        let (fixed, others) = (stages(), stages());
        match self.below(4) {
            0 => Times::Fixed(fixed),
            1 => Times::Replayed(vec![fixed, others, fixed]),
            2 => Times::Drawn { mean: fixed, cv: self.pick(&[[0.3; 5], [1.0; 5]]), seed: self.0.next_u64() },
            _ => Times::Drifting {
                of: Box::new(Times::Fixed(fixed)),
                from: self.below(items + 1),
                factor: others.map(|factor| factor as f64 / 4.0),
            },
        }
    }

    fn faults(&mut self, items: u64, lanes: usize) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.one_in(2) {
            for _ in 0..self.below(1 + items / 4) {
                let stage = self.pick(&[Stage::Preprocess, Stage::Kernel, Stage::Postprocess]);
                faults.push(Fault::Stage(stage, self.below(items)));
            }
        }
        for _ in 0..self.pick(&[0, 0, 1, 3]) {
            faults.push(Fault::Stall { before: self.below(items + 1), lasts: self.below(1_000) });
        }
        // About as long as the stream may take.
        let length = 1 + items * 2 * STAGE_MAX;
        if self.one_in(4) {
            for _ in 0..1 + self.below(lanes as u64) {
                let lane = self.below(lanes as u64) as usize;
                faults.push(Fault::LaneLost { lane, at: self.below(length) });
            }
        }
        if self.one_in(8) {
            faults.push(Fault::Cancel { at: self.below(length) });
        }
        faults
    }
}
