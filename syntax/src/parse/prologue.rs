//! BASE, PREFIX and VERSION.

use super::parser::Parser;
use crate::lexer::{Kind, Quotes, Token};
use entail_model::Fault;
use oxiri::Iri;

impl Parser<'_> {
    /// Declarations, as many as there are.
    pub fn prologue(&mut self) -> Result<(), Fault> {
        while self.declaration()? {}
        Ok(())
    }

    /// One declaration, if the next token begins one.
    pub fn declaration(&mut self) -> Result<bool, Fault> {
        let spot = self.spot();
        if self.eat_word("PREFIX")? {
            let prefix = match self.advance()? {
                Token { kind: Kind::Prefixed { prefix, local }, .. } if local.is_empty() => prefix,
                token => return Err(self.expected("a prefix that ends in `:`", &token)),
            };
            let iri = self.iri_reference()?;
            self.prefixes.insert(prefix, iri);
        } else if self.eat_word("BASE")? {
            let base = self.iri_reference()?;
            self.base = Some(Iri::parse_unchecked(base));
        } else if self.eat_word("VERSION")? {
            match self.advance()? {
                Token { kind: Kind::String { value, quotes: Quotes::Short }, .. } => {
                    self.versions.push((value.into_owned(), spot));
                }
                token => return Err(self.expected("a version in quotes", &token)),
            }
        } else if let Kind::Language(word @ ("prefix" | "base")) = self.peek().kind {
            let keyword = word.to_ascii_uppercase();
            return Err(spot.syntax(format!("`@{word}` is Turtle: write {keyword}, and no full stop after it")));
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}
