//! Query text: its limits, its tokens, the parser, and the cache of texts that were met before.
//!
//! ```text
//! text ──limits──► parse ──► algebra
//!   └──fingerprint──► plan_cache ──► template (a prepared query with parameters)
//! ```

pub(crate) mod fingerprint;
pub mod limits;
pub(crate) mod parse;
pub(crate) mod plan_cache;
pub(crate) mod select_star;
pub(crate) mod template;
pub(crate) mod tokens;
