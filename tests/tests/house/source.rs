//! Reads manifests, the lock file and sources, as far as the architecture tests need them.

use crate::tables::ROOMS;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The folders of the workspace's crates.
pub fn members() -> BTreeSet<String> {
    let manifest = text("Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("members")).unwrap();
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The folder of each workspace crate, by its name.
pub fn folders() -> BTreeMap<String, String> {
    let manifest = text("Cargo.toml");
    let row = |line: &str| {
        let (name, rest) = line.split_once(" = { path = \"")?;
        Some((name.to_owned(), rest.split('"').next()?.to_owned()))
    };
    manifest.lines().filter_map(row).collect()
}

/// The dependencies that the workspace's manifest offers to its crates.
pub fn offered() -> BTreeSet<String> {
    let manifest = text("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
    let name = |line: &str| line.split_once(" = ").filter(|_| !line.starts_with('#')).map(|(name, _)| name.to_owned());
    section.lines().filter_map(name).collect()
}

/// A section of a crate's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Dependencies of the library and the programs.
    Normal,
    /// Additional dependencies of tests and benchmarks.
    Dev,
}

impl Section {
    fn has(self, title: &str) -> bool {
        match self {
            Self::Normal => ["dependencies", "build-dependencies"].contains(&title),
            Self::Dev => title == "dev-dependencies",
        }
    }
}

/// The dependencies that a section of a crate's manifest names.
pub fn dependencies(folder: &str, section: Section) -> BTreeSet<String> {
    let manifest = text(&format!("{folder}/Cargo.toml"));
    let mut names = BTreeSet::new();
    let mut is_in = false;
    for line in manifest.lines() {
        if let Some(title) = line.strip_prefix('[') {
            is_in = section.has(title.trim_end_matches(']'));
            let is_read = !title.contains("dependencies.") && !title.starts_with("target.");
            assert!(is_read, "{folder}: [{title} is not checked: name it in [dependencies]");
        } else if is_in && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            names.insert(line.split(['.', ' ', '=']).next().unwrap().to_owned());
        }
    }
    names
}

/// The dependencies of every package of the lock file. Packages of the same name are merged, which may only add
/// dependencies.
pub fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in text("Cargo.lock").split("[[package]]").skip(1) {
        let name = package.lines().find_map(|line| line.strip_prefix("name = ")).unwrap().trim_matches('"');
        let listed = package.split("dependencies = [").nth(1).map_or("", |rest| rest.split(']').next().unwrap());
        let names = listed.split('"').skip(1).step_by(2).map(|entry| entry.split(' ').next().unwrap().to_owned());
        packages.entry(name.to_owned()).or_default().extend(names);
    }
    packages
}

fn files_of(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_of(&path, extension, files);
        } else if path.extension().is_some_and(|other| other == extension) {
            files.push(path);
        }
    }
}

/// Every source file of the workspace, by its path from the root.
pub fn sources() -> BTreeMap<String, String> {
    let root = root();
    let mut files = Vec::new();
    for room in &ROOMS {
        files_of(&root.join(room.name), "rs", &mut files);
    }
    read(&files)
}

fn read(files: &[PathBuf]) -> BTreeMap<String, String> {
    let root = root();
    let relative = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

/// What people read: comments of the product, protocols, the pages at the root but the changelog, and docs.
pub fn prose() -> BTreeMap<String, String> {
    let root = root();
    let mut files: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"].map(|page| root.join(page)).into();
    files_of(&root.join("docs"), "md", &mut files);
    files_of(&root.join("proto"), "proto", &mut files);
    let comments = |(path, text): (String, String)| {
        let lines = product(&path, &text).lines().filter(|line| line.trim_start().starts_with("//"));
        let comments = lines.collect::<Vec<_>>().join("\n");
        (path, comments)
    };
    sources().into_iter().map(comments).chain(read(&files)).collect()
}

/// The part of a file that belongs to the program: without test files and the tests at a file's end.
pub fn product<'a>(path: &str, text: &'a str) -> &'a str {
    let is_test = path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/benches/");
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    if is_test { "" } else { &text[..end] }
}

/// A source without its comments. String literals are kept.
pub fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (taken, is_code) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (rest.find("*/").map_or(rest.len(), |end| end + 2), false),
            '"' => (string(rest), true),
            'r' if !code.ends_with(is_word) && raw_string(rest).is_some() => (raw_string(rest).unwrap(), true),
            '\'' => (character(rest), true),
            other => (other.len_utf8(), true),
        };
        if is_code {
            code.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    code
}

/// The length of the string literal at the start of a text.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string literal at the start of a text, if there is one.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
    let inside = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    inside.find(&end).map(|found| 2 + hashes + found + end.len())
}

/// The length of the character literal at the start of a text; for a lifetime only its quote.
fn character(text: &str) -> usize {
    let mut inside = text[1..].char_indices();
    match inside.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(text.len(), |end| 3 + end + 1),
        Some(_) => inside.next().filter(|(_, c)| *c == '\'').map_or(1, |(end, _)| 1 + end + 1),
        None => 1,
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Does code name a crate: `name::`, `use name;`, `name as`?
pub fn names(code: &str, name: &str) -> bool {
    let is_named = |start: usize| {
        let rest = &code[start + name.len()..];
        let follows = ["::", ";", " as "].iter().any(|follower| rest.starts_with(follower));
        follows && !code[..start].ends_with(|c: char| is_word(c) || c == ':' || c == '.')
    };
    code.match_indices(name).any(|(start, _)| is_named(start))
}
