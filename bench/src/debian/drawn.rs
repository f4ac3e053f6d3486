//! Packages that are drawn by the profile of Debian 12 (main, amd64): how many have needs, and how many each; how needs
//! are written and shared; how many provide, conflict and break; how unequal maintainers and the popularity of packages
//! are. What comes out is about as large as the archive itself, facts and closure.
//!
//! A package needs some of its family that stand before it, and some that stand far before it, the more popular the
//! nearer to the beginning. Few need one that stands after them, which makes small cycles.

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
/// How many of these a package has on average, if it has any.
const NEEDS: u64 = 5;
const NAMES: u64 = 4;
const CONFLICTS: u64 = 2;
const BREAKS: u64 = 2;
/// Needs in a hundred: for one of the family; with a condition on the version, which is met; by a name that is provided,
/// if the package provides one; with two alternatives.
const OF_FAMILY: u64 = 45;
const VERSIONED: u64 = 50;
const BY_NAME: u64 = 25;
const EITHER: u64 = 2;
/// Packages in a thousand that need their successor.
const NEED_NEXT: u64 = 5;
/// Packages of one family, and of one source.
const FAMILY: u64 = 12;
const SOURCE: u64 = 2;
/// Packages for each maintainer, and for each name that more than one package provides.
const FOR_MAINTAINER: u64 = 30;
const FOR_SHARED_NAME: u64 = 150;
/// Of a hundred names that are provided, as many are shared.
const SHARED: u64 = 7;
/// Families in a hundred all of whose packages have one maintainer.
const TEAMS: u64 = 80;
/// How unequal the popularity of packages and the work of maintainers are: how often a number is drawn, each time below
/// the last one.
const POPULARITY: u32 = 5;
const DILIGENCE: u32 = 2;

/// Writes packages and gives the number of lines.
///
/// # Errors
/// What the output fails with.
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
    /// Needs, names and others that several share, and which were written already.
    described: HashSet<String>,
    /// The name that only this package provides, of each package so far.
    names: Vec<Option<String>>,
    /// Who maintains all of this family.
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

    /// One of the family, or somebody popular. The first of all is its own only choice.
    fn target(&mut self, number: u64) -> u64 {
        let before = number % FAMILY;
        match before > 0 && self.percent(OF_FAMILY) {
            true => number - 1 - self.random.below(before),
            false => self.skewed(number, POPULARITY),
        }
    }

    /// Writes a need in one of the ways in which that can be said.
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

    /// Conflicts are with one of the family or a shared name; what is broken is an older version, which nobody has.
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

    /// A number from one on, of which the mean is given.
    fn about(&mut self, mean: u64) -> u64 {
        self.random.among(1..=2 * mean - 1)
    }

    /// A number below `bound` (or 0), mostly a small one.
    fn skewed(&mut self, bound: u64, times: u32) -> u64 {
        (0..times).fold(bound, |bound, _| if bound == 0 { 0 } else { self.random.below(bound) })
    }
}

fn package(number: u64) -> String {
    format!("urn:debian:package:p{number}")
}
