//! Drives a schedule without time, and checks every promise after every step.

use std::collections::{HashMap, HashSet, VecDeque};

use nbuffer_core::schedule::*;

/// What is running and will be reported at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Running {
    Take,
    Preprocess(Slot),
    /// A call that occupies its lane, with what it submitted; a flush call submits nothing.
    Call(usize, Option<Transit>),
    /// An item with a queued device.
    Queued(Transit),
    Postprocess(Slot),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Well,
    Fails,
    LaneDies,
}

/// A driver without time: it decides in which order running work ends, and how.
#[derive(Clone)]
pub(crate) struct Driver {
    pub(crate) config: Config,
    pub(crate) queued: bool,
    pub(crate) schedule: Schedule,
    pub(crate) running: Vec<Running>,
    /// What sits inside each lane with lag, oldest first.
    pub(crate) inside: Vec<VecDeque<Transit>>,
    /// Items with a device whose input is reported free.
    pub(crate) input_free: Vec<u64>,
    pub(crate) items_left: u64,
    pub(crate) taken: u64,
    pub(crate) delivered: Vec<(u64, Outcome)>,
    pub(crate) ends: HashMap<u64, Outcome>,
    pub(crate) cancelled: bool,
    /// Items that failed by themselves, not with their lane.
    pub(crate) own_failures: u64,
    pub(crate) lost: Vec<bool>,
    /// Sets in use and host steps at the last check: what a smaller size may not have grown beyond.
    pub(crate) in_use: Vec<[usize; 2]>,
    pub(crate) host_steps: [usize; 2],
}

impl Driver {
    pub(crate) fn new(config: Config, queued: bool, items: u64) -> Self {
        let lanes = config.lanes.len();
        Driver {
            schedule: Schedule::new(config.clone()).expect("the configuration is valid"),
            queued,
            running: Vec::new(),
            inside: vec![VecDeque::new(); lanes],
            input_free: Vec::new(),
            items_left: items,
            taken: 0,
            delivered: Vec::new(),
            ends: HashMap::new(),
            cancelled: false,
            own_failures: 0,
            lost: vec![false; lanes],
            in_use: vec![[0; 2]; lanes],
            host_steps: [0; 2],
            config,
        }
    }

    /// Asks for one command and begins it. False when there was none.
    pub(crate) fn start(&mut self) -> bool {
        let had_work = self.schedule.has_work();
        let command = self.schedule.next();
        assert_eq!(command.is_some(), had_work, "has_work() and next() differ: {command:?}");
        let Some(command) = command else {
            return false;
        };
        let running = match command {
            Command::Take => Running::Take,
            Command::Preprocess(slot) => {
                // It may have been with a lane that was lost.
                self.input_free.retain(|&sequence| sequence != slot.sequence());
                Running::Preprocess(slot)
            }
            Command::Submit(transit) if self.queued => {
                self.schedule.report(Event::CallReturned(transit.lane()));
                Running::Queued(transit)
            }
            Command::Submit(transit) => Running::Call(transit.lane(), Some(transit)),
            Command::Flush(lane) => {
                assert!(!self.inside[lane].is_empty(), "a flush call on an empty lane");
                Running::Call(lane, None)
            }
            Command::Postprocess(slot) => Running::Postprocess(slot),
        };
        self.running.push(running);
        self.check();
        true
    }

