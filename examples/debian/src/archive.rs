//! All packages of one archive, one version of each, and the resolution of their relations.
//!
//! ```text
//! stanzas ──► Intake (highest version wins) ──► Archive ──► candidates of a target, a need
//!                                                  └──► the part that some sections need
//! ```
//! Invariant: the answers depend on the set of packages alone, not on the order of the stanzas.

use super::package::{Package, is_installed};
use super::relation::{Need, Target};
use super::stanza::StanzaReader;
use super::version::Version;
use entail_model::Fault;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::BufRead;

/// Collects stanzas and keeps the highest version of each package.
#[derive(Default)]
pub struct Intake {
    packages: BTreeMap<Box<str>, Package>,
    /// Stanzas of versions that another stanza surpasses or repeats.
    pub surpassed: u64,
    /// Stanzas of packages that a status file lists, but not as installed.
    pub absent: u64,
}

impl Intake {
    /// Reads a whole control file.
    pub fn read(&mut self, input: impl BufRead) -> Result<(), Fault> {
        for stanza in StanzaReader::new(input, super::package::FIELDS) {
            let stanza = stanza?;
            match is_installed(&stanza) {
                true => self.take(Package::from_stanza(&stanza)?),
                false => self.absent += 1,
            }
        }
        Ok(())
    }

    fn take(&mut self, package: Package) {
        match self.packages.get_mut(&package.name) {
            None => {
                self.packages.insert(Box::clone(&package.name), package);
            }
            Some(kept) => {
                self.surpassed += 1;
                if rank(&package, kept).is_gt() {
                    *kept = package;
                }
            }
        }
    }

    /// The archive of all packages that were kept.
    pub fn finish(self) -> Archive {
        Archive::new(self.packages)
    }
}

/// The order of versions; packages of equal versions differ by architecture, for which any fixed choice is valid.
fn rank(left: &Package, right: &Package) -> Ordering {
    left.version.cmp(&right.version).then_with(|| right.architecture.cmp(&left.architecture))
}

/// A package that provides a name, with the version it provides it at.
#[derive(Clone, Debug)]
struct Offer {
    provider: Box<str>,
    version: Option<Version>,
}

/// The packages by name, in the order of their names.
pub struct Archive {
    packages: BTreeMap<Box<str>, Package>,
    offers: HashMap<Box<str>, Vec<Offer>>,
}

impl Archive {
    fn new(packages: BTreeMap<Box<str>, Package>) -> Self {
        let mut offers: HashMap<Box<str>, Vec<Offer>> = HashMap::new();
        for package in packages.values() {
            for target in &package.provides {
                let version = target.bound.as_ref().map(|bound| bound.version.clone());
                let offer = Offer { provider: Box::clone(&package.name), version };
                offers.entry(Box::clone(&target.name)).or_default().push(offer);
            }
        }
        Self { packages, offers }
    }

    /// All packages, by name.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// Is there no package at all?
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Is there a package, not only a virtual one, of that name?
    pub fn has(&self, name: &str) -> bool {
        self.packages.contains_key(name)
    }

    /// Does some package provide that name?
    pub fn is_provided(&self, name: &str) -> bool {
        self.offers.contains_key(name)
    }

    /// The packages that may stand for a target: the one of that name and those that provide it. A provider without
    /// a version meets no bound on the version (Policy 7.5).
    pub fn candidates(&self, target: &Target) -> BTreeSet<&str> {
        let of_that_name = self.packages.get(&target.name).into_iter().map(|package| (package, Some(&package.version)));
        let offers = self.offers.get(&target.name).into_iter().flatten();
        let providers = offers.map(|offer| (&self.packages[&offer.provider], offer.version.as_ref()));
        let fitting = of_that_name.chain(providers).filter(|(package, version)| fits(target, package, *version));
        fitting.map(|(package, _)| &*package.name).collect()
    }

    /// The packages that may meet a need.
    pub fn choices(&self, need: &Need) -> BTreeSet<&str> {
        need.alternatives.iter().flat_map(|target| self.candidates(target)).collect()
    }

