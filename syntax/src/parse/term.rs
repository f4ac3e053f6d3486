//! Terms: IRIs and their names, literals, blank nodes, variables, triple terms.

use super::parser::Parser;
use super::place::Place;
use crate::Spot;
use crate::ast::{Blank, Node, Pattern, Value, VariableAt};
use crate::lexer::{Kind, Token};
use entail_model::Fault;
use oxiri::Iri;
use oxrdf::vocab::{rdf, xsd};
use oxrdf::{BaseDirection, Literal, NamedNode, NamedNodeRef, Variable};

impl<'a> Parser<'a> {
    /// An IRI between `<` and `>`, resolved against the base.
    pub fn iri_reference(&mut self) -> Result<String, Fault> {
        let token = self.advance()?;
        match &token.kind {
            Kind::Iri(iri) => self.resolve(iri, token.spot),
            _ => Err(self.expected("an IRI in `<` and `>`", &token)),
        }
    }

    /// An IRI, written out or with a prefix.
    pub fn iri(&mut self) -> Result<NamedNode, Fault> {
        let token = self.advance()?;
        match &token.kind {
            Kind::Iri(iri) => Ok(NamedNode::new_unchecked(self.resolve(iri, token.spot)?)),
            Kind::Prefixed { prefix, local } => self.prefixed(prefix, local, token.spot),
            _ => Err(self.expected("an IRI", &token)),
        }
    }

    fn resolve(&mut self, iri: &str, spot: Spot) -> Result<String, Fault> {
        let resolved = match &self.base {
            Some(base) => base.resolve(iri).map_err(|error| error.to_string()),
            None if oxiri::IriRef::parse(iri).is_ok_and(|iri| !iri.is_absolute()) => {
                return Err(self.relative(iri, spot));
            }
            None => Iri::parse(iri.to_owned()).map_err(|error| error.to_string()),
        };
        let resolved = resolved.map_err(|error| spot.syntax(format!("<{iri}> is not an IRI: {error}")))?;
        self.charge(resolved.as_str().len(), spot)?;
        Ok(resolved.into_inner())
    }

    fn relative(&self, iri: &str, spot: Spot) -> Fault {
        let remedy = if self.is_rules() { "a BASE" } else { "a base: BASE in the text, or `--base` beside it" };
        spot.syntax(format!("the relative IRI <{iri}> needs {remedy}"))
    }

    fn prefixed(&mut self, prefix: &str, local: &str, spot: Spot) -> Result<NamedNode, Fault> {
        let Some(namespace) = self.prefixes.get(prefix) else {
            return Err(spot.syntax(format!("the prefix `{prefix}:` is not declared")));
        };
        let iri = format!("{namespace}{local}");
        self.charge(iri.len(), spot)?;
        NamedNode::new(iri)
            .map_err(|error| spot.syntax(format!("`{prefix}:{local}` does not stand for an IRI: {error}")))
    }

    pub fn at_variable(&self) -> bool {
        matches!(self.peek().kind, Kind::Variable(_))
    }

    pub fn variable_at(&mut self) -> Result<VariableAt, Fault> {
        match self.peek().kind {
            Kind::Variable(name) => {
                let spot = self.advance()?.spot;
                Ok(VariableAt { variable: Variable::new_unchecked(name), spot })
            }
            _ => Err(self.unexpected("a variable")),
        }
    }

    pub fn variable(&mut self) -> Result<Node, Fault> {
        let VariableAt { variable, spot } = self.variable_at()?;
        Ok(Node { value: Value::Variable(variable), spot })
    }

    pub fn at_iri(&self) -> bool {
        matches!(self.peek().kind, Kind::Iri(_) | Kind::Prefixed { .. })
    }

    /// An IRI or a variable.
    pub fn variable_or_iri(&mut self) -> Result<Node, Fault> {
        let spot = self.spot();
        if self.at_variable() {
            return self.variable();
        }
        if self.at_iri() {
            return Ok(Node { value: Value::Iri(self.iri()?), spot });
        }
        Err(self.unexpected("an IRI or a variable"))
    }

    /// Can the next token begin a literal?
    pub fn at_literal(&self) -> bool {
        matches!(self.peek().kind, Kind::String { .. } | Kind::Integer(_) | Kind::Decimal(_) | Kind::Double(_))
            || self.peek().is_word("true")
            || self.peek().is_word("false")
    }

