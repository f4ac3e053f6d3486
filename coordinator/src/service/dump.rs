//! A dump: the forward copies of every node, decoded and written as RDF, in pieces.

use super::call::Call;
use super::parts::{PartSender, PartStream};
use super::{Coordinator, of_named_epoch};
use crate::reader::Reader;
use bytes::Bytes;
use entail_model::{Epoch, Fault, Reason, Relation, TermId, term};
use entail_node_api::{Block, Scan};
use entail_proto::v1::{DumpContent, DumpRequest, DumpResponse, DumpSummary};
use entail_rdf::Format;
use entail_rdf::Serializer;
use entail_sparql::cluster::Cluster;
use futures::StreamExt;
use oxrdf::{GraphName, NamedNode, NamedOrBlankNode, Quad, Term};
use std::collections::HashMap;
use std::io::{self, Write};
use tokio::runtime::Handle;

/// Bytes in one message: a client that reads slowly takes at least one in the time in which an answer may be unread.
const PIECE_BYTES: usize = 128 << 10;

/// Pieces that wait for the client.
const PIECES_WAITING: usize = 8;

impl Coordinator {
    /// Streams facts as RDF. Dropping the stream ends the work.
    ///
    /// # Errors
    /// `InvalidRequest` for graphs that the format cannot hold, `Overloaded`, `EpochUnavailable`,
    /// `ShardsUnavailable`; later faults come in the stream.
    pub async fn dump(&self, call: &Call, request: DumpRequest) -> Result<PartStream<DumpResponse>, Fault> {
        call.describe("dump", "");
        // Without a deadline of its own a dump may take any time, but admission may not.
        let begins_by = call.deadline().unwrap_or(call.started + self.options.query_timeout_default);
        let permit = self.admitted(begins_by).await?;
        let running = self.running.begin("dump", &request.graph, call);
        let reader = self.reader(request.epoch.map(Epoch), &call.cancel)?;
        running.call.reads(reader.epoch);
        let dump = Dump::new(reader, &request)?;
        let (sender, stream) = PartStream::running(PIECES_WAITING, &call.cancel, call.bounded());
        let (named, latest) = (request.epoch, self.latest());
        tokio::task::spawn_blocking(move || {
            let result = dump.run(&sender.parts).map_err(|fault| of_named_epoch(fault, named, latest));
            drop((running, permit));
            sender.end(result);
        });
        Ok(stream.watched(&self.unread))
    }
}

/// The facts and the format of a dump.
struct Dump {
    reader: Reader,
    format: Format,
    /// The one graph to write: `None` is the default graph; ignored when all graphs are written.
    graph: Option<NamedNode>,
    /// Whether facts of all graphs are written.
    all_graphs: bool,
    /// Pairs of name and IRI.
    prefixes: Vec<(String, String)>,
    scan: Scan,
}

fn canonical(node: &NamedNode) -> Vec<u8> {
    let mut bytes = Vec::new();
    term::encode(node.as_ref().into(), &mut bytes);
    bytes
}

impl Dump {
    /// Checks a request.
    fn new(reader: Reader, request: &DumpRequest) -> Result<Self, Fault> {
        let format = match request.format.as_str() {
            "" => Format::NQuads,
            name => entail_rdf::format_of("", Some(name))?,
        };
        if request.all_graphs && !format.has_graphs() {
            let text = format!("{} cannot hold named graphs: use nquads, trig or jsonld", format.name());
            return Err(Fault::new(Reason::InvalidRequest, text));
        }
        let (asserted, derived) = match request.content() {
            DumpContent::Unspecified | DumpContent::Asserted => (true, false),
            DumpContent::Derived => (false, true),
            DumpContent::All => (true, true),
        };
        let graph = match request.graph.as_str() {
            "" => None,
            iri => Some(NamedNode::new(iri).map_err(|error| {
                Fault::new(Reason::InvalidRequest, format!("the graph {iri} is not an IRI: {error}"))
            })?),
        };
        let scan = Scan { query: reader.shared.next_query(), epoch: reader.epoch, asserted, derived, graph: None };
        let prefixes = request.prefixes.iter().map(|prefix| (prefix.name.clone(), prefix.iri.clone())).collect();
        Ok(Self { reader, format, graph, all_graphs: request.all_graphs, prefixes, scan })
    }

