//! Streams that end early, late, or by force.

use std::sync::mpsc;

use nbuffer_core::schedule::Totals;
use nbuffer_runtime::{ItemError, Pipeline};

use super::options;
use crate::models::Work;
use crate::stream::Prepared;
use crate::{Problem, Runner, Sizes};

/// Streams shorter than the ring, and without any item.
pub(super) fn short(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let lanes = runner.lanes_max.min(2);
    let prepared = Prepared::new(runner, sizes, Work::Power, 1, lanes)?;
    for items in 0..=5 {
        for depth in [1, 3] {
            let ran = prepared.run(items, lanes, &options(depth));
            ran.map_err(|why| format!("{items} items, N = {depth}: {why}"))?;
        }
    }
    Ok(())
}

/// A result must come out although no further item goes in: the source gives the next item when it has the last result.
pub(super) fn closed_loop(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Power, 1, 1)?;
    let items = sizes.items.min(5);
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let source = (0..items).inspect(move |&item| {
        if item > 0 {
            // The other end is gone when the stream has failed.
            let _ = may_go_on.recv();
        }
    });
    let mut pipeline = Pipeline::start(source, prepared.stages(), prepared.lanes(1)?, &options(3))?;
    for item in 0..items {
        let delivery = pipeline.next_delivery().ok_or_else(|| format!("no item {item}"))?;
        delivery.result.map_err(|error| error.cause())?;
        let _ = go_on.send(());
    }
    match pipeline.next_delivery() {
        None => Ok(()),
        Some(more) => Err(format!("there is an item {} too many", more.sequence).into()),
    }
}

/// After a cancel every item that was taken comes out, right or as cancelled, and the totals add up.
pub(super) fn cancelled(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let lanes = runner.lanes_max.min(2);
    let prepared = Prepared::new(runner, sizes, Work::Saxpy, 1, lanes)?;
    for after in [0, 1, 7] {
        let mut pipeline = Pipeline::start(0.., prepared.stages(), prepared.lanes(lanes)?, &options(4))?;
        let canceller = pipeline.canceller();
        let mut seen = Totals::default();
        loop {
            if seen.ok == after {
                canceller.cancel();
            }
            let Some(delivery) = pipeline.next_delivery() else { break };
            if delivery.sequence != seen.taken {
                return Err(format!("item {} in the place of {}", delivery.sequence, seen.taken).into());
            }
            seen.taken += 1;
            match delivery.result {
                Ok(_) => seen.ok += 1,
                Err(ItemError::Cancelled { .. }) => seen.cancelled += 1,
                Err(error) => return Err(error.cause().into()),
            }
        }
        let totals = pipeline.report().totals;
        if totals != seen || totals.taken != totals.ok + totals.cancelled || totals.ok < after {
            return Err(format!("cancelled after {after}: counted {totals:?}, came out {seen:?}").into());
        }
    }
    Ok(())
}

/// A pipeline that is dropped half-way ends, and its device goes on.
pub(super) fn dropped(runner: &Runner, sizes: &Sizes) -> Result<(), Problem> {
    let prepared = Prepared::new(runner, sizes, Work::Power, 1, 1)?;
    for after in [0, 3] {
        let mut pipeline = Pipeline::start(0.., prepared.stages(), prepared.lanes(1)?, &options(4))?;
        for _ in 0..after {
            pipeline.next().ok_or("the stream ended")?.map_err(|error| error.cause())?;
        }
        drop(pipeline);
        prepared.run(4, 1, &options(2)).map_err(|why| format!("after a drop at {after}: {why}"))?;
    }
    Ok(())
}
