//! Writes an archive as N-Triples, package by package in the order of their names.
//!
//! ```text
//! package ─dependsOn─► need ─alternative─► package or virtual package ◄─provides─ package
//!                       │                └► versioned name ─metBy─► package
//!                       └─onlyChoice─► package
//! ```
//! Rules cannot compare Debian versions and cannot count, so the converter computes two facts: `metBy` (the packages
//! that meet a condition on the version) and `onlyChoice` (the package that meets a need, if there is only one). All
//! other triples state what the control file contains.
//!
//! Invariant: the same archive gives the same bytes.

use super::archive::Archive;
use super::package::{Maintainer, Package};
use super::relation::{Need, Target};
use super::vocabulary::{self, INTEGER, TYPE};
use oxrdf::{LiteralRef, NamedNode, NamedNodeRef, TermRef};
use std::collections::HashSet;
use std::io::{self, Write};

/// Writes all triples of the archive and returns their number.
pub fn write(archive: &Archive, out: &mut dyn Write) -> io::Result<u64> {
    let mut writer = Writer { archive, out, described: HashSet::new(), linked: HashSet::new(), count: 0 };
    for package in archive.packages() {
        writer.package(package)?;
    }
    Ok(writer.count)
}

struct Writer<'a> {
    archive: &'a Archive,
    out: &'a mut dyn Write,
    /// The shared nodes that have been written already.
    described: HashSet<String>,
    /// The links of the current package: fields often repeat each other.
    linked: HashSet<(&'static str, String)>,
    count: u64,
}

