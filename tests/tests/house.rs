//! The rules of the house: who may use whom, which crate owns which dependency, what no file may hold.
//!
//! The table is the one that ARCHITECTURE.md shows; both must agree with the manifests.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ALL: &[&str] = &[
    "model",
    "logic",
    "rdf",
    "sparql",
    "proto",
    "telemetry",
    "node",
    "coordinator",
    "client",
    "bench",
    "cli",
    "tests",
];

/// Which crate may use which others of ours.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("model", &[]),
    ("logic", &["model"]),
    ("rdf", &["model"]),
    ("sparql", &["model", "logic"]),
    ("proto", &["model"]),
    ("telemetry", &[]),
    ("node", &["model", "logic", "proto", "telemetry"]),
    ("coordinator", &["model", "logic", "rdf", "sparql", "proto", "telemetry"]),
    ("client", &["model", "proto"]),
    // All but the client for its kernels only.
    ("bench", &["model", "logic", "rdf", "node", "client"]),
    ("cli", ALL),
    ("tests", ALL),
];

/// Dependencies that one part of the house hides from the others: its name in Rust, and the only files that name it.
const OWNED: [(&str, &[&str]); 9] = [
    ("rocksdb", &["node/src/store/rocks.rs"]),
    ("opentelemetry", &["telemetry/"]),
    ("opentelemetry_otlp", &["telemetry/"]),
    // A test has a collector of its own.
    ("opentelemetry_proto", &["telemetry/", "cli/tests/processes/receiver.rs"]),
    ("opentelemetry_sdk", &["telemetry/"]),
    ("prometheus", &["telemetry/src/metrics/"]),
    ("tikv_jemallocator", &["cli/src/main.rs"]),
    ("tracing_opentelemetry", &["telemetry/"]),
    // The coordinator keeps a write's answer in its log, as the message that the client gets; spans travel as OTLP.
    ("prost", &["proto/", "coordinator/src/writer/", "telemetry/"]),
];

/// What no file of ours holds, and what to use instead.
const BANNED: [(&str, &str); 5] = [
    ("unbounded_channel", "a bounded channel"),
    ("UnboundedSender", "a bounded channel"),
    ("todo!(", "code"),
    ("unimplemented!(", "a fault that says what is not supported"),
    ("TODO", "code, or an issue"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The crates of the workspace that a manifest's section names.
fn uses(name: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
    let ours = manifest.lines().filter_map(|line| line.strip_prefix("entail-"));
    ours.map(|line| line.split(['.', ' ', '=']).next().unwrap().to_owned()).collect()
}

/// Every dependency that a manifest names, as Rust writes it.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
    let sections = manifest.split("\n[").filter(|section| section.lines().next().unwrap().ends_with("dependencies]"));
    let names = sections.flat_map(|section| section.lines().skip(1)).filter_map(|line| line.split(['.', ' ']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(|name| name.replace('-', "_")).collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Every source file of ours, by its path from the root.
fn sources() -> BTreeMap<String, String> {
    let root = root();
    let mut files = Vec::new();
    for name in ALL {
        rust_files(&root.join(name), &mut files);
    }
    let relative = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

/// The table of ARCHITECTURE.md: crate and what it may use.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let map = text.split("## Code map").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.trim_end_matches('|').split(" | ").collect();
        let uses = match cells.last()?.trim() {
            "-" => BTreeSet::new(),
            "everything" => ALL.iter().map(|name| (*name).to_owned()).collect(),
            names => names.split_whitespace().map(str::to_owned).collect(),
        };
        Some((cells[0].trim_end_matches('`').to_owned(), uses))
    };
    map.lines().filter_map(row).collect()
}

#[test]
fn crates_use_only_whom_they_may() {
    for (name, may_use) in MAY_USE {
        let foreign: Vec<String> = uses(name).into_iter().filter(|used| !may_use.contains(&used.as_str())).collect();
        assert!(foreign.is_empty(), "{name} may not use {foreign:?}");
    }
    let members = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = members.lines().find(|line| line.starts_with("members")).unwrap();
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    assert_eq!(members, MAY_USE.iter().map(|(name, _)| *name).collect(), "the table has a row for every crate");
}

#[test]
fn the_architecture_page_has_the_same_table() {
    let table = MAY_USE.map(|(name, uses)| (name.to_owned(), uses.iter().map(|used| (*used).to_owned()).collect()));
    assert_eq!(documented(), BTreeMap::from(table));
}

#[test]
fn every_dependency_is_used() {
    let sources = sources();
    for name in ALL {
        let ours: String = sources
            .iter()
            .filter(|(path, _)| path.starts_with(&format!("{name}/")))
            .map(|(_, text)| text.as_str())
            .collect();
        let unused = |dependency: &String| {
            // Generated code names it.
            let is_generated = *name == "proto" && dependency == "tonic_prost";
            !is_generated && !ours.contains(dependency.as_str())
        };
        let unused: Vec<String> = dependencies(name).into_iter().filter(unused).collect();
        assert!(unused.is_empty(), "{name} does not use {unused:?}");
    }
}

#[test]
fn owned_dependencies_stay_where_they_are() {
    for (path, text) in sources() {
        for (dependency, owners) in OWNED {
            let owned = owners.iter().any(|owner| path.starts_with(owner));
            let named = [format!(" {dependency}::"), format!("({dependency}::"), format!("<{dependency}::")];
            assert!(owned || !named.iter().any(|name| text.contains(name)), "{path} may not name {dependency}");
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_holds_nothing_banned() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{path} does not open with //!");
        // This file names what is banned.
        for (banned, instead) in BANNED.iter().filter(|_| path != "tests/tests/house.rs") {
            assert!(!text.contains(banned), "{path} holds {banned}: use {instead}");
        }
    }
}
