//! The time that the reader before the RDF/XML parser takes beside the parser's own. Ignored: it measures.
//!
//! ```text
//! cargo test -p entail-rdf --lib xml::speed -- --ignored --nocapture
//! ```

use super::*;
use crate::format::Format;
use crate::request::ParseRequest;
use entail_model::term::HashKey;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Bytes that the reader gets at a time, as from a file.
const PIECE_BYTES: usize = 256 << 10;
const RUNS: usize = 7;

/// Nodes with a type, IRIs, labels with a language, numbers and some text, as in real files; about 40 MB.
fn document() -> Vec<u8> {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" \
         xmlns:rdfs=\"http://www.w3.org/2000/01/rdf-schema#\" xmlns:ex=\"http://example.org/property/\">\n",
    );
    for node in 0..60_000 {
        let _ = write!(
            text,
            "  <rdf:Description rdf:about=\"http://example.org/entity/{node}\">\n    \
             <rdf:type rdf:resource=\"http://example.org/class/{}\"/>\n    \
             <rdfs:label xml:lang=\"en\">the label of {node}</rdfs:label>\n    \
             <ex:count rdf:datatype=\"http://www.w3.org/2001/XMLSchema#integer\">{node}</ex:count>\n    \
             <ex:near rdf:resource=\"http://example.org/entity/{}\"/>\n    \
             <ex:note>What is said of the entity {node} &amp; of others, in a sentence of some length: größer als {}.\
             </ex:note>\n    <ex:address>\n      <ex:Address ex:city=\"City {}\" ex:street=\"Street {}\"/>\n    </ex:address>\n  \
             </rdf:Description>\n",
            node % 50,
            node * 7919 % 60_000,
            node / 2,
            node % 977,
            node % 31,
        );
    }
    (text + "</rdf:RDF>\n").into_bytes()
}

struct Pieces<'t>(&'t [u8]);

impl Bytes for Pieces<'_> {
    fn piece(&mut self) -> Result<bytes::Bytes, Fault> {
        let (piece, rest) = self.0.split_at(PIECE_BYTES.min(self.0.len()));
        self.0 = rest;
        Ok(bytes::Bytes::copy_from_slice(piece))
    }
}

fn timed(run: impl FnOnce() -> usize) -> (Duration, usize) {
    let start = Instant::now();
    let triples = run();
    (start.elapsed(), triples)
}

#[test]
#[ignore = "it measures"]
fn the_reader_takes_little_beside_the_parser() {
    let text = document();
    let sink = |_| Ok(());
    let job = Job::new(ParseRequest::new("file", Format::RdfXml, HashKey([9; 16]), 1), &sink);
    let parser = || RdfParser::from_format(RdfFormat::RdfXml);
    let mut shortest = [Duration::MAX; 3];
    for _ in 0..RUNS {
        let runs = [
            timed(|| parser().for_reader(&text[..]).map(Result::unwrap).count()),
            timed(|| {
                let reader = CleanReader::new(&job, Pieces(&text), Rc::default());
                parser().for_reader(reader).map(Result::unwrap).count()
            }),
            timed(|| {
                let before = job.triples.load(Ordering::Relaxed);
                parse(&job, &mut Pieces(&text)).expect("well-formed");
                (job.triples.load(Ordering::Relaxed) - before) as usize
            }),
        ];
        assert!(runs.iter().all(|(_, triples)| *triples == runs[0].1));
        for (least, (time, _)) in shortest.iter_mut().zip(runs) {
            *least = time.min(*least);
        }
    }
    let ratio = |time: Duration| time.as_secs_f64() / shortest[0].as_secs_f64();
    let megabytes = text.len() as f64 / 1e6;
    println!(
        "{megabytes:.0} MB: the parser {:.0} MB/s; with the reader {:.2} times as long, with batches of facts {:.2} times",
        megabytes / shortest[0].as_secs_f64(),
        ratio(shortest[1]),
        ratio(shortest[2]),
    );
}
