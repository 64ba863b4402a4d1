//! Model files: what opens, what is refused and in which words, and that no bytes bring the loader down.

mod computes;
mod files;
mod mutations;
mod opens;
mod refuses;
