//! Expressions as SPARQL text that parses to an expression of the same meaning.

use entail_syntax::algebra::{Expression, exists_patterns};

/// The text of an expression; `None` if it holds an EXISTS, which rules never do.
pub fn expression_text(expression: &Expression) -> Option<String> {
    exists_patterns(expression).is_empty().then(|| expression.to_string())
}
