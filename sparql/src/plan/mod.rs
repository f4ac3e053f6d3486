//! Plans: bodies become plans over ids, and their rows come back as codes.
//!
//! `union` compiles and runs the union of bodies of one leaf, `leaf` adds what the coordinator needs of its rows,
//! `estimate` tells how many rows to expect, `cache` keeps queries by their text, `explain` and `profile` show plans and
//! what they did.

pub(crate) mod cache;
pub(crate) mod codes;
pub(crate) mod estimate;
pub(crate) mod explain;
pub(crate) mod leaf;
pub(crate) mod profile;
pub(crate) mod union;
