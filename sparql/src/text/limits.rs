//! Limits on query texts, checked before the parser sees them.
//!
//! The parser, the rewriting and the evaluator recurse: once for a bracket, and once for a link of a chain such as `1 +
//! 1 + 1` or `{} UNION {} UNION {}`. A scan that knows strings, IRIs and comments counts both. The limits bound the
//! recursion, and the counts determine how much stack a text may need.

use crate::text::tokens::{Token, tokens};
use entail_model::{Fault, Reason};

/// How long a query or update text may be, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// How deep brackets of any kind may nest.
pub const DEPTH_MAX: usize = 200;
/// How many operators, each of which may nest in the one before, a text may hold.
pub const OPERATORS_MAX: usize = 4_000;
/// How many operators a clause such as OPTIONAL counts for: planning takes the square of their number.
const CLAUSE_OPERATORS: usize = 8;
/// How many tokens a text may hold outside of data blocks. A group, a projected expression and a sort key each nest in
/// the one before without an operator.
pub const TOKENS_MAX: usize = 20_000;

/// A text within the limits.
#[derive(Clone, Copy, Debug)]
pub struct Checked<'t> {
    text: &'t str,
    nesting: Nesting,
}

/// How deep the recursion over a text may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nesting {
    /// The most brackets that are open at once.
    pub depth: usize,
    /// Operators, as the limit on them counts.
    pub operators: usize,
    /// Tokens that may each be a link of a chain.
    pub links: usize,
}

impl<'t> Checked<'t> {
    /// The text.
    pub fn as_str(self) -> &'t str {
        self.text
    }

    /// How deep the recursion over the text may get.
    pub fn nesting(self) -> Nesting {
        self.nesting
    }
}

/// Checks a query or update text against the limits.
///
/// # Errors
/// `LimitExceeded` with the position at which the limit was exceeded.
pub fn check(text: &str) -> Result<Checked<'_>, Fault> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("a text of {} bytes; the limit is {TEXT_BYTES_MAX}", text.len());
        return Err(Fault::new(Reason::LimitExceeded, message));
    }
    let mut scan = Scan { text, at: 0, depth: 0, operators: 0, data: Data::No, nesting: Nesting::default() };
    tokens(text).try_for_each(|(at, token)| scan.step(at, token))?;
    Ok(Checked { text, nesting: scan.nesting })
}

/// The line and column of a byte offset, from one, columns in characters.
pub fn position(text: &str, offset: usize) -> (u64, u64) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() as u64 + 1;
    (line, column)
}

struct Scan<'a> {
    text: &'a str,
    /// The offset of the current token.
    at: usize,
    depth: usize,
    operators: usize,
    data: Data,
    nesting: Nesting,
}

/// Whether the scan is in the block of a VALUES or an INSERT DATA, where nothing nests and signs belong to numbers.
#[derive(Clone, Copy, PartialEq)]
enum Data {
    No,
    /// After the keyword, before its block.
    Announced,
    /// Within the block, whose bracket opened at this depth.
    Within(usize),
}

impl Scan<'_> {
    fn step(&mut self, at: usize, token: Token<'_>) -> Result<(), Fault> {
        self.at = at;
        if !matches!(self.data, Data::Within(_)) {
            self.nesting.links += 1;
            if self.nesting.links > TOKENS_MAX {
                return Err(self.exceeded(format!("more than {TOKENS_MAX} tokens outside of data blocks")));
            }
        }
        match token {
            Token::Open(bracket) => self.open(bracket),
            Token::Close(bracket) => {
                if bracket == b'}' && self.data == Data::Within(self.depth) {
                    self.data = Data::No;
                }
                self.depth = self.depth.saturating_sub(1);
                Ok(())
            }
            Token::Operator(_) => self.count(1),
            Token::Word(word) => self.word(word),
            Token::Variable(_) => Ok(()),
        }
    }

    fn open(&mut self, bracket: u8) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.exceeded(format!("brackets nest deeper than {DEPTH_MAX}")));
        }
        self.nesting.depth = self.nesting.depth.max(self.depth);
        if bracket == b'{' && self.data == Data::Announced {
            self.data = Data::Within(self.depth);
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if self.data == Data::No && ["values", "data"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) {
            self.data = Data::Announced;
        }
        let clauses = ["union", "optional", "minus", "filter", "bind", "graph", "service", "select", "exists"];
        if clauses.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) {
            self.count(CLAUSE_OPERATORS)
        } else {
            Ok(())
        }
    }

    fn count(&mut self, operators: usize) -> Result<(), Fault> {
        if !matches!(self.data, Data::Within(_)) {
            self.operators += operators;
            self.nesting.operators = self.operators;
        }
        if self.operators > OPERATORS_MAX {
            return Err(
                self.exceeded(format!("more than {OPERATORS_MAX} operators (a clause counts as {CLAUSE_OPERATORS})"))
            );
        }
        Ok(())
    }

    fn exceeded(&self, message: String) -> Fault {
        let (line, column) = position(self.text, self.at);
        Fault::new(Reason::LimitExceeded, message).at(line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Option<(Reason, u64, u64)> {
        check(text).err().map(|fault| {
            let position = fault.position.unwrap_or_default();
            (fault.reason, position.line, position.column)
        })
    }

    #[test]
    fn deep_brackets_are_refused_with_their_place() {
        let text = format!("SELECT *\nWHERE {{ FILTER {}1", "(".repeat(10_000));
        assert_eq!(reason(&text), Some((Reason::LimitExceeded, 2, 16 + DEPTH_MAX as u64 - 1)));
    }

    #[test]
    fn brackets_in_strings_iris_and_comments_do_not_count() {
        let open = "(".repeat(1_000);
        for text in
            [format!("\"{open}\""), format!("'''{open}\n'''"), format!("<http://e/{open}>"), format!("# {open}")]
        {
            assert_eq!(reason(&format!("ASK {{ {text} }}")), None, "{text}");
        }
        assert_eq!(
            reason(&format!("ASK {{ FILTER(1<2 && {open}2>1)")).map(|found| found.0),
            Some(Reason::LimitExceeded)
        );
    }

    #[test]
    fn long_chains_are_refused() {
        for link in ["+1", " && 1", "/<p>", " UNION {}", " OPTIONAL {}", " BIND(1 AS ?x)", "||1"] {
            assert!(reason(&link.repeat(OPERATORS_MAX + 1)).is_some(), "{link}");
            assert_eq!(reason(&link.repeat(400)), None, "{link}");
        }
        let rows = "(-1 +2 ex:a-b) ".repeat(10_000);
        assert_eq!(reason(&format!("SELECT * {{ VALUES (?x ?y ?z) {{ {rows} }} }}")), None);
        assert_eq!(
            reason(&format!("ASK {{ FILTER(1 {}) }}", "-1 ".repeat(10_000))).map(|found| found.0),
            Some(Reason::LimitExceeded)
        );
    }

    #[test]
    fn texts_are_bounded() {
        assert_eq!(reason(&" ".repeat(TEXT_BYTES_MAX + 1)).map(|found| found.0), Some(Reason::LimitExceeded));
    }
}
