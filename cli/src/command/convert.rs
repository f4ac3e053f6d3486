//! `entail convert`: converts RDF from one format to another, without a cluster.
//!
//! ```text
//! file, decompressed ──► parser, on threads of its own ──► batches ──► serializer ──► compressed ──► NAME.part ──► NAME
//! ```
//! Memory is bounded by the size of a batch, not by the size of the file. The output gets its name only when it is
//! complete, and replaces an earlier file of that name only then.

use crate::command::load::{Format, OnError};
use crate::failure::Failure;
use crate::place;
use crate::prefixes::Prefix;
use crate::progress::Moving;
use crate::session::Session;
use crate::units::{bytes, count, counted, rate, seconds};
use clap::Args;
use entail_model::term::{HashKey, decode, inline_term};
use entail_model::{Fault, Reason, TermId};
use entail_rdf::{Batch, Compression, ParseReport, ParseRequest, Slot, SlotFact, blank_scope, detect};
use entail_rdf::{Compressor, Serializer};
use oxrdf::{GraphName, NamedNode, NamedOrBlankNode, Quad, Term};
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::task::spawn_blocking;

const EXAMPLES: &str = "\
Examples:
  entail convert data.ttl data.nt
  entail convert data.rdf data.nq.zst --graph http://example.org/g
  generate | entail convert - --from ntriples --to turtle > data.ttl

Blank nodes get new labels, the same ones each time.";

/// The scope of blank node labels; constant, so that every run writes the same labels.
const SCOPE: u128 = 0;

/// Converts RDF from one format to another, without a cluster; compresses with gzip or zstd by the file name
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The file to read, or `-` for the standard input
    #[arg(value_name = "FROM")]
    input: PathBuf,

    /// The file to write, or `-` for the standard output
    #[arg(value_name = "TO", default_value = "-")]
    output: PathBuf,

    /// The input format [default: by the name]
    #[arg(long, value_enum, value_name = "FORMAT")]
    from: Option<Format>,

    /// The output format [default: by the name]
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Option<Format>,

    /// The graph for triples [default: the default graph]
    #[arg(long, value_name = "IRI")]
    graph: Option<String>,

    /// The base IRI for relative IRIs
    #[arg(long, value_name = "IRI")]
    base: Option<String>,

    /// What to do about a malformed statement
    #[arg(long, value_enum, value_name = "WHAT", default_value = "stop")]
    on_error: OnError,

    /// With `--on-error skip`: fail when more statements than this are malformed
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    skip_max: u64,
}

pub async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let input = place::local(&arguments.input, "entail convert - TO --from FORMAT")?;
    check_files(&input, &arguments.output)?;
    let job = Job::new(&arguments, &input, session.prefixes().all())?;
    let target = Target::new(&arguments.output);
    let out = target.open()?;
    let started = Instant::now();
    let wheel = Moving::wheel(session, "converting");
    let (from, to) = (job.request.format, job.format);
    let done = spawn_blocking(move || job.run(&input, out)).await;
    drop(wheel);
    let done = done.unwrap_or_else(|error| Err(Fault::internal(format!("the conversion failed: {error}")).into()));
    let (report, written) = done?;
    target.keep()?;
    for error in &report.errors {
        session.note(format!("skipped: {error}"));
    }
    let took = started.elapsed().as_secs_f64();
    let fast = rate(report.triples, took, "triples").map_or_else(String::new, |rate| format!(" ({rate})"));
    let skipped =
        if report.skipped > 0 { format!(", {} malformed skipped", count(report.skipped)) } else { String::new() };
    let (triples, read, written) = (counted(report.triples, "triple"), bytes(report.bytes_read), bytes(written));
    session.note(format!(
        "converted {triples}{skipped}: {read} of {from} to {written} of {to} in {}{fast}",
        seconds(took)
    ));
    Ok(())
}

/// The input has to be there, and the output has to be another file.
fn check_files(input: &Path, output: &Path) -> Result<(), Failure> {
    if is_stream(input) {
        return Ok(());
    }
    let metadata = std::fs::metadata(input).map_err(|error| Failure::input(input.display().to_string(), error))?;
    if metadata.is_dir() {
        return Err(Failure::input(input.display().to_string(), io::Error::other("is a directory")));
    }
    let is_same = || std::fs::canonicalize(input).ok() == std::fs::canonicalize(output).ok();
    if metadata.is_file() && output.exists() && is_same() {
        return Err(Failure::Usage(format!("{} is the input and the output", output.display())));
    }
    Ok(())
}

