//! Plans: bodies become plans over ids, and their rows come back as codes.
//!
//! `union` compiles and runs the union of bodies of one leaf, `leaf` adds the coordinator's view of its rows,
//! `estimate` estimates rows, `cache` caches queries by their text, `explain` shows plans and `profile` their measured
//! work.

pub(crate) mod cache;
pub(crate) mod codes;
pub(crate) mod estimate;
pub(crate) mod explain;
pub(crate) mod leaf;
pub(crate) mod profile;
pub(crate) mod union;
