//! Answers as bytes: solutions, booleans and graphs in their formats, split into parts of at most 128 KiB.

use crate::evaluate::cells::Cells;
use crate::results::table::{Form, Table};
use bytes::Bytes;
use entail_model::xml::{CarriageReturns, invalid_char};
use entail_model::{Fault, Reason};
use oxrdf::{NamedOrBlankNodeRef, Term, TermRef, Triple, Variable};
use oxttl::ntriples::WriterNTriplesSerializer;
use oxttl::turtle::WriterTurtleSerializer;
use oxttl::{NTriplesSerializer, TurtleSerializer};
use sparesults::{QueryResultsFormat, QueryResultsSerializer, WriterSolutionsSerializer};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

/// The largest number of bytes in one part: even a slow client reads one within the time in which an answer may be unread.
pub const PART_BYTES_MAX: usize = 128 << 10;

/// A part of an answer: first one header, then data.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Header { media_type: &'static str, variables: Vec<String> },
    Data(Bytes),
}

/// Receives the parts of an answer.
pub type Output<'o> = &'o mut (dyn FnMut(Part) -> Result<(), Fault> + Send);

/// The format of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// JSON for solutions and booleans, N-Triples for graphs.
    #[default]
    Default,
    Json,
    Xml,
    Csv,
    Tsv,
    NTriples,
    Turtle,
}

impl Format {
    /// The format of solutions and booleans.
    pub fn of_solutions(self) -> Result<QueryResultsFormat, Fault> {
        match self {
            Self::Default | Self::Json => Ok(QueryResultsFormat::Json),
            Self::Xml => Ok(QueryResultsFormat::Xml),
            Self::Csv => Ok(QueryResultsFormat::Csv),
            Self::Tsv => Ok(QueryResultsFormat::Tsv),
            Self::NTriples | Self::Turtle => {
                let message =
                    "N-Triples and Turtle are for graphs, and the answer is a table; ask for JSON, XML, CSV or TSV";
                Err(Fault::new(Reason::InvalidRequest, message))
            }
        }
    }

    /// Is a graph written as Turtle? Otherwise as N-Triples.
    pub fn is_turtle(self) -> Result<bool, Fault> {
        match self {
            Self::Default | Self::NTriples => Ok(false),
            Self::Turtle => Ok(true),
            Self::Json | Self::Xml | Self::Csv | Self::Tsv => {
                let message =
                    "JSON, XML, CSV and TSV are for tables, and the answer is a graph; ask for N-Triples or Turtle";
                Err(Fault::new(Reason::InvalidRequest, message))
            }
        }
    }
}

/// The buffer that serialisers write to.
#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    /// Sends the buffered bytes, if they are at least `least`.
    fn send(&self, least: usize, output: Output<'_>) -> Result<(), Fault> {
        if self.0.borrow().len() < least.max(1) {
            return Ok(());
        }
        let mut bytes = Bytes::from(std::mem::take(&mut *self.0.borrow_mut()));
        while !bytes.is_empty() {
            output(Part::Data(bytes.split_to(bytes.len().min(PART_BYTES_MAX))))?;
        }
        Ok(())
    }
}

/// Writes solutions.
pub struct SolutionWriter {
    buffer: Buffer,
    rows: RowWriter,
    width: usize,
}

/// The serializer of a table.
#[allow(clippy::large_enum_variant, reason = "there is one for an answer")]
enum RowWriter {
    Direct(Table),
    Xml(WriterSolutionsSerializer<CarriageReturns<Buffer>>, Vec<Variable>),
}

impl SolutionWriter {
    /// Begins a table.
    pub fn new(format: Format, variables: Vec<Variable>, output: Output<'_>) -> Result<Self, Fault> {
        let format = format.of_solutions()?;
        let names = variables.iter().map(|variable| variable.as_str().to_owned()).collect();
        output(Part::Header { media_type: format.media_type(), variables: names })?;
        let (buffer, width) = (Buffer::default(), variables.len());
        let direct = |form| RowWriter::Direct(Table::begin(form, &variables, &mut buffer.0.borrow_mut()));
        let rows = match format {
            QueryResultsFormat::Json => direct(Form::Json),
            QueryResultsFormat::Csv => direct(Form::Csv),
            QueryResultsFormat::Tsv => direct(Form::Tsv),
            _ => {
                let serializer = QueryResultsSerializer::from_format(format);
                let serializer =
                    serializer.serialize_solutions_to_writer(CarriageReturns::new(buffer.clone()), variables.clone());
                RowWriter::Xml(serializer.map_err(write_fault)?, variables)
            }
        };
        Ok(Self { buffer, rows, width })
    }

    /// Writes rows, each as wide as there are variables, and sends the buffer when it is half full.
    pub fn write(&mut self, rows: usize, cells: &Cells, output: Output<'_>) -> Result<(), Fault> {
        for row in 0..rows {
            let cells_of_row = row * self.width..(row + 1) * self.width;
            match &mut self.rows {
                RowWriter::Direct(table) => {
                    table.row(cells_of_row.map(|cell| cells.get(cell)), &mut self.buffer.0.borrow_mut())?;
                }
                RowWriter::Xml(serializer, variables) => {
                    let terms = cells_of_row.map(|cell| cells.term(cell)).collect::<Result<Vec<_>, _>>()?;
                    xml_row(serializer, variables, &terms)?;
                }
            }
            self.buffer.send(PART_BYTES_MAX / 2, output)?;
        }
        Ok(())
    }