    /// Ends the running work number `i`.
    pub(crate) fn finish(&mut self, i: usize, how: How) {
        let step = if how == How::Fails { Step::Failed } else { Step::Done };
        match self.running.remove(i) {
            Running::Take if self.items_left == 0 => self.schedule.report(Event::SourceEnded),
            Running::Take => {
                self.items_left -= 1;
                self.taken += u64::from(self.schedule.is_asking());
                self.schedule.report(Event::Taken);
            }
            Running::Preprocess(slot) => {
                self.own_failures += u64::from(how == How::Fails);
                self.schedule.report(Event::Preprocessed(slot, step));
            }
            Running::Postprocess(slot) => {
                self.own_failures += u64::from(how == How::Fails);
                self.schedule.report(Event::Postprocessed(slot, step));
            }
            Running::Queued(transit) => match how {
                How::Well => self.come_back(transit, Event::Landed),
                How::Fails => self.call_fails(transit),
                How::LaneDies => self.lose(transit.lane()),
            },
            Running::Call(lane, submitted) => match (how, submitted) {
                (How::LaneDies, _) => self.lose(lane),
                (How::Fails, Some(transit)) => {
                    self.call_fails(transit);
                    self.schedule.report(Event::CallReturned(lane));
                }
                (_, submitted) => {
                    self.inside[lane].extend(submitted);
                    // A flush call moves everything one place on. Which flush call brings a result does not
                    // matter to the schedule, so the oldest comes out at once.
                    if submitted.is_none() || self.inside[lane].len() > self.config.lanes[lane].lag {
                        let transit = self.inside[lane].pop_front().expect("something is inside");
                        self.come_back(transit, Event::Landed);
                    }
                    self.schedule.report(Event::CallReturned(lane));
                }
            },
        }
        self.check();
    }

    fn call_fails(&mut self, transit: Transit) {
        self.own_failures += 1;
        self.come_back(transit, Event::CallFailed);
    }

    pub(crate) fn come_back(&mut self, transit: Transit, how: impl Fn(Transit) -> Event) {
        self.input_free.retain(|&sequence| sequence != transit.sequence());
        self.schedule.report(how(transit));
    }

    /// What the devices hold.
    pub(crate) fn in_flight(&self) -> Vec<Transit> {
        let running = self.running.iter().filter_map(|running| match running {
            Running::Call(_, Some(transit)) | Running::Queued(transit) => Some(transit),
            _ => None,
        });
        running.chain(self.inside.iter().flatten()).copied().collect()
    }

    /// The device has read this input.
    pub(crate) fn free_input(&mut self, transit: Transit) {
        self.input_free.push(transit.sequence());
        self.schedule.report(Event::InputFree(transit));
        self.check();
    }

    pub(crate) fn lose(&mut self, lane: usize) {
        self.schedule.report(Event::LaneLost(lane));
        self.lost[lane] = true;
        self.inside[lane].clear();
        self.running.retain(|running| match running {
            Running::Call(l, _) => *l != lane,
            Running::Queued(transit) => transit.lane() != lane,
            _ => true,
        });
    }

    pub(crate) fn deliver(&mut self) -> bool {
        let could = self.schedule.can_deliver();
        let delivered = self.schedule.deliver();
        assert_eq!(delivered.is_some(), could, "can_deliver() and deliver() differ");
        let Some((sequence, outcome)) = delivered else {
            return false;
        };
        if self.config.order == Order::InOrder {
            assert_eq!(sequence, self.delivered.len() as u64, "out of order");
        }
        assert!(self.ends.insert(sequence, outcome).is_none(), "item {sequence} was delivered twice");
        self.delivered.push((sequence, outcome));
        self.check();
        true
    }

    pub(crate) fn resize(&mut self, lane: usize, sets: Sets) {
        self.schedule.resize(lane, sets).expect("the layout is that of the ring");
        if !self.lost[lane] {
            assert_eq!(self.schedule.sets(lane), sets);
            self.config.lanes[lane].sets = sets;
        }
        self.check();
    }

    pub(crate) fn set_host_threads(&mut self, threads: HostThreads) {
        self.schedule.set_host_threads(threads).expect("the counts are in range");
        self.config.host_threads = threads;
        self.check();
    }

    pub(crate) fn grow_window(&mut self, places: usize) {
        self.schedule.grow_window(places).expect("the count is in range");
        self.config.window = self.config.window.max(places);
        self.check();
    }

