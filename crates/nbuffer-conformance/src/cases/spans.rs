//! When the device says it worked.

use nbuffer_core::measure::Stage;
use nbuffer_core::trace::{Interval, Journey};
use nbuffer_runtime::Options;

use super::options;
use crate::models::Work;
use crate::stream::Prepared;
use crate::{Problem, Runner, Sizes};

/// Write, kernel and read of an item follow each other between the call and the result, and of two items on one unit the
/// second begins when the first has ended.
pub(super) fn in_order(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Power, 1, 1)?;
    let options = Options { trace: Some(sizes.items as usize), ..options(4) };
    let trace = prepared.run(sizes.items, 1, &options)?.ok_or("a trace was asked for")?;
    let journeys: Vec<Journey> = trace.stretches().flatten().copied().collect();
    if journeys.len() as u64 != sizes.items {
        return Err(format!("{} of {} items are traced", journeys.len(), sizes.items).into());
    }
    journeys.iter().try_for_each(nests)?;

    let of = |stages: &[Stage]| {
        let spans =
            journeys.iter().flat_map(|journey| stages.iter().filter_map(|&stage| journey.stage(stage)));
        spans.collect::<Vec<Interval>>()
    };
    at_most(runner.kernel_units, of(&[Stage::Kernel])).map_err(|why| format!("kernels: {why}"))?;
    if prepared.device.info().half_duplex {
        return Ok(at_most(1, of(&[Stage::Write, Stage::Read])).map_err(|why| format!("copies: {why}"))?);
    }
    at_most(1, of(&[Stage::Write])).map_err(|why| format!("writes: {why}"))?;
    Ok(at_most(1, of(&[Stage::Read])).map_err(|why| format!("reads: {why}"))?)
}

/// Times of one item never go back.
fn nests(journey: &Journey) -> Result<(), Problem> {
    let kernel = journey.kernel.ok_or_else(|| format!("item {} has no kernel span", journey.sequence))?;
    let mut last = (0, "the run began");
    let stages = [(journey.write, "write"), (Some(kernel), "kernel"), (journey.read, "read")];
    let begins = journey.call.map(|call| (call.start, "the call began"));
    let device = stages.into_iter().filter_map(|(span, name)| span.map(|span| (span, name)));
    let device = device.flat_map(|(span, name)| [(span.start, name), (span.end, name)]);
    let ends = [journey.landed.map(|at| (at, "it landed")), Some((journey.delivered, "it was delivered"))];
    for (at, what) in begins.into_iter().chain(device).chain(ends.into_iter().flatten()) {
        if at < last.0 {
            let why =
                format!("item {}: {what} at {at} ns, after {} at {} ns", journey.sequence, last.1, last.0);
            return Err(why.into());
        }
        last = (at, what);
    }
    Ok(())
}

/// Whether never more than `units` spans run at once.
fn at_most(units: usize, spans: Vec<Interval>) -> Result<(), String> {
    // Of two events at one time the end comes first.
    let mut events: Vec<(u64, i32)> =
        spans.iter().flat_map(|span| [(span.start, 1), (span.end, -1)]).collect();
    events.sort_unstable();
    let mut at_work = 0;
    for (at, change) in events {
        at_work += change;
        if at_work > units as i32 {
            return Err(format!("{at_work} at once at {at} ns, on {units} units"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_may_touch_but_not_overlap() {
        let spans =
            |times: &[(u64, u64)]| times.iter().map(|&(start, end)| Interval::new(start, end)).collect();
        assert_eq!(at_most(1, spans(&[(4, 6), (0, 4), (6, 6)])), Ok(()));
        assert_eq!(at_most(1, spans(&[(0, 4), (3, 6)])), Err("2 at once at 3 ns, on 1 units".to_owned()));
        assert_eq!(at_most(2, spans(&[(0, 4), (3, 6)])), Ok(()));
    }

    #[test]
    fn an_item_cannot_be_read_before_its_kernel_or_land_before_its_read() {
        let spans = |kernel: (u64, u64), read: (u64, u64), landed| Journey {
            kernel: Some(Interval::new(kernel.0, kernel.1)),
            read: Some(Interval::new(read.0, read.1)),
            landed: Some(landed),
            delivered: 9,
            ..Journey::of(3)
        };
        nests(&spans((1, 2), (2, 4), 5)).unwrap();
        for (wrong, says) in [
            (spans((1, 3), (2, 4), 5), "item 3: read at 2 ns, after kernel at 3 ns"),
            (spans((1, 2), (2, 6), 5), "item 3: it landed at 5 ns, after read at 6 ns"),
        ] {
            assert_eq!(nests(&wrong).unwrap_err().to_string(), says);
        }
    }
}
