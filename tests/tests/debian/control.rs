//! A second parser of control files, deliberately independent of the converter: the plain computation must not share
//! its mistakes. For well-formed input only; other input panics the test.

use std::cmp::Ordering;
use std::collections::HashMap;

/// A relation as written: a name, an optional architecture, an optional sign and version.
#[derive(Debug)]
pub struct Relation {
    pub name: String,
    pub architecture: Option<String>,
    pub bound: Option<(String, String)>,
}

/// The fields of a package that the queries need.
#[derive(Debug)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub architecture: String,
    pub section: Option<String>,
    pub kib: Option<u64>,
    /// The whole field.
    pub maintainer: Option<String>,
    /// `Pre-Depends` and `Depends`: all must be met, each by any of its alternatives.
    pub needs: Vec<Vec<Relation>>,
    /// `Conflicts` and `Breaks`.
    pub opposes: Vec<Relation>,
    pub provides: Vec<Relation>,
}

/// The packages of a control file with one stanza per package.
pub fn read(text: &str) -> Vec<Package> {
    text.split("\n\n").filter(|stanza| !stanza.trim().is_empty()).map(package).collect()
}

fn package(stanza: &str) -> Package {
    let unfolded = stanza.replace("\n ", " ");
    let fields: HashMap<&str, &str> =
        unfolded.lines().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.trim())).collect();
    let text = |name: &str| fields.get(name).map(|value| value.to_string());
    let list = |name: &str| text(name).unwrap_or_default();
    let needs = format!("{},{}", list("Pre-Depends"), list("Depends"));
    let opposes = format!("{},{}", list("Conflicts"), list("Breaks"));
    Package {
        name: text("Package").expect("a package has a name"),
        version: text("Version").expect("a package has a version"),
        architecture: text("Architecture").unwrap_or_else(|| "all".to_owned()),
        section: text("Section"),
        kib: text("Installed-Size").map(|size| size.parse().expect("a number")),
        maintainer: text("Maintainer"),
        needs: items(&needs).map(|item| item.split('|').map(relation).collect()).collect(),
        opposes: items(&opposes).map(relation).collect(),
        provides: items(&list("Provides")).map(relation).collect(),
    }
}

fn items(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn relation(text: &str) -> Relation {
    let mut words = text.trim().splitn(2, ' ');
    let name = words.next().expect("a relation has a name");
    let bound = words.next().map(|rest| {
        let (sign, version) = rest.trim_matches(['(', ')']).split_once(' ').expect("a sign and a version");
        (sign.to_owned(), version.to_owned())
    });
    let (name, architecture) = match name.split_once(':') {
        Some((name, "any" | "native")) => (name, None),
        Some((name, architecture)) => (name, Some(architecture.to_owned())),
        None => (name, None),
    };
    Relation { name: name.to_owned(), architecture, bound }
}

/// Does a version meet a bound?
pub fn meets(version: &str, (sign, bound): &(String, String)) -> bool {
    let order = compare(version, bound);
    match sign.as_str() {
        "<<" => order.is_lt(),
        "<=" => order.is_le(),
        "=" => order.is_eq(),
        ">=" => order.is_ge(),
        ">>" => order.is_gt(),
        sign => panic!("the sign {sign}"),
    }
}

/// The order of Debian versions, as keys that compare like them: each part becomes a list of numbers in which a
/// letter is its code, another character is above all letters, `~` is below the end, and a number follows each word.
pub fn compare(left: &str, right: &str) -> Ordering {
    key(left).cmp(&key(right))
}

/// The weights of a word and the number after it, stretch by stretch.
type PartKey = Vec<(Vec<i64>, u128)>;

fn key(version: &str) -> (u64, PartKey, PartKey) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch.parse().expect("an epoch"), part_key(upstream), part_key(revision))
}

fn part_key(part: &str) -> PartKey {
    let mut pairs = Vec::new();
    let mut rest = part;
    while !rest.is_empty() {
        let word = rest.len() - rest.trim_start_matches(|c: char| !c.is_ascii_digit()).len();
        let number = rest[word..].len() - rest[word..].trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let digits = &rest[word..word + number];
        // The end of a word has the weight zero: more than `~`, less than any other character.
        let weights = rest[..word].chars().map(weight).chain([0]).collect();
        pairs.push((weights, if digits.is_empty() { 0 } else { digits.parse().expect("a number") }));
        rest = &rest[word + number..];
    }
    // A missing part counts as an empty word and zero, which `[0]` with 0 represents.
    while pairs.last() == Some(&(vec![0], 0)) {
        pairs.pop();
    }
    pairs.push((vec![0], 0));
    pairs
}

fn weight(c: char) -> i64 {
    match c {
        '~' => -1,
        c if c.is_ascii_alphabetic() => i64::from(u32::from(c)),
        c => i64::from(u32::from(c)) + 1000,
    }
}

#[test]
fn versions_compare_as_the_policy_says() {
    for (left, order, right) in [
        ("1.0~rc1", Ordering::Less, "1.0"),
        ("1.0", Ordering::Less, "1.0-1"),
        ("1.0-1", Ordering::Less, "1.0-1+b1"),
        ("1.0-1~bpo1", Ordering::Less, "1.0-1"),
        ("1.9", Ordering::Less, "1.10"),
        ("1.0a", Ordering::Less, "1.0+"),
        ("1:0", Ordering::Greater, "9"),
        ("1.0", Ordering::Equal, "1.00"),
        ("1.0", Ordering::Equal, "0:1.0-0"),
        ("1.0~~", Ordering::Less, "1.0~"),
        ("1.0.", Ordering::Greater, "1.0"),
        ("1.0.", Ordering::Equal, "1.0.0"),
        ("1.0.~", Ordering::Less, "1.0."),
    ] {
        assert_eq!(compare(left, right), order, "{left} and {right}");
        assert_eq!(compare(right, left), order.reverse(), "{right} and {left}");
    }
}
