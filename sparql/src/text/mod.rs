//! Query text: the parser, the translation to algebra, and the fingerprint under which a text is cached.
//!
//! ```text
//! text ──parse──► syntax tree ──translate──► algebra
//!   └──fingerprint──► key of the plan cache, and parameters
//! ```
//!
//! Parsing takes little stack, whatever the text; everything after it may take as much as the [nesting](stack) of the text
//! needs.

pub(crate) mod fingerprint;
pub(crate) mod parse;
pub(crate) mod stack;
pub(crate) mod translate;
