//! Blocks of triples in DATA, heads and bodies: one reader for three productions of the grammar, which differ in whether
//! they allow variables and paths.

use super::ast::{Node, Pattern, Value};
use super::parser::Parser;
use super::path::Path;
use super::token::Kind;
use entail_model::Fault;
use oxrdf::vocab::rdf;
use oxrdf::{NamedNode, NamedNodeRef};

/// The kind of a block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// No variables, no paths.
    Data,
    /// No paths.
    Head,
    Body,
}

/// Reads one block.
pub(super) struct Triples<'p, 'a> {
    parser: &'p mut Parser<'a>,
    place: Place,
    /// The triples of the block, abbreviations written out.
    pub found: Vec<Pattern>,
}

impl<'p, 'a> Triples<'p, 'a> {
    pub fn new(parser: &'p mut Parser<'a>, place: Place) -> Self {
        Self { parser, place, found: Vec::new() }
    }

    /// Zero or more subjects with their properties, separated by full stops.
    pub fn block(&mut self) -> Result<(), Fault> {
        while self.at_subject() {
            self.subject_with_properties()?;
            if !self.parser.eat(".")? {
                break;
            }
        }
        Ok(())
    }

    fn at_subject(&self) -> bool {
        let token = self.parser.peek();
        match token.kind {
            Kind::Iri(_) | Kind::Prefixed { .. } | Kind::Blank(_) | Kind::Variable(_) => true,
            Kind::Mark(mark) => matches!(mark, "(" | "[" | "<<" | "<<(" | "<"),
            _ => self.parser.at_literal(),
        }
    }

    fn subject_with_properties(&mut self) -> Result<(), Fault> {
        let (subject, complete) = self.node()?;
        if !complete || self.at_verb() { self.properties(&subject) } else { Ok(()) }
    }

    fn at_verb(&self) -> bool {
        let token = self.parser.peek();
        match token.kind {
            Kind::Iri(_) | Kind::Prefixed { .. } | Kind::Variable(_) => true,
            Kind::Mark(mark) => self.place == Place::Body && matches!(mark, "^" | "("),
            _ => token.is_a(),
        }
    }

    /// PropertyListNotEmpty of the grammar.
    fn properties(&mut self, subject: &Node) -> Result<(), Fault> {
        self.property(subject)?;
        while self.parser.eat(";")? {
            if self.at_verb() {
                self.property(subject)?;
            }
        }
        Ok(())
    }

    fn property(&mut self, subject: &Node) -> Result<(), Fault> {
        let verb = self.verb()?;
        self.object(subject, &verb)?;
        while self.parser.eat(",")? {
            self.object(subject, &verb)?;
        }
        Ok(())
    }

    fn verb(&mut self) -> Result<Path, Fault> {
        if self.place == Place::Body {
            return self.parser.path_or_variable();
        }
        let verb = if self.at_path() { None } else { Some(self.parser.simple_verb(self.place)?) };
        match verb {
            Some(verb) if !self.parser.peek().is_mark("/") => Ok(Path::Step(verb)),
            _ => Err(self.parser.peek().spot.syntax("paths are for rule bodies only")),
        }
    }

    fn at_path(&self) -> bool {
        self.parser.peek().is_mark("^") || self.parser.peek().is_mark("(")
    }

    fn object(&mut self, subject: &Node, verb: &Path) -> Result<(), Fault> {
        let (object, _) = self.node()?;
        let found = &mut self.found;
        verb.expand(subject, &object, self.parser, &mut |parser, nodes| keep(found, parser, nodes))?;
        self.annotations(subject, verb, &object)
    }

    /// Reifiers and annotation blocks: the subject of a block is the reifier directly before it, or else a new one.
    fn annotations(&mut self, subject: &Node, verb: &Path, object: &Node) -> Result<(), Fault> {
        let mut named = None;
        loop {
            let spot = self.parser.peek().spot;
            let is_block = self.parser.peek().is_mark("{|");
            if !is_block && !self.parser.peek().is_mark("~") {
                return Ok(());
            }
            let Some(predicate) = verb.step() else {
                return Err(spot.syntax("a triple that is annotated needs a plain predicate, not a path"));
            };
            let triple = [subject, predicate, object];
            if !is_block {
                named = Some(self.reifier(triple)?);
                continue;
            }
            let reifier = match named.take() {
                Some(reifier) => reifier,
                None => self.reify(None, triple)?,
            };
            self.parser.expect("{|")?;
            self.nested(|block| block.properties(&reifier))?;
            self.parser.expect("|}")?;
        }
    }

