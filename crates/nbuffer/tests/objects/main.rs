//! The objects of a vendor's runtime: calls by hand, ownership, release, refusals.

mod calls;
mod fixtures;
mod life;
mod refusals;
