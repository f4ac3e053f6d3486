//! The attributes of a start tag that the parser gets in another form, or that it does not check.

use crate::read::xml::markup::Entities;
use crate::read::xml::scope::Scope;
use crate::read::xml::tag::{Attribute, Tag, split_name};
use entail_model::{Fault, Reason};

pub(crate) const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const ITS: &[u8] = b"http://www.w3.org/2005/11/its";
/// The language of text that has none, within an element that has one.
pub(crate) const NO_LANGUAGE: &str = "x-entail-none";

/// Does the parser get an attribute of this name as it is, and is there nothing to know of it?
pub(crate) fn is_ordinary(name: &[u8]) -> bool {
    !name.starts_with(b"xml") && !name.ends_with(b"parseType") && !name.ends_with(b"odeID")
}

/// Declares the namespaces of a start tag.
pub(crate) fn declare(
    scope: &mut Scope,
    depth: usize,
    text: &[u8],
    tag: &Tag,
    entities: &Entities,
) -> Result<(), Fault> {
    for attribute in &tag.attributes {
        let prefix = match split_name(&text[attribute.name.clone()]) {
            (b"xmlns", prefix) => prefix,
            (b"", b"xmlns") => b"",
            _ => continue,
        };
        scope.declare(depth, prefix, entities.resolved(&text[attribute.value.clone()])?);
    }
    Ok(())
}

/// Checks that an element with `rdf:parseType` has no attribute that says something else of its content.
pub(crate) fn check_parse_type(scope: &Scope, text: &[u8], tag: &Tag) -> Result<(), Fault> {
    let named = |attribute: &Attribute| {
        let (prefix, local) = split_name(&text[attribute.name.clone()]);
        (if prefix.is_empty() { None } else { scope.namespace(prefix) }, local)
    };
    let is_rdf = |namespace: Option<&[u8]>| namespace == Some(RDF.as_bytes());
    let types = tag.attributes.iter().filter(|it| text[it.name.clone()].ends_with(b"parseType"));
    if !types.map(named).any(|(namespace, local)| is_rdf(namespace) && local == b"parseType") {
        return Ok(());
    }
    for attribute in &tag.attributes {
        let (namespace, local) = named(attribute);
        let name = &text[attribute.name.clone()];
        let is_allowed = match local {
            b"parseType" | b"ID" | b"annotation" | b"annotationNodeID" | b"version" if is_rdf(namespace) => true,
            b"dir" | b"version" => namespace == Some(ITS),
            _ => name.starts_with(b"xml"),
        };
        if !is_allowed {
            let message = format!("the attribute {} beside rdf:parseType", String::from_utf8_lossy(name));
            return Err(Fault::new(Reason::Syntax, message));
        }
    }
    Ok(())
}

/// The language tag in place of an empty one.
pub(crate) fn language(value: &[u8]) -> Result<Option<&'static [u8]>, Fault> {
    if value.eq_ignore_ascii_case(NO_LANGUAGE.as_bytes()) {
        return Err(Fault::new(Reason::Unsupported, format!("the language tag {NO_LANGUAGE}, which is reserved")));
    }
    Ok(value.is_empty().then_some(NO_LANGUAGE.as_bytes()))
}

/// An IRI as the value of an attribute in any quotes.
pub(crate) fn in_attribute(iri: &str) -> Vec<u8> {
    iri.replace('&', "&amp;").replace('\'', "&#39;").into_bytes()
}

/// Is the content of an element with this `rdf:parseType` an XML literal? Values that have no meaning count as `Literal`.
pub(crate) fn is_content(parse_type: &[u8]) -> bool {
    !matches!(parse_type, b"Resource" | b"Collection" | b"Triple")
}

/// The datatype of XML literals in place of a `rdf:parseType`, without the last quote.
pub(crate) fn as_literal(prefix: &[u8], text: &[u8], parse_type: &Attribute) -> Vec<u8> {
    let quote = &text[parse_type.value.start - 1..parse_type.value.start];
    [prefix, b":datatype=", quote, RDF.as_bytes(), b"XMLLiteral"].concat()
}