    /// `~`, with an optional name, for the triple that was just read.
    fn reifier(&mut self, triple: [&Node; 3]) -> Result<Node, Fault> {
        self.parser.expect("~")?;
        let name = match self.parser.peek().kind {
            Kind::Iri(_) | Kind::Prefixed { .. } | Kind::Blank(_) | Kind::Variable(_) => {
                Some(self.parser.simple_term(self.place)?)
            }
            Kind::Mark("[") => Some(self.parser.anonymous()?),
            _ => None,
        };
        self.reify(name, triple)
    }

    /// Adds that `reifier` (or else a new blank node) reifies the triple.
    fn reify(&mut self, reifier: Option<Node>, triple: [&Node; 3]) -> Result<Node, Fault> {
        let spot = triple[0].spot;
        let reifier = reifier.unwrap_or_else(|| self.parser.fresh(spot));
        let weight = triple.iter().map(|node| node.weight()).sum();
        self.parser.charge(weight, spot)?;
        let [subject, predicate, object] = triple.map(Node::clone);
        let term = Node { value: Value::Triple(Box::new(Pattern { subject, predicate, object })), spot };
        self.emit(&reifier, rdf::REIFIES, &term)?;
        Ok(reifier)
    }

    /// Any node, and whether it has made triples already, so that its properties may be missing.
    fn node(&mut self) -> Result<(Node, bool), Fault> {
        let spot = self.parser.peek().spot;
        match self.parser.peek().kind {
            Kind::Mark("<<") => Ok((self.nested(Self::reified)?, true)),
            Kind::Mark("<<(") => Ok((self.parser.triple_term(self.place)?, false)),
            Kind::Mark("[") => {
                self.parser.advance()?;
                let node = self.parser.fresh(spot);
                if self.parser.eat("]")? {
                    return Ok((node, false));
                }
                self.nested(|inner| inner.properties(&node))?;
                self.parser.expect("]")?;
                Ok((node, true))
            }
            Kind::Mark("(") => {
                self.parser.advance()?;
                if self.parser.eat(")")? {
                    return Ok((constant(rdf::NIL, spot), false));
                }
                Ok((self.nested(Self::collection)?, true))
            }
            _ => Ok((self.parser.simple_term(self.place)?, false)),
        }
    }

    /// The members of a collection and its closing bracket.
    fn collection(&mut self) -> Result<Node, Fault> {
        let first = self.parser.fresh(self.parser.peek().spot);
        let mut cell = first.clone();
        loop {
            let (member, _) = self.node()?;
            self.emit(&cell, rdf::FIRST, &member)?;
            if self.parser.eat(")")? {
                self.emit(&cell, rdf::REST, &constant(rdf::NIL, cell.spot))?;
                return Ok(first);
            }
            let next = self.parser.fresh(self.parser.peek().spot);
            self.emit(&cell, rdf::REST, &next)?;
            cell = next;
        }
    }

    /// `<< subject verb object ~ reifier >>`, which stands for the reifier.
    fn reified(&mut self) -> Result<Node, Fault> {
        self.parser.expect("<<")?;
        let subject = self.reified_part()?;
        let predicate = self.parser.simple_verb(self.place)?;
        let object = self.reified_part()?;
        let triple = [&subject, &predicate, &object];
        let reifier = if self.parser.peek().is_mark("~") { self.reifier(triple)? } else { self.reify(None, triple)? };
        self.parser.expect(">>")?;
        Ok(reifier)
    }

    /// Subject or object of a reified triple, where collections and properties are not allowed.
    fn reified_part(&mut self) -> Result<Node, Fault> {
        match self.parser.peek().kind {
            Kind::Mark("(") => Err(self.parser.unexpected("a term")),
            Kind::Mark("[") => self.parser.anonymous(),
            _ => Ok(self.node()?.0),
        }
    }

    fn emit(&mut self, subject: &Node, predicate: NamedNodeRef<'_>, object: &Node) -> Result<(), Fault> {
        keep(&mut self.found, self.parser, [subject, &constant(predicate, subject.spot), object])
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.parser.enter()?;
        let found = inner(self);
        self.parser.leave();
        found
    }
}

fn constant(iri: NamedNodeRef<'_>, spot: super::token::Spot) -> Node {
    Node { value: Value::Iri(NamedNode::from(iri)), spot }
}

/// Adds a triple to a block, within the limits.
fn keep(found: &mut Vec<Pattern>, parser: &mut Parser<'_>, nodes: [&Node; 3]) -> Result<(), Fault> {
    let spot = nodes[0].spot;
    parser.charge(nodes.iter().map(|node| node.weight()).sum(), spot)?;
    let [subject, predicate, object] = nodes.map(Node::clone);
    found.push(Pattern { subject, predicate, object });
    Ok(())
}
