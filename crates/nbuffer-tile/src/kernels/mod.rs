//! Kernels that are here to be run: with their values checked, on any device, with any tile.

mod add;

pub use add::{Add, tiling};
