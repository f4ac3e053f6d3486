//! The variables of one rule: those of the text, those that replace blank nodes, and those that replace the local variables
//! of a NOT.
//!
//! The elements of a body are read in their order. A variable that stands in a NOT before any pattern binds it is local to
//! the NOT: a variable of that name in a later pattern, or in another NOT, is another one, so the local one gets a new name.

use entail_syntax::algebra::{NamedNodePattern, TermPattern, TriplePattern};
use entail_syntax::ast::{Blank, BodyElement, Node, Pattern, RuleText, Value};
use oxrdf::Variable;
use std::collections::{HashMap, HashSet};

/// The names of a rule, or of a NOT in it.
#[derive(Clone)]
pub(super) struct Names<'r> {
    /// The variables of the rule as written, and new names.
    taken: HashSet<String>,
    /// The variables of the patterns outside of any NOT.
    of_patterns: HashSet<&'r str>,
    /// The variables and blank nodes of the patterns that were read.
    bound: HashSet<&'r str>,
    blanks: HashMap<&'r Blank, Variable>,
    /// The local variables of earlier NOTs.
    of_nots: HashSet<&'r str>,
    /// The local variables of this NOT and their names; present within a NOT only.
    local: Option<HashMap<&'r str, Variable>>,
    next: u32,
}

impl<'r> Names<'r> {
    pub(super) fn new(rule: &'r RuleText) -> Self {
        let (mut taken, mut of_patterns) = (HashSet::new(), HashSet::new());
        let name = |node: &'r Node| node.variable().map(Variable::as_str);
        for element in &rule.body {
            match element {
                BodyElement::Pattern(pattern) => pattern.walk(&mut |node| of_patterns.extend(name(node))),
                BodyElement::Negation(negation) => {
                    let inner = negation.inner.iter().filter_map(pattern_of);
                    inner.for_each(|pattern| pattern.walk(&mut |node| taken.extend(name(node).map(str::to_owned))));
                }
                BodyElement::Filter(_) | BodyElement::Assignment { .. } => {}
            }
        }
        taken.extend(of_patterns.iter().map(|name| (*name).to_owned()));
        let (bound, blanks, of_nots) = (HashSet::new(), HashMap::new(), HashSet::new());
        Self { taken, of_patterns, bound, blanks, of_nots, local: None, next: 0 }
    }

    /// The names within a NOT that stands after the patterns that were read.
    pub(super) fn within_not(&self) -> Self {
        Self { local: Some(HashMap::new()), ..self.clone() }
    }

    /// Continues after a NOT.
    pub(super) fn end_not(&mut self, inner: Self) {
        self.next = inner.next;
        self.of_nots.extend(inner.local.into_iter().flat_map(HashMap::into_keys));
    }

    pub(super) fn pattern(&mut self, pattern: &'r Pattern) -> TriplePattern {
        let predicate = match &pattern.predicate.value {
            Value::Iri(iri) => NamedNodePattern::NamedNode(iri.clone()),
            Value::Variable(variable) => NamedNodePattern::Variable(self.variable(variable)),
            Value::Literal(_) | Value::Blank(_) | Value::Triple(_) => unreachable!("the grammar has no such predicate"),
        };
        TriplePattern { subject: self.term(&pattern.subject), predicate, object: self.term(&pattern.object) }
    }

    fn term(&mut self, node: &'r Node) -> TermPattern {
        match &node.value {
            Value::Iri(iri) => iri.clone().into(),
            Value::Literal(literal) => literal.clone().into(),
            Value::Variable(variable) => self.variable(variable).into(),
            Value::Blank(blank) => self.blank(blank).into(),
            Value::Triple(triple) => self.pattern(triple).into(),
        }
    }

    /// A variable of a pattern.
    fn variable(&mut self, variable: &'r Variable) -> Variable {
        let name = variable.as_str();
        if self.local.is_none() {
            self.bound.insert(name);
        }
        if self.bound.contains(name) {
            return variable.clone();
        }
        if let Some(known) = self.local(variable) {
            return known;
        }
        let is_another = self.of_patterns.contains(name) || self.of_nots.contains(name);
        let local = if is_another { self.new_name("_n") } else { variable.clone() };
        self.local.get_or_insert_default().insert(name, local.clone());
        local
    }

    /// The name of a local variable of this NOT.
    pub(super) fn local(&self, variable: &Variable) -> Option<Variable> {
        self.local.as_ref().and_then(|local| local.get(variable.as_str()).cloned())
    }

    fn blank(&mut self, blank: &'r Blank) -> Variable {
        if let Some(variable) = self.blanks.get(blank) {
            return variable.clone();
        }
        let variable = self.new_name("_b");
        self.blanks.insert(blank, variable.clone());
        variable
    }

    fn new_name(&mut self, prefix: &str) -> Variable {
        loop {
            let name = format!("{prefix}{}", self.next);
            self.next += 1;
            if self.taken.insert(name.clone()) {
                return Variable::new_unchecked(name);
            }
        }
    }
}

fn pattern_of(element: &BodyElement) -> Option<&Pattern> {
    match element {
        BodyElement::Pattern(pattern) => Some(pattern),
        BodyElement::Filter(_) | BodyElement::Negation(_) | BodyElement::Assignment { .. } => None,
    }
}
