//! The tokens of a query text, as far as they can be distinguished without the grammar.
//!
//! For scans of a text that need no parser: nothing within strings, IRIs and comments is taken for a token. The scan
//! never fails and takes one pass, whatever the text.

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    Open(u8),
    Close(u8),
    /// One of `| & + - * / ^ ! =`; doubled ones count once.
    Operator(u8),
    /// A keyword, or a prefixed name from its prefix on.
    Word(&'a str),
    /// A variable's name, without its mark.
    Variable(&'a str),
}

/// The tokens of a text, each with the offset where it begins.
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

/// The tokens of a text.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.text.len() {
            let start = self.at;
            if let Some(token) = self.step() {
                return Some((start, token));
            }
        }
        None
    }
}

impl<'a> Tokens<'a> {
    /// The next piece of the text, and its token if it is one; `None` at the end, or where a character is damaged.
    pub fn piece(&mut self) -> Option<(&'a str, Option<Token<'a>>)> {
        let start = self.at;
        if start >= self.text.len() {
            return None;
        }
        let token = self.step();
        Some((self.text.get(start..self.at)?, token))
    }

    /// Was the whole text read?
    pub fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// Advances past a token, or past text between tokens.
    fn step(&mut self) -> Option<Token<'a>> {
        let bytes = self.text.as_bytes();
        let byte = bytes[self.at];
        match byte {
            b'#' => self.skip_comment(),
            b'"' | b'\'' => self.skip_string(byte),
            b'<' => self.at += iri_length(&bytes[self.at..]).unwrap_or(1),
            b'(' | b'[' | b'{' => {
                self.at += 1;
                return Some(Token::Open(byte));
            }
            b')' | b']' | b'}' => {
                self.at += 1;
                return Some(Token::Close(byte));
            }
            b'|' | b'&' | b'+' | b'-' | b'*' | b'/' | b'^' | b'!' | b'=' => return Some(self.operator(byte)),
            b'\\' => self.at += 2,
            b':' | b'@' => self.skip_name(true),
            b'0'..=b'9' => self.skip_name(false),
            b'?' | b'$' => return self.variable(),
            _ if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 => {
                let start = self.at;
                self.skip_name(true);
                return Some(Token::Word(self.text.get(start..self.at).unwrap_or_default()));
            }
            _ => self.at += 1,
        }
        None
    }

    fn operator(&mut self, byte: u8) -> Token<'a> {
        self.at += 1;
        if matches!(byte, b'|' | b'&' | b'^') && self.text.as_bytes().get(self.at) == Some(&byte) {
            self.at += 1;
        }
        Token::Operator(byte)
    }

    /// A variable; a question mark that ends a path element is not one.
    fn variable(&mut self) -> Option<Token<'a>> {
        self.at += 1;
        let rest = self.text.get(self.at..)?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii())).unwrap_or(rest.len());
        self.at += end;
        (end > 0).then_some(Token::Variable(&rest[..end]))
    }

    /// A keyword, prefixed name or language tag, which may contain hyphens, or a number, which may not.
    fn skip_name(&mut self, may_have_hyphens: bool) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 2,
                b'-' if may_have_hyphens => self.at += 1,
                b'_' | b':' | b'%' | b'.' => self.at += 1,
                byte if byte.is_ascii_alphanumeric() || *byte >= 0x80 => self.at += 1,
                _ => break,
            }
        }
        self.at = self.at.min(bytes.len());
    }

    fn skip_comment(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        self.at += length;
    }

    fn skip_string(&mut self, quote: u8) {
        let bytes = self.text.as_bytes();
        let is_long = bytes[self.at..].starts_with(&[quote; 3]);
        let end: &[u8] = if is_long { &[quote; 3] } else { &[quote] };
        self.at += end.len();
        while self.at < bytes.len() && !bytes[self.at..].starts_with(end) {
            if !is_long && matches!(bytes[self.at], b'\n' | b'\r') {
                return;
            }
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at = (self.at + end.len()).min(bytes.len());
    }
}

/// The length of the IRI that starts here, if it is one and not a comparison.
fn iri_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().position(|byte| *byte == b'>')?;
    let is_iri = bytes[1..end].iter().all(|byte| *byte > b' ' && !b"<\"{}|^`".contains(byte));
    is_iri.then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Token<'_>> {
        tokens(text).map(|(_, token)| token).collect()
    }

    #[test]
    fn nothing_hides_in_strings_iris_and_comments() {
        use Token::{Close, Open, Operator, Variable, Word};
        let text = "SELECT * { ?a<p>$b . # ?x {\n ?c :p/^ex:q? \"\"\"?y \" {\"\"\", '?z' } <?i> @en-x";
        let expected = [
            Word("SELECT"),
            Operator(b'*'),
            Open(b'{'),
            Variable("a"),
            Variable("b"),
            Variable("c"),
            Operator(b'/'),
            Operator(b'^'),
            Word("ex:q"),
            Close(b'}'),
        ];
        assert_eq!(all(text), expected);
        assert_eq!(all("?s:p?o"), [Variable("s"), Variable("o")]);
        assert_eq!(all("?é < ?ö && 1<2"), [Variable("é"), Variable("ö"), Operator(b'&')]);
    }

    #[test]
    fn any_text_has_an_end() {
        for text in ["", "?", "\\", "'", "\"\"\"", "<", "?\u{e9}\\", "a\\", "#", "$$?"] {
            all(text);
        }
    }
}