    /// Everything that must hold between any two events.
    pub(crate) fn check(&mut self) {
        let totals = self.schedule.totals();
        assert_eq!(totals.taken, self.taken);
        assert!(totals.ended() <= totals.taken);
        assert_eq!(self.schedule.undelivered(), totals.ended() - self.delivered.len() as u64);
        let between = totals.taken - self.delivered.len() as u64;
        assert_eq!(self.schedule.window(), self.config.window);
        assert!(between <= self.config.window as u64, "{between} items are in the window");

        let runs = |what: &dyn Fn(&Running) -> bool| self.running.iter().filter(|r| what(r)).count();
        assert!(runs(&|r| *r == Running::Take) <= 1, "two takes at once");
        let steps =
            [runs(&|r| matches!(r, Running::Preprocess(_))), runs(&|r| matches!(r, Running::Postprocess(_)))];
        assert_eq!(steps[0] + steps[1], self.schedule.host_busy());
        // A step that began before there were fewer threads may still run.
        let before = self.host_steps;
        match self.config.host_threads {
            HostThreads::Shared(c) => {
                assert!(steps[0] + steps[1] <= c.max(before[0] + before[1]), "{steps:?} host steps at once");
            }
            HostThreads::Split { preprocess, postprocess } => {
                assert!(steps[0] <= preprocess.max(before[0]), "{steps:?} host steps at once");
                assert!(steps[1] <= postprocess.max(before[1]), "{steps:?} host steps at once");
            }
        }
        self.host_steps = steps;

        for lane in 0..self.config.lanes.len() {
            let calls =
                self.running.iter().filter(|r| matches!(r, Running::Call(l, _) if *l == lane)).count();
            assert!(calls <= 1, "two calls at once");
            self.check_sizes(lane);
        }
        self.check_owners();
    }

    /// No ring uses more sets than it has, but for those it had before it became smaller.
    pub(crate) fn check_sizes(&mut self, lane: usize) {
        let in_use = |states: &[SetState]| states.iter().filter(|s| **s != SetState::Surplus).count();
        let now = [in_use(self.schedule.inputs(lane)), in_use(self.schedule.outputs(lane))];
        let size = match self.config.lanes[lane].sets {
            Sets::Joint(n) => [n; 2],
            Sets::Split { inputs, outputs } => [inputs, outputs],
        };
        let before = std::mem::replace(&mut self.in_use[lane], now);
        if self.lost[lane] {
            return;
        }
        for side in 0..2 {
            assert!(now[side] >= size[side], "lane {lane} has {now:?} sets of {size:?}");
            assert!(now[side] <= size[side].max(before[side]), "lane {lane} has {now:?} sets of {size:?}");
        }
    }

    /// Every set has one owner: its state and what runs agree, both ways, and no item sits in two sets of a kind.
    pub(crate) fn check_owners(&self) {
        let in_flight = self.in_flight();
        let (mut in_inputs, mut in_outputs) = (HashSet::new(), HashSet::new());
        for lane in 0..self.config.lanes.len() {
            let is_split = matches!(self.config.lanes[lane].sets, Sets::Split { .. });
            let holds_input = |t: &Transit, set| t.input() == set && !self.input_free.contains(&t.sequence());
            for (set, state) in self.schedule.inputs(lane).iter().enumerate() {
                let owners = |s| {
                    let holds = |t: &&Transit| {
                        (t.lane(), t.sequence()) == (lane, s)
                            && if is_split { holds_input(t, set) } else { t.input() == set }
                    };
                    in_flight.iter().filter(holds).count()
                };
                self.check_set(lane, set, *state, owners, &mut in_inputs);
                let is_outputs_only = matches!(state, SetState::Landed(_) | SetState::Postprocessing(_));
                assert!(!(is_split && is_outputs_only), "input set {set} of lane {lane} is {state:?}");
            }
            if !is_split {
                assert_eq!(self.schedule.inputs(lane), self.schedule.outputs(lane));
                continue;
            }
            for (set, state) in self.schedule.outputs(lane).iter().enumerate() {
                let owners = |s| {
                    in_flight
                        .iter()
                        .filter(|t| (t.lane(), t.output(), t.sequence()) == (lane, set, s))
                        .count()
                };
                self.check_set(lane, set, *state, owners, &mut in_outputs);
                let is_inputs_only = matches!(state, SetState::Preprocessing(_) | SetState::Ready(_));
                assert!(!is_inputs_only, "output set {set} of lane {lane} is {state:?}");
            }
        }
        for running in &self.running {
            let (states, set, state) = match *running {
                Running::Preprocess(slot) => {
                    let state = SetState::Preprocessing(slot.sequence());
                    (self.schedule.inputs(slot.lane()), slot.set(), state)
                }
                Running::Postprocess(slot) => {
                    let state = SetState::Postprocessing(slot.sequence());
                    (self.schedule.outputs(slot.lane()), slot.set(), state)
                }
                _ => continue,
            };
            assert_eq!(states[set], state, "{running:?}");
        }
        for transit in in_flight {
            let state = self.schedule.outputs(transit.lane())[transit.output()];
            assert_eq!(state, SetState::InFlight(transit.sequence()), "{transit:?}");
        }
    }

