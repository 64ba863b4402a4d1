//! The cases. Each is a function of a runner and sizes, and knows no device.

mod ends;
mod failures;
mod life;
mod load;
mod long;
mod rings;
mod spans;
mod values;

use nbuffer_runtime::Options;

use crate::{Problem, Runner, Sizes};

/// One thing that every device must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its row in the table.
    pub name: &'static str,
    /// Does it.
    pub run: fn(&Runner, &Sizes) -> Result<(), Problem>,
}

/// All of them, in the order of the table.
pub const CASES: &[Case] = &[
    Case { name: "values are exact", run: values::exact },
    Case { name: "a batch keeps its items apart", run: values::batch },
    Case { name: "sets fit the tensors", run: values::sets_fit },
    Case { name: "N = 1..8, lanes 1..4", run: rings::depths_and_lanes },
    Case { name: "joint rings", run: rings::joint },
    Case { name: "late results", run: rings::lag },
    Case { name: "short and empty streams", run: ends::short },
    Case { name: "a source that waits for results", run: ends::closed_loop },
    Case { name: "cancelled mid-flight", run: ends::cancelled },
    Case { name: "dropped mid-flight", run: ends::dropped },
    Case { name: "failing items", run: failures::host_faults },
    Case { name: "models that cannot be", run: failures::bad_models },
    Case { name: "use after release", run: life::released },
    Case { name: "opened again and again", run: life::reopened },
    Case { name: "oversubscribed", run: load::oversubscribed },
    Case { name: "two pipelines on one device", run: load::two_pipelines },
    Case { name: "spans nest and do not overlap", run: spans::in_order },
    Case { name: "a long stream in flat memory", run: long::flat_memory },
];

/// Options of most streams: so many sets, one host thread, nothing chosen while the stream runs.
fn options(depth: usize) -> Options {
    Options::new(depth, 1)
}
