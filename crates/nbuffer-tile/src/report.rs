//! What a run came to: how busy its queues were, what V waited for, what bounds it, and what would help.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::advice::Advice;
use crate::pipe::Pipe;
use crate::profile::Profile;
use crate::sim::{CoreReport, Run, Wait};

/// What a queue did, as the mean of all cores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct QueueReport {
    /// Instructions of one core.
    pub instructions: f64,
    /// The part of the time in which at least one ran.
    pub busy: f64,
    /// The same in microseconds.
    pub busy_us: f64,
    /// Bytes that one core moved.
    pub bytes: f64,
    /// Gigabytes a second of one core.
    pub gb_per_s: f64,
}

/// What the vector unit did, as parts of the time, as the mean of all cores. All but the last two and `busy`'s parts sum up to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VectorReport {
    /// It computed.
    pub busy: f64,
    /// Of that, instructions started up.
    pub startup: f64,
    /// Of that, two operands were in one bank group.
    pub bank_conflicts: f64,
    /// It did nothing, by cause.
    pub waits: BTreeMap<String, f64>,
    /// Elements worked on, as a part of those that its repeats had room for.
    pub occupancy: f64,
}

/// What bounds a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// What it is.
    pub resource: String,
    /// How that is seen.
    pub why: String,
    /// What would help.
    pub advice: Vec<String>,
}

/// Unordered instructions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hazards {
    /// How many there were.
    pub count: u64,
    /// The first of them.
    pub first: Vec<String>,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TileReport {
    /// The version of this format.
    pub format: u32,
    /// The device.
    pub device: String,
    /// Cores that ran it.
    pub cores: usize,
    /// Cycles from the first instruction to the end of the last.
    pub cycles: f64,
    /// The same in microseconds.
    pub time_us: f64,
    /// Microseconds to launch, before that.
    pub launch_us: f64,
    /// Instructions of all cores.
    pub instructions: u64,
    /// Queues that did something, by name.
    pub queues: BTreeMap<&'static str, QueueReport>,
    /// The vector unit, if it did something.
    pub vector: Option<VectorReport>,
    /// Bytes of all cores to and from global memory.
    pub bytes: u64,
    /// Gigabytes a second of all cores.
    pub gb_per_s: f64,
    /// Gigabytes a second that global memory gives past the L2 cache.
    pub memory_gb_per_s: f64,
    /// What bounds it.
    pub limit: Limit,
    /// What the stage times allow, for kernels that the law holds for.
    pub plan: Option<Advice>,
    /// Instructions that touched the same bytes without order.
    pub hazards: Hazards,
}

/// The most hazards that are told one by one.
const HAZARDS_TOLD: usize = 5;

