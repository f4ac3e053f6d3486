//! What RDF/XML can represent: facts whose document would be invalid XML, or would have another meaning, are refused.

use entail_model::xml::{invalid_char, is_name_char, is_name_start};
use oxrdf::vocab::rdf;
use oxrdf::{NamedNodeRef, NamedOrBlankNodeRef, TermRef, TripleRef};

/// The namespace that no element may be in.
const RESERVED: &str = "http://www.w3.org/2000/xmlns/";

/// Can the triple be written?
///
/// # Errors
/// A description of what cannot.
pub(super) fn check(triple: TripleRef<'_>) -> Result<(), String> {
    match triple.subject {
        NamedOrBlankNodeRef::NamedNode(node) => check_text(node.as_str())?,
        NamedOrBlankNodeRef::BlankNode(node) => check_label(node.as_str())?,
    }
    check_element(triple.predicate)?;
    match triple.object {
        TermRef::BlankNode(node) => check_label(node.as_str()),
        // A type becomes the name of an element.
        TermRef::NamedNode(class) if triple.predicate == rdf::TYPE => check_element(class),
        TermRef::NamedNode(node) => check_text(node.as_str()),
        TermRef::Literal(literal) => check_text(literal.value()).and_then(|()| check_text(literal.datatype().as_str())),
        TermRef::Triple(inner) => check(inner.as_ref()),
    }
}

/// An element's name is the end of the IRI, from the first letter after the last character that no name has.
fn check_element(iri: NamedNodeRef<'_>) -> Result<(), String> {
    let text = iri.as_str();
    check_text(text)?;
    let last = text.rfind(|c| !is_name_char(c)).unwrap_or(text.len());
    let name = text[last..].find(is_name_start).map(|at| last + at);
    match name {
        Some(start) if &text[..start] != RESERVED => Ok(()),
        _ => Err(format!("{iri} as the name of an element")),
    }
}

fn check_label(label: &str) -> Result<(), String> {
    if label.starts_with(is_name_start) && label.chars().all(is_name_char) {
        return Ok(());
    }
    Err(format!("the blank node label {label}"))
}

fn check_text(text: &str) -> Result<(), String> {
    invalid_char(text).map_or(Ok(()), |bad| Err(format!("the character U+{:04X}", u32::from(bad))))
}
