//! The speed of parsing: `cargo test -p entail-rdf --lib -- --ignored --nocapture speed`.

use super::*;
use std::fmt::Write as _;
use std::time::Instant;

/// A million facts like those of a real file: subjects in runs, few predicates, some literals.
fn million_lines() -> String {
    let mut text = String::with_capacity(130 << 20);
    for n in 0..1_000_000u64 {
        let (subject, predicate) = (n / 8, n % 8);
        let _ = match predicate {
            0 => writeln!(
                text,
                "<http://example.org/entity/{subject}> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://example.org/class/{}> .",
                subject % 50
            ),
            1 => writeln!(
                text,
                "<http://example.org/entity/{subject}> <http://www.w3.org/2000/01/rdf-schema#label> \"the label of {subject}\"@en ."
            ),
            2 => writeln!(
                text,
                "<http://example.org/entity/{subject}> <http://example.org/count> \"{n}\"^^<http://www.w3.org/2001/XMLSchema#integer> ."
            ),
            _ => writeln!(
                text,
                "<http://example.org/entity/{subject}> <http://example.org/property/{predicate}> <http://example.org/entity/{}> .",
                n * 7919 % 125_000
            ),
        };
    }
    text
}

#[test]
#[ignore = "a measurement"]
fn speed_of_a_million_lines() {
    let text = million_lines();
    for (format, threads) in [(Format::NTriples, 1), (Format::NTriples, 2), (Format::NQuads, 2), (Format::Turtle, 1)] {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let input = compressed(compression, text.as_bytes());
            let request = ParseRequest { threads, ..request(format) };
            let terms = AtomicU64::new(0);
            let start = Instant::now();
            let sink = |batch: Batch| {
                terms.fetch_add(batch.terms.len() as u64, Ordering::Relaxed);
                Ok(())
            };
            let report = parse(request, &input[..], &sink).expect("well-formed");
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "{format} {compression}, {threads} threads: {:.0} triples/s, {:.0} MB/s decoded, {} terms handed on",
                report.triples as f64 / seconds,
                report.bytes_decoded as f64 / seconds / 1e6,
                terms.load(Ordering::Relaxed)
            );
        }
    }
}
