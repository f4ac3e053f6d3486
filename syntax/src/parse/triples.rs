//! Blocks of triples in patterns, templates, data, heads and bodies: one reader for productions of the grammar that differ
//! in whether they allow variables, blank nodes and paths ([`Place`]).

use super::parser::Parser;
use super::path::Verb;
use super::place::{Paths, Place};
use crate::Spot;
use crate::ast::{Element, Node, Path, PathPattern, Pattern, Value};
use crate::lexer::Kind;
use entail_model::Fault;
use oxrdf::vocab::rdf;
use oxrdf::{NamedNode, NamedNodeRef};

/// Reads one block.
pub(super) struct Triples<'p, 'a> {
    parser: &'p mut Parser<'a>,
    place: Place,
    /// The triples and paths of the block, abbreviations written out.
    found: Vec<Element>,
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

    /// The triples and paths of the block. Only [`Paths::All`] has paths.
    pub fn elements(self) -> Vec<Element> {
        self.found
    }

    /// The triples of a block without paths.
    pub fn patterns(self) -> Vec<Pattern> {
        let pattern = |element| match element {
            Element::Triple(pattern) => Some(pattern),
            _ => None,
        };
        self.found.into_iter().filter_map(pattern).collect()
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
            Kind::Mark("!") => self.place.paths() == Paths::All,
            Kind::Mark(mark) => self.place.paths() != Paths::None && matches!(mark, "^" | "("),
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

    fn verb(&mut self) -> Result<Verb, Fault> {
        if self.place.paths() != Paths::None {
            return self.parser.verb(self.place);
        }
        let verb = if self.at_path() { None } else { Some(self.parser.simple_verb(self.place)?) };
        match verb {
            Some(verb) if !self.parser.peek().is_mark("/") => Ok(Verb::Node(verb)),
            _ if self.parser.is_rules() => Err(self.parser.spot().syntax("paths are for rule bodies only")),
            _ => Err(self.parser.spot().syntax(format!("there are no paths in {}", self.place.name()))),
        }
    }

    fn at_path(&self) -> bool {
        self.parser.peek().is_mark("^") || self.parser.peek().is_mark("(")
    }

    fn object(&mut self, subject: &Node, verb: &Verb) -> Result<(), Fault> {
        let (object, _) = self.node()?;
        match verb {
            Verb::Node(predicate) => self.keep([subject, predicate, &object])?,
            Verb::Path(path) if self.place.paths() == Paths::Expanded => self.expand(subject, path, &object)?,
            Verb::Path(path) => self.keep_path(subject, path, &object)?,
        }
        self.annotations(subject, verb, &object)
    }

    /// Reifiers and annotation blocks: the subject of a block is the reifier directly before it, or else a new one.
    fn annotations(&mut self, subject: &Node, verb: &Verb, object: &Node) -> Result<(), Fault> {
        let mut named = None;
        loop {
            let spot = self.parser.spot();
            let is_block = self.parser.peek().is_mark("{|");
            if !is_block && !self.parser.peek().is_mark("~") {
                return Ok(());
            }
            let Verb::Node(predicate) = verb else {
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
            let bracket = self.parser.open("{|")?;
            self.properties(&reifier)?;
            self.parser.close(bracket, "`;`, `,`")?;
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
        let spot = self.parser.spot();
        match self.parser.peek().kind {
            Kind::Mark("<<") => Ok((self.reified()?, true)),
            Kind::Mark("<<(") => Ok((self.parser.triple_term(self.place)?, false)),
            Kind::Mark("[") => {
                let bracket = self.parser.open("[")?;
                let node = self.parser.fresh(spot);
                let is_empty = self.parser.peek().is_mark("]");
                if !is_empty {
                    self.properties(&node)?;
                }
                self.parser.close(bracket, "`;`, `,`")?;
                Ok((node, !is_empty))
            }
            Kind::Mark("(") => self.collection(),
            _ => Ok((self.parser.simple_term(self.place)?, false)),
        }
    }

    /// A collection; the empty one says nothing.
    fn collection(&mut self) -> Result<(Node, bool), Fault> {
        let spot = self.parser.spot();
        let bracket = self.parser.open("(")?;
        if self.parser.peek().is_mark(")") {
            self.parser.close(bracket, "")?;
            return Ok((constant(rdf::NIL, spot), false));
        }
        let first = self.parser.fresh(self.parser.spot());
        let mut cell = first.clone();
        loop {
            let (member, _) = self.node()?;
            self.emit(&cell, rdf::FIRST, &member)?;
            if self.parser.peek().is_mark(")") {
                self.parser.close(bracket, "")?;
                self.emit(&cell, rdf::REST, &constant(rdf::NIL, cell.spot))?;
                return Ok((first, true));
            }
            let next = self.parser.fresh(self.parser.spot());
            self.emit(&cell, rdf::REST, &next)?;
            cell = next;
        }
    }

    /// `<< subject verb object ~ reifier >>`, which stands for the reifier.
    fn reified(&mut self) -> Result<Node, Fault> {
        let bracket = self.parser.open("<<")?;
        let subject = self.reified_part()?;
        let predicate = self.parser.simple_verb(self.place)?;
        let object = self.reified_part()?;
        let triple = [&subject, &predicate, &object];
        let reifier = if self.parser.peek().is_mark("~") { self.reifier(triple)? } else { self.reify(None, triple)? };
        self.parser.close(bracket, "`~`")?;
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
        self.keep([subject, &constant(predicate, subject.spot), object])
    }

    /// Writes a path of steps, sequences and inverses out as triples.
    fn expand(&mut self, subject: &Node, path: &Path, object: &Node) -> Result<(), Fault> {
        match path {
            Path::Step(iri, spot) => {
                let predicate = Node { value: Value::Iri(iri.clone()), spot: *spot };
                self.keep([subject, &predicate, object])
            }
            Path::Inverse(inner) => self.expand(object, inner, subject),
            Path::Sequence(steps) => {
                let Some((last, before)) = steps.split_last() else { return Ok(()) };
                let mut from = subject.clone();
                for step in before {
                    let to = self.parser.fresh(subject.spot);
                    self.expand(&from, step, &to)?;
                    from = to;
                }
                self.expand(&from, last, object)
            }
            Path::Alternative(_) | Path::Repeated(..) | Path::Negated(_) => {
                Err(subject.spot.syntax("paths of rules are sequences and inverses"))
            }
        }
    }

    /// Adds a triple to the block, within the limits.
    fn keep(&mut self, nodes: [&Node; 3]) -> Result<(), Fault> {
        self.admit(nodes.into_iter())?;
        let [subject, predicate, object] = nodes.map(Node::clone);
        self.found.push(Element::Triple(Pattern { subject, predicate, object }));
        Ok(())
    }

    /// Adds a path to the block, within the limits.
    fn keep_path(&mut self, subject: &Node, path: &Path, object: &Node) -> Result<(), Fault> {
        self.admit([subject, object].into_iter())?;
        self.parser.charge(path.weight(), subject.spot)?;
        let (subject, path, object) = (subject.clone(), path.clone(), object.clone());
        self.found.push(Element::Path(PathPattern { subject, path, object }));
        Ok(())
    }

    /// Checks nodes against the place of the block, and counts them.
    fn admit<'n>(&mut self, nodes: impl Iterator<Item = &'n Node> + Clone) -> Result<(), Fault> {
        for node in nodes {
            if !self.place.has_blank_nodes()
                && let Some(spot) = node.blank_spot()
            {
                return Err(spot.syntax(format!("there are no blank nodes in {}", self.place.name())));
            }
            self.parser.charge(node.weight(), node.spot)?;
        }
        Ok(())
    }
}

fn constant(iri: NamedNodeRef<'_>, spot: Spot) -> Node {
    Node { value: Value::Iri(NamedNode::from(iri)), spot }
}
