//! `entail load`: loads RDF files, all of them or none.

use crate::failure::Failure;
use crate::output::{Form, change};
use crate::place;
use crate::progress::Moving;
use crate::session::Session;
use crate::traced::Shown;
use crate::units::{bytes, count, counted, rate, seconds};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use entail_client::Source;
use entail_client::v1::{self, FileHeader, LoadMode, LoadSummary};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  entail load data.ttl more.nt.gz
  entail load data.ttl --graph http://example.org/g
  entail load data.ttl --graph http://example.org/g --replace
  entail load old.nt --delete --dry-run
  generate | entail load - --format ntriples
  entail load dirty.nq --on-error skip --skip-max 50";

/// Loads RDF files, plain or compressed with gzip or zstd, or removes their triples. All of them become one epoch, or none.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The files, or `-` for the standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The format of the files [default: by the name]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,

    /// The compression of the files [default: by the name and the first bytes]
    #[arg(long, value_enum, value_name = "COMPRESSION")]
    compression: Option<Compression>,

    /// The graph for triples [default: the default graph]
    #[arg(long, value_name = "IRI", value_parser = NonEmptyStringValueParser::new())]
    graph: Option<String>,

    /// Removes the triples of the files instead; those that are not there are counted
    #[arg(long, conflicts_with = "replace")]
    delete: bool,

    /// Makes the graph of --graph what the files have: what is in both stays, so an unchanged file changes nothing. Files
    /// with blank nodes are refused
    #[arg(long, requires = "graph", conflicts_with = "commit_every")]
    replace: bool,

    /// Only says what would change: nothing is committed
    #[arg(long, conflicts_with = "commit_every")]
    dry_run: bool,

    /// The base IRI for relative IRIs
    #[arg(long, value_name = "IRI", default_value = "", hide_default_value = true)]
    base: String,

    /// What to do about a malformed statement
    #[arg(long, value_enum, value_name = "WHAT", default_value = "stop")]
    on_error: OnError,

    /// With `--on-error skip`: fail when more statements than this are malformed
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    skip_max: u64,

    /// Commit after about this many triples, instead of all at once
    #[arg(long, value_name = "TRIPLES", value_parser = clap::value_parser!(u64).range(1..))]
    commit_every: Option<u64>,

    /// Makes retries of this command safe: a load with this id is applied once [default: a random id]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,

    /// Prints a trace to the standard error afterwards: the time spent in each process
    #[arg(long)]
    pub trace: bool,

    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

impl Arguments {
    fn mode(&self) -> LoadMode {
        match (self.delete, self.replace) {
            (true, _) => LoadMode::Delete,
            (false, true) => LoadMode::Replace,
            (false, false) => LoadMode::Add,
        }
    }
}

/// A concrete syntax of RDF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[value(alias = "nt")]
    Ntriples,
    #[value(alias = "nq")]
    Nquads,
    #[value(alias = "ttl")]
    Turtle,
    Trig,
    #[value(aliases = ["rdf", "xml"])]
    Rdfxml,
    #[value(alias = "json")]
    Jsonld,
}

impl Format {
    /// The format's name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ntriples => "ntriples",
            Self::Nquads => "nquads",
            Self::Turtle => "turtle",
            Self::Trig => "trig",
            Self::Rdfxml => "rdfxml",
            Self::Jsonld => "jsonld",
        }
    }
}

/// The compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    None,
    #[value(alias = "gz")]
    Gzip,
    #[value(alias = "zst")]
    Zstd,
}

/// The handling of a malformed statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnError {
    /// Fail; nothing is loaded
    Stop,
    /// Leave the statement out, count it and report it
    Skip,
}

pub async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let shown = Shown::of(arguments.trace, arguments.output == Form::Table);
    session.traced("load", shown, load(arguments, session)).await
}

