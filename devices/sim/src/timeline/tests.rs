use super::*;
use proptest::prelude::*;

/// Write, kernel and read units, and jobs that pass all three.
struct Device {
    timeline: Timeline,
    units: [UnitId; 3],
    jobs: Vec<JobId>,
}

impl Device {
    fn new(kernels: usize, half_duplex: bool) -> Self {
        let mut timeline = Timeline::new();
        let write = timeline.add_unit(1);
        let kernel = timeline.add_unit(kernels);
        let read = if half_duplex { write } else { timeline.add_unit(1) };
        Device { timeline, units: [write, kernel, read], jobs: Vec::new() }
    }

    fn submit(&mut self, at_ns: u64, durations_ns: [u64; 3]) {
        let steps = (0..3).map(|i| Step {
            unit: Some(self.units[i]),
            duration_ns: durations_ns[i],
            after: i.checked_sub(1),
        });
        let job = self.timeline.submit(at_ns, steps.collect());
        self.jobs.push(job);
    }

    /// Ends everything and returns the spans of each job.
    fn drain(&mut self) -> Vec<Vec<Span>> {
        let jobs = self.jobs.clone();
        jobs.into_iter()
            .map(|job| {
                loop {
                    match self.timeline.progress(job) {
                        Progress::Ended(spans) => return spans,
                        Progress::NotBefore(at_ns) => {
                            self.timeline.advance(at_ns.max(self.timeline.now_ns + 1))
                        }
                    }
                }
            })
            .collect()
    }

    /// Draws the spans, one line a stage and one column a nanosecond; digits are jobs.
    fn draw(&mut self) -> String {
        let spans = self.drain();
        let width = spans.iter().flatten().map(|span| span.end_ns).max().unwrap_or(0) as usize;
        let mut drawing = String::new();
        for (stage, name) in ["write ", "kernel", "read  "].iter().enumerate() {
            let mut line = vec!['.'; width];
            for (job, spans) in spans.iter().enumerate() {
                for cell in &mut line[spans[stage].start_ns as usize..spans[stage].end_ns as usize] {
                    *cell = char::from_digit(job as u32, 10).unwrap();
                }
            }
            drawing += &format!("{name} {}\n", line.iter().collect::<String>());
        }
        drawing
    }
}

fn check_drawing(device: &mut Device, expected: &str) {
    let expected: String = expected.trim().lines().map(|line| line.trim().to_owned() + "\n").collect();
    let drawing = device.draw();
    assert_eq!(drawing, expected, "\n{drawing}");
}

#[test]
fn queued_items_keep_the_kernel_busy() {
    let mut device = Device::new(1, false);
    (0..4).for_each(|_| device.submit(0, [1, 4, 1]));
    check_drawing(
        &mut device,
        "
        write  0123..............
        kernel .0000111122223333.
        read   .....0...1...2...3",
    );
}

#[test]
fn half_duplex_serves_writes_and_reads_in_the_order_they_asked() {
    let mut device = Device::new(1, true);
    (0..3).for_each(|_| device.submit(0, [3, 1, 2]));
    // Job 0's read asks at 4, after the writes of 1 and 2 asked at 0.
    check_drawing(
        &mut device,
        "
        write  000111222......
        kernel ...0..1..2.....
        read   .........001122",
    );
}

#[test]
fn two_kernel_instances_run_side_by_side() {
    let mut device = Device::new(2, false);
    (0..3).for_each(|_| device.submit(0, [1, 6, 1]));
    // Job 1's kernel hides job 0's from 2 to 7, and job 2's hides the end of job 1's.
    check_drawing(
        &mut device,
        "
        write  012...........
        kernel .011111222222.
        read   .......01....2",
    );
}

#[test]
fn a_late_host_does_not_move_what_was_queued() {
    let durations = [5, 20, 5];
    let mut prompt = Device::new(1, true);
    let mut late = Device::new(1, true);
    for _ in 0..3 {
        prompt.submit(0, durations);
        late.submit(0, durations);
    }
    for now in 0..200 {
        prompt.timeline.advance(now);
    }
    late.timeline.advance(1_000_000);
    assert_eq!(prompt.drain(), late.drain());
}

#[test]
fn a_later_submission_takes_its_turn_and_moves_a_bound_but_never_back() {
    let mut device = Device::new(1, true);
    device.submit(0, [10, 10, 10]);
    let Progress::NotBefore(bound) = device.timeline.progress(device.jobs[0]) else {
        panic!("just submitted")
    };
    assert_eq!(bound, 30);
    // This write asks for the link at 15, so the first job's read waits from 20 to 25.
    device.submit(15, [10, 1, 1]);
    device.timeline.advance(30);
    assert_eq!(device.timeline.progress(device.jobs[0]), Progress::NotBefore(35));
    device.timeline.advance(35);
    let Progress::Ended(spans) = device.timeline.progress(device.jobs[0]) else { panic!("35 has come") };
    assert_eq!(spans[2], Span { start_ns: 25, end_ns: 35 });
}

