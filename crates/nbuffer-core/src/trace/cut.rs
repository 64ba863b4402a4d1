//! Which part of a run a picture shows: all of it, or its beginning, a slice of its middle and its end.

use std::ops::Range;

use super::layout::{Phase, Room, Segment};
use super::{Span, Unit};
use crate::measure::Nanos;

/// Periods shown after the first kernel starts, and before the last one ends.
const EDGE_PERIODS: Nanos = 2;
/// Periods shown of the steady state: as many as can be read.
const STEADY_PERIODS: Range<Nanos> = 3..9;

/// From the start of the first kernel to the end of the last: after fill, before drain. `None` when no
/// kernel ran.
pub fn steady_state(spans: &[Span]) -> Option<Range<Nanos>> {
    let mut kernels = spans.iter().filter(|span| matches!(span.unit, Unit::Kernel(_)));
    let first = kernels.next()?;
    Some(kernels.fold(first.start..first.end, |all, span| all.start.min(span.start)..all.end.max(span.end)))
}

/// The segments of time that a picture of the whole run shows in `room`.
///
/// A run whose kernels can be read is shown whole. Of a longer one three segments are shown, all on one
/// scale, with [`EDGE_PERIODS`] and [`STEADY_PERIODS`]; the slice of the middle gets what room is left.
pub(super) fn segments(spans: &[Span], room: Room) -> Vec<Segment> {
    let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let end = spans.iter().map(|span| span.end.max(span.start)).max().unwrap_or(0);
    cut(spans, start..end, room)
        .unwrap_or_else(|| vec![Segment { phase: None, time: start..end, cells: 0..room.cells }])
}

/// `None` when the run is better shown whole.
fn cut(spans: &[Span], run: Range<Nanos>, room: Room) -> Option<Vec<Segment>> {
    let steady = steady_state(spans)?;
    let starts = kernel_starts(spans);
    let period = unit_period(&starts)?;
    let readable = |shown: Nanos, cells: usize| {
        u128::from(period) * cells as u128 >= u128::from(shown) * room.readable as u128
    };
    if readable(run.end - run.start, room.cells) {
        return None;
    }

    let cells = room.cells.checked_sub(2 * room.cut)?;
    let edge = EDGE_PERIODS.saturating_mul(period);
    let fill = steady.start.saturating_add(edge).min(run.end) - run.start;
    let drain = run.end - steady.end.saturating_sub(edge).max(run.start);
    let shown = |periods: Nanos| fill.saturating_add(drain).saturating_add(periods.saturating_mul(period));
    let periods = STEADY_PERIODS.rev().find(|periods| readable(shown(*periods), cells));
    let shown = shown(periods.unwrap_or(STEADY_PERIODS.start));

    // Whole cells a period, where a period has any, draw equal bars for equal times. Whole nanoseconds a cell
    // give all segments the same scale. The middle takes what rounding leaves.
    let cells_a_period = u128::from(period) * cells as u128 / u128::from(shown);
    let (time, parts) = if cells_a_period > 0 {
        (period, Nanos::try_from(cells_a_period).ok()?)
    } else {
        (shown, Nanos::try_from(cells).ok()?)
    };
    let cell = time.div_ceil(parts.max(1)).max(1);
    let fill_cells = usize::try_from(fill.div_ceil(cell)).ok()?;
    let drain_cells = usize::try_from(drain.div_ceil(cell)).ok()?;
    let steady_cells = cells.checked_sub(fill_cells + drain_cells).filter(|cells| *cells > 0)?;
    let length = |cells: usize| (cells as Nanos).saturating_mul(cell);

    let fill = run.start..run.start.saturating_add(length(fill_cells));
    let drain = run.end.saturating_sub(length(drain_cells))..run.end;
    let middle = middle_of(&starts, length(steady_cells))?;
    let worth_it = |from: Nanos, to: Nanos| to.checked_sub(from).is_some_and(|left_out| left_out >= period);
    if !(worth_it(fill.end, middle.start) && worth_it(middle.end, drain.start)) {
        return None;
    }

    let steady_cell = fill_cells + room.cut;
    let drain_cell = steady_cell + steady_cells + room.cut;
    Some(vec![
        Segment { phase: Some(Phase::Fill), time: fill, cells: 0..fill_cells },
        Segment { phase: Some(Phase::Steady), time: middle, cells: steady_cell..steady_cell + steady_cells },
        Segment { phase: Some(Phase::Drain), time: drain, cells: drain_cell..room.cells },
    ])
}

/// The compute units and when their kernels start, unit by unit.
fn kernel_starts(spans: &[Span]) -> Vec<(Unit, Nanos)> {
    let kernels = spans.iter().filter(|span| matches!(span.unit, Unit::Kernel(_)));
    let mut starts: Vec<_> = kernels.map(|span| (span.unit, span.start)).collect();
    starts.sort_unstable();
    starts
}

/// The usual time from one kernel start to the next on the same unit: what a row of kernels needs room for.
/// The median, so that a pause of the source does not count.
fn unit_period(starts: &[(Unit, Nanos)]) -> Option<Nanos> {
    let pairs = starts.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let mut periods: Vec<Nanos> = pairs.map(|pair| pair[1].1 - pair[0].1).collect();
    periods.sort_unstable();
    periods.get(periods.len() / 2).copied().filter(|period| *period > 0)
}

/// So much time around the median kernel, from the start of a kernel on.
fn middle_of(starts: &[(Unit, Nanos)], length: Nanos) -> Option<Range<Nanos>> {
    let mut starts: Vec<Nanos> = starts.iter().map(|(_, start)| *start).collect();
    starts.sort_unstable();
    let wanted = starts.get(starts.len() / 2)?.saturating_sub(length / 2);
    let start = starts.into_iter().min_by_key(|start| start.abs_diff(wanted))?;
    Some(start..start.saturating_add(length))
}
