//! The replacement of REPLACE: `$N` stands for what a group matched, `\$` and `\\` for themselves (fn:replace).

use super::{Refusal, Spans, invalid};
use entail_model::{Fault, Reason};

/// A replacement that was read for a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Reads a replacement for a pattern with so many groups. Of the digits after `$` as many are taken as name a group, and
    /// at least one: `$12` is group 1 and a `2` if there are less than twelve groups. A group that is not there is empty.
    ///
    /// # Errors
    /// `Invalid` for other uses of `$` and `\`.
    pub fn parse(text: &str, groups: usize) -> Result<Self, Refusal> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            match letter {
                '\\' => match rest.next() {
                    Some(escaped @ ('\\' | '$')) => literal.push(escaped),
                    _ => return Err(invalid("a \\ in a replacement that neither \\ nor $ follows")),
                },
                '$' => {
                    let digit = rest.next().and_then(|next| next.to_digit(10));
                    let mut group =
                        digit.ok_or_else(|| invalid("a $ in a replacement that no digit follows"))? as usize;
                    while let Some(digit) = rest.peek().and_then(|next| next.to_digit(10)) {
                        let longer = group.saturating_mul(10).saturating_add(digit as usize);
                        if longer > groups {
                            break;
                        }
                        group = longer;
                        rest.next();
                    }
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    if group <= groups {
                        pieces.push(Piece::Group(group));
                    }
                }
                other => literal.push(other),
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { pieces })
    }

    /// A replacement in which every character stands for itself.
    pub fn literal(text: &str) -> Self {
        Self { pieces: vec![Piece::Text(text.to_owned())] }
    }

    /// Appends the replacement of one match.
    pub(super) fn append(&self, text: &str, spans: &Spans, result: &mut String, most: usize) -> Result<(), Fault> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(literal) => result.push_str(literal),
                Piece::Group(group) => {
                    if let Some((start, end)) = spans.get(*group).copied().flatten() {
                        result.push_str(&text[start..end]);
                    }
                }
            }
        }
        if result.len() > most {
            let message = format!("REPLACE builds a literal of more than {most} bytes");
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_take_as_many_digits_as_name_one() {
        let text = |text: &str| Piece::Text(text.to_owned());
        for (replacement, groups, pieces) in [
            ("$1a", 1, vec![Piece::Group(1), text("a")]),
            ("$12", 1, vec![Piece::Group(1), text("2")]),
            ("$12", 12, vec![Piece::Group(12)]),
            ("$2x", 1, vec![text("x")]),
            ("$0$00", 0, vec![Piece::Group(0), Piece::Group(0)]),
            ("\\$9\\\\", 0, vec![text("$9\\")]),
            ("", 0, vec![]),
        ] {
            assert_eq!(Replacement::parse(replacement, groups), Ok(Replacement { pieces }), "{replacement}");
        }
        for replacement in ["$", "$a", "\\", "\\n", "a$"] {
            assert!(matches!(Replacement::parse(replacement, 3), Err(Refusal::Invalid(_))), "{replacement}");
        }
    }
}
