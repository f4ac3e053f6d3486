//! What the engine knows of SPARQL's [algebra](entail_syntax::algebra) without data: constants, conjunctions, parameters,
//! the order of terms, templates.

pub(crate) mod constants;
pub(crate) mod expression;
pub(crate) mod order;
pub(crate) mod parameters;
pub(crate) mod template;
pub(crate) mod unfold;

pub(crate) use entail_syntax::algebra::{children, expressions};

/// First character of the IRIs that only this crate makes (graphs with blank names): no parser accepts it, so no query can
/// write them.
pub(crate) const INTERNAL: char = '\0';
