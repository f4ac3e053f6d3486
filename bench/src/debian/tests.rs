//! Compares generated packages with the profile, converted ones with their input, and the rules with the example's.

use super::*;
use crate::workload::SEED;
use std::collections::{HashMap, HashSet};

fn drawn(packages: u64, seed: u64) -> String {
    let mut bytes = Vec::new();
    let lines = Debian::Drawn { packages, seed }.write(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.lines().count() as u64, lines);
    text
}

fn count(text: &str, name: &str) -> usize {
    let predicate = format!(" <{}> ", term(name));
    text.lines().filter(|line| line.contains(&predicate)).count()
}

#[test]
fn a_seed_gives_one_archive_without_repeated_lines() {
    let text = drawn(2000, 1);
    assert_eq!(text, drawn(2000, 1));
    assert_ne!(text, drawn(2000, 2));
    let mut lines: Vec<&str> = text.lines().collect();
    let all = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert!(all - lines.len() < all / 100, "{} of {all} lines come twice", all - lines.len());
}

#[test]
fn the_archive_is_within_the_profile() {
    let text = drawn(PACKAGES, SEED);
    // The counts of Debian 12 in November 2026, and the allowed deviation of the generated packages.
    let profile = [
        ("dependsOn", 279_673, 0.15),
        ("alternative", 80_176, 0.3),
        ("onlyChoice", 55_849, 0.3),
        ("metBy", 38_576, 0.3),
        ("of", 45_533, 0.3),
        ("provides", 37_579, 0.15),
        ("conflictsWith", 6_889, 0.3),
        ("breaks", 11_626, 0.3),
        ("maintainer", 63_666, 0.0),
        ("source", 63_666, 0.0),
    ];
    let compared = |(name, expected, difference)| {
        let share = count(&text, name) as f64 / f64::from(expected);
        ((share - 1.0_f64).abs() > difference).then(|| format!("{name}: {share:.2}"))
    };
    let differing: Vec<String> = profile.into_iter().filter_map(compared).collect();
    assert!(differing.is_empty(), "too many or too few: {differing:?}");
    assert_eq!(profile.map(|(name, ..)| name).iter().collect::<HashSet<_>>(), RELATIONS.iter().collect());
}

/// Objects by subject and local name of the property, and provided names with their providers.
struct Links<'a>(HashMap<(&'a str, &'a str), Vec<&'a str>>);

impl<'a> Links<'a> {
    fn new(text: &'a str) -> Self {
        let mut links: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
        for line in text.lines() {
            let mut terms = line.split(' ');
            let (subject, predicate, object) = (terms.next().unwrap(), terms.next().unwrap(), terms.next().unwrap());
            let name = predicate.trim_end_matches('>').rsplit(':').next().unwrap();
            links.entry((subject, name)).or_default().push(object);
            if name == "provides" {
                links.entry((object, "provided")).or_default().push(subject);
            }
        }
        Self(links)
    }

    fn of(&self, thing: &'a str, name: &'static str) -> &[&'a str] {
        self.0.get(&(thing, name)).map_or(&[], Vec::as_slice)
    }

    fn packages(&self) -> Vec<&'a str> {
        self.0.keys().filter(|(_, name)| *name == "maintainer").map(|(package, _)| *package).collect()
    }

    /// The packages that a package may need directly.
    fn direct(&self, package: &'a str) -> Vec<&'a str> {
        let mut found = Vec::new();
        for alternative in self.of(package, "dependsOn").iter().flat_map(|need| self.of(need, "alternative")) {
            let is_package = !self.of(alternative, "maintainer").is_empty();
            found.extend(Some(*alternative).filter(|_| is_package));
            found.extend(self.of(alternative, "provided"));
            found.extend(self.of(alternative, "metBy"));
        }
        found
    }

    /// The number of packages that a package transitively needs, by a search.
    fn reached(&self, package: &'a str) -> usize {
        let mut seen = HashSet::new();
        let mut open = self.direct(package);
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(self.direct(next));
            }
        }
        seen.len()
    }
}

#[test]
fn packages_need_as_many_as_in_the_archive() {
    let text = drawn(PACKAGES, SEED);
    let links = Links::new(&text);
    let some = links.packages().into_iter().filter(|package| package.ends_with("77>")).collect::<Vec<_>>();
    let needed: usize = some.iter().map(|package| links.reached(package)).sum();
    let mean = needed as f64 / some.len() as f64;
    assert!((70.0..90.0).contains(&mean), "{mean}; the archive has 80");
}

#[test]
fn converted_archives_lose_their_texts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("debian.nt");
    let relations = format!("<a> <{TYPE}> <{}> .\n<a> <{}> <n> .\n", term("Package"), term("dependsOn"));
    std::fs::write(&path, format!("{relations}<a> <{}> \"x <b> y\" .\n", term("summary"))).unwrap();
    let mut bytes = Vec::new();
    assert_eq!(Debian::Converted(path.clone()).write(&mut bytes).unwrap(), 2);
    assert_eq!(String::from_utf8(bytes).unwrap(), relations);
    let error = Debian::Converted(directory.path().join("no")).write(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("/no: "), "{error}");
}

#[test]
fn the_rules_are_those_of_the_example() {
    let ours: HashSet<&str> = RULES.lines().filter(|line| line.starts_with("RULE")).collect();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/debian");
    let mut theirs = HashSet::new();
    let texts =
        ["needs", "conflicts", "trust"].map(|name| std::fs::read_to_string(examples.join(format!("{name}.srl"))));
    for text in &texts {
        let rules = text.as_ref().unwrap().lines().filter(|line| line.starts_with("RULE"));
        theirs.extend(rules.filter(|rule| !rule.contains("neverWith")));
    }
    assert_eq!(ours, theirs);
}
