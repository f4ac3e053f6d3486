//! RDF/XML: the parser behind a reader that enforces limits and mends what the parser does not read correctly. Reading ends
//! at the first malformed place: an XML parser cannot continue after it.

mod attributes;
mod literal;
mod markup;
mod pieces;
mod reader;
mod scope;
mod tag;

use crate::batch::blank::BlankNames;
use crate::read::outlet::{Job, Outlet};
use crate::read::relative::explained;
use crate::read::source::Bytes;
use attributes::NO_LANGUAGE;
use entail_model::{Fault, Reason};
use oxrdf::{Literal, Quad, Term};
use oxrdfio::{RdfFormat, RdfParser};
use reader::{CleanReader, Seen};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Parses RDF/XML to its end or its first malformed place.
///
/// # Errors
/// Errors that cannot be skipped: a limit, an error of the input or the sink. A malformed place goes to the job's log.
pub(crate) fn parse(job: &Job<'_>, bytes: &mut dyn Bytes) -> Result<(), Fault> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let mut outlet = Outlet::new(job, BlankNames::with_anonymous(job.request.blank_scope));
    let mut parser = RdfParser::from_format(RdfFormat::RdfXml);
    if let Some(base) = &job.request.base_iri {
        parser = parser
            .with_base_iri(base.as_str())
            .map_err(|error| Fault::new(Reason::InvalidRequest, format!("the base is not an absolute IRI: {error}")))?;
    }
    for result in parser.for_reader(CleanReader::new(job, bytes, Rc::clone(&seen))) {
        let result = result.map_err(|error| refusal(job, &seen.borrow(), &error.to_string()));
        let pushed = result.and_then(|quad| {
            declare_labels(&mut outlet, &mut seen.borrow_mut());
            outlet.push(without_marker(quad).as_ref()).map_err(|fault| fault.in_file(&job.request.file))
        });
        if let Err(fault) = pushed {
            if fault.reason != Reason::Syntax {
                return Err(fault);
            }
            if !job.log.malformed(1, fault) {
                return Ok(());
            }
            job.ended_early.store(true, Ordering::Relaxed);
            break;
        }
        outlet.settle()?;
    }
    outlet.finish()
}

/// The quad with a plain string for a string of no language.
fn without_marker(mut quad: Quad) -> Quad {
    unmark(&mut quad.object);
    quad
}

fn unmark(object: &mut Term) {
    match object {
        Term::Literal(literal) if literal.language() == Some(NO_LANGUAGE) => {
            *literal = Literal::new_simple_literal(literal.value());
        }
        Term::Triple(triple) => unmark(&mut triple.object),
        _ => {}
    }
}

/// The fault of the reader, or else the parser's error at the reader's position.
fn refusal(job: &Job<'_>, seen: &Seen, message: &str) -> Fault {
    let message = || explained(job.request.format, message, None);
    seen.fault.clone().unwrap_or_else(|| job.syntax(seen.line, seen.column, message()))
}

fn declare_labels(outlet: &mut Outlet<'_, '_>, seen: &mut Seen) {
    let names = outlet.names();
    if std::mem::take(&mut seen.between_nodes) {
        names.forget_but(None);
    }
    seen.labels.drain(..).for_each(|label| names.declare(label));
}
