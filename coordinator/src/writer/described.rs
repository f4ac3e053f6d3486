//! Names for the answer to a change: of predicates and graphs, and of the facts and rules behind a removal that does
//! nothing.

use crate::rules::ParsedSet;
use entail_logic::rules::{NamedNodePattern, Rule, TermPattern, TriplePattern};
use oxrdf::{GraphName, Quad, Term, Variable};
use std::collections::HashMap;
use std::sync::Arc;

/// The most rules that are named, and the most characters of a rule and of a fact.
const RULES_MAX: usize = 20;
const RULE_CHARS_MAX: usize = 200;
const FACT_CHARS_MAX: usize = 1_000;

/// The fact as a statement, cut off if it is long.
pub fn fact(quad: &Quad) -> String {
    let text = quad.to_string();
    match text.chars().count() > FACT_CHARS_MAX {
        true => text.chars().take(FACT_CHARS_MAX).chain(['…']).collect(),
        false => text,
    }
}

/// The rules of which a head can be this fact, by their names or texts.
pub fn rules_of(sets: &[Arc<ParsedSet>], quad: &Quad) -> Vec<String> {
    let of_set = |set: &Arc<ParsedSet>| {
        let Ok(content) = set.content() else { return Vec::new() };
        let graph = content.graph.as_ref().map_or(GraphName::DefaultGraph, |graph| graph.clone().into());
        if graph != quad.graph_name {
            return Vec::new();
        }
        let rules = content.rules.rules.iter().filter(|rule| rule.head.iter().any(|head| matches(head, quad)));
        let is_data = content.rules.data.iter().any(|triple| triple.clone().in_graph(graph.clone()) == *quad);
        let data = is_data.then(|| format!("DATA of {}", set.set.name));
        rules.map(label).chain(data).collect::<Vec<String>>()
    };
    sets.iter().flat_map(of_set).take(RULES_MAX).collect()
}

fn label(rule: &Rule) -> String {
    let label = rule.name.as_ref().map_or(rule.text.as_str(), |name| name.as_str());
    label.chars().take(RULE_CHARS_MAX).collect()
}

/// Can the pattern be the fact?
fn matches(pattern: &TriplePattern, quad: &Quad) -> bool {
    let mut bound = HashMap::new();
    let predicate = match &pattern.predicate {
        NamedNodePattern::NamedNode(node) => TermPattern::NamedNode(node.clone()),
        NamedNodePattern::Variable(variable) => TermPattern::Variable(variable.clone()),
    };
    let terms = [quad.subject.clone().into(), quad.predicate.clone().into(), quad.object.clone()];
    [&pattern.subject, &predicate, &pattern.object]
        .into_iter()
        .zip(&terms)
        .all(|(pattern, term)| matches_term(pattern, term, &mut bound))
}

fn matches_term<'p>(pattern: &'p TermPattern, term: &Term, bound: &mut HashMap<&'p Variable, Term>) -> bool {
    match (pattern, term) {
        (TermPattern::Variable(variable), _) => bound.entry(variable).or_insert_with(|| term.clone()) == term,
        (TermPattern::NamedNode(node), Term::NamedNode(other)) => node == other,
        (TermPattern::Literal(literal), Term::Literal(other)) => literal == other,
        (TermPattern::BlankNode(node), Term::BlankNode(other)) => node == other,
        // Head patterns have ground triple terms only.
        (TermPattern::Triple(_), Term::Triple(_)) => {
            Term::try_from(pattern.clone()).is_ok_and(|ground| ground == *term)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metalog::RuleSet;
    use oxrdf::NamedNode;

    fn quad(subject: &str, predicate: &str, object: &str) -> Quad {
        let node = |name: &str| NamedNode::new_unchecked(format!("urn:{name}"));
        Quad::new(node(subject), node(predicate), node(object), GraphName::DefaultGraph)
    }

    #[test]
    fn rules_are_found_by_their_heads() {
        let source = "RULE { ?x <urn:q> ?y } WHERE { ?x <urn:p> ?y }\n\
                      RULE { ?x <urn:q> ?x } WHERE { ?x <urn:p> ?y }\n\
                      RULE { ?x <urn:q> <urn:c> . ?x <urn:r> ?y } WHERE { ?x <urn:p> ?y }\n\
                      DATA { <urn:a> <urn:q> <urn:b> }";
        let set = RuleSet { name: "s".to_owned(), graph: None, source: source.to_owned(), version: 1 };
        let sets = [Arc::new(ParsedSet::new(set).expect("rules"))];
        let found = |quad| rules_of(&sets, &quad).len();
        assert_eq!(found(quad("a", "q", "b")), 2, "the first rule and the data");
        assert_eq!(found(quad("a", "q", "a")), 2, "the first and the second rule");
        assert_eq!(found(quad("a", "q", "c")), 2, "the first and the third rule");
        assert_eq!(found(quad("a", "r", "c")), 1);
        assert_eq!(found(quad("a", "p", "c")), 0);
        let elsewhere = Quad { graph_name: NamedNode::new_unchecked("urn:g").into(), ..quad("a", "q", "b") };
        assert_eq!(found(elsewhere), 0);
    }

    #[test]
    fn a_long_fact_is_cut_off() {
        let long = fact(&quad("a", "p", &"x".repeat(5_000)));
        assert_eq!(long.chars().count(), FACT_CHARS_MAX + 1);
        assert_eq!(fact(&quad("a", "p", "b")), "<urn:a> <urn:p> <urn:b>");
    }
}
