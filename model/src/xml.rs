//! XML 1.0 as far as writers of XML need it: which characters a document can contain, and carriage returns.

use std::io::{self, Write};

/// The first character of a text that no XML 1.0 document can contain, not even as a reference.
pub fn invalid_char(text: &str) -> Option<char> {
    // Bytes below 32, or those that U+FFFE and U+FFFF begin with.
    if !text.bytes().any(|byte| byte < 0x20 || byte == 0xef) {
        return None;
    }
    text.chars().find(|c| !is_char(*c))
}

/// The production `Char`.
pub fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// May a name without a prefix begin with this character (`NameStartChar` without the colon)?
pub fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

/// May a name without a prefix contain this character (`NameChar` without the colon)?
pub fn is_name_char(c: char) -> bool {
    is_name_start(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// A writer of XML that writes each carriage return as a reference, since readers take a plain one for a line feed.
///
/// Serializers write none outside of text and attributes, where a reference is allowed.
#[derive(Debug, Default)]
pub struct CarriageReturns<W> {
    inner: W,
}

impl<W: Write> CarriageReturns<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// The writer below.
    pub fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for CarriageReturns<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match bytes.iter().position(|byte| *byte == b'\r') {
            Some(0) => self.inner.write_all(b"&#xD;").map(|()| 1),
            Some(before) => self.inner.write(&bytes[..before]),
            None => self.inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_non_characters_are_invalid() {
        for text in ["", "a\t\r\n\u{7f}\u{85}\u{2028}\u{fffd}\u{ff01}\u{10ffff}"] {
            assert_eq!(invalid_char(text), None);
        }
        for bad in ['\0', '\u{1}', '\u{8}', '\u{b}', '\u{c}', '\u{e}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert_eq!(invalid_char(&format!("a\u{ff01}{bad}b")), Some(bad));
        }
    }

    #[test]
    fn carriage_returns_become_references() {
        let mut writer = CarriageReturns::new(Vec::new());
        writer.write_all(b"\ra\r\n\r\rb").expect("to memory");
        assert_eq!(writer.into_inner(), b"&#xD;a&#xD;\n&#xD;&#xD;b");
    }
}
