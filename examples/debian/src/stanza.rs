//! Reads control files (`deb822(5)`): stanzas of `Field: value` lines, folded values, empty lines between stanzas.
//!
//! The reader streams. It keeps only the fields it was asked for, decodes only those, and never holds more than one
//! stanza. Lines are counted from one, and every fault carries its line.

use entail_model::{Fault, Reason};
use std::io::{BufRead, Read};

/// The longest line, in bytes; real control files have far shorter ones.
const LINE_BYTES_MAX: u64 = 4 << 20;
/// The longest kept value, folded lines together.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// One kept field of a stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name as requested from the reader, whatever capitals the file uses.
    pub name: &'static str,
    /// Without the white space around it; folded lines are joined by newlines.
    pub value: String,
    pub line: u64,
}

/// One paragraph of a control file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// Where it begins.
    pub line: u64,
    pub fields: Vec<Field>,
}

impl Stanza {
    /// The field of that name, if the stanza has it.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The value of that field, unless it is missing or empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.field(name).map(|field| field.value.as_str()).filter(|value| !value.is_empty())
    }
}

/// The kind of a line.
enum Line {
    Blank,
    Comment,
    Continuation,
    Field { name: Vec<u8>, value_start: usize },
}

/// The target of continuation lines.
enum Target {
    Nowhere,
    Ignored,
    Kept,
}

/// An iterator over the stanzas of one control file.
pub struct StanzaReader<R> {
    input: R,
    kept: &'static [&'static str],
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> StanzaReader<R> {
    /// Reads from `input` and keeps the fields named in `kept`.
    pub fn new(input: R, kept: &'static [&'static str]) -> Self {
        Self { input, kept, line: 0, buffer: Vec::new() }
    }

    /// The next stanza, or `None` at the end of the input.
    pub fn read(&mut self) -> Result<Option<Stanza>, Fault> {
        let mut stanza: Option<Stanza> = None;
        let mut target = Target::Nowhere;
        while self.read_line()? {
            match classify(&self.buffer).map_err(|why| self.fault(why))? {
                Line::Comment => {}
                Line::Blank if stanza.is_some() => return Ok(stanza),
                Line::Blank => {}
                Line::Continuation => match (&target, &mut stanza) {
                    (Target::Kept, Some(stanza)) => self.unfold(stanza)?,
                    (Target::Ignored, Some(_)) => {}
                    _ => return Err(self.fault("a folded line before any field")),
                },
                Line::Field { name, value_start } => {
                    let stanza = stanza.get_or_insert_with(|| Stanza { line: self.line, fields: Vec::new() });
                    target = self.begin_field(stanza, &name, value_start)?;
                }
            }
        }
        Ok(stanza)
    }

    fn begin_field(&self, stanza: &mut Stanza, name: &[u8], value_start: usize) -> Result<Target, Fault> {
        let Some(&name) = self.kept.iter().find(|kept| kept.as_bytes().eq_ignore_ascii_case(name)) else {
            return Ok(Target::Ignored);
        };
        if stanza.field(name).is_some() {
            return Err(self.fault(format!("the field `{name}` occurs twice in one stanza")));
        }
        let value = self.text_from(value_start)?.trim().to_owned();
        stanza.fields.push(Field { name, value, line: self.line });
        Ok(Target::Kept)
    }

    /// Appends the current line to the last field of the stanza.
    fn unfold(&self, stanza: &mut Stanza) -> Result<(), Fault> {
        let more = self.text_from(0)?.trim();
        let field = stanza.fields.last_mut().expect("a kept field was begun");
        if field.value.len() + more.len() > VALUE_BYTES_MAX {
            return Err(self.fault(format!("the field `{}` is longer than {VALUE_BYTES_MAX} bytes", field.name)));
        }
        field.value.push('\n');
        field.value.push_str(more);
        Ok(())
    }

    /// Reads one line without its end into the buffer; false at the end of the input.
    fn read_line(&mut self) -> Result<bool, Fault> {
        self.buffer.clear();
        self.line += 1;
        let mut limited = (&mut self.input).take(LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|error| self.fault_of(Reason::Corrupt, format!("cannot read on: {error}")))?;
        if read as u64 == LINE_BYTES_MAX && self.buffer.last() != Some(&b'\n') {
            return Err(self.fault(format!("a line of more than {LINE_BYTES_MAX} bytes")));
        }
        while matches!(self.buffer.last(), Some(b'\n' | b'\r')) {
            self.buffer.pop();
        }
        Ok(read > 0)
    }

    /// The current line from this byte on.
    fn text_from(&self, start: usize) -> Result<&str, Fault> {
        std::str::from_utf8(&self.buffer[start..]).map_err(|error| {
            let column = start + error.valid_up_to() + 1;
            self.fault("not valid UTF-8").at(self.line, column as u64)
        })
    }

    fn fault(&self, why: impl Into<String>) -> Fault {
        self.fault_of(Reason::Syntax, why)
    }

    fn fault_of(&self, reason: Reason, why: impl Into<String>) -> Fault {
        Fault::new(reason, why).at(self.line, 1)
    }
}