impl TileReport {
    /// What a run came to on a device, beside its plan.
    pub fn new(run: &Run, profile: &Profile, plan: Option<Advice>) -> Self {
        let time_us = profile.us(run.cycles);
        let mean = |of: &dyn Fn(&CoreReport) -> f64| {
            run.cores.iter().map(of).sum::<f64>() / run.cores.len().max(1) as f64
        };
        let part = |cycles: f64| if run.cycles > 0.0 { cycles / run.cycles } else { 0.0 };
        let per_us = |bytes: f64| if time_us > 0.0 { bytes / time_us / 1e3 } else { 0.0 };
        let queue = |pipe: Pipe| {
            let busy = part(mean(&|core| core.pipe(pipe).busy));
            let bytes = mean(&|core| core.pipe(pipe).bytes as f64);
            let instructions = mean(&|core| core.pipe(pipe).instructions as f64);
            let report =
                QueueReport { instructions, busy, busy_us: busy * time_us, bytes, gb_per_s: per_us(bytes) };
            (busy > 0.0).then_some((pipe.name(), report))
        };
        let queues: BTreeMap<_, _> = Pipe::ALL.into_iter().filter_map(queue).collect();
        let v = |of: &dyn Fn(&crate::sim::PipeReport) -> f64| part(mean(&|core| of(core.pipe(Pipe::V))));
        let vector = queues.contains_key("V").then(|| {
            let wait = |wait: Wait| {
                let rest = |core: &CoreReport| if wait == Wait::Drain { run.cycles - core.end } else { 0.0 };
                (wait.name().replace(' ', "_"), v(&|pipe| pipe.waits.of(wait)) + part(mean(&rest)))
            };
            let elements =
                |of: fn(&crate::sim::PipeReport) -> u64| mean(&|core| of(core.pipe(Pipe::V)) as f64);
            VectorReport {
                busy: queues["V"].busy,
                startup: v(&|pipe| pipe.startup),
                bank_conflicts: v(&|pipe| pipe.conflicts),
                waits: Wait::ALL.into_iter().map(wait).collect(),
                occupancy: elements(|pipe| pipe.elements) / elements(|pipe| pipe.elements_max).max(1.0),
            }
        });
        let far = [Pipe::Mte2, Pipe::Mte3, Pipe::Fix];
        let bytes = run.cores.iter().flat_map(|core| far.map(|pipe| core.pipe(pipe).bytes)).sum();
        let hazards = Hazards {
            count: run.n_hazards,
            first: run.hazards.iter().take(HAZARDS_TOLD).map(ToString::to_string).collect(),
        };
        TileReport {
            format: 1,
            device: profile.name.clone(),
            cores: run.cores.len(),
            cycles: run.cycles,
            time_us,
            launch_us: profile.global.launch_us,
            instructions: run.cores.iter().map(|core| core.instructions).sum(),
            limit: limit(&queues, plan.as_ref()),
            queues,
            vector,
            bytes,
            gb_per_s: per_us(bytes as f64),
            memory_gb_per_s: profile.global.bytes_per_s / 1e9,
            plan,
            hazards,
        }
    }
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// What the plan says, or else the queue that was busy longest.
fn limit(queues: &BTreeMap<&'static str, QueueReport>, plan: Option<&Advice>) -> Limit {
    let Some(Advice { asked, recommended, double_buffering_gain, little_gain, .. }) = plan else {
        let busiest = queues.iter().max_by(|a, b| a.1.busy.total_cmp(&b.1.busy));
        let (resource, why) = busiest.map_or_else(
            || ("nothing".to_owned(), "nothing ran".to_owned()),
            |(name, queue)| {
                (format!("queue {name}"), format!("it is busy {} of the time", percent(queue.busy)))
            },
        );
        return Limit { resource, why, advice: Vec::new() };
    };
    let plan = &asked.plan;
    let next = plan.bounds.iter().filter(|bound| bound.resource != plan.binding);
    let next = next.max_by(|a, b| a.cycles.total_cmp(&b.cycles));
    let next = next.map_or(String::new(), |next| {
        format!("; next comes {} with {:.0}", next.resource.words(), next.cycles)
    });
    let why = format!("a tile takes {:.0} cycles for it{next}", plan.period);
    let mut advice = Vec::new();
    if (recommended.num, recommended.tile) == (asked.num, asked.tile) {
        advice
            .push("no other number of blocks and no other tile would be more than 0.5 % shorter".to_owned());
    } else {
        advice.push(format!(
            "{} blocks with tiles of {} would be {} shorter, limited by {}",
            recommended.num,
            recommended.tile,
            percent(1.0 - recommended.plan.cycles / plan.cycles),
            recommended.plan.binding.words()
        ));
        if asked.stages.conflicts > 0.0 && recommended.stages.conflicts == 0.0 {
            advice.push("with that tile, no two operands are in the same bank groups".to_owned());
        }
    }
    advice.push(little_gain.clone().unwrap_or_else(|| {
        format!("double buffering is worth {} here, at the same bytes of UB", percent(*double_buffering_gain))
    }));
    Limit { resource: plan.binding.words().to_owned(), why, advice }
}

/// For people, in 80 columns.
impl fmt::Display for TileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TileReport { device, cores, cycles, time_us, launch_us, limit, .. } = self;
        let plural = if *cores == 1 { "" } else { "s" };
        writeln!(
            f,
            "{time_us:.2} us ({cycles:.0} cycles) on {cores} core{plural} of {device}, after {launch_us} us to launch\n"
        )?;
        writeln!(
            f,
            "  {:<7}{:>8}{:>11}{:>13}{:>12}{:>9}",
            "queue", "busy %", "busy us", "instructions", "bytes", "GB/s"
        )?;
        for pipe in Pipe::ALL {
            let Some(queue) = self.queues.get(pipe.name()) else { continue };
            let QueueReport { instructions, busy, busy_us, bytes, gb_per_s } = queue;
            write!(f, "  {:<7}{:>8.1}{busy_us:>11.1}{instructions:>13.0}", pipe.name(), 100.0 * busy)?;
            if *bytes > 0.0 {
                write!(f, "{bytes:>12.0}{gb_per_s:>9.1}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "  (one core, the mean of {cores})\n")?;
        if let Some(vector) = &self.vector {
            let waits: f64 = vector.waits.values().sum();
            let mut causes: Vec<_> = vector.waits.iter().filter(|(_, part)| **part >= 0.0005).collect();
            causes.sort_by(|a, b| b.1.total_cmp(a.1));
            let causes: Vec<_> = causes
                .iter()
                .map(|(cause, part)| format!("{} {}", cause.replace('_', " "), percent(**part)))
                .collect();
            row(f, "V waits", &format!("{}: {}", percent(waits), causes.join(", ")))?;
            let (startup, conflicts) = (percent(vector.startup), percent(vector.bank_conflicts));
            row(
                f,
                "V computes",
                &format!(
                    "{}, of that start-up {startup} and bank conflicts {conflicts}; its repeats are {} full",
                    percent(vector.busy),
                    percent(vector.occupancy)
                ),
            )?;
        }
        row(
            f,
            "memory",
            &format!(
                "{:.1} GB/s of all cores; {:.0} past the L2 cache at most",
                self.gb_per_s, self.memory_gb_per_s
            ),
        )?;
        row(f, "limit", &format!("{}: {}", limit.resource, limit.why))?;
        for advice in &limit.advice {
            row(f, "advice", advice)?;
        }
        if let Some(plan) = &self.plan {
            writeln!(f)?;
            write!(f, "{plan}")?;
        }
        let Hazards { count, first } = &self.hazards;
        if *count > 0 {
            writeln!(f)?;
            row(f, "hazards", &format!("{count}: what was computed is chance"))?;
            for hazard in first {
                row(f, "", hazard)?;
            }
        }
        Ok(())
    }
}

/// The plan as a table: as many bytes of UB, in other numbers of blocks.
impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {:>5}{:>9}{:>11}{:>13}{:>9}  planned limit",
            "num", "tile", "cycles", "all cycles", "V %"
        )?;
        for choice in &self.same_bytes {
            let plan = &choice.plan;
            let here = if (choice.num, choice.tile) == (self.asked.num, self.asked.tile) { '>' } else { ' ' };
            let (num, tile, limit) = (choice.num, choice.tile, plan.binding.words());
            let busy = 100.0 * plan.vector_busy;
            writeln!(
                f,
                " {here}{num:>5}{tile:>9}{:>11.0}{:>13.0}{busy:>9.1}  {limit}",
                plan.period, plan.cycles
            )?;
        }
        let largest: Vec<_> =
            (1..).zip(&self.largest_tile).map(|(num, tile)| format!("{tile} with {num}")).collect();
        row(f, "fits", &format!("tiles of up to {} blocks", largest.join(", ")))
    }
}

/// A row in words, its words kept within 80 columns.
fn row(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    const WIDTH: usize = 80;
    const INDENT: usize = 15;
    let mut line = format!("  {name:<13}");
    for word in text.split_whitespace() {
        if line.trim_end().len() > INDENT && line.len() + word.len() > WIDTH {
            writeln!(f, "{}", line.trim_end())?;
            line = " ".repeat(INDENT);
        }
        line += word;
        line.push(' ');
    }
    writeln!(f, "{}", line.trim_end())
}
