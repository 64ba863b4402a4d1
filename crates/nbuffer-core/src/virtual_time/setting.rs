//! From what a plan is made for to what is simulated.

use super::{DeviceModel, Links, Setup, Source, Times};
use crate::measure::{Nanos, Stage};
use crate::plan::{Overlap, Setting, SettingError};
use crate::schedule::{Config, LaneConfig};

impl Setup {
    /// A stream of `items` through what a [`Plan`](crate::plan::Plan) is made for, with nothing going wrong.
    ///
    /// | the setting has | the set-up has |
    /// |---|---|
    /// | lanes that overlap `Queued`, `None`, `InLane` | devices that are `Queued`, `Blocking`, `Lockstep` |
    /// | cores that lanes compute on | as many seats, or one for each host thread if these are more |
    /// | a launch overhead | the same; where kernels wait for each other it counts as the kernel's |
    /// | a call longer than its stages | the rest as `call_cost` of a lockstep call; of a blocking one, as launch overhead, where it makes each call as much longer |
    /// | no coefficient of variation above 0 | fixed times |
    /// | some above 0 | times drawn log-normally with `seed`: an item's times depend on its number and the seed alone |
    /// | a source interval | the same, with no flush calls while the source pauses, as the plan has none |
    ///
    /// Times are rounded to whole nanoseconds. The limits of the setting limit nothing here.
    ///
    /// # Errors
    ///
    /// A value of the setting that is out of range, as a plan would refuse it.
    pub fn from_setting(setting: &Setting, items: u64, seed: u64) -> Result<Setup, SettingError> {
        setting.validate()?;
        let beside_s = (setting.times.call_s - setting.in_call_s()).max(0.0);
        let (device, launch_s) = match setting.overlap {
            Overlap::Queued => (DeviceModel::Queued, setting.launch_s),
            Overlap::None => (DeviceModel::Blocking, setting.launch_s + beside_s),
            Overlap::InLane => (DeviceModel::Lockstep { call_cost: nanos(beside_s) }, setting.launch_s),
        };
        let mean = Stage::ALL.map(|stage| nanos(setting.times.of(stage)));
        let cv = Stage::ALL.map(|stage| setting.cv.of(stage));
        let varies = cv.iter().any(|&cv| cv > 0.0);
        let times = if varies { Times::Drawn { mean, cv, seed } } else { Times::Fixed(mean) };
        let lane = LaneConfig { sets: setting.sets, lag: device.lag() };
        let schedule = Config::new(vec![lane; setting.lanes], setting.host_threads);
        Ok(Setup {
            links: Links { duplex: setting.link.duplex, shared: setting.link.shared },
            seats: setting.seats(),
            launch_overhead: nanos(launch_s),
            source: Source { interval: nanos(setting.source_s), ..Source::of(items) },
            ..Setup::new(schedule, device, times, items)
        })
    }
}

fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e9).round() as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Measures;
    use crate::plan::{Link, Plan, StageCv, StageTimes};
    use crate::schedule::{Duplex, HostThreads, Sets};
    use crate::virtual_time::Simulation;

    fn setting(overlap: Overlap) -> Setting {
        let times = StageTimes {
            preprocess_s: 0.001,
            write_s: 0.003,
            kernel_s: 0.004,
            read_s: 0.002,
            postprocess_s: 0.001,
            call_s: 0.0,
        };
        let setting =
            Setting::new(times, 1, Sets::Joint(8), HostThreads::Split { preprocess: 1, postprocess: 1 });
        Setting { overlap, ..setting }
    }

    fn simulated(setting: &Setting) -> Measures {
        let setup = Setup::from_setting(setting, 200, 3).unwrap();
        Simulation::new(&setup).unwrap().run().measures
    }

    #[track_caller]
    fn check_period(setting: Setting, period_s: f64) {
        assert!((Plan::new(&setting).unwrap().period_s() - period_s).abs() < 1e-12);
        let simulated_s = simulated(&setting).period().unwrap() / 1e9;
        // The first calls of a lockstep lane have less to do.
        assert!((simulated_s / period_s - 1.0).abs() < 0.002, "{simulated_s}, not {period_s}");
    }

    #[test]
    fn each_kind_of_lane_takes_the_time_its_plan_says() {
        check_period(setting(Overlap::Queued), 0.004);
        check_period(setting(Overlap::None), 0.009);
        check_period(setting(Overlap::InLane), 0.004);
        let half = Link { duplex: Duplex::Half, shared: true };
        check_period(Setting { link: half, ..setting(Overlap::InLane) }, 0.005);
    }

    #[test]
    fn launches_calls_and_the_source_cost_what_they_cost_in_a_plan() {
        for (overlap, period_s) in
            [(Overlap::Queued, 0.0045), (Overlap::None, 0.0095), (Overlap::InLane, 0.0045)]
        {
            check_period(Setting { launch_s: 0.0005, ..setting(overlap) }, period_s);
        }
        for overlap in [Overlap::None, Overlap::InLane] {
            let mut with_call = setting(overlap);
            with_call.times.call_s = 0.012;
            check_period(with_call, 0.012);
            with_call.launch_s = 0.001;
            check_period(with_call, 0.012);
        }
        check_period(Setting { source_s: 0.02, ..setting(Overlap::Queued) }, 0.02);
    }

    #[test]
    fn calls_and_host_threads_share_cores_as_they_do_in_the_plan() {
        let sets = Sets::Split { inputs: 1, outputs: 1 };
        let on_cores = Setting {
            lanes: 2,
            cores: Some(2),
            sets,
            host_threads: HostThreads::Shared(2),
            ..setting(Overlap::None)
        };
        check_period(on_cores, 0.0055);
        let refused = Plan::new(&Setting { overlap: Overlap::Queued, ..on_cores }).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "2 cores for lanes that are queued: only calls of a lane that blocks compute on the host's cores"
        );
    }

    #[test]
    fn times_vary_as_they_do_in_the_setting() {
        let setting =
            Setting { cv: StageCv { kernel: 0.5, ..StageCv::default() }, ..setting(Overlap::Queued) };
        let tallies = simulated(&setting).tallies();
        let cv = Stage::ALL.map(|stage| tallies.of(stage).cv());
        assert!((cv[Stage::Kernel as usize] - 0.5).abs() < 0.1, "{cv:?}");
        assert!(cv[Stage::Write as usize] < 1e-6, "{cv:?}");
        let seeds = [3, 3, 4].map(|seed| Setup::from_setting(&setting, 9, seed).unwrap());
        assert!(seeds[0] == seeds[1] && seeds[1] != seeds[2]);
    }

    #[test]
    fn what_no_plan_is_made_for_is_not_simulated() {
        let mut bad = setting(Overlap::Queued);
        bad.times.kernel_s = f64::NAN;
        let (refused, planned) = (Setup::from_setting(&bad, 1, 0), Plan::new(&bad));
        assert_eq!(refused.unwrap_err().to_string(), planned.unwrap_err().to_string());
    }
}
