//! Generates packages by the profile of Debian 12 (main, amd64): how many packages have needs, and how many each; the
//! forms and the sharing of needs; how many packages provide, conflict and break; the skew of maintainers and of the
//! popularity of packages. The result is about as large as the archive itself, in facts and in closure.
//!
//! A package needs earlier packages of its family, and much earlier other packages, of which those near the beginning
//! are the most popular. Few packages need a later one, which creates small cycles.

use super::term;
use crate::ntriples::{TYPE, Writer};
use entail_model::random::Random;
use std::collections::HashSet;
use std::io::{self, Write};

/// Packages in a hundred that have needs, names that they provide, conflicts, breaks.
const WITH_NEEDS: u64 = 88;
const WITH_NAMES: u64 = 15;
const WITH_CONFLICTS: u64 = 5;
const WITH_BREAKS: u64 = 8;
/// The average number of these for a package that has any.
const NEEDS: u64 = 5;
const NAMES: u64 = 4;
const CONFLICTS: u64 = 2;
const BREAKS: u64 = 2;
/// The percentage of needs for a package of the same family; with a version condition, which is met; by a provided
/// name, if the package provides one; with two alternatives.
const OF_FAMILY: u64 = 45;
const VERSIONED: u64 = 50;
const BY_NAME: u64 = 25;
const EITHER: u64 = 2;
/// The number of packages in a thousand that need their successor.
const NEED_NEXT: u64 = 5;
/// The number of packages of one family, and of one source.
const FAMILY: u64 = 12;
const SOURCE: u64 = 2;
/// The number of packages for each maintainer, and for each name that several packages provide.
const FOR_MAINTAINER: u64 = 30;
const FOR_SHARED_NAME: u64 = 150;
/// The percentage of provided names that are shared.
const SHARED: u64 = 7;
/// The percentage of families whose packages all have one maintainer.
const TEAMS: u64 = 80;
/// The skew of the popularity of packages and of the work of maintainers: the number of successive draws, each below
/// the previous one.
const POPULARITY: u32 = 5;
const DILIGENCE: u32 = 2;

/// Writes packages and returns the number of lines.
///
/// # Errors
/// The errors of the output.
pub fn write(packages: u64, seed: u64, out: &mut dyn Write) -> io::Result<u64> {
    let maintainers = (packages / FOR_MAINTAINER).max(1);
    let mut drawing = Drawing {
        packages,
        maintainers,
        random: Random::stream(seed, 0),
        writer: Writer::new(out),
        described: HashSet::new(),
        names: Vec::new(),
        team: None,
    };
    for number in 0..packages {
        drawing.package(number)?;
    }
    Ok(drawing.writer.triples())
}

struct Drawing<'a> {
    packages: u64,
    maintainers: u64,
    random: Random,
    writer: Writer<'a>,
    /// Needs, names and other nodes that several packages share and that are already written.
    described: HashSet<String>,
    /// For each package so far, the name that only this package provides.
    names: Vec<Option<String>>,
    /// The maintainer of the whole family, if it has a single one.
    team: Option<u64>,
}

