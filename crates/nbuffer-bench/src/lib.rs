//! What benchmarks beside peers share: which machine they ran on, the spread of their runs, and how much of the
//! machine other processes took meanwhile. It is what `nbuffer bench` says, too.

pub use nbuffer_runtime::machine::*;
