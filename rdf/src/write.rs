//! Streaming serializers: facts in, text out, in any of the formats.
//!
//! Every format writes a fact completely or refuses it: a format without graphs refuses a named graph, RDF/XML refuses
//! what XML cannot represent, JSON-LD refuses triple terms. Nothing is dropped silently. Facts sorted by graph and
//! subject give the most compact text, but any order is correct.

use crate::format::{Compression, Format};
use entail_model::{Fault, Reason};
use flate2::write::GzEncoder;
use oxrdf::vocab::rdf;
use oxrdf::{GraphNameRef, LiteralRef, NamedNodeRef, NamedOrBlankNodeRef, QuadRef, TermRef, TripleRef};
use oxrdfio::{RdfSerializer, WriterQuadSerializer};
use std::io::{self, ErrorKind, Write};

/// Writes facts in one format.
pub struct Serializer<W: Write> {
    inner: WriterQuadSerializer<W>,
    format: Format,
    facts: u64,
}

impl<W: Write> Serializer<W> {
    /// Begins a document.
    ///
    /// Prefixes, pairs of name and IRI, shorten Turtle, TriG and RDF/XML; the other formats have none.
    ///
    /// # Errors
    /// `InvalidRequest` for a prefix that is not an IRI.
    pub fn new(format: Format, writer: W, prefixes: &[(String, String)]) -> Result<Self, Fault> {
        let mut serializer = RdfSerializer::from_format(format.to_oxrdfio());
        for (name, iri) in prefixes {
            serializer = serializer.with_prefix(name.as_str(), iri.as_str()).map_err(|error| {
                Fault::new(Reason::InvalidRequest, format!("the prefix {name}: <{iri}> is not an IRI: {error}"))
            })?;
        }
        Ok(Self { inner: serializer.for_writer(writer), format, facts: 0 })
    }

    /// The facts written so far.
    pub fn fact_count(&self) -> u64 {
        self.facts
    }

    /// Writes a fact.
    ///
    /// # Errors
    /// `Unsupported` for a fact that the format cannot represent, naming formats that can; `DiskFull` or another reason
    /// for errors of the writer. After an error the document is incomplete.
    pub fn write(&mut self, fact: QuadRef<'_>) -> Result<(), Fault> {
        self.check(fact)?;
        self.inner.serialize_quad(fact).map_err(|error| self.fault(error))?;
        self.facts += 1;
        Ok(())
    }

    /// Ends the document and returns the writer, not flushed.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn finish(self) -> Result<W, Fault> {
        self.inner.finish().map_err(write_fault)
    }

    fn check(&self, fact: QuadRef<'_>) -> Result<(), Fault> {
        if fact.graph_name != GraphNameRef::DefaultGraph && !self.format.has_graphs() {
            let message =
                format!("{} has no named graphs, such as {}; use nquads or trig", self.format, fact.graph_name);
            return Err(Fault::new(Reason::Unsupported, message));
        }
        match self.format {
            Format::RdfXml => {
                check_xml(TripleRef::new(fact.subject, fact.predicate, fact.object)).map_err(|what| self.refused(&what))
            }
            Format::JsonLd if matches!(fact.object, TermRef::Triple(_)) => Err(self.refused("triple terms")),
            _ => Ok(()),
        }
    }

    fn refused(&self, what: &str) -> Fault {
        let message = format!("{} cannot hold {what}; use nquads, ntriples, trig or turtle", self.format);
        Fault::new(Reason::Unsupported, message)
    }

    fn fault(&self, error: io::Error) -> Fault {
        match error.kind() {
            // The serializer's own errors; writers do not use this kind.
            ErrorKind::InvalidInput => self.refused(&error.to_string()),
            _ => write_fault(error),
        }
    }
}

/// The error of the writer, or the fault inside it.
fn write_fault(error: io::Error) -> Fault {
    let (kind, message) = (error.kind(), format!("cannot write: {error}"));
    if let Some(Ok(fault)) = error.into_inner().map(|inner| inner.downcast::<Fault>()) {
        return *fault;
    }
    let reason = match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Reason::DiskFull,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Reason::Cancelled,
        _ => Reason::Internal,
    };
    Fault::new(reason, message)
}

/// Refuses facts whose document would be invalid XML, or would have another meaning.
fn check_xml(triple: TripleRef<'_>) -> Result<(), String> {
    if let NamedOrBlankNodeRef::BlankNode(node) = triple.subject {
        check_xml_label(node.as_str())?;
    }
    check_xml_element(triple.predicate)?;
    match triple.object {
        TermRef::BlankNode(node) => check_xml_label(node.as_str()),
        // A type becomes the name of an element.
        TermRef::NamedNode(class) if triple.predicate == rdf::TYPE => check_xml_element(class),
        TermRef::NamedNode(_) => Ok(()),
        TermRef::Literal(literal) => check_xml_text(literal),
        TermRef::Triple(inner) => check_xml(inner.as_ref()),
    }
}

/// An element's name is the end of the IRI, which must begin with a letter.
fn check_xml_element(iri: NamedNodeRef<'_>) -> Result<(), String> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.') || c as u32 >= 0x80;
    let text = iri.as_str();
    let last = text.rfind(|c| !is_name(c)).map_or(text, |at| &text[at..]);
    let has_name = last.chars().any(|c| c.is_alphabetic() || c == '_');
    if has_name && !text.starts_with("http://www.w3.org/2000/xmlns/") {
        return Ok(());
    }
    Err(format!("{iri} as the name of an element"))
}