async fn load(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let local = |name: &PathBuf| place::local(name, &pipe(name));
    let files = arguments.files.iter().map(local).collect::<Result<_, Failure>>()?;
    let arguments = Arguments { files, ..arguments };
    let sources = sources(&arguments)?;
    let started = Instant::now();
    let bar = Moving::load(session, size(&arguments.files)?);
    let mut left = Left { session, is_told: arguments.commit_every.is_some() };
    let result = session.working()?.load(sources, &mut |progress| bar.show(progress)).await;
    drop(bar);
    left.is_told = false;
    let summary = result?;
    let wall = started.elapsed().as_secs_f64();
    for error in &summary.errors {
        session.note(format!("skipped: {error}"));
    }
    session.summarize(arguments.output, &told(&summary, wall, arguments.mode()), &json(&summary, wall))
}

/// Says what stays of a load in parts whose command is interrupted.
struct Left<'s> {
    session: &'s Session,
    is_told: bool,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if self.is_told {
            self.session.note("the parts that are committed stay; a load of the same files adds the rest");
        }
    }
}

/// The command that loads the standard input, for the error about a remote URL.
fn pipe(name: &Path) -> String {
    let format = entail_rdf::detect(&name.to_string_lossy()).format;
    format!("entail load - --format {}", format.map_or("FORMAT", entail_rdf::Format::name))
}

/// The files, each with its header for the server.
fn sources(arguments: &Arguments) -> Result<Vec<Source>, Failure> {
    let is_input = |path: &&PathBuf| path.as_path() == Path::new("-");
    match arguments.files.iter().filter(is_input).count() {
        0 => {}
        1 if arguments.format.is_some() => {}
        1 => {
            return Err(Failure::Usage("the format of the standard input is unknown: use --format".to_owned()));
        }
        _ => return Err(Failure::Usage("the standard input can be read only once".to_owned())),
    }
    let source = |path: &PathBuf| {
        let header = header(arguments);
        if is_input(&path) {
            Source::reader(tokio::io::stdin(), FileHeader { name: "standard input".to_owned(), ..header })
        } else {
            Source::path(path, header)
        }
    };
    Ok(arguments.files.iter().map(source).collect())
}

fn header(arguments: &Arguments) -> FileHeader {
    let compression = arguments.compression.map_or("", |compression| match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    });
    let on_error = match arguments.on_error {
        OnError::Stop => v1::OnError::Stop,
        OnError::Skip => v1::OnError::Skip,
    };
    FileHeader {
        name: String::new(),
        format: arguments.format.map_or("", Format::name).to_owned(),
        compression: compression.to_owned(),
        graph: arguments.graph.clone().unwrap_or_default(),
        base_iri: arguments.base.clone(),
        on_error: on_error.into(),
        skip_max: Some(arguments.skip_max),
        commit_every: arguments.commit_every,
        request_id: arguments.request_id.clone().unwrap_or_default(),
        mode: arguments.mode().into(),
        dry_run: arguments.dry_run,
    }
}

/// The total size of the files in bytes, which also reports missing files early; `None` if one of them is a stream.
fn size(files: &[PathBuf]) -> Result<Option<u64>, Failure> {
    let mut total = Some(0);
    for path in files.iter().filter(|path| path.as_path() != Path::new("-")) {
        let name = || path.display().to_string();
        let metadata = fs::metadata(path).map_err(|error| Failure::input(name(), error))?;
        if metadata.is_dir() {
            return Err(Failure::input(name(), io::Error::other(directory(path))));
        }
        total = total.filter(|_| metadata.is_file()).map(|total| total + metadata.len());
    }
    Ok(total.filter(|_| files.iter().all(|path| path.as_path() != Path::new("-"))))
}

/// The hint for a directory: name its files.
fn directory(path: &Path) -> String {
    let format_of = |name: &Path| entail_rdf::detect(&name.to_string_lossy()).format;
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    // The extension of a file that can be loaded, for the example.
    let extension = entries.filter_map(|entry| format_of(&entry.path())).map(entail_rdf::Format::extension).next();
    let example = path.join(extension.map_or_else(|| "*".to_owned(), |extension| format!("*.{extension}*")));
    format!("is a directory; name the files in it: entail load {}", example.display())
}

