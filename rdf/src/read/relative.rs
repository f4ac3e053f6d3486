//! The message about a relative IRI where no base is known.

use crate::format::Format;

/// The parsers' words for an IRI that is relative.
const NO_SCHEME: &str = "No scheme found in an absolute IRI";

/// The message for an error of a parser: for a relative IRI one that names the IRI and the remedy.
///
/// `text` is the malformed token, as far as it is known.
pub(crate) fn explained(format: Format, message: &str, text: Option<&[u8]>) -> String {
    let Some(at) = message.find(NO_SCHEME) else { return message.to_owned() };
    let token = text.and_then(|text| std::str::from_utf8(text).ok()).and_then(in_brackets);
    relative(format, token.or_else(|| in_quotes(&message[..at])))
}

/// The message about a relative IRI.
pub(crate) fn relative(format: Format, iri: Option<&str>) -> String {
    let iri = iri.map_or_else(String::new, |iri| format!(" <{iri}>"));
    let remedy = match format {
        Format::NTriples | Format::NQuads => {
            let name = if format == Format::NQuads { "N-Quads" } else { "N-Triples" };
            return format!("the IRI{iri} is relative, and {name} has absolute IRIs only");
        }
        Format::Turtle | Format::TriG => "declare one with @base",
        Format::RdfXml => "declare one with xml:base",
        Format::JsonLd => "declare one with @base in the context",
    };
    format!("the IRI{iri} is relative and there is no base: {remedy}, or give one with --base")
}

fn in_brackets(token: &str) -> Option<&str> {
    token.trim().strip_prefix('<')?.strip_suffix('>')
}

/// The text between the last two single quotes.
fn in_quotes(message: &str) -> Option<&str> {
    let (before, _) = message.rsplit_once('\'')?;
    before.rsplit_once('\'').map(|(_, quoted)| quoted)
}