/// A validated conversion.
struct Job {
    request: ParseRequest,
    format: entail_rdf::Format,
    compression: Compression,
    prefixes: Vec<Prefix>,
}

impl Job {
    fn new(arguments: &Arguments, input: &Path, prefixes: &[Prefix]) -> Result<Self, Failure> {
        let name = shown(input, "standard input");
        let (from, to) = (input.display().to_string(), arguments.output.display().to_string());
        let format = format_of(arguments.to, &to, "--to")?;
        let request = ParseRequest {
            compression: detect(&from).compression,
            base_iri: arguments.base.clone(),
            graph: arguments.graph.as_deref().map(graph).transpose()?,
            on_error: match arguments.on_error {
                OnError::Stop => entail_rdf::OnError::Stop,
                OnError::Skip => entail_rdf::OnError::Skip { limit: arguments.skip_max },
            },
            ..ParseRequest::new(
                name,
                format_of(arguments.from, &from, "--from")?,
                HashKey([0; 16]),
                blank_scope(SCOPE, 0),
            )
        };
        let compression = detect(&to).compression.unwrap_or_default();
        Ok(Self { request, format, compression, prefixes: prefixes.to_vec() })
    }

    /// Converts all input; returns the report of the parser and the number of bytes written.
    fn run(self, input: &Path, out: Box<dyn Write + Send>) -> Result<(ParseReport, u64), Failure> {
        let source: Box<dyn Read + Send> = if is_stream(input) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(input).map_err(|error| Failure::input(self.request.file.clone(), error))?)
        };
        let counted = Counted { out: BufWriter::new(out), bytes: 0 };
        let compressor = Compressor::new(self.compression, counted)?;
        // Only these two formats declare prefixes.
        let has_prefixes = matches!(self.format, entail_rdf::Format::Turtle | entail_rdf::Format::TriG);
        let prefixes = if has_prefixes { self.prefixes } else { Vec::new() };
        let serializer = Mutex::new(Serializer::new(self.format, compressor, &prefixes)?);
        let sink = |batch: Batch| write(&mut serializer.lock().unwrap_or_else(PoisonError::into_inner), &batch);
        let report = entail_rdf::parse(self.request, source, &sink).map_err(failure)?;
        let serializer = serializer.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut counted = serializer.finish().and_then(Compressor::finish).map_err(failure)?;
        counted.flush().map_err(Failure::Output)?;
        Ok((report, counted.bytes))
    }
}

/// A closed pipe on the output is no failure; any other error is.
fn failure(fault: Fault) -> Failure {
    match fault.reason {
        Reason::Cancelled => Failure::Output(ErrorKind::BrokenPipe.into()),
        _ => fault.into(),
    }
}

fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

fn shown(path: &Path, stream: &str) -> String {
    if is_stream(path) { stream.to_owned() } else { path.display().to_string() }
}

fn graph(iri: &str) -> Result<NamedNode, Failure> {
    NamedNode::new(iri).map_err(|error| Failure::Usage(format!("the graph {iri} is not an IRI: {error}")))
}

fn format_of(given: Option<Format>, name: &str, flag: &str) -> Result<entail_rdf::Format, Failure> {
    if let Some(format) = given {
        return Ok(format.name().parse()?);
    }
    let unknown = || match name {
        "-" if flag == "--to" => {
            Failure::Usage("the format of the standard output is unknown: use --to FORMAT, or name a file".to_owned())
        }
        "-" => Failure::Usage(format!("the format of the standard input is unknown: use {flag} FORMAT")),
        name => {
            let known = entail_rdf::Format::ALL.map(|format| format!(".{}", format.extension())).join(" ");
            Failure::Usage(format!("the name of {name} has no known extension: use {flag} FORMAT, or one of {known}"))
        }
    };
    detect(name).format.ok_or_else(unknown)
}

