//! Rule texts: the document, its rules and their bodies.

use super::parser::Parser;
use super::place::Place;
use super::triples::Triples;
use crate::Spot;
use crate::ast::{BodyElement, Filter, Negation, Pattern, RuleDocument, RuleText};
use crate::lexer::Kind;
use crate::limits::{RULE_ELEMENTS_MAX, RULES_MAX};
use entail_model::Fault;

impl Parser<'_> {
    /// The whole text of a set of rules.
    pub fn document(mut self) -> Result<RuleDocument, Fault> {
        let (mut imports, mut rules, mut data) = (Vec::new(), Vec::new(), Vec::new());
        while self.peek().kind != Kind::End {
            let spot = self.spot();
            if self.at_word("RULE") {
                if rules.len() == RULES_MAX {
                    return Err(spot.limit(format!("more than {RULES_MAX} rules in one text")));
                }
                rules.push(self.rule()?);
            } else if self.eat_word("DATA")? {
                data.append(&mut self.triples_only(Place::Data)?);
            } else if self.eat_word("IMPORTS")? {
                imports.push((self.iri()?, spot));
            } else if !self.declaration()? {
                return Err(self.unexpected("RULE, DATA, PREFIX, BASE, VERSION or IMPORTS"));
            }
        }
        Ok(RuleDocument { base: self.base, versions: self.versions, imports, rules, data })
    }

    /// A block of triples only, with its braces.
    fn triples_only(&mut self, place: Place) -> Result<Vec<Pattern>, Fault> {
        self.expect("{")?;
        let mut triples = Triples::new(self, place);
        triples.block()?;
        let found = triples.patterns();
        if self.eat("}")? { Ok(found) } else { Err(self.unexpected("a triple or `}`")) }
    }

    fn rule(&mut self) -> Result<RuleText, Fault> {
        let spot = self.spot();
        self.begin_writing();
        self.expect_word("RULE")?;
        let name = if self.peek().is_mark("{") { None } else { Some(self.iri()?) };
        let head = self.triples_only(Place::Head)?;
        self.check_size(head.len())?;
        self.expect_word("WHERE")?;
        let base_only = self.base_only()?;
        self.expect("{")?;
        let body = self.body()?;
        self.expect("}")?;
        let (text, has_base) = (self.end_writing(), self.base.is_some());
        Ok(RuleText { name, head, body, base_only, has_base, spot, text })
    }

    /// An optional `DATA`, which limits the block after it to asserted facts.
    fn base_only(&mut self) -> Result<Option<Spot>, Fault> {
        let spot = self.spot();
        Ok(self.eat_word("DATA")?.then_some(spot))
    }

    fn body(&mut self) -> Result<Vec<BodyElement>, Fault> {
        let mut body = Vec::new();
        self.body_triples(&mut body)?;
        while !self.peek().is_mark("}") {
            let element = self.body_element()?;
            body.push(element);
            self.eat(".")?;
            self.body_triples(&mut body)?;
        }
        Ok(body)
    }

    fn body_triples(&mut self, body: &mut Vec<BodyElement>) -> Result<(), Fault> {
        let mut triples = Triples::new(self, Place::Body);
        triples.block()?;
        body.extend(triples.patterns().into_iter().map(BodyElement::Pattern));
        self.check_size(body.len())
    }

    fn check_size(&self, elements: usize) -> Result<(), Fault> {
        if elements > RULE_ELEMENTS_MAX {
            let message = format!("a rule with more than {RULE_ELEMENTS_MAX} triples or filters");
            return Err(self.spot().limit(message));
        }
        Ok(())
    }

    fn body_element(&mut self) -> Result<BodyElement, Fault> {
        let spot = self.spot();
        if self.eat_word("FILTER")? {
            self.rule_filter(spot)
        } else if self.eat_word("NOT")? {
            self.negation(spot)
        } else if self.eat_word("SET")? {
            self.assignment(spot)
        } else {
            Err(self.unexpected("a triple pattern, FILTER, NOT, SET or `}`"))
        }
    }

    /// The condition after a FILTER that has been read.
    fn rule_filter(&mut self, spot: Spot) -> Result<BodyElement, Fault> {
        Ok(BodyElement::Filter(Filter { expression: self.constraint("FILTER")?, spot }))
    }

    fn negation(&mut self, spot: Spot) -> Result<BodyElement, Fault> {
        let base_only = self.base_only()?;
        self.expect("{")?;
        let mut inner = Vec::new();
        self.body_triples(&mut inner)?;
        while self.at_word("FILTER") {
            let spot = self.spot();
            self.advance()?;
            inner.push(self.rule_filter(spot)?);
            self.eat(".")?;
            self.body_triples(&mut inner)?;
        }
        if !self.eat("}")? {
            return Err(self.unexpected("a triple pattern, FILTER or `}`"));
        }
        Ok(BodyElement::Negation(Negation { inner, base_only, spot }))
    }

    fn assignment(&mut self, spot: Spot) -> Result<BodyElement, Fault> {
        self.expect("(")?;
        let variable = self.variable_at()?;
        self.expect(":=")?;
        let value = self.expression()?;
        self.expect(")")?;
        Ok(BodyElement::Assignment { variable, value, spot })
    }
}
