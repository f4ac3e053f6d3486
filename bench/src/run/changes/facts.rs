//! Facts of the input, chosen at random positions, and the updates that delete and insert them.

use crate::Error;
use entail_model::random::Random;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// One more line is drawn for this many: some inputs have lines that occur repeatedly.
const REPEATED: u64 = 8;
/// A namespace that is used less often is written out.
const USES_MIN: usize = 4;

/// Distinct facts, as lines of N-Triples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<String>);

/// What an update does with facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Delete,
    Insert,
}

impl Facts {
    /// The distinct ones of some lines, at most `count`.
    pub fn new(lines: impl IntoIterator<Item = String>, count: usize) -> Self {
        let mut seen = HashSet::new();
        Self(lines.into_iter().filter(|line| seen.insert(line.clone())).take(count).collect())
    }

    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The update that deletes or inserts the facts. Frequent namespaces become prefixes: the text of an update has a limit.
    pub fn update(&self, verb: Verb) -> String {
        let prefixes = self.prefixes();
        let mut text = String::new();
        for (namespace, number) in &prefixes {
            text += &format!("PREFIX p{number}: <{namespace}>\n");
        }
        let verb = match verb {
            Verb::Delete => "DELETE",
            Verb::Insert => "INSERT",
        };
        text += &format!("{verb} DATA {{\n");
        for terms in self.0.iter().map(|line| terms(line)) {
            let [subject, predicate, object] = terms.map(|term| shortened(term, &prefixes));
            text += &format!("{subject} {predicate} {object} .\n");
        }
        text + "}\n"
    }

    /// The numbers of the namespaces that are used frequently.
    fn prefixes(&self) -> BTreeMap<&str, usize> {
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for (namespace, _) in self.0.iter().flat_map(|line| terms(line)).filter_map(divided) {
            *uses.entry(namespace).or_default() += 1;
        }
        let frequent = uses.into_iter().filter(|(_, uses)| *uses >= USES_MIN);
        frequent.enumerate().map(|(number, (namespace, _))| (namespace, number)).collect()
    }
}

/// Subject, predicate and object of a line.
fn terms(line: &str) -> [&str; 3] {
    let line = line.trim_end().trim_end_matches('.').trim_end();
    let mut terms = line.splitn(3, ' ');
    [(); 3].map(|()| terms.next().unwrap_or_default())
}

/// The namespace of an IRI and the rest: what follows `#`, or the host of an `http` IRI, or the last colon. `None` for
/// other terms, and if the rest has characters that no prefixed name can have.
fn divided(term: &str) -> Option<(&str, &str)> {
    let iri = term.strip_prefix('<')?.strip_suffix('>')?;
    let end = match (iri.find('#'), iri.find("://")) {
        (Some(hash), _) => hash,
        (None, Some(colon)) => colon + 3 + iri[colon + 3..].find('/')?,
        (None, None) => iri.rfind(':')?,
    };
    let (namespace, local) = iri.split_at(end + 1);
    let fits = |c: char| c.is_ascii_alphanumeric() || "_/.-+~".contains(c);
    (!local.is_empty() && local.chars().all(fits)).then_some((namespace, local))
}

/// The term as a prefixed name, if its namespace has a prefix.
fn shortened(term: &str, prefixes: &BTreeMap<&str, usize>) -> String {
    let Some((number, local)) = divided(term).and_then(|(space, local)| Some((prefixes.get(space)?, local))) else {
        return term.to_owned();
    };
    let mut name = format!("p{number}:");
    for character in local.chars() {
        if !character.is_ascii_alphanumeric() && character != '_' {
            name.push('\\');
        }
        name.push(character);
    }
    name
}

/// Draws sets of facts at random positions of a file with `lines` lines: for each entry of `sizes` a set of that many facts,
/// or of as many as there are.
///
/// # Errors
/// [`Error::Io`].
pub fn draw(path: &Path, lines: u64, sizes: &[u64], random: &mut Random) -> Result<Vec<Facts>, Error> {
    let drawn: Vec<Vec<u64>> = sizes.iter().map(|size| positions(size + size / REPEATED, lines, random)).collect();
    let wanted: HashSet<u64> = drawn.iter().flatten().copied().collect();
    let texts = read(path, &wanted).map_err(|error| Error::io(path.display(), error))?;
    let facts = |(positions, size): (Vec<u64>, &u64)| {
        Facts::new(positions.iter().filter_map(|position| texts.get(position).cloned()), *size as usize)
    };
    Ok(drawn.into_iter().zip(sizes).map(facts).collect())
}

/// Distinct positions in the order in which they are drawn; all of them if there are not more.
fn positions(count: u64, lines: u64, random: &mut Random) -> Vec<u64> {
    if count > lines / 2 {
        return random.sample(count, lines);
    }
    let mut seen = HashSet::new();
    let next = || {
        loop {
            let position = random.below(lines);
            if seen.insert(position) {
                return Some(position);
            }
        }
    };
    std::iter::from_fn(next).take(count as usize).collect()
}

/// The lines at some positions.
fn read(path: &Path, wanted: &HashSet<u64>) -> std::io::Result<HashMap<u64, String>> {
    let mut texts = HashMap::new();
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut line = Vec::new();
    for position in 0.. {
        line.clear();
        if texts.len() == wanted.len() || file.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if wanted.contains(&position) {
            texts.insert(position, String::from_utf8_lossy(&line).into_owned());
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>";

    #[test]
    fn few_facts_are_written_out() {
        let line = "<urn:a:x> <urn:a:p> \"a . b\" .\n".to_owned();
        let facts = Facts::new([line.clone(), line], 9);
        assert_eq!(facts.len(), 1);
        assert_eq!(facts.update(Verb::Delete), "DELETE DATA {\n<urn:a:x> <urn:a:p> \"a . b\" .\n}\n");
    }

    #[test]
    fn frequent_namespaces_become_prefixes() {
        let host = "http://www.D0.U0.edu";
        let line = |n: u8| format!("<{host}/Chair{n}/Paper-1> {TYPE} <urn:debian:need:a%20b> .");
        let text = Facts::new((0..5).map(line), 4).update(Verb::Insert);
        let expected = format!(
            "PREFIX p0: <{host}/>\nPREFIX p1: <{}>\nINSERT DATA {{\n\
            p0:Chair0\\/Paper\\-1 p1:type <urn:debian:need:a%20b> .\n",
            &TYPE[1..TYPE.len() - 5]
        );
        assert!(text.starts_with(&expected), "{text}");
        assert_eq!(text.matches("p0:Chair").count(), 4);
        assert_eq!(divided("<http://www.University0.edu>"), None, "a host alone is no namespace");
        assert_eq!(divided("<urn:entail:bench:v1>"), Some(("urn:entail:bench:", "v1")));
    }

    #[test]
    fn sets_are_drawn_from_the_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines.nt");
        let lines: String = (0..200).map(|n| format!("<urn:v:{}> <urn:p> <urn:o> .\n", n / 2)).collect();
        std::fs::write(&path, lines).unwrap();
        let sets = |seed| draw(&path, 200, &[1, 10, 90, 1000], &mut Random::new(seed)).unwrap();
        let sizes: Vec<u64> = sets(1).iter().map(Facts::len).collect();
        assert_eq!((sizes[0], sizes[3]), (1, 100), "every line occurs twice");
        assert!(sizes[1] <= 10 && (60..90).contains(&sizes[2]), "{sizes:?}");
        assert_eq!(sets(1), sets(1));
        assert_ne!(sets(1)[1], sets(2)[1]);
    }
}