    /// The archive of the packages of these sections and of all packages that may meet their needs, transitively.
    pub fn part(&self, sections: &[String]) -> Self {
        let in_section = |package: &&Package| {
            package.section.as_deref().is_some_and(|section| sections.iter().any(|wanted| is_in(section, wanted)))
        };
        let mut pending: Vec<&str> = self.packages().filter(in_section).map(|package| &*package.name).collect();
        let mut reached: BTreeSet<&str> = pending.iter().copied().collect();
        while let Some(name) = pending.pop() {
            for need in self.packages[name].mandatory_needs() {
                pending.extend(self.choices(need).into_iter().filter(|&choice| reached.insert(choice)));
            }
        }
        let part = reached.into_iter().map(|name| (name.into(), self.packages[name].clone()));
        Self::new(part.collect())
    }
}

/// `non-free/net` is the section `net` of another area of the archive.
fn is_in(section: &str, wanted: &str) -> bool {
    section == wanted || section.rsplit_once('/').is_some_and(|(_, name)| name == wanted)
}

fn fits(target: &Target, package: &Package, version: Option<&Version>) -> bool {
    let architecture_fits = target.architecture.as_ref().is_none_or(|wanted| *wanted == package.architecture);
    let version_fits = match (&target.bound, version) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(bound), Some(version)) => bound.admits(version),
    };
    architecture_fits && version_fits
}

#[cfg(test)]
mod tests {
    use super::super::relation::{parse_needs, parse_targets};
    use super::*;

    fn archive(text: &str) -> Archive {
        let mut intake = Intake::default();
        intake.read(text.as_bytes()).unwrap();
        intake.finish()
    }

    const MAIL: &str = "Package: exim4\nVersion: 4.9\nSection: mail\nProvides: mta\nDepends: libc6\n\n\
        Package: postfix\nVersion: 3\nSection: contrib/mail\nProvides: mta (= 3), smtp\nDepends: libc6 (>= 2)\n\n\
        Package: libc6\nVersion: 2.36\nArchitecture: amd64\nSection: libs\n\n\
        Package: mta\nVersion: 1\nSection: oldlibs\n\n\
        Package: mutt\nVersion: 2\nSection: web\nDepends: smtp | mta (>= 9)\n";

    #[test]
    fn candidates_follow_names_versions_and_provides() {
        let archive = archive(MAIL);
        for (target, expected) in [
            ("exim4", &["exim4"][..]),
            ("exim4 (>= 5)", &[]),
            ("mta", &["exim4", "mta", "postfix"]),
            ("mta (>= 2)", &["postfix"]),
            ("mta (= 1)", &["mta"]),
            ("mta (<< 1)", &[]),
            ("libc6:amd64", &["libc6"]),
            ("libc6:i386", &[]),
            ("nothing", &[]),
        ] {
            let parsed = &parse_targets(target).unwrap()[0];
            assert_eq!(archive.candidates(parsed).into_iter().collect::<Vec<_>>(), expected, "{target}");
        }
        let need = &parse_needs("exim4 | mta (>= 2) | nothing").unwrap()[0];
        assert_eq!(archive.choices(need).into_iter().collect::<Vec<_>>(), ["exim4", "postfix"]);
    }

    #[test]
    fn a_part_is_closed_under_needs() {
        let names = |sections: &[&str]| {
            let sections: Vec<String> = sections.iter().map(|&section| section.to_owned()).collect();
            archive(MAIL).part(&sections).packages().map(|package| package.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["mail"]), ["exim4", "libc6", "postfix"]);
        assert_eq!(names(&["web"]), ["libc6", "mutt", "postfix"]);
        assert_eq!(names(&["none"]), Vec::<String>::new());
    }

    #[test]
    fn the_highest_version_wins_in_any_order() {
        let old = "Package: a\nVersion: 1~rc1\n\n";
        let new = "Package: a\nVersion: 1\n\n";
        for text in [format!("{old}{new}"), format!("{new}{old}")] {
            let mut intake = Intake::default();
            intake.read(text.as_bytes()).unwrap();
            assert_eq!(intake.surpassed, 1);
            assert_eq!(intake.finish().packages["a"].version.as_str(), "1");
        }
    }
}
