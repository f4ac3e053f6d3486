//! Quads of updates: triples, and triples in GRAPH.

use super::parser::Parser;
use super::place::Place;
use super::triples::Triples;
use crate::ast::{Node, Pattern, Quad, Value};
use crate::lexer::Kind;
use entail_model::Fault;

impl Parser<'_> {
    /// Quads in braces.
    pub fn quads(&mut self, place: Place) -> Result<Vec<Quad>, Fault> {
        self.in_data = !place.has_variables();
        let bracket = self.open("{")?;
        let mut quads = Vec::new();
        self.quad_triples(place, None, &mut quads)?;
        while self.eat_word("GRAPH")? {
            let name = self.variable_or_iri()?;
            if name.variable().is_some() && !place.has_variables() {
                return Err(name.spot.syntax(format!("there are no variables in {}", place.name())));
            }
            let inner = self.open("{")?;
            self.quad_triples(place, Some(&name), &mut quads)?;
            self.close(inner, "a triple")?;
            self.eat(".")?;
            self.quad_triples(place, None, &mut quads)?;
        }
        if let Kind::Word(word) = self.peek().kind {
            let message = format!("`{word}` may not stand in {}, which has triples and GRAPH only", place.name());
            return Err(self.spot().syntax(message));
        }
        self.close(bracket, "a triple, GRAPH")?;
        self.in_data = false;
        Ok(quads)
    }

    fn quad_triples(&mut self, place: Place, graph: Option<&Node>, quads: &mut Vec<Quad>) -> Result<(), Fault> {
        let mut triples = Triples::new(self, place);
        triples.block()?;
        for triple in triples.patterns() {
            if !place.has_variables() {
                check_subject(&triple)?;
            }
            if let Some(graph) = graph {
                self.charge(graph.weight(), graph.spot)?;
            }
            quads.push(Quad { graph: graph.cloned(), triple });
        }
        Ok(())
    }
}

/// Checks that subjects of facts are IRIs or blank nodes, at every depth.
fn check_subject(triple: &Pattern) -> Result<(), Fault> {
    match &triple.subject.value {
        Value::Iri(_) | Value::Blank(_) | Value::Variable(_) => {}
        Value::Literal(_) => return Err(triple.subject.spot.syntax("a literal cannot be a subject")),
        Value::Triple(_) => return Err(triple.subject.spot.syntax("a triple term cannot be a subject")),
    }
    match &triple.object.value {
        Value::Triple(inner) => check_subject(inner),
        _ => Ok(()),
    }
}