fn classify(line: &[u8]) -> Result<Line, &'static str> {
    match line.first() {
        None => Ok(Line::Blank),
        Some(b'#') => Ok(Line::Comment),
        Some(b' ' | b'\t') if line.iter().all(u8::is_ascii_whitespace) => Ok(Line::Blank),
        Some(b' ' | b'\t') => Ok(Line::Continuation),
        Some(_) => {
            let colon = line.iter().position(|&byte| byte == b':').ok_or("a line without a field name and a colon")?;
            let name = line[..colon].trim_ascii_end().to_vec();
            if name.is_empty() || name[0] == b'-' || !name.iter().all(u8::is_ascii_graphic) {
                return Err("a field name that is empty, begins with `-` or has other than printable characters");
            }
            Ok(Line::Field { name, value_start: colon + 1 })
        }
    }
}

impl<R: BufRead> Iterator for StanzaReader<R> {
    type Item = Result<Stanza, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &[&str] = &["Package", "Depends", "Description"];

    fn read(text: &[u8]) -> Result<Vec<Stanza>, Fault> {
        StanzaReader::new(text, KEPT).collect()
    }

    #[test]
    fn stanzas_fields_and_folded_lines() {
        let text = b"\n\n# a comment\nPackage: one\nX-Other: ignored\n folded and ignored \xff\ndepends: a,\n b |\n\tc\n \nPackage:two\r\nDescription: x\r\n .\r\n y";
        let stanzas = read(text).unwrap();
        assert_eq!(stanzas.iter().map(|stanza| stanza.line).collect::<Vec<_>>(), [4, 11]);
        assert_eq!(stanzas[0].value("Depends"), Some("a,\nb |\nc"));
        assert_eq!(stanzas[0].field("Depends").unwrap().line, 7);
        assert_eq!(stanzas[0].fields.len(), 2);
        assert_eq!(stanzas[1].value("Package"), Some("two"));
        assert_eq!(stanzas[1].value("Description"), Some("x\n.\ny"));
    }

    #[test]
    fn nothing_gives_nothing() {
        for text in [&b""[..], b"\n\n  \n", b"# only a comment\n"] {
            assert_eq!(read(text).unwrap(), []);
        }
    }

    #[test]
    fn broken_stanzas_are_refused_with_their_line() {
        for (text, line, column) in [
            (&b"Package: a\n\n folded\n"[..], 3, 1),
            (b" folded\n", 1, 1),
            (b"Package: a\nno colon here\n", 2, 1),
            (b"Package: a\nPackage: b\n", 2, 1),
            (b"Package: a\n: empty\n", 2, 1),
            (b"-Package: a\n", 1, 1),
            (b"Pack age: a\n", 1, 1),
            (b"Package: a\xff\n", 1, 11),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.reason, Reason::Syntax);
            let position = fault.position.unwrap();
            assert_eq!((position.line, position.column), (line, column), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn endless_lines_are_refused() {
        let mut text = b"Package: ".to_vec();
        text.resize(LINE_BYTES_MAX as usize + 1, b'a');
        assert_eq!(read(&text).unwrap_err().reason, Reason::Syntax);
    }
}
