//! Kernels that are here to be run: with their values checked, on any device, with any tile.
//!
//! Each is a plain value that says what it works on and how, with `run`, the program of one core, and `reference`, the same in
//! plain Rust.

mod add;
mod leaky_relu;
mod matmul;
mod move_tiles;
mod reduce_sum;
mod softmax;
mod tiles;

pub use add::Add;
pub use leaky_relu::LeakyRelu;
pub use matmul::Matmul;
pub use move_tiles::Move;
pub use reduce_sum::ReduceSum;
pub use softmax::Softmax;
pub use tiles::tiling;