    /// Writes all facts; returns the last message.
    fn run(mut self, parts: &PartSender<DumpResponse>) -> Result<DumpResponse, Fault> {
        // A graph that no term names has no facts: an empty document is the right answer.
        let graph = match &self.graph {
            None => Some(TermId::DEFAULT_GRAPH),
            Some(graph) => self.reader.lookup(&[canonical(graph)])?[0],
        };
        self.scan.graph = (!self.all_graphs).then_some(graph.unwrap_or(TermId::MAX));
        let mut serializer = Serializer::new(
            self.format,
            Pieces { parts, runtime: self.reader.runtime.clone(), buffer: Vec::new() },
            &self.prefixes,
        )?;
        for link in self.reader.holders.links.values() {
            let scan = self.scan;
            let mut blocks = self.reader.block(link.call(None, |node, call| node.scan(call, scan)))?;
            while let Some(block) = self.reader.block(async { Ok(blocks.next().await) })? {
                let Block { relation, pairs } = block.map_err(|fault| link.fault(fault))?;
                self.write(&mut serializer, relation, &pairs)?;
            }
        }
        let facts = serializer.fact_count();
        serializer.finish()?.send_all()?;
        let summary = DumpSummary { facts, epoch: self.reader.epoch.0 };
        Ok(DumpResponse { data: Bytes::new(), summary: Some(summary) })
    }

    fn write(
        &self,
        serializer: &mut Serializer<Pieces<'_>>,
        relation: Relation,
        pairs: &[(TermId, TermId)],
    ) -> Result<(), Fault> {
        let mut ids: Vec<TermId> = pairs.iter().flat_map(|(subject, object)| [*subject, *object]).collect();
        ids.push(relation.predicate);
        if relation.graph != TermId::DEFAULT_GRAPH {
            ids.push(relation.graph);
        }
        ids.sort_unstable();
        ids.dedup();
        let terms: HashMap<TermId, Term> = ids.iter().copied().zip(self.reader.decode(&ids)?).collect();
        let predicate = match terms[&relation.predicate].clone() {
            Term::NamedNode(node) => node,
            other => return Err(Fault::corrupt(format!("the predicate {other} is not an IRI"))),
        };
        let graph = match terms.get(&relation.graph).filter(|_| relation.graph != TermId::DEFAULT_GRAPH) {
            None => GraphName::DefaultGraph,
            Some(term) => subject(term)?.into(),
        };
        // Within one graph, any format without graphs works.
        let graph = if self.format.has_graphs() { graph } else { GraphName::DefaultGraph };
        for (s, o) in pairs {
            let quad = Quad::new(subject(&terms[s])?, predicate.clone(), terms[o].clone(), graph.clone());
            serializer.write(quad.as_ref())?;
        }
        Ok(())
    }
}

fn subject(term: &Term) -> Result<NamedOrBlankNode, Fault> {
    match term.clone() {
        Term::NamedNode(node) => Ok(node.into()),
        Term::BlankNode(node) => Ok(node.into()),
        other => Err(Fault::corrupt(format!("{other} cannot be a subject"))),
    }
}

/// A writer that sends its bytes in pieces.
struct Pieces<'a> {
    parts: &'a PartSender<DumpResponse>,
    runtime: Handle,
    buffer: Vec<u8>,
}

impl Pieces<'_> {
    fn send_all(&mut self) -> Result<(), Fault> {
        let mut bytes = Bytes::from(std::mem::take(&mut self.buffer));
        while !bytes.is_empty() {
            let data = bytes.split_to(bytes.len().min(PIECE_BYTES));
            self.parts.send_blocking(DumpResponse { data, summary: None }, &self.runtime)?;
        }
        Ok(())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.send_all().map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_all().map_err(io::Error::other)
    }
}
