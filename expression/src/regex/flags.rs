//! The flags of a regular expression: `s`, `m`, `i`, `x` and `q`.

use super::{Refusal, invalid};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `s`: the dot matches ends of lines, too.
    pub dot_matches_all: bool,
    /// `m`: `^` and `$` match at lines.
    pub is_multiline: bool,
    /// `i`
    pub ignores_case: bool,
    /// `x`: whitespace in the pattern is left out.
    pub ignores_whitespace: bool,
    /// `q`: every character stands for itself.
    pub is_literal: bool,
}

impl Flags {
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut flags = Self::default();
        for letter in text.chars() {
            match letter {
                's' => flags.dot_matches_all = true,
                'm' => flags.is_multiline = true,
                'i' => flags.ignores_case = true,
                'x' => flags.ignores_whitespace = true,
                'q' => flags.is_literal = true,
                other => return Err(invalid(format!("the flag {other} of a regular expression"))),
            }
        }
        if flags.is_literal {
            // The others have no effect then.
            flags = Self { ignores_case: flags.ignores_case, is_literal: true, ..Self::default() };
        }
        Ok(flags)
    }
}
