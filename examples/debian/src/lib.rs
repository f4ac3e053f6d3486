//! Debian's package metadata as RDF: the data of the demo, and an example of a converter.
//!
//! ```text
//! apt indexes, dpkg status ──► input ──► stanza ──► package ──► archive ──► triples ──► output
//!                              decode    fields     relations   versions    N-Triples
//! ```
//! It converts the metadata of any Debian machine; rules and queries to begin with are beside `src`. The packages are
//! held in memory (about 2 KiB each), because the meaning of a relation depends on all of them; input and output
//! stream. The module `vocabulary` describes the vocabulary.

pub mod archive;
pub mod input;
pub mod output;
pub mod package;
pub mod relation;
pub mod stanza;
pub mod triples;
pub mod version;
pub mod vocabulary;

use archive::{Archive, Intake};
use clap::{Parser, ValueEnum};
use entail_model::{Fault, Reason};
use std::io;
use std::path::{Path, PathBuf};

/// Converts Debian's package metadata (dpkg's status file or apt's indexes) to RDF.
///
/// Without an input, the machine's apt indexes are read, or its dpkg status if it has no indexes. Of several versions
/// of a package the highest one is converted.
#[derive(Parser, Clone, Debug)]
#[command(name = "debian-to-rdf", version)]
pub struct Arguments {
    /// A dpkg status file, by default the machine's own; only installed packages are converted
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = input::STATUS, conflicts_with = "packages")]
    pub status: Option<PathBuf>,

    /// Package indexes (plain, .gz, .zst; other formats of apt through its helper), `-` for the standard input, or
    /// `auto` for the machine's own
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub packages: Vec<PathBuf>,

    /// Only the packages of this section of the archive and all packages that they may need; repeatable
    #[arg(long, value_name = "NAME")]
    pub section: Vec<String>,

    /// The output format
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t = Form::NTriples)]
    pub form: Form,

    /// The output file; compressed if the name ends in .gz or .zst
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

/// What the converter writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// RDF, one triple a line
    NTriples,
    /// A control file with the fields that the converter reads, to be converted later
    Packages,
}

/// Converts, and reports on the standard error what was read and written.
pub fn run(args: &Arguments) -> Result<(), Fault> {
    let files = files(args)?;
    let mut intake = Intake::default();
    for file in &files {
        intake.read(input::open(file)?).map_err(|fault| fault.in_file(input::shown(file)))?;
    }
    let (surpassed, absent) = (intake.surpassed, intake.absent);
    let archive = restrict(intake.finish(), &args.section)?;
    let Some(written) = write(&archive, args)? else {
        return Ok(());
    };
    eprintln!("{}", summary(&files, &archive, &written));
    for (count, what) in [(surpassed, "surpassed by another version"), (absent, "not installed")] {
        if count > 0 {
            eprintln!("{count} entries left out: {what}");
        }
    }
    Ok(())
}

/// The files to read: the named ones, or else the machine's own.
fn files(args: &Arguments) -> Result<Vec<PathBuf>, Fault> {
    if let Some(status) = &args.status {
        return Ok(vec![status.clone()]);
    }
    let wants_auto = args.packages.iter().any(|path| path == Path::new("auto"));
    if !args.packages.is_empty() && !wants_auto {
        return Ok(args.packages.clone());
    }
    if args.packages.len() > 1 {
        return Err(Fault::new(Reason::InvalidRequest, "`auto` stands alone: it names all of the machine's indexes"));
    }
    let found = input::indexes()?;
    match (found.is_empty(), wants_auto) {
        (false, _) => Ok(found),
        (true, false) if Path::new(input::STATUS).exists() => Ok(vec![PathBuf::from(input::STATUS)]),
        _ => {
            let why = format!("no package index under {}; name files with --packages or --status", input::LISTS);
            Err(Fault::new(Reason::NotFound, why))
        }
    }
}

fn restrict(archive: Archive, sections: &[String]) -> Result<Archive, Fault> {
    let archive = if sections.is_empty() { archive } else { archive.part(sections) };
    match archive.is_empty() {
        false => Ok(archive),
        true if sections.is_empty() => Err(Fault::new(Reason::InvalidRequest, "the input has no packages")),
        true => Err(Fault::new(Reason::NotFound, format!("no package is in {}", sections.join(" or ")))),
    }
}

