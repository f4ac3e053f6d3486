//! A stack on which a text within the limits can be translated, rewritten and evaluated.
//!
//! Work on an ordinary text runs on the stack of its thread. For a text that nests deeper a segment is allocated, as
//! large as its nesting may need, and freed afterwards; only pages that are touched take memory. A text with as many
//! levels, operators and tokens as the limits allow gets a segment of 304 MiB. The test `query/tests/stack` runs the
//! deepest texts of each kind from a thread with 2 MiB.

use crate::rewrite::PATTERNS_MAX;
use entail_model::Fault;
use entail_syntax::Nesting;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Stack for a text without nesting, including calls of the cluster.
const BASE_BYTES: usize = (256 << 10) + PATTERNS_MAX * LINK_BYTES;
/// Stack for a level of brackets.
const LEVEL_BYTES: usize = 64 << 10;
/// Stack for an operator of a chain such as `1 + 1 + 1`.
const OPERATOR_BYTES: usize = 64 << 10;
/// Stack for any other link of a chain.
const LINK_BYTES: usize = 2 << 10;
/// Links of a parsed text that any thread can drop: dropping takes some hundred bytes of stack for each link.
const LINKS_TO_DROP_MAX: usize = 2_000;

/// Stack for the parser, which recurses with brackets only; the tests of the parser have as much.
const PARSER_BYTES: usize = 1 << 20;

/// Runs the parser with enough stack for any text.
///
/// # Errors
/// Those of `parse`; `Internal` when it panics.
pub(crate) fn with_parser_stack<T>(parse: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    with_bytes(PARSER_BYTES, parse)
}

/// Stack that the work on a text may need, in bytes.
pub(crate) fn stack_bytes(nesting: Nesting) -> usize {
    let Nesting { depth, operators, links } = nesting;
    BASE_BYTES + depth * LEVEL_BYTES + operators * OPERATOR_BYTES + links * LINK_BYTES
}

/// Can any thread drop the algebra of a text on its own stack?
pub(crate) fn is_shallow(nesting: Nesting) -> bool {
    nesting.links <= LINKS_TO_DROP_MAX
}

/// Runs `work` with enough stack for a text: on the stack of this thread if enough of it is left, otherwise on a new
/// segment. Only used pages take memory.
///
/// # Errors
/// `Internal` if `work` panics; otherwise the errors of `work`.
pub(crate) fn with_stack<T>(nesting: Nesting, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    with_bytes(stack_bytes(nesting), work)
}

fn with_bytes<T>(bytes: usize, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // A defect fails this query and no other.
    let result = stacker::maybe_grow(bytes, bytes, || catch_unwind(AssertUnwindSafe(work)));
    result.unwrap_or_else(|_| Err(Fault::internal("the query has panicked: see the log")))
}
