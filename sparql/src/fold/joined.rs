//! GROUP_CONCAT: joins the strings of terms in the order of their arrival (SPARQL 1.1, 18.5.1.7). The string of an IRI or a
//! literal is what STR gives; a blank node and a triple term have none, which is an error.

use super::aggregate::Accumulate;
use super::decoded::Decoded;
use super::{Made, Rows};
use crate::session::code::Code;
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
}

impl Joined {
    /// The values in a cell.
    pub fn new(cell: usize, separator: &str) -> Self {
        let strings = Decoded::new(string, |made: &Option<Box<str>>| made.as_ref().map_or(0, |text| text.len()));
        Self { cell, separator: separator.to_owned(), strings, texts: Vec::new(), bytes: 0 }
    }
}

impl Accumulate for Joined {
    fn begin(&mut self) {
        self.texts.push(Some((String::new(), false)));
    }

    fn learn(&mut self, rows: &Rows<'_>) -> Result<(), Fault> {
        if self.texts.iter().flatten().any(|(text, _)| text.len() > LITERAL_BYTES_MAX) {
            let message = format!("GROUP_CONCAT builds a literal of more than {LITERAL_BYTES_MAX} bytes");
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        self.strings.learn(rows, self.cell)
    }

    fn add(&mut self, group: usize, row: &[Code], _times: u64) {
        let slot = &mut self.texts[group];
        let Some((text, is_begun)) = slot else { return };
        let Some(part) = self.strings.get(row[self.cell]).and_then(Option::as_ref) else {
            *slot = None;
            return;
        };
        if std::mem::replace(is_begun, true) {
            text.push_str(&self.separator);
            self.bytes += self.separator.len();
        }
        text.push_str(part);
        self.bytes += part.len();
    }

    fn bytes(&self) -> usize {
        self.texts.capacity() * size_of::<Option<(String, bool)>>() + self.bytes
    }

    fn finish(&self, group: usize) -> Made {
        Made::Value(self.texts[group].as_ref().map_or(Value::Error, |(text, _)| Value::string(text)))
    }
}
