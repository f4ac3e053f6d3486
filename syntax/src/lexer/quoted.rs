//! Strings and IRIs: the text between quotes and angle brackets, with its escapes resolved.

use super::Cursor;
use super::token::{Kind, Quotes};
use entail_model::Fault;
use std::borrow::Cow;

/// An IRI, if the text from the cursor (at a `<`) to the next `>` is one; otherwise the `<` is an operator.
pub(super) fn iri<'a>(cursor: &mut Cursor<'a>) -> Option<Result<Kind<'a>, Fault>> {
    let inside = &cursor.rest()[1..];
    let length = inside.find(|c| matches!(c, '\0'..=' ' | '<' | '>' | '"' | '{' | '}' | '|' | '^' | '`'))?;
    if !inside[length..].starts_with('>') {
        return None;
    }
    cursor.bump();
    Some(Reader::new(cursor).iri(length).map(Kind::Iri))
}

/// A string; the cursor is at its first quote.
pub(super) fn string<'a>(cursor: &mut Cursor<'a>, quote: char) -> Result<Kind<'a>, Fault> {
    let opened = cursor.spot();
    let long: &str = if quote == '"' { "\"\"\"" } else { "'''" };
    let quotes = if cursor.skip(long) { Quotes::Long } else { Quotes::Short };
    let close = match quotes {
        Quotes::Long => long,
        Quotes::Short => {
            cursor.bump();
            &long[..1]
        }
    };
    let mut read = Reader::new(cursor);
    while !read.cursor.rest().starts_with(close) {
        match read.cursor.peek() {
            None => return Err(opened.syntax("a string that is not closed")),
            Some('\n' | '\r') if quotes == Quotes::Short => {
                return Err(read.cursor.spot().syntax("a line break in a string; it needs three quotes on each side"));
            }
            Some('\\') => read.escape()?,
            Some(_) => read.plain(),
        }
    }
    let value = read.finish();
    cursor.skip(close);
    Ok(Kind::String { value, quotes })
}

/// Reads quoted text; it copies only from the first escape on.
struct Reader<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    /// The number of bytes left when the quoted text began.
    from: usize,
    value: Option<String>,
}

impl<'c, 'a> Reader<'c, 'a> {
    fn new(cursor: &'c mut Cursor<'a>) -> Self {
        Self { from: cursor.rest().len(), cursor, value: None }
    }

    /// The `length` bytes at the cursor.
    fn iri(&mut self, length: usize) -> Result<Cow<'a, str>, Fault> {
        while self.cursor.rest().len() > self.from - length {
            match self.cursor.peek() {
                Some('\\') if self.cursor.rest()[1..].starts_with(['u', 'U']) => self.escape()?,
                Some('\\') => return Err(self.cursor.spot().syntax("only \\u and \\U are escapes in an IRI")),
                _ => self.plain(),
            }
        }
        let value = self.finish();
        self.cursor.skip(">");
        Ok(value)
    }

    fn plain(&mut self) {
        if let (Some(c), Some(value)) = (self.cursor.bump(), &mut self.value) {
            value.push(c);
        }
    }

    fn finish(&mut self) -> Cow<'a, str> {
        match self.value.take() {
            Some(value) => Cow::Owned(value),
            None => Cow::Borrowed(self.cursor.behind(self.from)),
        }
    }

    /// ECHAR and UCHAR of the grammar.
    fn escape(&mut self) -> Result<(), Fault> {
        let spot = self.cursor.spot();
        let mut value = self.value.take().unwrap_or_else(|| self.cursor.behind(self.from).to_owned());
        self.cursor.bump();
        let c = match self.cursor.bump() {
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('f') => '\u{C}',
            Some(c @ ('\\' | '"' | '\'')) => c,
            Some('u') => self.code_point(4)?,
            Some('U') => self.code_point(8)?,
            _ => return Err(spot.syntax("an unknown escape")),
        };
        value.push(c);
        self.value = Some(value);
        Ok(())
    }

    fn code_point(&mut self, digits: u32) -> Result<char, Fault> {
        let spot = self.cursor.spot();
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.cursor.bump().and_then(|c| c.to_digit(16));
            code = code << 4 | digit.ok_or_else(|| spot.syntax(format!("expected {digits} hex digits")))?;
        }
        char::from_u32(code).ok_or_else(|| spot.syntax("an escape that names no character"))
    }
}