/// Writes the facts of a batch.
fn write<W: Write>(serializer: &mut Serializer<W>, batch: &Batch) -> Result<(), Fault> {
    let terms = batch.terms.iter().map(|(_, bytes)| decode(bytes)).collect::<Result<Vec<Term>, Fault>>()?;
    let term = |slot: Slot| match (slot.index(), slot.id()) {
        (Some(index), _) => Ok(terms[index].clone()),
        (None, id) => id.and_then(inline_term).ok_or_else(|| Fault::internal("a slot without a term")),
    };
    for SlotFact { graph, subject, predicate, object } in batch.facts.iter().copied() {
        let graph = match graph.id() {
            Some(TermId::DEFAULT_GRAPH) => GraphName::DefaultGraph,
            _ => node(term(graph)?)?.into(),
        };
        let predicate = match term(predicate)? {
            Term::NamedNode(predicate) => predicate,
            other => return Err(Fault::internal(format!("{other} as a predicate"))),
        };
        serializer.write(Quad::new(node(term(subject)?)?, predicate, term(object)?, graph).as_ref())?;
    }
    Ok(())
}

fn node(term: Term) -> Result<NamedOrBlankNode, Fault> {
    match term {
        Term::NamedNode(node) => Ok(node.into()),
        Term::BlankNode(node) => Ok(node.into()),
        other => Err(Fault::internal(format!("{other} as a subject"))),
    }
}

/// A writer that counts the bytes written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.out.write(data)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The output file. An incomplete file is removed when this is dropped, also after Ctrl-C.
struct Target {
    path: PathBuf,
    /// The name of the incomplete file; `None` if the output is not a regular file.
    part: Option<PathBuf>,
}

impl Target {
    fn new(path: &Path) -> Self {
        // Devices and pipes are written directly.
        let is_file = !is_stream(path) && fs::metadata(path).map_or(true, |metadata| metadata.is_file());
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        Self { path: path.to_owned(), part: is_file.then(|| part.into()) }
    }

    fn open(&self) -> Result<Box<dyn Write + Send>, Failure> {
        if is_stream(&self.path) {
            return Ok(Box::new(io::stdout()));
        }
        let path = self.part.as_ref().unwrap_or(&self.path);
        let create = if self.part.is_some() { File::create(path) } else { File::options().write(true).open(path) };
        Ok(Box::new(create.map_err(|error| Failure::input(self.path.display().to_string(), error))?))
    }

    /// Renames the complete file to its final name.
    fn keep(mut self) -> Result<(), Failure> {
        match self.part.take() {
            None => Ok(()),
            Some(part) => fs::rename(part, &self.path).map_err(Failure::Output),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // The file may not exist yet.
            _ = fs::remove_file(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments as Line, Command};
    use clap::Parser;

    fn job(words: &[&str]) -> Result<Job, Failure> {
        match Line::try_parse_from([&["entail", "convert"], words].concat()).unwrap().command {
            Command::Convert(arguments) => Job::new(&arguments, &arguments.input.clone(), &[]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_tell_formats_and_flags_win() {
        let named = job(&["a.ttl.gz", "b.nq.zst"]).unwrap();
        assert_eq!(
            (named.request.format, named.request.compression),
            (entail_rdf::Format::Turtle, Some(Compression::Gzip))
        );
        assert_eq!((named.format, named.compression), (entail_rdf::Format::NQuads, Compression::Zstd));
        let told = job(&["-", "--from", "nt", "--to", "ttl"]).unwrap();
        assert_eq!((told.request.format, told.format), (entail_rdf::Format::NTriples, entail_rdf::Format::Turtle));
        for (words, expected) in [
            (&["a.txt", "b.nt"][..], "a.txt has no known extension: use --from FORMAT"),
            (&["a.nt", "b"], "b has no known extension: use --to FORMAT"),
            (&["a.nt"], "use --to FORMAT"),
            (&["a.nt", "b.nt", "--graph", "no iri"], "the graph no iri is not an IRI"),
        ] {
            let why = job(words).map(|_| ()).unwrap_err().message().unwrap();
            assert!(why.contains(expected), "{words:?}: {why}");
        }
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.nt");
        fs::write(&path, "before").unwrap();
        let target = Target::new(&path);
        target.open().unwrap().write_all(b"half").unwrap();
        drop(target);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        let target = Target::new(&path);
        target.open().unwrap().write_all(b"whole").unwrap();
        target.keep().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
