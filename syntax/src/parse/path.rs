//! Property paths.

use super::parser::Parser;
use super::place::{Paths, Place};
use crate::ast::{NegatedStep, Node, Path, Repetition, Value};
use crate::lexer::Kind;
use entail_model::Fault;
use oxrdf::NamedNode;
use oxrdf::vocab::rdf;

/// The part between subject and object.
pub(super) enum Verb {
    /// An IRI or a variable.
    Node(Node),
    /// More than one step forwards.
    Path(Path),
}

impl Parser<'_> {
    /// A path or a variable.
    pub fn verb(&mut self, place: Place) -> Result<Verb, Fault> {
        if self.at_variable() {
            return Ok(Verb::Node(self.variable()?));
        }
        Ok(match self.alternatives(place.paths())? {
            Path::Step(iri, spot) => Verb::Node(Node { value: Value::Iri(iri), spot }),
            path => Verb::Path(path),
        })
    }

    fn alternatives(&mut self, paths: Paths) -> Result<Path, Fault> {
        let first = self.sequence(paths)?;
        if !self.peek().is_mark("|") {
            return Ok(first);
        }
        self.check_operator(paths)?;
        let mut list = vec![first];
        while self.eat("|")? {
            list.push(self.sequence(paths)?);
        }
        Ok(Path::Alternative(list))
    }

    fn sequence(&mut self, paths: Paths) -> Result<Path, Fault> {
        let first = self.path_step(paths)?;
        if !self.peek().is_mark("/") {
            return Ok(first);
        }
        let mut steps = vec![first];
        while self.eat("/")? {
            steps.push(self.path_step(paths)?);
        }
        Ok(Path::Sequence(steps))
    }

    fn path_step(&mut self, paths: Paths) -> Result<Path, Fault> {
        if self.eat("^")? { Ok(Path::Inverse(Box::new(self.repeated(paths)?))) } else { self.repeated(paths) }
    }

    fn repeated(&mut self, paths: Paths) -> Result<Path, Fault> {
        let path = self.path_primary(paths)?;
        let repetition = match self.peek().kind {
            Kind::Mark("?") => Repetition::ZeroOrOne,
            Kind::Mark("*") => Repetition::ZeroOrMore,
            Kind::Mark("+") => Repetition::OneOrMore,
            _ => return Ok(path),
        };
        self.check_operator(paths)?;
        self.advance()?;
        Ok(Path::Repeated(Box::new(path), repetition))
    }

    fn path_primary(&mut self, paths: Paths) -> Result<Path, Fault> {
        if self.peek().is_mark("(") {
            let bracket = self.open("(")?;
            let inner = self.alternatives(paths)?;
            self.close(bracket, if paths == Paths::All { "an operator of paths" } else { "`/`" })?;
            return Ok(inner);
        }
        if self.peek().is_mark("!") && paths == Paths::All {
            self.advance()?;
            return self.negated();
        }
        let spot = self.spot();
        if self.at_iri() {
            return Ok(Path::Step(self.iri()?, spot));
        }
        if self.peek().is_a() {
            self.advance()?;
            return Ok(Path::Step(rdf::TYPE.into_owned(), spot));
        }
        Err(self.unexpected(if paths == Paths::All {
            "a predicate or a path: an IRI, `a`, a variable, `^`, `!` or `(`"
        } else {
            "a predicate or a path: an IRI, `a`, a variable, `^` or `(`"
        }))
    }

    /// What follows `!`: a step, or steps in brackets, perhaps none.
    fn negated(&mut self) -> Result<Path, Fault> {
        if !self.peek().is_mark("(") {
            return Ok(Path::Negated(vec![self.negated_step()?]));
        }
        let bracket = self.open("(")?;
        let mut steps = Vec::new();
        while !self.peek().is_mark(")") {
            steps.push(self.negated_step()?);
            if !self.eat("|")? {
                break;
            }
        }
        self.close(bracket, "`|`")?;
        Ok(Path::Negated(steps))
    }

    fn negated_step(&mut self) -> Result<NegatedStep, Fault> {
        if self.eat("^")? { Ok(NegatedStep::Inverse(self.step()?)) } else { Ok(NegatedStep::Forward(self.step()?)) }
    }

    fn step(&mut self) -> Result<NamedNode, Fault> {
        if self.peek().is_a() {
            self.advance()?;
            return Ok(rdf::TYPE.into_owned());
        }
        if self.at_iri() { self.iri() } else { Err(self.unexpected("an IRI, `a` or `^`")) }
    }

    /// Rules have sequences and inverses only.
    fn check_operator(&self, paths: Paths) -> Result<(), Fault> {
        if paths == Paths::All {
            return Ok(());
        }
        let operator = self.shown(self.peek());
        let message = format!("{operator} is not part of SPARQL-RL: its paths are sequences `/` and inverses `^`");
        Err(self.spot().syntax(message))
    }
}
