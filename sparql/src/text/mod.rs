//! Query text: its limits, its tokens, the parser, and the fingerprint under which a text is cached.
//!
//! ```text
//! text ──limits──► checked text ──parse──► algebra
//!   └──fingerprint──► key of the plan cache, and parameters
//! ```

pub(crate) mod fingerprint;
pub mod limits;
pub(crate) mod parse;
mod select_star;
pub(crate) mod stack;
mod tokens;
