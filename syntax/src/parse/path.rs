//! Property paths: sequences and inverses, which abbreviate triple patterns.

use super::ast::{Node, Value};
use super::parser::Parser;
use super::token::Kind;
use super::triples::Place;
use entail_model::Fault;

/// The part between subject and object.
pub(super) enum Path {
    /// A predicate: an IRI or a variable.
    Step(Node),
    Inverse(Box<Path>),
    /// A sequence of two or more steps.
    Sequence(Vec<Path>),
}

impl Path {
    /// The predicate, if the path is a single one.
    pub fn step(&self) -> Option<&Node> {
        match self {
            Self::Step(predicate) => Some(predicate),
            _ => None,
        }
    }

    /// Calls `emit` with the subject, predicate and object of each pattern that the path stands for.
    pub fn expand<'a>(
        &self,
        subject: &Node,
        object: &Node,
        parser: &mut Parser<'a>,
        emit: &mut impl FnMut(&mut Parser<'a>, [&Node; 3]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self {
            Self::Step(predicate) => emit(parser, [subject, predicate, object]),
            Self::Inverse(inner) => inner.expand(object, subject, parser, emit),
            Self::Sequence(steps) => {
                let Some((last, before)) = steps.split_last() else { return Ok(()) };
                let mut from = subject.clone();
                for step in before {
                    let to = parser.fresh(subject.spot);
                    step.expand(&from, &to, parser, emit)?;
                    from = to;
                }
                last.expand(&from, object, parser, emit)
            }
        }
    }
}

impl Parser<'_> {
    /// A path or a variable, in a body.
    pub fn path_or_variable(&mut self) -> Result<Path, Fault> {
        match self.peek().kind {
            Kind::Variable(_) => Ok(Path::Step(self.variable()?)),
            _ => self.path(),
        }
    }

    fn path(&mut self) -> Result<Path, Fault> {
        let first = self.path_step()?;
        if !self.peek().is_mark("/") {
            return Ok(first);
        }
        let mut steps = vec![first];
        while self.eat("/")? {
            steps.push(self.path_step()?);
        }
        Ok(Path::Sequence(steps))
    }

    fn path_step(&mut self) -> Result<Path, Fault> {
        if self.eat("^")? { Ok(Path::Inverse(Box::new(self.path_element()?))) } else { self.path_element() }
    }

    fn path_element(&mut self) -> Result<Path, Fault> {
        if self.eat("(")? {
            let inner = self.nested(Self::path)?;
            self.expect(")")?;
            return Ok(inner);
        }
        let is_name = matches!(self.peek().kind, Kind::Iri(_) | Kind::Prefixed { .. }) || self.peek().is_a();
        if !is_name {
            return Err(self.unexpected("a predicate or a path: an IRI, `a`, a variable, `^` or `(`"));
        }
        let step = self.simple_verb(Place::Body)?;
        debug_assert!(matches!(step.value, Value::Iri(_)), "paths are made of IRIs");
        Ok(Path::Step(step))
    }
}