impl Drawing<'_> {
    fn package(&mut self, number: u64) -> io::Result<()> {
        let node = package(number);
        self.is_a(&node, "Package")?;
        self.provides(number, &node)?;
        self.people(number, &node)?;
        if self.percent(WITH_NEEDS) {
            let mut needed = HashSet::new();
            for _ in 0..self.about(NEEDS) {
                let target = self.target(number);
                if target != number && needed.insert(target) {
                    self.need(&node, target)?;
                }
            }
            let next = number + 1;
            if self.random.below(1000) < NEED_NEXT && !next.is_multiple_of(FAMILY) && next < self.packages {
                self.need_of(&node, &package(next), next)?;
            }
        }
        self.quarrels(number, &node)
    }

    /// A package of the same family, or a popular one. The first package can only choose itself.
    fn target(&mut self, number: u64) -> u64 {
        let before = number % FAMILY;
        match before > 0 && self.percent(OF_FAMILY) {
            true => number - 1 - self.random.below(before),
            false => self.skewed(number, POPULARITY),
        }
    }

    /// Writes a need in one of its possible forms.
    fn need(&mut self, node: &str, target: u64) -> io::Result<()> {
        if self.percent(EITHER) {
            let other = self.target(target);
            return self.either(node, target, other);
        }
        match self.names[target as usize].clone() {
            Some(name) if self.percent(BY_NAME) => self.need_of(node, &name, target),
            _ if self.percent(VERSIONED) => {
                let versioned = format!("urn:debian:versioned:p{target}%3E%3D1");
                self.versioned(&versioned, target)?;
                self.once(&versioned, "metBy", &package(target))?;
                self.need_of(node, &versioned, target)
            }
            _ => self.need_of(node, &package(target), target),
        }
    }

    /// A need that only one package can meet.
    fn need_of(&mut self, node: &str, alternative: &str, target: u64) -> io::Result<()> {
        let need = format!("urn:debian:need:{}", alternative.rsplit(':').next().unwrap_or_default());
        self.writer.link(node, &term("dependsOn"), &need)?;
        if self.described.insert(need.clone()) {
            self.is_a(&need, "Need")?;
            self.writer.link(&need, &term("alternative"), alternative)?;
            self.writer.link(&need, &term("onlyChoice"), &package(target))?;
        }
        Ok(())
    }

    /// A need that either of two packages can meet, unless they are the same.
    fn either(&mut self, node: &str, first: u64, second: u64) -> io::Result<()> {
        let need = format!("urn:debian:need:p{first}%7Cp{second}");
        self.writer.link(node, &term("dependsOn"), &need)?;
        if self.described.insert(need.clone()) {
            self.is_a(&need, "Need")?;
            for alternative in [first, second] {
                self.writer.link(&need, &term("alternative"), &package(alternative))?;
            }
        }
        Ok(())
    }

    fn versioned(&mut self, versioned: &str, target: u64) -> io::Result<()> {
        if self.described.insert(versioned.to_owned()) {
            self.is_a(versioned, "VersionedName")?;
            self.writer.link(versioned, &term("of"), &package(target))?;
        }
        Ok(())
    }

    fn provides(&mut self, number: u64, node: &str) -> io::Result<()> {
        let mut own = None;
        if self.percent(WITH_NAMES) {
            for index in 0..self.about(NAMES) {
                let name = match self.percent(SHARED) {
                    true => self.shared_name(),
                    false => format!("urn:debian:package:p{number}-{index}"),
                };
                self.once(node, "provides", &name)?;
                if self.described.insert(name.clone()) {
                    self.is_a(&name, "VirtualPackage")?;
                }
                own = own.or(name.starts_with(node).then_some(name));
            }
        }
        self.names.push(own);
        Ok(())
    }

    fn shared_name(&mut self) -> String {
        let names = (self.packages / FOR_SHARED_NAME).max(1);
        format!("urn:debian:package:name{}", self.random.below(names))
    }

    fn people(&mut self, number: u64, node: &str) -> io::Result<()> {
        if number.is_multiple_of(FAMILY) {
            self.team = self.percent(TEAMS).then(|| self.skewed(self.maintainers, DILIGENCE));
        }
        let who = self.team.unwrap_or_else(|| self.skewed(self.maintainers, DILIGENCE));
        let links = [
            ("maintainer", "Maintainer", format!("urn:debian:maintainer:m{who}@example.org")),
            ("source", "Source", format!("urn:debian:source:s{}", number / SOURCE)),
        ];
        for (property, class, other) in links {
            self.writer.link(node, &term(property), &other)?;
            if self.described.insert(other.clone()) {
                self.is_a(&other, class)?;
            }
        }
        Ok(())
    }

    /// Conflicts are with a package of the family or with a shared name; `Breaks` names an older version, which does
    /// not exist.
    fn quarrels(&mut self, number: u64, node: &str) -> io::Result<()> {
        if self.percent(WITH_CONFLICTS) {
            for _ in 0..self.about(CONFLICTS) {
                let before = number % FAMILY;
                let other = match before > 0 && self.percent(50) {
                    true => package(number - 1 - self.random.below(before)),
                    false => self.shared_name(),
                };
                self.once(node, "conflictsWith", &other)?;
            }
        }
        if self.percent(WITH_BREAKS) {
            for _ in 0..self.about(BREAKS) {
                let target = self.target(number);
                let versioned = format!("urn:debian:versioned:p{target}%3C%3C{number}");
                self.versioned(&versioned, target)?;
                self.once(node, "breaks", &versioned)?;
            }
        }
        Ok(())
    }

    fn once(&mut self, node: &str, property: &str, other: &str) -> io::Result<()> {
        match self.described.insert(format!("{node} {property} {other}")) {
            true => self.writer.link(node, &term(property), other),
            false => Ok(()),
        }
    }

    fn is_a(&mut self, node: &str, class: &str) -> io::Result<()> {
        self.writer.link(node, TYPE, &term(class))
    }

    fn percent(&mut self, share: u64) -> bool {
        self.random.below(100) < share
    }

    /// A number of at least one, with the given mean.
    fn about(&mut self, mean: u64) -> u64 {
        self.random.among(1..=2 * mean - 1)
    }

    /// A number below `bound` (or 0), skewed towards small ones.
    fn skewed(&mut self, bound: u64, times: u32) -> u64 {
        (0..times).fold(bound, |bound, _| if bound == 0 { 0 } else { self.random.below(bound) })
    }
}

fn package(number: u64) -> String {
    format!("urn:debian:package:p{number}")
}
