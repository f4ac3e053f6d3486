//! Random terms and facts: literals of every type with forms that are not canonical, shared by graphs.

use super::{Random, named, node};
use oxrdf::vocab::rdf;
use oxrdf::{BlankNode, GraphName, Literal, NamedNode, NamedOrBlankNode, Quad, Term, Triple};

/// Forms with the local names of their datatypes. Floats have forms that no computation gives, and so have whole decimals.
const TYPED: [(&str, &str); 42] = [
    ("0", "integer"),
    ("1", "integer"),
    ("2", "integer"),
    ("3", "integer"),
    ("7", "integer"),
    ("007", "integer"),
    ("+2", "integer"),
    ("-2", "integer"),
    ("7", "int"),
    ("2", "byte"),
    ("03", "unsignedInt"),
    ("1", "positiveInteger"),
    ("-1", "negativeInteger"),
    ("1.5", "decimal"),
    ("2.0", "decimal"),
    ("02.50", "decimal"),
    (".5", "decimal"),
    ("-1.5", "decimal"),
    ("1e0", "double"),
    ("1.5e0", "double"),
    ("2.50E1", "double"),
    ("-0e0", "double"),
    ("+1.5", "float"),
    ("2.5e-1", "float"),
    ("true", "boolean"),
    ("false", "boolean"),
    ("1", "boolean"),
    ("0", "boolean"),
    ("2020-01-01T00:00:00Z", "dateTime"),
    ("2020-01-01T00:00:00", "dateTime"),
    ("2020-01-01T02:00:00+02:00", "dateTime"),
    ("2019-12-31T23:59:59.5Z", "dateTime"),
    ("2021-06-30T12:00:00-05:00", "dateTime"),
    ("2020-01-01", "date"),
    ("2020-01-01Z", "date"),
    ("2020-01-02Z", "date"),
    ("2022-01-02", "date"),
    ("abc", "integer"),
    ("300", "byte"),
    ("2020-02-30", "date"),
    ("NaN", "double"),
    ("2", "long"),
];

const STRINGS: [&str; 9] = ["", "a", "b", "abc", "A", "1", "ab c", "true", "\u{e9}t\u{e9}"];
const LANGUAGES: [&str; 4] = ["en", "de", "en-gb", "en"];

pub fn typed(form: &str, datatype: &str) -> Literal {
    Literal::new_typed_literal(form, NamedNode::new_unchecked(format!("http://www.w3.org/2001/XMLSchema#{datatype}")))
}

pub fn literal(random: &mut Random<'_>) -> Literal {
    match random.below(20) {
        0..9 => {
            let (form, datatype) = *random.pick(&TYPED[..22]);
            typed(form, datatype)
        }
        9..13 => {
            let (form, datatype) = *random.pick(&TYPED);
            typed(form, datatype)
        }
        13..17 => Literal::new_simple_literal(random.word(&STRINGS)),
        17 => Literal::new_typed_literal(random.word(&["x", "y"]), named("t")),
        _ => {
            let (form, tag) = (random.word(&STRINGS), random.word(&LANGUAGES));
            Literal::new_language_tagged_literal_unchecked(form, tag)
        }
    }
}

/// A predicate: a name of a graph is one, too.
pub fn predicate(random: &mut Random<'_>) -> NamedNode {
    match random.below(12) {
        0 | 1 => rdf::TYPE.into_owned(),
        2 => named("g0"),
        _ => named(random.word(&["p0", "p1", "p2"])),
    }
}

pub fn graph(random: &mut Random<'_>) -> NamedNode {
    named(random.word(&["g0", "g1"]))
}

fn blank(random: &mut Random<'_>) -> BlankNode {
    BlankNode::new_unchecked(random.word(&["b0", "b1"]))
}

fn subject(random: &mut Random<'_>) -> NamedOrBlankNode {
    if random.chance(15) { blank(random).into() } else { node(random).into() }
}

fn triple_term(random: &mut Random<'_>) -> Term {
    let object = if random.chance(40) { literal(random).into() } else { node(random).into() };
    Triple { subject: subject(random), predicate: predicate(random), object }.into()
}

fn fact(random: &mut Random<'_>) -> Triple {
    if random.chance(10) {
        return Triple { subject: subject(random), predicate: super::query::reifies(), object: triple_term(random) };
    }
    let object = match random.below(20) {
        0 => blank(random).into(),
        1 => graph(random).into(),
        2 => triple_term(random),
        3..11 => literal(random).into(),
        _ => node(random).into(),
    };
    Triple { subject: subject(random), predicate: predicate(random), object }
}

/// Facts of the default graph and of named graphs.
pub fn facts(random: &mut Random<'_>) -> Vec<Quad> {
    let count = 10 + random.below(30);
    (0..count).map(|_| quad(random)).collect()
}

fn quad(random: &mut Random<'_>) -> Quad {
    let name = if random.chance(35) { graph(random).into() } else { GraphName::DefaultGraph };
    fact(random).in_graph(name)
}

/// Facts without blank nodes: documents that are loaded one after the other do not share them.
pub fn named_facts(random: &mut Random<'_>) -> Vec<Quad> {
    let mut facts = facts(random);
    facts.retain(|fact| !fact.to_string().contains("_:"));
    facts
}
