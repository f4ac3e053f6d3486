//! Tests of parsing as a whole: bytes in, quads out.

mod blank_nodes;
mod errors;
mod hostile;
mod json_documents;
mod json_numbers;
mod round_trip;
mod skipping;
mod speed;
mod xml_documents;

use super::*;
use entail_model::term::{self, HashKey};
use entail_model::{Fault, Reason};
use oxrdf::{GraphName, NamedOrBlankNode, Quad, Term};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const KEY: HashKey = HashKey([9; 16]);

/// A request with the usual limits.
fn request(format: Format) -> ParseRequest {
    ParseRequest::new("file", format, KEY, 1)
}

/// The result of a parse, as quads.
#[derive(Debug)]
struct Parsed {
    report: ParseReport,
    quads: Vec<Quad>,
    batches: usize,
}

impl Parsed {
    fn set(&self) -> HashSet<Quad> {
        self.quads.iter().cloned().collect()
    }
}

fn parse_all(request: ParseRequest, input: impl Read + Send) -> Result<Parsed, Fault> {
    let batches = Mutex::new(Vec::new());
    let sink = |batch: Batch| {
        batches.lock().expect("no panic").push(batch);
        Ok(())
    };
    let report = parse(request, input, &sink)?;
    let batches = batches.into_inner().expect("no panic");
    let quads: Vec<Quad> = batches.iter().flat_map(quads_of).collect();
    assert_eq!(report.triples, quads.len() as u64);
    Ok(Parsed { report, quads, batches: batches.len() })
}

/// The quads of a batch; its table must have every term once and no inline term.
fn quads_of(batch: &Batch) -> Vec<Quad> {
    let terms: Vec<Term> = batch.terms.iter().map(|(_, bytes)| term::decode(bytes).expect("our own bytes")).collect();
    let hashes: HashSet<_> = batch.terms.iter().map(|(hash, _)| hash).collect();
    assert_eq!(hashes.len(), terms.len());
    assert!(terms.iter().all(|term| term::inline_id(term.as_ref()).is_none()));
    for (hash, bytes) in batch.terms.iter() {
        assert_eq!(hash, KEY.hash(bytes));
    }
    let term = |slot: Slot| match (slot.index(), slot.id()) {
        (Some(index), None) => terms[index].clone(),
        (None, Some(id)) => term::inline_term(id).expect("an inline value"),
        other => panic!("{other:?}"),
    };
    let quad = |fact: &SlotFact| {
        let node = |term| match term {
            Term::NamedNode(node) => NamedOrBlankNode::from(node),
            Term::BlankNode(node) => node.into(),
            other => panic!("{other} as a node"),
        };
        let Term::NamedNode(predicate) = term(fact.predicate) else { panic!("a predicate that is no IRI") };
        let graph =
            if fact.graph == Slot::DEFAULT_GRAPH { GraphName::DefaultGraph } else { node(term(fact.graph)).into() };
        Quad::new(node(term(fact.subject)), predicate, term(fact.object), graph)
    };
    batch.facts.iter().map(quad).collect()
}

fn compressed(compression: Compression, text: &[u8]) -> Vec<u8> {
    let mut writer = crate::write::Compressor::new(compression, Vec::new()).expect("to memory");
    writer.write_all(text).expect("to memory");
    writer.finish().expect("to memory")
}

/// An input that returns a few bytes at a time.
struct Trickle<'t>(&'t [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}
