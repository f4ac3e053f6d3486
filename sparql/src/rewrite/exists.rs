//! EXISTS at the coordinator: its patterns stay in the algebra, and the evaluator looks them up.

use crate::algebra::{children, expression, expressions};
use crate::rewrite::body::Graph;
use entail_model::{Fault, Reason};
use entail_syntax::algebra::{Expression, GraphPattern};

/// The expression with the patterns of its EXISTS evaluated in `graph`.
///
/// # Errors
/// `Unsupported` for a SERVICE in a pattern.
pub fn in_graph(expression: Expression, graph: &Graph) -> Result<Expression, Fault> {
    if expression::exists_patterns(&expression).is_empty() {
        return Ok(expression);
    }
    let mut found = Ok(());
    let expression = expression::map(expression, &mut |part| match part {
        Expression::Exists(pattern) => {
            if has_service(&pattern) {
                found = Err(Fault::new(
                    Reason::Unsupported,
                    "SERVICE within EXISTS: queries to other endpoints are not supported yet",
                ));
            }
            Expression::Exists(Box::new(graph.wrap(*pattern)))
        }
        other => other,
    });
    found.map(|()| expression)
}

fn has_service(pattern: &GraphPattern) -> bool {
    matches!(pattern, GraphPattern::Service { .. })
        || children(pattern).into_iter().any(has_service)
        || expressions(pattern).into_iter().flat_map(expression::exists_patterns).any(has_service)
}