impl Writer<'_> {
    fn package(&mut self, package: &Package) -> io::Result<()> {
        self.linked.clear();
        let node = vocabulary::package(&package.name);
        self.is_a(&node, "Package")?;
        self.text(&node, "name", &package.name)?;
        self.text(&node, "version", package.version.as_str())?;
        self.text(&node, "architecture", &package.architecture)?;
        self.facts_of_record(&node, package)?;
        for need in &package.pre_depends {
            self.need_of(&node, "preDependsOn", need)?;
        }
        for need in package.mandatory_needs() {
            self.need_of(&node, "dependsOn", need)?;
            self.settle(need)?;
        }
        for need in &package.recommends {
            self.need_of(&node, "recommends", need)?;
        }
        for need in &package.suggests {
            self.need_of(&node, "suggests", need)?;
        }
        self.relations(&node, package)
    }

    /// The optional single-valued fields.
    fn facts_of_record(&mut self, node: &str, package: &Package) -> io::Result<()> {
        if package.essential {
            self.text(node, "essential", "yes")?;
        }
        let texts = [("section", &package.section), ("priority", &package.priority), ("summary", &package.summary)];
        for (property, value) in texts {
            if let Some(value) = value {
                self.text(node, property, value)?;
            }
        }
        if let Some(size) = package.installed_size {
            let digits = size.to_string();
            let size = LiteralRef::new_typed_literal(&digits, NamedNodeRef::new_unchecked(INTEGER));
            self.triple(node, &vocabulary::term("installedSize"), size.into())?;
        }
        match package.homepage.as_deref().map(|page| (page, NamedNode::new(page))) {
            Some((_, Ok(page))) => self.link(node, "homepage", page.as_str())?,
            Some((page, Err(_))) => self.text(node, "homepage", page)?,
            None => {}
        }
        self.source(node, &package.source)?;
        match &package.maintainer {
            Some(maintainer) => self.maintainer(node, maintainer),
            None => Ok(()),
        }
    }

    fn source(&mut self, node: &str, name: &str) -> io::Result<()> {
        let source = vocabulary::source(name);
        self.link(node, "source", &source)?;
        if self.first_mention(&source) {
            self.is_a(&source, "Source")?;
            self.text(&source, "name", name)?;
        }
        Ok(())
    }

    /// One maintainer may spell the name in several ways; the first one is used.
    fn maintainer(&mut self, node: &str, maintainer: &Maintainer) -> io::Result<()> {
        let person = vocabulary::maintainer(maintainer);
        self.link(node, "maintainer", &person)?;
        if self.first_mention(&person) {
            self.is_a(&person, "Maintainer")?;
            self.text(&person, "name", &maintainer.name)?;
            if let Some(email) = &maintainer.email {
                self.text(&person, "email", email)?;
            }
        }
        Ok(())
    }

    fn relations(&mut self, node: &str, package: &Package) -> io::Result<()> {
        for (property, targets) in [("conflictsWith", &package.conflicts), ("breaks", &package.breaks)] {
            for target in targets {
                let target = self.target(target)?;
                self.link_once(node, property, &target)?;
            }
        }
        for offer in &package.provides {
            let name = self.name(&offer.name)?;
            self.link_once(node, "provides", &name)?;
            if offer.bound.is_some() {
                self.text(node, "providesVersion", &offer.to_string())?;
            }
        }
        Ok(())
    }

    fn need_of(&mut self, node: &str, property: &'static str, need: &Need) -> io::Result<()> {
        let iri = vocabulary::need(need);
        self.link_once(node, property, &iri)?;
        if self.first_mention(&iri) {
            self.is_a(&iri, "Need")?;
            self.text(&iri, "text", &need.to_string())?;
            for target in &need.alternatives {
                let target = self.target(target)?;
                self.link(&iri, "alternative", &target)?;
            }
        }
        Ok(())
    }

    /// Writes the facts that follow from the number of choices of a mandatory need. A part of an archive has all
    /// choices of mandatory needs, but not of recommendations, so for those nothing is written.
    fn settle(&mut self, need: &Need) -> io::Result<()> {
        let iri = vocabulary::need(need);
        if !self.described.insert(format!("settled {iri}")) {
            return Ok(());
        }
        let choices = self.archive.choices(need);
        let mut names = choices.iter();
        match (names.next(), names.next()) {
            (Some(only), None) => self.link(&iri, "onlyChoice", &vocabulary::package(only)),
            (None, _) => self.is_a(&iri, "UnmetNeed"),
            _ => Ok(()),
        }
    }

    fn target(&mut self, target: &Target) -> io::Result<String> {
        let name = self.name(&target.name)?;
        let iri = vocabulary::target(target);
        if target.is_plain() || !self.first_mention(&iri) {
            return Ok(iri);
        }
        self.is_a(&iri, "VersionedName")?;
        self.text(&iri, "text", &target.to_string())?;
        self.link(&iri, "of", &name)?;
        if let Some(bound) = &target.bound {
            self.text(&iri, "comparison", bound.comparison.sign())?;
            self.text(&iri, "bound", bound.version.as_str())?;
        }
        for package in self.archive.candidates(target) {
            self.link(&iri, "metBy", &vocabulary::package(package))?;
        }
        Ok(iri)
    }

    /// The node of a bare name; names without a package of their own are described here.
    fn name(&mut self, name: &str) -> io::Result<String> {
        let iri = vocabulary::package(name);
        if !self.archive.has(name) && self.first_mention(&iri) {
            self.text(&iri, "name", name)?;
            if self.archive.is_provided(name) {
                self.is_a(&iri, "VirtualPackage")?;
            }
        }
        Ok(iri)
    }

    fn first_mention(&mut self, iri: &str) -> bool {
        !self.described.contains(iri) && self.described.insert(iri.to_owned())
    }

    fn is_a(&mut self, subject: &str, class: &str) -> io::Result<()> {
        let class = vocabulary::term(class);
        self.triple(subject, TYPE, NamedNodeRef::new_unchecked(&class).into())
    }

    fn link(&mut self, subject: &str, property: &str, object: &str) -> io::Result<()> {
        self.triple(subject, &vocabulary::term(property), NamedNodeRef::new_unchecked(object).into())
    }

    /// A link from the current package, unless it was written before.
    fn link_once(&mut self, node: &str, property: &'static str, object: &str) -> io::Result<()> {
        match self.linked.insert((property, object.to_owned())) {
            true => self.link(node, property, object),
            false => Ok(()),
        }
    }

    fn text(&mut self, subject: &str, property: &str, text: &str) -> io::Result<()> {
        self.triple(subject, &vocabulary::term(property), LiteralRef::new_simple_literal(text).into())
    }

    fn triple(&mut self, subject: &str, property: &str, object: TermRef<'_>) -> io::Result<()> {
        self.count += 1;
        let (subject, property) = (NamedNodeRef::new_unchecked(subject), NamedNodeRef::new_unchecked(property));
        writeln!(self.out, "{subject} {property} {object} .")
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::Intake;
    use super::*;

    fn triples(control: &str) -> Vec<String> {
        let mut intake = Intake::default();
        intake.read(control.as_bytes()).unwrap();
        let mut out = Vec::new();
        let count = write(&intake.finish(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap().replace("urn:debian:", "");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(count, lines.len() as u64);
        lines
    }

    const CONTROL: &str = "Package: mutt\nVersion: 2\nMaintainer: M <m@x.example>\nHomepage: not an IRI\n\
        Pre-Depends: libc6 (>= 2)\nDepends: libc6 (>= 2), mta | exim4, gone\nRecommends: mta\nBreaks: exim4 (<< 1)\n\n\
        Package: exim4\nVersion: 4\nProvides: mta (= 4)\nInstalled-Size: 12\nDescription: a \"quoted\\\" one\n\n\
        Package: postfix\nVersion: 3\nProvides: mta\n\n\
        Package: libc6\nVersion: 2.36\n";

    #[test]
    fn the_model_of_needs() {
        let triples = triples(CONTROL);
        for expected in [
            "<package:mutt> <v:dependsOn> <need:libc6%3E%3D2> .",
            "<package:mutt> <v:preDependsOn> <need:libc6%3E%3D2> .",
            "<need:libc6%3E%3D2> <v:alternative> <versioned:libc6%3E%3D2> .",
            "<need:libc6%3E%3D2> <v:onlyChoice> <package:libc6> .",
            "<versioned:libc6%3E%3D2> <v:metBy> <package:libc6> .",
            "<need:mta%7Cexim4> <v:alternative> <package:mta> .",
            "<package:mta> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <v:VirtualPackage> .",
            "<package:exim4> <v:provides> <package:mta> .",
            "<package:exim4> <v:providesVersion> \"mta (= 4)\" .",
            "<need:gone> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <v:UnmetNeed> .",
            "<package:mutt> <v:breaks> <versioned:exim4%3C%3C1> .",
            "<package:mutt> <v:homepage> \"not an IRI\" .",
            "<package:exim4> <v:summary> \"a \\\"quoted\\\\\\\" one\" .",
            "<package:exim4> <v:installedSize> \"12\"^^<http://www.w3.org/2001/XMLSchema#integer> .",
        ] {
            assert!(triples.iter().any(|triple| triple == expected), "{expected} is not in\n{}", triples.join("\n"));
        }
    }

    #[test]
    fn what_must_not_be_said_is_not_said() {
        let triples = triples(CONTROL);
        // Two choices, a recommendation, and a condition that no package meets.
        for prefix in
            ["<need:mta%7Cexim4> <v:onlyChoice>", "<need:mta> <v:onlyChoice>", "<versioned:exim4%3C%3C1> <v:metBy>"]
        {
            assert!(!triples.iter().any(|triple| triple.starts_with(prefix)), "{prefix}");
        }
        let distinct: HashSet<&String> = triples.iter().collect();
        assert_eq!(distinct.len(), triples.len(), "a triple is written twice");
    }
}