#[test]
fn parallel_steps_end_with_the_longest() {
    let mut timeline = Timeline::new();
    let [link, core] = [1, 1].map(|servers| timeline.add_unit(servers));
    let step = |unit, duration_ns, after| Step { unit, duration_ns, after };
    let steps = vec![step(None, 7, None), step(Some(link), 3, Some(0)), step(Some(core), 9, Some(0))];
    let job = timeline.submit(100, steps);
    assert_eq!(timeline.progress(job), Progress::NotBefore(116));
    timeline.advance(116);
    let spans = [(100, 107), (107, 110), (107, 116)].map(|(start_ns, end_ns)| Span { start_ns, end_ns });
    assert_eq!(timeline.progress(job), Progress::Ended(spans.to_vec()));
}

#[test]
fn steps_without_duration_end_at_once() {
    let mut device = Device::new(1, true);
    device.submit(5, [0, 0, 0]);
    assert_eq!(
        device.timeline.progress(device.jobs[0]),
        Progress::Ended(vec![Span { start_ns: 5, end_ns: 5 }; 3])
    );
}

#[test]
fn an_abandoned_job_takes_its_time_and_leaves_no_record() {
    let mut device = Device::new(1, false);
    device.submit(0, [1, 10, 1]);
    device.submit(0, [1, 10, 1]);
    let abandoned = device.jobs.remove(0);
    device.timeline.abandon(abandoned);
    let spans = device.drain();
    assert_eq!(spans[0][1], Span { start_ns: 11, end_ns: 21 });
    assert!(device.timeline.jobs.is_empty());
    assert!(device.timeline.ends.is_empty());
}

fn overlap(a: Span, b: Span) -> bool {
    a.start_ns < b.end_ns && b.start_ns < a.end_ns
}

proptest! {
    #[test]
    fn every_unit_is_exclusive_and_first_come_first_served(
        jobs in prop::collection::vec((0u64..40, [0u64..12, 1..12, 0..12]), 1..24),
        kernels in 1usize..4,
        half_duplex: bool,
        peeks in prop::collection::vec(0u64..30, 0..24),
    ) {
        let mut device = Device::new(kernels, half_duplex);
        let mut now = 0;
        let mut submitted_at = Vec::new();
        for (i, &(gap, durations)) in jobs.iter().enumerate() {
            now += gap;
            device.submit(now, durations);
            submitted_at.push(now);
            // Looking at the time in between changes nothing, and no bound is ever broken.
            now += peeks.get(i).copied().unwrap_or(0);
            device.timeline.advance(now);
        }
        let all = device.drain();
        for (job, spans) in all.iter().enumerate() {
            prop_assert!(spans[0].start_ns >= submitted_at[job]);
            for stage in 0..3 {
                prop_assert_eq!(spans[stage].end_ns - spans[stage].start_ns, jobs[job].1[stage]);
                prop_assert!(stage == 0 || spans[stage].start_ns >= spans[stage - 1].end_ns);
            }
        }
        let asked = |job: usize, stage: usize| match stage {
            0 => submitted_at[job],
            _ => all[job][stage - 1].end_ns,
        };
        let requests = |stages: &[usize]| -> Vec<(u64, Span)> {
            stages
                .iter()
                .flat_map(|&stage| (0..all.len()).map(move |job| (job, stage)))
                .map(|(job, stage)| (asked(job, stage), all[job][stage]))
                .collect()
        };
        let links: &[&[usize]] = if half_duplex { &[&[0, 2]] } else { &[&[0], &[2]] };
        for (stages, servers) in links.iter().map(|&stages| (stages, 1)).chain([(&[1][..], kernels)]) {
            let requests = requests(stages);
            for &(asked_a, a) in &requests {
                let at_once = requests.iter().filter(|(_, b)| b.start_ns <= a.start_ns && a.start_ns < b.end_ns);
                prop_assert!(a.start_ns == a.end_ns || at_once.count() <= servers);
                for &(asked_b, b) in &requests {
                    prop_assert!(asked_a >= asked_b || a.start_ns <= b.start_ns, "served out of turn");
                    prop_assert!(servers > 1 || !overlap(a, b) || a == b);
                }
            }
        }
        prop_assert!(device.timeline.jobs.is_empty() && device.timeline.ends.is_empty());
    }

    #[test]
    fn a_bound_is_never_later_than_the_end(
        jobs in prop::collection::vec((0u64..20, [0u64..12, 1..12, 0..12]), 1..16),
        half_duplex: bool,
    ) {
        let mut device = Device::new(1, half_duplex);
        let mut bounds: Vec<Vec<u64>> = Vec::new();
        let mut ends: Vec<Option<u64>> = Vec::new();
        let mut now = 0;
        for &(gap, durations) in &jobs {
            now += gap;
            device.submit(now, durations);
            bounds.push(Vec::new());
            ends.push(None);
            for job in 0..device.jobs.len() {
                if ends[job].is_none() {
                    match device.timeline.progress(device.jobs[job]) {
                        Progress::NotBefore(bound) => bounds[job].push(bound),
                        Progress::Ended(spans) => ends[job] = Some(spans[2].end_ns),
                    }
                }
            }
        }
        device.timeline.advance(now + 1_000_000);
        for job in 0..device.jobs.len() {
            let end = ends[job].unwrap_or_else(|| match device.timeline.progress(device.jobs[job]) {
                Progress::Ended(spans) => spans[2].end_ns,
                Progress::NotBefore(_) => panic!("everything has ended"),
            });
            prop_assert!(bounds[job].iter().all(|&bound| bound <= end), "{:?} > {end}", bounds[job]);
        }
    }
}
