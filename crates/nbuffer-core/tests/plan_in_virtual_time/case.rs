//! One set of parameters, as the plan sees it and as virtual time runs it, and random ones.

use nbuffer_core::measure::Nanos;
use nbuffer_core::plan::{Link, Overlap, Plan, Setting, StageTimes};
use nbuffer_core::schedule::{Config, Duplex, HostThreads, LaneConfig, Sets};
use nbuffer_core::virtual_time::{DeviceModel, Links, Setup, Source, Times};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A set of parameters. Times are whole ticks: nanoseconds in virtual time, and seconds in the plan, whose numbers
/// are then exact but for the last digits of a division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) times: [Nanos; 5],
    pub(crate) launch: Nanos,
    pub(crate) source: Nanos,
    pub(crate) lanes: usize,
    pub(crate) sets: Sets,
    pub(crate) threads: HostThreads,
    pub(crate) overlap: Overlap,
    pub(crate) link: Link,
}

impl Case {
    pub(crate) fn setting(&self) -> Setting {
        let [preprocess_s, write_s, kernel_s, read_s, postprocess_s] = self.times.map(|ticks| ticks as f64);
        let times = StageTimes { preprocess_s, write_s, kernel_s, read_s, postprocess_s, call_s: 0.0 };
        Setting {
            overlap: self.overlap,
            link: self.link,
            launch_s: self.launch as f64,
            source_s: self.source as f64,
            ..Setting::new(times, self.lanes, self.sets, self.threads)
        }
    }

    #[track_caller]
    pub(crate) fn plan(&self) -> Plan {
        Plan::new(&self.setting()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn setup(&self, items: u64) -> Setup {
        let device = match self.overlap {
            Overlap::None => DeviceModel::Blocking,
            Overlap::InLane => DeviceModel::Lockstep { call_cost: 0 },
            Overlap::Queued => DeviceModel::Queued,
        };
        let lane = LaneConfig { sets: self.sets, lag: device.lag() };
        Setup {
            links: Links { duplex: self.link.duplex, shared: self.link.shared },
            launch_overhead: self.launch,
            source: Source { interval: self.source, ..Source::of(items) },
            ..Setup::new(
                Config::new(vec![lane; self.lanes], self.threads),
                device,
                Times::Fixed(self.times),
                items,
            )
        }
    }

    pub(crate) fn with_sets(&self, sets: Sets) -> Case {
        Case { sets, ..*self }
    }

    /// The same with `more` sets beyond N*.
    pub(crate) fn beyond_enough(&self, more: usize) -> Case {
        self.with_sets(match self.plan().buffers.enough {
            Sets::Joint(n) => Sets::Joint(n + more),
            Sets::Split { inputs, outputs } => Sets::Split { inputs: inputs + more, outputs: outputs + more },
        })
    }
}

/// A source of random cases that always gives the same ones.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Dice(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        1 + self.below(most as u64) as usize
    }

    /// True once in `n` throws on average.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Stage times in one of the three ranges of the published simulations.
    pub(crate) fn times(&mut self) -> [Nanos; 5] {
        let most = [5, 20, 60][self.below(3) as usize];
        std::array::from_fn(|_| self.up_to(most) as Nanos)
    }

    pub(crate) fn sets(&mut self) -> Sets {
        if self.once_in(2) {
            Sets::Joint(self.up_to(8))
        } else {
            Sets::Split { inputs: self.up_to(8), outputs: self.up_to(8) }
        }
    }

    /// Queued lanes on a full-duplex link, and threads for each host stage.
    pub(crate) fn plain(&mut self) -> Case {
        Case {
            times: self.times(),
            launch: 0,
            source: 0,
            lanes: self.up_to(3),
            sets: self.sets(),
            threads: HostThreads::Split { preprocess: self.up_to(6), postprocess: self.up_to(6) },
            overlap: Overlap::Queued,
            link: Link { duplex: Duplex::Full, shared: self.once_in(2) },
        }
    }

    /// A case of which every server serves one stage only.
    pub(crate) fn dedicated(&mut self) -> Case {
        let mut case = self.plain();
        if self.once_in(4) {
            // A stage may take no time.
            case.times[self.below(5) as usize] = 0;
        }
        if self.once_in(4) {
            case.launch = self.up_to(9) as Nanos;
        }
        if self.once_in(6) {
            case.source = self.up_to(60) as Nanos;
        }
        if self.once_in(2) {
            self.make_calls(&mut case);
        }
        if self.once_in(3) {
            // As many threads as there can be items on the host.
            case.threads = HostThreads::Shared(case.lanes * case.sets.items_max() + self.below(3) as usize);
        }
        case
    }

    /// Lanes whose calls do write, kernel and read.
    fn make_calls(&mut self, case: &mut Case) {
        case.overlap = if self.once_in(2) { Overlap::None } else { Overlap::InLane };
        if case.overlap == Overlap::InLane {
            // Rings of up to three sets live on flush calls, whose missing stages take no time in virtual time (see
            // `DeviceModel::Lockstep`) and that of a dummy in the plan.
            case.sets = match case.sets {
                Sets::Joint(_) => Sets::Joint(3 + self.up_to(5)),
                Sets::Split { inputs, .. } => Sets::Split { inputs, outputs: 3 + self.up_to(5) },
            };
        }
        if self.once_in(2) {
            // A call moves its own data: no other lane's can get in its way on a link of its own.
            case.link = Link { duplex: Duplex::Half, shared: false };
        }
    }

    /// Threads for both host stages, of which there may be too few.
    pub(crate) fn shared_threads(&mut self) -> HostThreads {
        HostThreads::Shared(self.up_to(6))
    }
}
