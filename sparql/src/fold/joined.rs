//! GROUP_CONCAT: joins the strings of terms in the order of their arrival (SPARQL 1.1, 18.5.1.7). The string of an IRI or a
//! literal is what STR gives; a blank node and a triple term have none, which is an error.
//!
//! Nothing is appended beyond the limits of a literal and of the query's memory: a batch may repeat one long string in all of
//! its rows.

use super::aggregate::Accumulate;
use super::decoded::Decoded;
use super::{Made, Rows};
use crate::session::code::Code;
use crate::session::memory;
use crate::session::texts::Fit;
use entail_expression::value::{Lexical, View};
use entail_expression::{LITERAL_BYTES_MAX, Value};
use entail_model::{Fault, Reason};

/// What STR gives for a term.
fn string(view: View<'_>) -> Option<Box<str>> {
    match view.lexical() {
        Ok(Lexical::Iri(iri)) => Some(iri.into()),
        Ok(Lexical::Literal { form, .. }) => Some(form.into()),
        _ => None,
    }
}

/// Joins the strings of each group.
pub struct Joined {
    cell: usize,
    separator: String,
    strings: Decoded<Option<Box<str>>>,
    /// The text so far, with whether there is a part in it; `None` after an error.
    texts: Vec<Option<(String, bool)>>,
    bytes: usize,
    /// Bytes that all texts together may have: those that the query may hold.
    bytes_max: u64,
    exceeded: Option<Exceeded>,
}

/// The limit that a part would have passed.
#[derive(Clone, Copy)]
enum Exceeded {
    Literal,
    Memory,
}

impl Joined {
    /// The values in a cell.
    pub fn new(cell: usize, separator: &str) -> Self {
        let strings = Decoded::new(string, |made: &Option<Box<str>>| made.as_ref().map_or(0, |text| text.len()));
        Self {
            cell,
            separator: separator.to_owned(),
            strings,
            texts: Vec::new(),
            bytes: 0,
            bytes_max: 0,
            exceeded: None,
        }
    }
}

impl Accumulate for Joined {
    fn begin(&mut self) {
        self.texts.push(Some((String::new(), false)));
    }

    fn learn(&mut self, rows: &Rows<'_>) -> Result<Fit<()>, Fault> {
        self.bytes_max = rows.session.held_max();
        self.strings.learn(rows, self.cell)
    }

    fn add(&mut self, group: usize, row: &[Code], _times: u64) {
        let slot = &mut self.texts[group];
        let Some((text, is_begun)) = slot else { return };
        let Some(part) = self.strings.get(row[self.cell]).and_then(Option::as_ref) else {
            self.bytes -= text.len();
            *slot = None;
            return;
        };
        let separator = if *is_begun { &self.separator[..] } else { "" };
        let more = separator.len() + part.len();
        if text.len() + more > LITERAL_BYTES_MAX {
            self.exceeded = Some(Exceeded::Literal);
        } else if (self.bytes + more) as u64 > self.bytes_max {
            self.exceeded = Some(Exceeded::Memory);
        } else {
            *is_begun = true;
            text.push_str(separator);
            text.push_str(part);
            self.bytes += more;
        }
    }

    fn check(&self) -> Result<(), Fault> {
        match self.exceeded {
            None => Ok(()),
            Some(Exceeded::Memory) => Err(memory::exceeded(self.bytes_max)),
            Some(Exceeded::Literal) => {
                let message = format!("GROUP_CONCAT builds a literal of more than {LITERAL_BYTES_MAX} bytes");
                Err(Fault::new(Reason::LimitExceeded, message))
            }
        }
    }

    fn bytes(&self) -> usize {
        self.texts.capacity() * size_of::<Option<(String, bool)>>() + self.bytes + self.strings.bytes()
    }

    fn finish(&self, group: usize) -> Made {
        Made::Value(self.texts[group].as_ref().map_or(Value::Error, |(text, _)| Value::string(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::tests::session;

    /// Rows of one batch with one string, each to a group of its own, or all to one.
    fn joined(bytes: usize, rows: usize, groups: usize, held_max: u64) -> (Joined, Result<(), Fault>) {
        let session = session(held_max);
        let code = session.codes(&[Value::string(&"a".repeat(bytes))]).expect("a code")[0];
        let mut joined = Joined::new(0, ",");
        (0..groups).for_each(|_| joined.begin());
        let mut batch = Rows::new(&session, 1);
        (batch.codes, batch.times) = (vec![code; rows], vec![1; rows]);
        assert!(matches!(joined.learn(&batch).expect("the texts are there"), Fit::Whole(())));
        (0..rows).for_each(|row| joined.add(row % groups, &[code], 1));
        let checked = joined.check();
        (joined, checked)
    }

    #[test]
    fn no_text_passes_the_limit_of_a_literal_within_a_batch() {
        let (whole, checked) = joined(1 << 20, 15, 1, 1 << 30);
        assert_eq!(checked, Ok(()));
        assert!(matches!(whole.finish(0), Made::Value(Value::Term(text)) if text.len() == 1 + 15 * (1 << 20) + 14));
        let (cut, checked) = joined(1 << 20, 4_000, 1, 1 << 40);
        assert_eq!(checked.unwrap_err().reason, Reason::LimitExceeded);
        assert!(cut.bytes() < LITERAL_BYTES_MAX + (1 << 20) + 1_000, "{} bytes", cut.bytes());
    }

    #[test]
    fn all_texts_together_stay_within_the_memory_of_the_query() {
        let (cut, checked) = joined(1 << 20, 4_000, 4_000, 8 << 20);
        assert_eq!(checked.unwrap_err().reason, Reason::LimitExceeded);
        assert!(cut.bytes() < 10 << 20, "{} bytes", cut.bytes());
    }
}