    pub(crate) fn check_set(
        &self,
        lane: usize,
        set: usize,
        state: SetState,
        devices: impl Fn(u64) -> usize,
        seen: &mut HashSet<u64>,
    ) {
        let slot = |sequence| Slot::new(lane, set, sequence);
        let runs = |what| self.running.iter().filter(|running| **running == what).count();
        let (sequence, owners) = match state {
            SetState::Free | SetState::Surplus | SetState::Retired => return,
            SetState::Preprocessing(s) => (s, runs(Running::Preprocess(slot(s)))),
            SetState::Postprocessing(s) => (s, runs(Running::Postprocess(slot(s)))),
            SetState::InFlight(s) => (s, devices(s)),
            // In the ring, with nobody else.
            SetState::Ready(s) | SetState::Landed(s) => {
                let host = runs(Running::Preprocess(slot(s))) + runs(Running::Postprocess(slot(s)));
                (s, 1 + host + devices(s))
            }
        };
        assert_eq!(owners, 1, "set {set} of lane {lane} is {state:?} and has {owners} owners");
        assert!(seen.insert(sequence), "item {sequence} sits in two buffer sets");
        assert!(!self.ends.contains_key(&sequence), "item {sequence} ended and still holds a set");
    }

    /// At the end: nothing runs, nothing is left over, and each item taken was delivered once.
    pub(crate) fn check_end(&self) {
        assert!(self.schedule.is_ended(), "nothing can go on, not ended: {:#?}", self.schedule);
        let totals = self.schedule.totals();
        assert_eq!(totals.ended(), totals.taken);
        assert_eq!(self.delivered.len() as u64, self.taken);
        let count = |outcome| self.delivered.iter().filter(|(_, o)| *o == outcome).count() as u64;
        assert_eq!(count(Outcome::Ok), totals.ok);
        assert_eq!(count(Outcome::Failed), totals.failed);
        assert_eq!(count(Outcome::Cancelled), totals.cancelled);
        if !self.cancelled && self.schedule.lanes_alive() > 0 {
            assert_eq!(self.items_left, 0, "items were left in the source");
            assert_eq!(totals.cancelled, 0);
            if self.config.retry == Retry::OtherLane {
                assert_eq!(totals.failed, self.own_failures, "an item failed with its lane");
            }
        }
        if self.config.retry == Retry::Never {
            assert_eq!(totals.retried, 0);
        }
        for (lane, config) in self.config.lanes.iter().enumerate().filter(|(lane, _)| !self.lost[*lane]) {
            let free = |states: &[SetState]| states.iter().filter(|s| **s == SetState::Free).count();
            let (inputs, outputs) = (free(self.schedule.inputs(lane)), free(self.schedule.outputs(lane)));
            match config.sets {
                Sets::Joint(n) => assert_eq!(inputs, n, "sets of lane {lane} are missing"),
                Sets::Split { inputs: i, outputs: o } => {
                    assert_eq!((inputs, outputs), (i, o), "sets of lane {lane} are missing");
                }
            }
        }
    }
}

/// A small generator (SplitMix64), so that one printed number repeats a run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    /// True once in `n` times on average; never for 0.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.roll(n) == 0
    }
}