    pub fn literal(&mut self) -> Result<Literal, Fault> {
        let token = self.advance()?;
        self.charge(token.end - token.start, token.spot)?;
        let typed = |value: &str, datatype: NamedNodeRef<'_>| Ok(Literal::new_typed_literal(value, datatype));
        match token.kind {
            Kind::Integer(value) => typed(value, xsd::INTEGER),
            Kind::Decimal(value) => typed(value, xsd::DECIMAL),
            Kind::Double(value) => typed(value, xsd::DOUBLE),
            Kind::Word(word) if word.eq_ignore_ascii_case("true") => typed("true", xsd::BOOLEAN),
            Kind::Word(word) if word.eq_ignore_ascii_case("false") => typed("false", xsd::BOOLEAN),
            Kind::String { value, .. } => self.tagged(value.into_owned()),
            _ => Err(self.expected("a literal", &token)),
        }
    }

    /// The literal of a string that was just read, with the language or datatype that may follow.
    fn tagged(&mut self, value: String) -> Result<Literal, Fault> {
        if self.eat("^^")? {
            return Ok(Literal::new_typed_literal(value, self.iri()?));
        }
        let Kind::Language(tag) = self.peek().kind else { return Ok(Literal::new_simple_literal(value)) };
        let spot = self.advance()?.spot;
        let (language, direction) = match tag.split_once("--") {
            None => (tag, None),
            Some((language, "ltr")) => (language, Some(BaseDirection::Ltr)),
            Some((language, "rtl")) => (language, Some(BaseDirection::Rtl)),
            Some((_, other)) => return Err(spot.syntax(format!("expected `--ltr` or `--rtl`, found `--{other}`"))),
        };
        let literal = match direction {
            None => Literal::new_language_tagged_literal(value, language),
            Some(direction) => Literal::new_directional_language_tagged_literal(value, language, direction),
        };
        literal.map_err(|error| spot.syntax(format!("`@{language}` is not a language tag: {error}")))
    }

    /// A variable, IRI, literal or blank node: the terms that are written with tokens of their own.
    pub fn simple_term(&mut self, place: Place) -> Result<Node, Fault> {
        let spot = self.spot();
        if self.at_literal() {
            return Ok(Node { value: Value::Literal(self.literal()?), spot });
        }
        let value = match self.peek().kind {
            Kind::Variable(_) if !place.has_variables() => {
                return Err(spot.syntax(format!("there are no variables in {}", place.name())));
            }
            Kind::Variable(_) => return self.variable(),
            Kind::Iri(_) | Kind::Prefixed { .. } => Value::Iri(self.iri()?),
            Kind::Blank(label) => {
                self.advance()?;
                Value::Blank(Blank::Label(label.to_owned()))
            }
            _ => return Err(self.unexpected("a term")),
        };
        Ok(Node { value, spot })
    }

    /// `<<( subject verb object )>>`.
    pub fn triple_term(&mut self, place: Place) -> Result<Node, Fault> {
        let spot = self.spot();
        let bracket = self.open("<<(")?;
        let subject = self.triple_term_part(place)?;
        let predicate = self.simple_verb(place)?;
        let object = self.triple_term_part(place)?;
        self.close(bracket, "")?;
        Ok(Node { value: Value::Triple(Box::new(Pattern { subject, predicate, object })), spot })
    }

    fn triple_term_part(&mut self, place: Place) -> Result<Node, Fault> {
        match self.peek().kind {
            Kind::Mark("<<(") => self.triple_term(place),
            Kind::Mark("[") => self.anonymous(),
            _ => self.simple_term(place),
        }
    }

    /// A string, without a language or datatype.
    pub fn string(&mut self) -> Result<String, Fault> {
        match self.advance()? {
            Token { kind: Kind::String { value, .. }, .. } => Ok(value.into_owned()),
            token => Err(self.expected("a string in quotes", &token)),
        }
    }

    /// `[]`.
    pub fn anonymous(&mut self) -> Result<Node, Fault> {
        let spot = self.spot();
        self.expect("[")?;
        self.expect("]")?;
        Ok(self.fresh(spot))
    }

    /// An IRI, `a`, or (outside DATA) a variable.
    pub fn simple_verb(&mut self, place: Place) -> Result<Node, Fault> {
        let spot = self.spot();
        match self.peek().kind {
            Kind::Variable(_) => self.simple_term(place),
            Kind::Iri(_) | Kind::Prefixed { .. } => Ok(Node { value: Value::Iri(self.iri()?), spot }),
            _ if self.peek().is_a() => {
                self.advance()?;
                Ok(Node { value: Value::Iri(rdf::TYPE.into_owned()), spot })
            }
            _ if !place.has_variables() => Err(self.unexpected("a predicate: an IRI or `a`")),
            _ => Err(self.unexpected("a predicate: an IRI, a variable or `a`")),
        }
    }
}
