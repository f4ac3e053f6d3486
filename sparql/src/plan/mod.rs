//! Planning: bodies become plans over ids, and a prepared query knows all that it needs to run.
//!
//! `prepare` decides which form a query takes (streamed, counted, or algebra over leaves), `piece` compiles the union of
//! bodies of one leaf, `estimate` counts the rows to expect, `explain` and `profile` show both to users.

pub(crate) mod estimate;
pub(crate) mod explain;
pub(crate) mod piece;
pub(crate) mod prepare;
pub(crate) mod profile;
