//! The input of peers: an N-Triples file, split into terms and numbered as simply as possible.
//!
//! The splitter trusts its input, which the generators wrote: one space between terms, one triple a line, no comments.
//! Terms are slices of the file, which stays in memory: the cheapest method, to the peer's advantage.

use crate::Error;
use crate::ntriples::TYPE;
use hashbrown::HashMap;
use memchr::{memchr, memchr_iter};

/// The pairs of one predicate, without any pair twice.
pub type Pairs = Vec<(u32, u32)>;
/// The members of one class, none of them twice.
pub type Members = Vec<(u32,)>;

/// The facts of a file, by predicate and class. Lists can be taken out.
#[derive(Default)]
pub struct Facts<'a> {
    ids: HashMap<&'a [u8], u32>,
    pairs: HashMap<&'a [u8], Pairs>,
    members: HashMap<&'a [u8], Members>,
}

impl<'a> Facts<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Input`] for a line that is not a triple, and for more terms than there are numbers.
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        let mut facts = Self::default();
        let type_iri = format!("<{TYPE}>");
        let mut start = 0;
        for (number, end) in memchr_iter(b'\n', text).enumerate() {
            let line = &text[start..end];
            start = end + 1;
            let bad = || Error::Input(format!("line {} is no triple", number + 1));
            let (subject, predicate, object) = split(line).ok_or_else(bad)?;
            let subject = facts.number(subject)?;
            if predicate == type_iri.as_bytes() {
                facts.members.entry(object).or_default().push((subject,));
            } else {
                let object = facts.number(object)?;
                facts.pairs.entry(predicate).or_default().push((subject, object));
            }
        }
        if start < text.len() {
            return Err(Error::Input("the last line has no end".to_owned()));
        }
        facts.pairs.values_mut().for_each(unique);
        facts.members.values_mut().for_each(unique);
        Ok(facts)
    }

    fn number(&mut self, term: &'a [u8]) -> Result<u32, Error> {
        let next = u32::try_from(self.ids.len()).map_err(|_| Error::Input("too many terms".to_owned()))?;
        Ok(*self.ids.entry(term).or_insert(next))
    }

    /// The number of facts that were not taken.
    pub fn count(&self) -> u64 {
        let pairs: usize = self.pairs.values().map(Vec::len).sum();
        let members: usize = self.members.values().map(Vec::len).sum();
        (pairs + members) as u64
    }

    /// Takes the pairs of a predicate and removes them; empty if the predicate does not occur.
    pub fn take_pairs(&mut self, predicate: &str) -> Pairs {
        self.pairs.remove(format!("<{predicate}>").as_bytes()).unwrap_or_default()
    }

    /// Takes the members of a class and removes them; empty if the class does not occur.
    pub fn take_members(&mut self, class: &str) -> Members {
        self.members.remove(format!("<{class}>").as_bytes()).unwrap_or_default()
    }

    /// The number of an IRI, if it occurs as a subject or an object of something other than a type.
    pub fn id(&self, iri: &str) -> Option<u32> {
        self.ids.get(format!("<{iri}>").as_bytes()).copied()
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let line = line.strip_suffix(b" .")?;
    let first = memchr(b' ', line)?;
    let second = first + 1 + memchr(b' ', &line[first + 1..])?;
    Some((&line[..first], &line[first + 1..second], &line[second + 1..]))
}

fn unique<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_split_and_numbered() {
        let text = format!("<a> <p> \"x . y\" .\n<a> <{TYPE}> <C> .\n<a> <{TYPE}> <C> .\n<b> <p> <a> .\n");
        let mut facts = Facts::parse(text.as_bytes()).unwrap();
        assert_eq!(facts.count(), 3, "a line that comes twice is one fact");
        assert_eq!((facts.id("a"), facts.id("b"), facts.id("C")), (Some(0), Some(2), None));
        assert_eq!(facts.take_pairs("p"), [(0, 1), (2, 0)]);
        assert_eq!(facts.take_members("C"), [(0,)]);
        assert_eq!(facts.count(), 0);
    }

    #[test]
    fn what_is_no_triple_is_refused() {
        for (text, expected) in [("<a> <p> <b> .\n<a> <p>\n", "line 2"), ("<a> <p> <b> .", "last line")] {
            let error = Facts::parse(text.as_bytes()).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains(expected)));
        }
    }
}