/// The summary of a load, in a few lines.
fn told(summary: &LoadSummary, wall: f64, mode: LoadMode) -> String {
    let fast = rate(summary.triples, wall, "triples").map_or_else(String::new, |rate| format!(" ({rate})"));
    let (triples, size) = (counted(summary.triples, "triple"), bytes(summary.bytes));
    let first = match summary.bytes {
        0 if summary.triples > 0 => format!("loaded {triples} before, by this request id"),
        _ => format!("{} {triples} from {size} in {}{fast}", read(mode), seconds(wall)),
    };
    let mut lines = vec![first];
    if summary.skipped > 0 {
        lines.push(format!("skipped {} malformed", count(summary.skipped)));
    }
    if summary.epochs > 1 {
        lines.push(format!("committed in {} epochs", count(summary.epochs.into())));
    }
    let change = summary.change.clone().unwrap_or_default();
    if mode == LoadMode::Delete {
        let absent = summary.triples.saturating_sub(change.removed + change.derived_only);
        lines.push(format!("{} not there, or repeated", counted(absent, "triple")));
    }
    lines.push(change::told(&change));
    lines.join("\n")
}

/// What the load did with its triples.
fn read(mode: LoadMode) -> &'static str {
    match mode {
        LoadMode::Delete => "read, to be removed,",
        LoadMode::Replace => "read, as the whole graph,",
        LoadMode::Unspecified | LoadMode::Add => "loaded",
    }
}

fn json(summary: &LoadSummary, wall: f64) -> Value {
    let mut json = json!({
        "triples": summary.triples,
        "bytes": summary.bytes,
        "skipped": summary.skipped,
        "errors": summary.errors,
        "epochs": summary.epochs,
        "wall_seconds": wall,
    });
    if let (Value::Object(all), Value::Object(change)) =
        (&mut json, change::json(&summary.change.clone().unwrap_or_default()))
    {
        all.extend(change);
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments as Line, Command};
    use clap::Parser;

    fn arguments(line: &[&str]) -> Arguments {
        match Line::try_parse_from([&["entail", "load"], line].concat()).unwrap().command {
            Command::Load(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_standard_input_needs_a_format() {
        assert!(matches!(sources(&arguments(&["-"])), Err(Failure::Usage(_))));
        assert!(matches!(sources(&arguments(&["-", "-", "--format", "nt"])), Err(Failure::Usage(_))));
        assert_eq!(sources(&arguments(&["-", "a.nt", "--format", "nt"])).unwrap().len(), 2);
    }

    #[test]
    fn files_are_looked_at_before_anything_is_sent() {
        let directory_of_tests = tempfile::tempdir().unwrap();
        let file = directory_of_tests.path().join("a.nt");
        fs::write(&file, "12345").unwrap();
        let missing = directory_of_tests.path().join("b.nt");
        assert_eq!(size(&[file.clone(), file.clone()]).unwrap(), Some(10));
        assert_eq!(size(&[file.clone(), PathBuf::from("-")]).unwrap(), None);
        for bad in [missing, directory_of_tests.path().to_owned()] {
            assert!(matches!(size(&[file.clone(), bad]), Err(Failure::Input { .. })));
        }
        let hint = directory(directory_of_tests.path());
        assert!(hint.ends_with("/*.nt*"), "{hint}");
    }

    #[test]
    fn a_load_is_shown() {
        let change = v1::ChangeSummary { epoch: 3, asserted: 1000, seconds: 0.5, ..Default::default() };
        let summary = LoadSummary {
            change: Some(change),
            triples: 1200,
            bytes: 4096,
            skipped: 2,
            epochs: 1,
            ..Default::default()
        };
        let expected = "loaded 1,200 triples from 4.0 KiB in 500.0 ms (2,400 triples/s)\nskipped 2 malformed\n\
            epoch 3: 1,000 facts asserted, 0 facts derived in 0 rounds, 0 B exchanged, 500.0 ms";
        assert_eq!(told(&summary, 0.5, LoadMode::Add), expected);
        let removed = told(&summary, 0.5, LoadMode::Delete);
        assert!(removed.starts_with("read, to be removed, 1,200 triples from 4.0 KiB"), "{removed}");
        assert!(removed.contains("\n1,200 triples not there, or repeated\n"), "{removed}");
        let json = json(&summary, 0.5);
        assert_eq!((&json["epoch"], &json["triples"], &json["skipped"]), (&3.into(), &1200.into(), &2.into()));
    }
}