/// Writes in the requested format, and returns a summary; `None` if the output is a closed pipe.
fn write(archive: &Archive, args: &Arguments) -> Result<Option<String>, Fault> {
    output::to(&args.output, |out| match args.form {
        Form::NTriples => triples::write(archive, out).map(|count| format!("{count} triples")),
        Form::Packages => {
            archive.packages().try_for_each(|package| package.write_stanza(out))?;
            Ok(format!("{} stanzas", archive.len()))
        }
    })
}

fn summary(files: &[PathBuf], archive: &Archive, written: &str) -> String {
    let sources = match files {
        [file] => input::shown(file),
        files => format!("{} files", files.len()),
    };
    format!("{} packages of {sources}: {written}", archive.len())
}

/// The N-Triples of control files, for callers that have the text in memory.
pub fn convert(control: impl io::BufRead, out: &mut dyn io::Write) -> Result<u64, Fault> {
    let mut intake = Intake::default();
    intake.read(control)?;
    triples::write(&intake.finish(), out).map_err(|error| Fault::internal(format!("cannot write triples: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn args(line: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from([&["debian-to-rdf"], line].concat())
    }

    const CONTROL: &str = "Package: a\nVersion: 1\nSection: net\nDepends: b | c (>= 2), v\nSuggests: e\n\n\
        Package: b\nVersion: 1\nProvides: v\n\nPackage: c\nVersion: 1\n\nPackage: d\nVersion: 1\nProvides: v\n\n\
        Package: e\nVersion: 1\n";

    fn converted(directory: &Path, line: &[&str]) -> Result<String, Fault> {
        let output = directory.join("out");
        let output_name = output.to_str().unwrap();
        run(&args(&[line, &["--output", output_name]].concat()).unwrap())?;
        Ok(fs::read_to_string(output).unwrap())
    }

    #[test]
    fn a_kept_part_converts_to_the_same_triples() {
        let directory = tempfile::tempdir().unwrap();
        let control = directory.path().join("Packages");
        fs::write(&control, CONTROL).unwrap();
        let control = control.to_str().unwrap();
        let direct = converted(directory.path(), &["--packages", control, "--section", "net"]).unwrap();
        let part = directory.path().join("part.gz");
        let part = part.to_str().unwrap();
        run(&args(&["--packages", control, "--section", "net", "--as", "packages", "-o", part]).unwrap()).unwrap();
        assert_eq!(converted(directory.path(), &["--packages", part]).unwrap(), direct);
        assert!(direct.contains("<urn:debian:package:d>") && !direct.contains("<urn:debian:package:c> <http"));
    }

    #[test]
    fn faults_name_file_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("Packages");
        let name = path.to_str().unwrap();
        for (text, reason, line) in [
            ("Package: a\nVersion: 1\nDepends: b |\n", Reason::Syntax, Some(3)),
            ("", Reason::InvalidRequest, None),
            ("Package: a\nVersion: 1\nStatus: deinstall ok config-files\n", Reason::InvalidRequest, None),
        ] {
            fs::write(&path, text).unwrap();
            let fault = converted(directory.path(), &["--packages", name]).unwrap_err();
            assert_eq!((fault.reason, fault.position.map(|position| position.line)), (reason, line));
        }
        fs::write(&path, CONTROL).unwrap();
        let fault = converted(directory.path(), &["--packages", name, "--section", "none"]).unwrap_err();
        assert_eq!(fault.reason, Reason::NotFound);
        assert!(!directory.path().join("out").exists());
    }

    #[test]
    fn inputs_exclude_each_other() {
        assert!(args(&["--status", "a", "--packages", "b"]).is_err());
        assert_eq!(args(&["--status"]).unwrap().status, Some(PathBuf::from(input::STATUS)));
        assert!(files(&args(&["--packages", "auto", "b"]).unwrap()).is_err());
        assert_eq!(files(&args(&["--packages", "a", "b"]).unwrap()).unwrap().len(), 2);
    }
}
