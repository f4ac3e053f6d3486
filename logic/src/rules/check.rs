//! From a parsed text to rules: refuses what this version does not evaluate, checks the rest, and writes blank nodes of
//! bodies as variables.

use super::rule::{Filter, Rule, RuleSet};
use super::{Ast, condition, wellformed};
use entail_model::Fault;
use entail_syntax::algebra::{NamedNodePattern, TermPattern, TriplePattern};
use entail_syntax::ast::{Blank, BodyElement, Node, Pattern, RuleText, Value};
use oxrdf::{BlankNode, NamedOrBlankNode, Term, Triple, Variable};
use std::collections::{HashMap, HashSet};

/// The version of the language that `VERSION` may ask for.
const VERSION: &str = "1.2";

/// Checks scope and well-formedness of a text, and turns it into rules.
///
/// The rules that this version evaluates are positive, so they need no strata.
///
/// # Errors
/// `Unsupported`, `Syntax` and `LimitExceeded`, as in [`super::parse`].
pub fn check(ast: Ast) -> Result<RuleSet, Fault> {
    let Ast { document, fingerprint } = ast;
    if let Some((version, spot)) = document.versions.iter().find(|(version, _)| version != VERSION) {
        return Err(spot.unsupported(format!("VERSION \"{version}\"")));
    }
    if let Some((_, spot)) = document.imports.first() {
        return Err(spot.unsupported("IMPORTS"));
    }
    let data = document.data.iter().map(|triple| fact(triple, fingerprint)).collect::<Result<_, _>>()?;
    let rules = document.rules.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    Ok(RuleSet { rules: rules.into_iter().flatten().collect(), data })
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
        head: text.head.iter().map(|pattern| names.pattern(pattern)).collect(),
        body: Vec::new(),
        filters: Vec::new(),
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
            BodyElement::Negation(_) | BodyElement::Assignment { .. } => unreachable!("out of scope, so refused above"),
        }
    }
    Ok(Some(rule))
}

fn check_scope(rule: &RuleText) -> Result<(), Fault> {
    rule.head.iter().try_for_each(|triple| check_triple(triple, Side::Head))?;
    if let Some(spot) = rule.base_only {
        return Err(spot.unsupported("WHERE DATA"));
    }
    rule.body.iter().try_for_each(|element| match element {
        BodyElement::Pattern(pattern) => check_triple(pattern, Side::Body),
        BodyElement::Filter(filter) => condition::check(rule, &filter.expression),
        BodyElement::Negation(negation) if negation.base_only.is_some() => Err(negation.spot.unsupported("NOT DATA")),
        BodyElement::Negation(negation) => Err(negation.spot.unsupported("NOT")),
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

/// The variables of one rule: those of the text, and those that replace blank nodes.
struct Names<'r> {
    taken: HashSet<&'r str>,
    blanks: HashMap<&'r Blank, Variable>,
    next: u32,
}

impl<'r> Names<'r> {
    fn new(rule: &'r RuleText) -> Self {
        let mut taken = HashSet::new();
        for element in &rule.body {
            if let BodyElement::Pattern(pattern) = element {
                pattern.walk(&mut |node| taken.extend(node.variable().map(Variable::as_str)));
            }
        }
        Self { taken, blanks: HashMap::new(), next: 0 }
    }

    fn pattern(&mut self, pattern: &'r Pattern) -> TriplePattern {
        let predicate = match &pattern.predicate.value {
            Value::Iri(iri) => NamedNodePattern::NamedNode(iri.clone()),
            Value::Variable(variable) => NamedNodePattern::Variable(variable.clone()),
            Value::Literal(_) | Value::Blank(_) | Value::Triple(_) => unreachable!("the grammar has no such predicate"),
        };
        TriplePattern { subject: self.term(&pattern.subject), predicate, object: self.term(&pattern.object) }
    }

    fn term(&mut self, node: &'r Node) -> TermPattern {
        match &node.value {
            Value::Iri(iri) => iri.clone().into(),
            Value::Literal(literal) => literal.clone().into(),
            Value::Variable(variable) => variable.clone().into(),
            Value::Blank(blank) => self.blank(blank).into(),
            Value::Triple(triple) => self.pattern(triple).into(),
        }
    }

    fn blank(&mut self, blank: &'r Blank) -> Variable {
        if let Some(variable) = self.blanks.get(blank) {
            return variable.clone();
        }
        let name = loop {
            let name = format!("_b{}", self.next);
            self.next += 1;
            if !self.taken.contains(name.as_str()) {
                break name;
            }
        };
        let variable = Variable::new_unchecked(name);
        self.blanks.insert(blank, variable.clone());
        variable
    }
}
