//! From a parsed text to rules: refuses what this version does not evaluate, checks the rest, and writes blank nodes of
//! bodies as variables.

use super::names::Names;
use super::rule::{Filter, Rule, RuleSet};
use super::{Ast, condition, negation, stratify, wellformed};
use entail_model::Fault;
use entail_syntax::ast::{Blank, BodyElement, Pattern, RuleText, Value};
use oxrdf::{BlankNode, NamedOrBlankNode, Term, Triple};

/// The version of the language that `VERSION` may ask for.
const VERSION: &str = "1.2";

/// Checks scope, well-formedness and stratification of a text, and turns it into rules. Rules without NOT need no strata.
///
/// # Errors
/// `Unsupported`, `Syntax` and `LimitExceeded`, as in [`super::parse`].
pub fn check(ast: Ast) -> Result<RuleSet, Fault> {
    let Ast { document, fingerprint } = &ast;
    if let Some((version, spot)) = document.versions.iter().find(|(version, _)| version != VERSION) {
        return Err(spot.unsupported(format!("VERSION \"{version}\"")));
    }
    if let Some((_, spot)) = document.imports.first() {
        return Err(spot.unsupported("IMPORTS"));
    }
    let data = document.data.iter().map(|triple| fact(triple, *fingerprint)).collect::<Result<_, _>>()?;
    let rules = document.rules.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    let rules: Vec<Rule> = rules.into_iter().flatten().collect();
    if rules.iter().any(|rule| !rule.negated.is_empty()) {
        stratify::check_stratified(&ast)?;
    }
    Ok(RuleSet { rules, data })
}

/// One rule; `None` if it has no head.
fn rule(text: &RuleText) -> Result<Option<Rule>, Fault> {
    check_scope(text)?;
    wellformed::check_rule(text)?;
    if text.head.is_empty() {
        return Ok(None);
    }
    let mut names = Names::new(text);
    let mut rule = Rule {
        name: text.name.clone(),
        head: Vec::new(),
        body: Vec::new(),
        filters: Vec::new(),
        negated: Vec::new(),
        line: text.spot.line.into(),
        column: text.spot.column.into(),
        text: text.text.clone(),
    };
    for element in &text.body {
        match element {
            BodyElement::Pattern(pattern) => rule.body.push(names.pattern(pattern)),
            BodyElement::Filter(filter) => {
                rule.filters.push(Filter { expression: condition::lower(&filter.expression)? });
            }
            BodyElement::Negation(negation) => negation::add(&mut rule, negation, &mut names)?,
            BodyElement::Assignment { .. } => unreachable!("out of scope, so refused above"),
        }
    }
    rule.head = text.head.iter().map(|pattern| names.pattern(pattern)).collect();
    negation::finish(&mut rule, text)?;
    Ok(Some(rule))
}

fn check_scope(rule: &RuleText) -> Result<(), Fault> {
    rule.head.iter().try_for_each(|triple| check_triple(triple, Side::Head))?;
    if let Some(spot) = rule.base_only {
        return Err(spot.unsupported("WHERE DATA"));
    }
    check_elements(rule, &rule.body)
}

fn check_elements(rule: &RuleText, elements: &[BodyElement]) -> Result<(), Fault> {
    elements.iter().try_for_each(|element| match element {
        BodyElement::Pattern(pattern) => check_triple(pattern, Side::Body),
        BodyElement::Filter(filter) => condition::check(rule, &filter.expression),
        BodyElement::Negation(negation) if negation.base_only.is_some() => Err(negation.spot.unsupported("NOT DATA")),
        BodyElement::Negation(negation) => check_elements(rule, &negation.inner),
        BodyElement::Assignment { spot, .. } => Err(spot.unsupported("SET")),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Head,
    Body,
}

fn check_triple(triple: &Pattern, side: Side) -> Result<(), Fault> {
    for node in triple.nodes() {
        match &node.value {
            Value::Blank(_) if side == Side::Head => {
                return Err(node.spot.unsupported(
                    "a blank node in a rule head (a label, `[]`, a collection, or a reifier without a name)",
                ));
            }
            Value::Triple(_) if !node.is_ground() => {
                return Err(node
                    .spot
                    .unsupported("a triple term or reified triple with variables or blank nodes in it"));
            }
            _ => {}
        }
    }
    check_subjects(triple)
}

/// Checks that subjects are IRIs or blank nodes, at every depth.
fn check_subjects(triple: &Pattern) -> Result<(), Fault> {
    match triple.subject.value {
        Value::Literal(_) => Err(triple.subject.spot.unsupported("a literal as a subject")),
        Value::Triple(_) => Err(triple.subject.spot.unsupported("a triple term as a subject")),
        Value::Iri(_) | Value::Variable(_) | Value::Blank(_) => match &triple.object.value {
            Value::Triple(inner) => check_subjects(inner),
            _ => Ok(()),
        },
    }
}

/// A triple of a `DATA` block.
fn fact(triple: &Pattern, fingerprint: u64) -> Result<Triple, Fault> {
    check_subjects(triple)?;
    Ok(ground(triple, fingerprint))
}

fn ground(triple: &Pattern, fingerprint: u64) -> Triple {
    const CHECKED: &str = "the parser and check_subjects let nothing else pass";
    let Value::Iri(predicate) = &triple.predicate.value else { unreachable!("{CHECKED}") };
    let subject: NamedOrBlankNode = match &triple.subject.value {
        Value::Iri(iri) => iri.clone().into(),
        Value::Blank(blank) => labelled(blank, fingerprint).into(),
        Value::Literal(_) | Value::Variable(_) | Value::Triple(_) => unreachable!("{CHECKED}"),
    };
    let object: Term = match &triple.object.value {
        Value::Iri(iri) => iri.clone().into(),
        Value::Literal(literal) => literal.clone().into(),
        Value::Blank(blank) => labelled(blank, fingerprint).into(),
        Value::Triple(inner) => ground(inner, fingerprint).into(),
        Value::Variable(_) => unreachable!("{CHECKED}"),
    };
    Triple::new(subject, predicate.clone(), object)
}

/// The blank node of a label, or of a position, in this text. Its name has the text's fingerprint, so two texts do not
/// share blank nodes.
fn labelled(blank: &Blank, fingerprint: u64) -> BlankNode {
    BlankNode::new_unchecked(match blank {
        Blank::Label(label) => format!("srl{fingerprint:016x}b{label}"),
        Blank::Fresh(number) => format!("srl{fingerprint:016x}n{number}"),
    })
}
