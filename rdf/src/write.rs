//! Streaming serializers: facts in, text out, in any of the formats.
//!
//! Every format writes a fact completely or refuses it: a format without graphs refuses a named graph, RDF/XML refuses
//! what XML cannot represent (see [`xml`]), JSON-LD refuses triple terms. Nothing is dropped silently. Facts sorted by graph and
//! subject give the most compact text, but any order is correct.

mod xml;

use crate::format::{Compression, Format};
use entail_model::xml::CarriageReturns;
use entail_model::{Fault, Reason};
use flate2::write::GzEncoder;
use oxrdf::{GraphNameRef, QuadRef, TermRef, TripleRef};
use oxrdfio::{RdfSerializer, WriterQuadSerializer};
use std::io::{self, ErrorKind, Write};

/// Writes facts in one format.
pub struct Serializer<W: Write> {
    inner: Inner<W>,
    format: Format,
    facts: u64,
}

/// The serializer, and for XML the writer below it.
enum Inner<W: Write> {
    Xml(WriterQuadSerializer<CarriageReturns<W>>),
    Other(WriterQuadSerializer<W>),
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
        let inner = match format {
            Format::RdfXml => Inner::Xml(serializer.for_writer(CarriageReturns::new(writer))),
            _ => Inner::Other(serializer.for_writer(writer)),
        };
        Ok(Self { inner, format, facts: 0 })
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
        let written = match &mut self.inner {
            Inner::Xml(serializer) => serializer.serialize_quad(fact),
            Inner::Other(serializer) => serializer.serialize_quad(fact),
        };
        written.map_err(|error| self.fault(error))?;
        self.facts += 1;
        Ok(())
    }

    /// Ends the document and returns the writer, not flushed.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn finish(self) -> Result<W, Fault> {
        let writer = match self.inner {
            Inner::Xml(serializer) => serializer.finish().map(CarriageReturns::into_inner),
            Inner::Other(serializer) => serializer.finish(),
        };
        writer.map_err(write_fault)
    }

    fn check(&self, fact: QuadRef<'_>) -> Result<(), Fault> {
        if fact.graph_name != GraphNameRef::DefaultGraph && !self.format.has_graphs() {
            let message =
                format!("{} has no named graphs, such as {}; use nquads or trig", self.format, fact.graph_name);
            return Err(Fault::new(Reason::Unsupported, message));
        }
        match self.format {
            Format::RdfXml => xml::check(TripleRef::new(fact.subject, fact.predicate, fact.object))
                .map_err(|what| self.refused(&what)),
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
    use oxrdf::vocab::rdf;
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
            (Format::RdfXml, quad("http://a/p", Literal::from("a\u{ffff}"))),
            (Format::RdfXml, quad("http://a/p\u{d7}", Literal::from("x"))),
            (Format::RdfXml, quad("http://a/\u{aa}", Literal::from("x"))),
            (Format::RdfXml, quad("http://www.w3.org/2000/xmlns/x", Literal::from("x"))),
            (Format::RdfXml, quad("http://a/p", BlankNode::new_unchecked("\u{aa}b"))),
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
    fn carriage_returns_are_references_in_xml() {
        let mut serializer = Serializer::new(Format::RdfXml, Vec::new(), &[]).expect("no prefixes");
        serializer.write(quad("http://a/p", Literal::from("a\rb\r\n")).as_ref()).expect("a reference");
        let text = String::from_utf8(serializer.finish().expect("to memory")).expect("UTF-8");
        assert!(text.contains(">a&#xD;b&#xD;\n<"), "{text}");
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