    /// Sends the buffered bytes.
    pub fn flush(&mut self, output: Output<'_>) -> Result<(), Fault> {
        self.buffer.send(1, output)
    }

    /// Ends the table.
    pub fn finish(self, output: Output<'_>) -> Result<(), Fault> {
        match self.rows {
            RowWriter::Direct(table) => table.end(&mut self.buffer.0.borrow_mut()),
            RowWriter::Xml(serializer, _) => _ = serializer.finish().map_err(write_fault)?,
        }
        self.buffer.send(1, output)
    }
}

/// Writes a row in XML.
fn xml_row<W: Write>(
    serializer: &mut WriterSolutionsSerializer<W>,
    variables: &[Variable],
    terms: &[Option<Term>],
) -> Result<(), Fault> {
    let bound = || variables.iter().zip(terms).filter_map(|(variable, term)| Some((variable, term.as_ref()?)));
    for (variable, term) in bound() {
        if let Some(bad) = invalid_in_xml(term.as_ref()) {
            let bad = u32::from(bad);
            let message =
                format!("XML cannot hold the character U+{bad:04X}, which {variable} has; ask for JSON or TSV");
            return Err(Fault::new(Reason::Unsupported, message));
        }
    }
    serializer.serialize(bound()).map_err(write_fault)
}

/// A character of the term that XML cannot represent.
fn invalid_in_xml(term: TermRef<'_>) -> Option<char> {
    match term {
        TermRef::NamedNode(node) => invalid_char(node.as_str()),
        TermRef::BlankNode(node) => invalid_char(node.as_str()),
        TermRef::Literal(literal) => {
            invalid_char(literal.value()).or_else(|| invalid_char(literal.datatype().as_str()))
        }
        TermRef::Triple(triple) => {
            let subject = match triple.subject.as_ref() {
                NamedOrBlankNodeRef::NamedNode(node) => invalid_char(node.as_str()),
                NamedOrBlankNodeRef::BlankNode(node) => invalid_char(node.as_str()),
            };
            subject
                .or_else(|| invalid_char(triple.predicate.as_str()))
                .or_else(|| invalid_in_xml(triple.object.as_ref()))
        }
    }
}

/// Writes the answer of an ASK.
pub fn write_boolean(format: Format, value: bool, output: Output<'_>) -> Result<(), Fault> {
    let format = format.of_solutions()?;
    output(Part::Header { media_type: format.media_type(), variables: Vec::new() })?;
    let bytes = QueryResultsSerializer::from_format(format)
        .serialize_boolean_to_writer(Vec::new(), value)
        .map_err(write_fault)?;
    output(Part::Data(bytes.into()))
}

#[allow(clippy::large_enum_variant, reason = "there is one for an answer")]
enum GraphSerializer {
    NTriples(WriterNTriplesSerializer<Buffer>),
    Turtle(WriterTurtleSerializer<Buffer>),
}

/// Writes triples.
pub struct GraphWriter {
    buffer: Buffer,
    serializer: GraphSerializer,
}

impl GraphWriter {
    /// Begins a graph.
    pub fn new(format: Format, output: Output<'_>) -> Result<Self, Fault> {
        let buffer = Buffer::default();
        let (media_type, serializer) = match format.is_turtle()? {
            true => ("text/turtle", GraphSerializer::Turtle(TurtleSerializer::new().for_writer(buffer.clone()))),
            false => (
                "application/n-triples",
                GraphSerializer::NTriples(NTriplesSerializer::new().for_writer(buffer.clone())),
            ),
        };
        output(Part::Header { media_type, variables: Vec::new() })?;
        Ok(Self { buffer, serializer })
    }

    /// Writes triples and sends them.
    pub fn write(&mut self, triples: &[Triple], output: Output<'_>) -> Result<(), Fault> {
        for triple in triples {
            match &mut self.serializer {
                GraphSerializer::NTriples(serializer) => serializer.serialize_triple(triple),
                GraphSerializer::Turtle(serializer) => serializer.serialize_triple(triple),
            }
            .map_err(write_fault)?;
            self.buffer.send(PART_BYTES_MAX / 2, output)?;
        }
        self.buffer.send(1, output)
    }

    /// Ends the graph.
    pub fn finish(self, output: Output<'_>) -> Result<(), Fault> {
        match self.serializer {
            GraphSerializer::NTriples(serializer) => _ = serializer.finish(),
            GraphSerializer::Turtle(serializer) => _ = serializer.finish().map_err(write_fault)?,
        }
        self.buffer.send(1, output)
    }
}

/// Writing to memory fails only for what a format cannot hold.
fn write_fault(error: io::Error) -> Fault {
    Fault::new(Reason::Unsupported, format!("the format cannot represent the answer: {error}"))
}

#[cfg(test)]
mod tests;