fn check_xml_label(label: &str) -> Result<(), String> {
    if label.starts_with(|first: char| first.is_alphabetic() || first == '_') && !label.contains(':') {
        return Ok(());
    }
    Err(format!("the blank node label {label}"))
}

fn check_xml_text(literal: LiteralRef<'_>) -> Result<(), String> {
    // XML 1.0 cannot represent these, and readers replace a carriage return by a line feed.
    let bad = literal.value().chars().find(|c| matches!(c, '\0'..='\x08' | '\x0b'..='\x1f' | '\u{fffe}' | '\u{ffff}'));
    bad.map_or(Ok(()), |bad| Err(format!("the character U+{:04X}", u32::from(bad))))
}

/// A compressing writer; it must be finished to write the last bytes.
pub enum Compressor<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Compressor<W> {
    /// Compresses the bytes that are written to it, and writes the result to `writer`.
    ///
    /// # Errors
    /// `Internal` if the compressor cannot be created.
    pub fn new(compression: Compression, writer: W) -> Result<Self, Fault> {
        Ok(match compression {
            Compression::None => Self::None(writer),
            Compression::Gzip => Self::Gzip(GzEncoder::new(writer, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(writer, 0).map_err(write_fault)?),
        })
    }

    /// Writes the buffered rest and returns the writer, not flushed.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn finish(self) -> Result<W, Fault> {
        match self {
            Self::None(writer) => Ok(writer),
            Self::Gzip(encoder) => encoder.finish().map_err(write_fault),
            Self::Zstd(encoder) => encoder.finish().map_err(write_fault),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(writer) => writer.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(writer) => writer.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::{BlankNode, Literal, NamedNode, Quad, Term, Triple};

    fn quad(predicate: &str, object: impl Into<Term>) -> Quad {
        let iri = NamedNode::new_unchecked;
        Quad::new(iri("http://a/s"), iri(predicate), object, GraphNameRef::DefaultGraph)
    }

    fn refusal(format: Format, quad: &Quad) -> Fault {
        let mut serializer = Serializer::new(format, Vec::new(), &[]).expect("no prefixes");
        serializer.write(quad.as_ref()).expect_err("cannot be written")
    }

    #[test]
    fn graphs_are_refused_by_formats_without_them() {
        let mut named = quad("http://a/p", Literal::from("x"));
        named.graph_name = NamedNode::new_unchecked("http://a/g").into();
        for format in Format::ALL.into_iter().filter(|format| !format.has_graphs()) {
            let fault = refusal(format, &named);
            assert_eq!(fault.reason, Reason::Unsupported);
            assert!(fault.message.contains("http://a/g") && fault.message.contains("trig"), "{fault}");
        }
    }

    #[test]
    fn formats_refuse_what_they_would_lose() {
        let triple = Term::from(Triple::new(NamedNode::new_unchecked("a:s"), rdf::TYPE, Literal::from("\u{1}")));
        let refused = [
            (Format::JsonLd, quad("http://a/p", triple.clone())),
            (Format::RdfXml, quad("http://a/p", triple)),
            (Format::RdfXml, quad("http://a/1", Literal::from("x"))),
            (Format::RdfXml, quad("http://a/p/", Literal::from("x"))),
            (Format::RdfXml, quad("http://a/p", Literal::from("a\u{b}"))),
            (Format::RdfXml, quad("http://a/p", Literal::from("a\r"))),
            (Format::RdfXml, quad(rdf::TYPE.as_str(), NamedNode::new_unchecked("http://a/1"))),
            (Format::RdfXml, quad("http://a/p", BlankNode::new_unchecked("0"))),
            (Format::RdfXml, quad("http://www.w3.org/1999/02/22-rdf-syntax-ns#li", Literal::from("x"))),
        ];
        for (format, quad) in refused {
            let fault = refusal(format, &quad);
            assert_eq!(fault.reason, Reason::Unsupported, "{quad}");
            assert!(fault.message.contains("nquads"), "{fault}");
        }
    }

    #[test]
    fn what_the_writer_fails_with_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut serializer = Serializer::new(Format::NQuads, Full, &[]).expect("no prefixes");
        let fault = serializer.write(quad("http://a/p", Literal::from("x")).as_ref()).expect_err("full");
        assert_eq!(fault.reason, Reason::DiskFull);
        assert_eq!(write_fault(io::Error::other(Fault::corrupt("mine"))), Fault::corrupt("mine"));
    }

    #[test]
    fn prefixes_shorten_turtle() {
        let prefixes = [("a".to_owned(), "http://a/".to_owned())];
        let mut serializer = Serializer::new(Format::Turtle, Vec::new(), &prefixes).expect("an IRI");
        serializer.write(quad("http://a/p", Literal::from("x")).as_ref()).expect("to memory");
        assert_eq!(serializer.fact_count(), 1);
        let text = String::from_utf8(serializer.finish().expect("to memory")).expect("UTF-8");
        assert!(text.contains("a:s a:p \"x\""), "{text}");
        assert!(Serializer::new(Format::Turtle, Vec::new(), &[("a".to_owned(), "no iri".to_owned())]).is_err());
    }
}
