//! Group graph patterns.

use super::aggregate::Aggregates;
use super::parser::Parser;
use super::place::Place;
use super::similar::suggestion;
use super::triples::Triples;
use crate::ast::{Element, Filter, Group};
use crate::lexer::Kind;
use entail_model::Fault;

const ELEMENTS: &str = "a triple pattern, FILTER, OPTIONAL, BIND, VALUES, GRAPH, MINUS, SERVICE, `{`";
const KEYWORDS: [&str; 9] = ["FILTER", "OPTIONAL", "UNION", "BIND", "VALUES", "GRAPH", "MINUS", "SERVICE", "SELECT"];

impl Parser<'_> {
    /// `{...}`: a subquery, or elements.
    pub fn group(&mut self) -> Result<Group, Fault> {
        let spot = self.spot();
        let bracket = self.open("{")?;
        let elements = self.with_aggregates(Aggregates::Forbidden, |parser| {
            if parser.at_word("SELECT") {
                return Ok(vec![Element::Select(Box::new(parser.subquery()?))]);
            }
            parser.elements()
        })?;
        if !self.peek().is_mark("}") {
            return Err(self.misplaced(&elements).unwrap_or_else(|| self.unclosed(bracket, ELEMENTS)));
        }
        self.close(bracket, ELEMENTS)?;
        Ok(Group { elements, spot })
    }

    fn elements(&mut self) -> Result<Vec<Element>, Fault> {
        let mut elements = Vec::new();
        self.triples_block(&mut elements)?;
        while let Some(element) = self.element()? {
            elements.push(element);
            self.eat(".")?;
            self.triples_block(&mut elements)?;
        }
        Ok(elements)
    }

    fn triples_block(&mut self, elements: &mut Vec<Element>) -> Result<(), Fault> {
        let mut triples = Triples::new(self, Place::Where);
        triples.block()?;
        elements.append(&mut triples.elements());
        Ok(())
    }

    /// An element that is not a triple, if the next token begins one.
    fn element(&mut self) -> Result<Option<Element>, Fault> {
        if self.peek().is_mark("{") {
            return self.union().map(Some);
        }
        let spot = self.spot();
        Ok(Some(if self.eat_word("FILTER")? {
            Element::Filter(Filter { expression: self.constraint("FILTER")?, spot })
        } else if self.eat_word("OPTIONAL")? {
            Element::Optional(self.group()?)
        } else if self.eat_word("MINUS")? {
            Element::Minus(self.group()?)
        } else if self.eat_word("GRAPH")? {
            Element::Graph { name: self.variable_or_iri()?, group: self.group()? }
        } else if self.eat_word("SERVICE")? {
            let is_silent = self.eat_word("SILENT")?;
            Element::Service { is_silent, name: self.variable_or_iri()?, group: self.group()?, spot }
        } else if self.eat_word("BIND")? {
            self.bind()?
        } else if self.at_word("VALUES") {
            Element::Values(self.values()?)
        } else {
            return Ok(None);
        }))
    }

    /// A group, or several with UNION between them.
    fn union(&mut self) -> Result<Element, Fault> {
        let mut groups = vec![self.group()?];
        while self.eat_word("UNION")? {
            groups.push(self.group()?);
        }
        Ok(Element::Union(groups))
    }

    fn bind(&mut self) -> Result<Element, Fault> {
        let bracket = self.open("(")?;
        let expression = self.expression()?;
        if !self.eat_word("AS")? {
            return Err(self.unexpected("an operator or AS and a variable"));
        }
        let variable = self.variable_at()?;
        self.close(bracket, "")?;
        Ok(Element::Bind { expression, variable })
    }

    /// A better fault for a token that continues no group, if the token shows what was meant.
    fn misplaced(&self, elements: &[Element]) -> Option<Fault> {
        let token = self.peek();
        let spot = token.spot;
        match token.kind {
            Kind::Word(word) if word.eq_ignore_ascii_case("UNION") => {
                Some(spot.syntax("UNION stands between two groups: { ... } UNION { ... }"))
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("SELECT") => {
                Some(spot.syntax("a subquery stands alone in its group: { SELECT ... }"))
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("NOT") || word.eq_ignore_ascii_case("EXISTS") => {
                Some(spot.syntax("EXISTS stands in an expression: FILTER EXISTS { ... } or FILTER NOT EXISTS { ... }"))
            }
            Kind::Word(word) if !matches!(elements, [Element::Select(_)]) => {
                let suggestion = suggestion(word, KEYWORDS);
                (!suggestion.is_empty()).then(|| spot.syntax(format!("no pattern begins with `{word}`{suggestion}")))
            }
            Kind::Variable(_) | Kind::Iri(_) | Kind::Prefixed { .. } | Kind::Blank(_) => match elements.last() {
                Some(Element::Triple(_) | Element::Path(_)) => {
                    Some(spot.syntax(format!("a full stop is missing before {}", self.shown(token))))
                }
                _ => None,
            },
            Kind::Mark(mark @ ("." | ";" | ",")) => Some(spot.syntax(format!("no triple ends before this `{mark}`"))),
            _ => None,
        }
    }
}
