//! Which evaluations hold rows: those whose memory grows with their input.
//!
//! spareval does not report its memory, so the input of operators that may hold rows is limited. Operators
//! that pass rows on one by one, or only aggregate them, need no limit.

use crate::algebra::expression;
use crate::algebra::{children, expressions};
use spargebra::algebra::{AggregateExpression, AggregateFunction, GraphPattern};

/// May the evaluation of the pattern hold as many rows as it gets? `is_leaf` recognises leaf services.
pub fn holds_rows(pattern: &GraphPattern, is_leaf: &dyn Fn(&GraphPattern) -> bool) -> bool {
    let passes_on = match pattern {
        GraphPattern::Service { .. } => return !is_leaf(pattern),
        GraphPattern::Bgp { patterns } => patterns.is_empty(),
        GraphPattern::Values { .. }
        | GraphPattern::Filter { .. }
        | GraphPattern::Extend { .. }
        | GraphPattern::Project { .. }
        | GraphPattern::Reduced { .. }
        | GraphPattern::Slice { .. }
        | GraphPattern::Union { .. } => true,
        GraphPattern::Group { variables, aggregates, .. } => {
            variables.is_empty() && aggregates.iter().all(|(_, aggregate)| adds_up(aggregate))
        }
        _ => false,
    };
    let has_exists =
        || expressions(pattern).into_iter().any(|expression| !expression::exists_patterns(expression).is_empty());
    !passes_on || has_exists() || children(pattern).into_iter().any(|child| holds_rows(child, is_leaf))
}

/// Does the aggregate keep one value, however many rows it sees?
fn adds_up(aggregate: &AggregateExpression) -> bool {
    match aggregate {
        AggregateExpression::CountSolutions { distinct } => !distinct,
        AggregateExpression::FunctionCall { name, distinct, .. } => {
            let is_single = matches!(
                name,
                AggregateFunction::Count
                    | AggregateFunction::Sum
                    | AggregateFunction::Avg
                    | AggregateFunction::Min
                    | AggregateFunction::Max
                    | AggregateFunction::Sample
            );
            is_single && !distinct
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spargebra::{Query, SparqlParser};

    fn holds(text: &str) -> bool {
        let Query::Select { pattern, .. } = SparqlParser::new().parse_query(text).unwrap() else { panic!("a SELECT") };
        holds_rows(&pattern, &|pattern| matches!(pattern, GraphPattern::Service { .. }))
    }

    #[test]
    fn counting_holds_nothing_and_sorting_does() {
        let leaf = "SERVICE <urn:leaf> { ?a ?b ?c }";
        for (text, expected) in [
            (format!("SELECT (COUNT(*) AS ?n) {{ {leaf} }}"), false),
            (
                format!(
                    "SELECT (COUNT(?a) AS ?n) (MAX(?b) AS ?m) {{ {{ {leaf} }} UNION {{ {leaf} FILTER(?a != ?b) }} }}"
                ),
                false,
            ),
            (format!("SELECT (COUNT(DISTINCT ?a) AS ?n) {{ {leaf} }}"), true),
            (format!("SELECT (COUNT(*) AS ?n) {{ {leaf} }} GROUP BY ?a"), true),
            (format!("SELECT (GROUP_CONCAT(?a) AS ?n) {{ {leaf} }}"), true),
            (format!("SELECT * {{ {leaf} }} ORDER BY ?a"), true),
            (format!("SELECT DISTINCT ?a {{ {leaf} }}"), true),
            (format!("SELECT * {{ {leaf} FILTER EXISTS {{ ?a ?p ?o }} }}"), true),
            (format!("SELECT * {{ {leaf} OPTIONAL {{ {leaf} }} }}"), true),
            ("SELECT (COUNT(*) AS ?n) { ?s <urn:p>+ ?o }".to_owned(), true),
        ] {
            assert_eq!(holds(&text), expected, "{text}");
        }
    }
}
