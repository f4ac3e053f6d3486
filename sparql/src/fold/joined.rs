//! GROUP_CONCAT: concatenates strings in the order of their arrival. The result has their common language, if there is
//! one.

use super::Rows;
use super::aggregate::{Accumulate, computed};
use super::decoded::Decoded;
use crate::plan::codes::Codes;
use crate::session::term::EvalTerm;
use entail_model::Fault;
use oxrdf::{BaseDirection, Term};
use spareval::ExpressionTerm;

/// A language, perhaps with a direction.
type Tag = Option<(String, Option<BaseDirection>)>;

/// The text and tag of a string.
fn string(term: Term) -> Option<(String, Tag)> {
    Some(match ExpressionTerm::from(term) {
        ExpressionTerm::StringLiteral(value) => (value, None),
        ExpressionTerm::LangStringLiteral { value, language } => (value, Some((language, None))),
        ExpressionTerm::DirLangStringLiteral { value, language, direction } => {
            (value, Some((language, Some(direction))))
        }
        _ => return None,
    })
}

fn literal(value: String, tag: Tag) -> Term {
    match tag {
        None => ExpressionTerm::StringLiteral(value),
        Some((language, None)) => ExpressionTerm::LangStringLiteral { value, language },
        Some((language, Some(direction))) => ExpressionTerm::DirLangStringLiteral { value, language, direction },
    }
    .into()
}

/// The joined text of a group, and the tag that all parts have; no tag before the first part.
#[derive(Clone)]
struct Text {
    value: String,
    tag: Option<Tag>,
}

/// Joins the strings of each group.
pub struct Joined {
    cell: usize,
    separator: String,
    strings: Decoded<Option<(String, Tag)>>,
    /// `None` after an error.
    texts: Vec<Option<Text>>,
    bytes: usize,
}

impl Joined {
    /// The values in a cell.
    pub fn new(cell: usize, separator: &str) -> Self {
        let separator = separator.to_owned();
        Self {
            cell,
            separator,
            strings: Decoded::new(string, |made| made.as_ref().map_or(0, |(text, _)| text.len())),
            texts: Vec::new(),
            bytes: 0,
        }
    }
}

impl Accumulate for Joined {
    fn begin(&mut self) {
        self.texts.push(Some(Text { value: String::new(), tag: None }));
    }

    fn learn(&mut self, rows: &Rows<'_>) -> Result<(), Fault> {
        self.strings.learn(rows, self.cell)
    }

    fn add(&mut self, group: usize, row: &[u64], _times: u64) {
        let slot = &mut self.texts[group];
        let Some(text) = slot else { return };
        let Some((value, tag)) = self.strings.get(row[self.cell]).and_then(Option::as_ref) else {
            *slot = None;
            return;
        };
        match &mut text.tag {
            None => text.tag = Some(tag.clone()),
            Some(own) => {
                if own != tag {
                    *own = None;
                }
                text.value.push_str(&self.separator);
                self.bytes += self.separator.len();
            }
        }
        text.value.push_str(value);
        self.bytes += value.len();
    }

    fn bytes(&self) -> usize {
        self.texts.capacity() * size_of::<Option<Text>>() + self.bytes
    }

    fn finish(&self, group: usize, _names: &Codes) -> Option<EvalTerm> {
        let text = self.texts[group].clone()?;
        Some(computed(literal(text.value, text.tag.flatten())))
    }
}
