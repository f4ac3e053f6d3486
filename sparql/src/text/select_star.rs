//! `SELECT *`: the order of columns.
//!
//! SPARQL leaves the order open and the parser sorts by name; users expect the order in which they wrote the variables.

use crate::text::tokens::{Token, tokens};
use oxrdf::Variable;
use spargebra::Query;
use spargebra::algebra::GraphPattern;
use std::collections::HashMap;

/// Puts the columns of a `SELECT *` into the order in which its text first mentions them.
pub fn order_columns(query: &mut Query, text: &str) {
    if let Query::Select { pattern, .. } = query
        && shows_all(text)
        && let Some(variables) = shown(pattern)
    {
        let mut places = HashMap::new();
        for (place, token) in tokens(text) {
            if let Token::Variable(name) = token {
                places.entry(name).or_insert(place);
            }
        }
        variables.sort_by_key(|variable| places.get(variable.as_str()).copied().unwrap_or(usize::MAX));
    }
}

/// Is the outermost SELECT one of `*`?
fn shows_all(text: &str) -> bool {
    let is =
        |token: &Token<'_>, keyword: &str| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(keyword));
    let mut after = tokens(text).map(|(_, token)| token).skip_while(|token| !is(token, "select")).skip(1);
    let first = after.find(|token| !is(token, "distinct") && !is(token, "reduced"));
    first == Some(Token::Operator(b'*'))
}

/// The variables of the outermost projection.
fn shown(pattern: &mut GraphPattern) -> Option<&mut Vec<Variable>> {
    match pattern {
        GraphPattern::Slice { inner, .. } | GraphPattern::Distinct { inner } | GraphPattern::Reduced { inner } => {
            shown(inner)
        }
        GraphPattern::Project { variables, .. } => Some(variables),
        _ => None,
    }
}
