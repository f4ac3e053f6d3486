//! The input of an XML document, cut into text and markup, with positions.
//!
//! Invariant: every line end of the input is a line feed here, as XML demands.

use crate::read::source::Bytes;
use crate::read::xml::markup::is_special;
use entail_model::Fault;

/// A position in the file, counted from one.
pub(crate) type LineColumn = (u64, u64);

/// The kinds of markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup {
    Comment,
    Instruction,
    CData,
    DocumentType,
    End,
    Start,
}

/// How a piece was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Whole,
    /// The input ends within the piece.
    Cut,
    /// The piece is too long, and was not taken.
    TooLong,
}

/// The input and the current piece of it.
pub(crate) struct Input<B> {
    bytes: B,
    bytes_max: usize,
    held: Vec<u8>,
    start: usize,
    end: usize,
    /// The position after the current piece.
    place: LineColumn,
    /// Has the current piece nothing that XML may forbid?
    is_plain: bool,
    /// Was the last byte of the input a carriage return, which was replaced?
    after_return: bool,
    is_end: bool,
}

impl<B: Bytes> Input<B> {
    /// An input whose pieces have at most so many bytes.
    pub(crate) fn new(bytes: B, bytes_max: usize) -> Self {
        let held = Vec::new();
        let (place, is_plain) = ((1, 1), true);
        Self { bytes, bytes_max, held, start: 0, end: 0, place, is_plain, after_return: false, is_end: false }
    }

    /// The current piece.
    pub(crate) fn piece(&self) -> &[u8] {
        &self.held[self.start..self.end]
    }

    /// The current piece, to be changed in place.
    pub(crate) fn piece_mut(&mut self) -> &mut [u8] {
        &mut self.held[self.start..self.end]
    }

    /// Has the current piece nothing that [`check_characters`](super::markup::check_characters) might refuse?
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The position after the current piece.
    pub(crate) fn place(&self) -> LineColumn {
        self.place
    }

    /// Takes text and the `<` after it; at the end of the input there is none.
    ///
    /// # Errors
    /// Errors of the input.
    pub(crate) fn take_text(&mut self) -> Result<Taken, Fault> {
        self.take(|text, from| memchr::memchr(b'<', &text[from..]).map(|at| from + at + 1))
    }

    /// Takes markup after its `<`, or what there is of it at the end of the input.
    ///
    /// # Errors
    /// Errors of the input.
    pub(crate) fn take_markup(&mut self) -> Result<Taken, Fault> {
        self.take(markup_len)
    }

    /// Takes a piece of the length that `find` finds in the text, of which it knows the beginning.
    fn take(&mut self, find: impl Fn(&[u8], usize) -> Option<usize>) -> Result<Taken, Fault> {
        let mut from = 0;
        let (length, taken) = loop {
            let text = &self.held[self.end..];
            if let Some(length) = find(text, from) {
                break (length, Taken::Whole);
            }
            if text.len() > self.bytes_max {
                return Ok(Taken::TooLong);
            }
            from = text.len();
            self.held.drain(..self.end);
            (self.start, self.end) = (0, 0);
            if self.is_end || self.bytes.read_into(&mut self.held)? == 0 {
                self.is_end = true;
                break (self.held.len(), Taken::Cut);
            }
            self.normalize_line_ends(from);
        };
        (self.start, self.end) = (self.end, self.end + length);
        let survey = Survey::of(self.piece());
        self.is_plain = !survey.has_special;
        self.place = match survey.has_feed {
            true => after(self.piece(), self.place),
            false => (self.place.0, self.place.1 + survey.characters),
        };
        Ok(taken)
    }

    /// Replaces each line end after an offset of the input by a line feed.
    fn normalize_line_ends(&mut self, from: usize) {
        if !self.after_return && memchr::memchr(b'\r', &self.held[from..]).is_none() {
            return;
        }
        let mut to = from;
        for at in from..self.held.len() {
            let byte = self.held[at];
            let is_second = byte == b'\n' && self.after_return;
            self.after_return = byte == b'\r';
            if !is_second {
                self.held[to] = if byte == b'\r' { b'\n' } else { byte };
                to += 1;
            }
        }
        self.held.truncate(to);
    }
}

/// The kind of a piece of markup.
pub(crate) fn kind_of(markup: &[u8]) -> Markup {
    match markup {
        [b'!', b'-', b'-', ..] => Markup::Comment,
        [b'!', ..] if markup.starts_with(b"![CDATA[") => Markup::CData,
        [b'!', ..] => Markup::DocumentType,
        [b'?', ..] => Markup::Instruction,
        [b'/', ..] => Markup::End,
        _ => Markup::Start,
    }
}

/// The text of a CDATA section.
pub(crate) fn section(markup: &[u8]) -> &[u8] {
    markup.strip_prefix(b"![CDATA[").and_then(|text| text.strip_suffix(b"]]>")).unwrap_or_default()
}

/// The length of markup including the `>` that ends it, if that is buffered; nothing before `from` ends it.
///
/// `text` begins after the `<`. A `>` within quotes ends no tag, one within a comment ends no comment.
pub(crate) fn markup_len(text: &[u8], from: usize) -> Option<usize> {
    let terminated_by = |end: &[u8], start: usize| {
        let start = start.max(from.saturating_sub(end.len())).min(text.len());
        memchr::memmem::find(&text[start..], end).map(|at| start + at + end.len())
    };
    if text.starts_with(b"!--") {
        terminated_by(b"-->", 3)
    } else if text.starts_with(b"![CDATA[") {
        terminated_by(b"]]>", 8)
    } else if text.starts_with(b"?") {
        terminated_by(b"?>", 1)
    } else if text.len() < 9 && text.starts_with(b"!") && !text.contains(&b'>') {
        None
    } else if text.starts_with(b"!") {
        doctype_len(text)
    } else {
        tag_len(text)
    }
}

fn tag_len(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr3(b'>', b'"', b'\'', &text[at..])?;
        let found = text[at];
        at += 1;
        if found == b'>' {
            return Some(at);
        }
        at += memchr::memchr(found, &text[at..])? + 1;
    }
}

fn doctype_len(text: &[u8]) -> Option<usize> {
    // The parser counts angle brackets, so the reader does too.
    let mut open = 1usize;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'<' => open += 1,
            b'>' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// What one pass over a piece finds; it takes many bytes at a time, since it does not stop.
#[derive(Debug, PartialEq, Eq)]
struct Survey {
    /// Is there a byte that may be or begin what XML forbids?
    has_special: bool,
    has_feed: bool,
    characters: u64,
}

impl Survey {
    fn of(text: &[u8]) -> Self {
        let mut survey = Self { has_special: false, has_feed: false, characters: 0 };
        // So few bytes that a byte can count them.
        for part in text.chunks(128) {
            let (mut special, mut feed, mut characters) = (false, false, 0u8);
            for byte in part {
                special |= is_special(*byte);
                feed |= *byte == b'\n';
                characters += u8::from(*byte & 0xc0 != 0x80);
            }
            survey.has_special |= special;
            survey.has_feed |= feed;
            survey.characters += u64::from(characters);
        }
        survey
    }
}

/// The position after `text` that begins at this position; columns count characters.
pub(crate) fn after(text: &[u8], (line, column): LineColumn) -> LineColumn {
    let characters = |text: &[u8]| text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
    // Most texts between tags are a few blanks.
    let last = match text.len() < 32 {
        true => text.iter().rposition(|byte| *byte == b'\n'),
        false => memchr::memrchr(b'\n', text),
    };
    match last {
        None => (line, column + characters(text)),
        Some(last) => {
            let feeds = memchr::memchr_iter(b'\n', &text[..last]).count() as u64 + 1;
            (line + feeds, 1 + characters(&text[last + 1..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_tag_ends_at_the_first_bracket_outside_of_quotes(text in "[a>\"' =]{0,20}") {
            let mut quote = None;
            let is_end = |byte: u8| {
                match (quote, byte) {
                    (None, b'"' | b'\'') => quote = Some(byte),
                    (Some(open), byte) if open == byte => quote = None,
                    _ => {}
                }
                byte == b'>' && quote.is_none()
            };
            let expected = text.bytes().position(is_end).map(|at| at + 1);
            prop_assert_eq!(tag_len(text.as_bytes()), expected);
        }

        #[test]
        fn places_count_lines_and_characters(text in "[aä\n\u{1F600}]{0,12}") {
            let count = |(line, column): LineColumn, character| match character {
                '\n' => (line + 1, 1),
                _ => (line, column + 1),
            };
            prop_assert_eq!(after(text.as_bytes(), (3, 7)), text.chars().fold((3, 7), count));
        }

        #[test]
        fn a_survey_sees_every_byte(text in "[aä\n\u{1F600}&\u{1}]{0,3}a{0,150}[aä\n\u{fffe}\t]{0,200}") {
            let is_special = |byte: u8| byte == b'&' || byte == 0xef || byte < 0x20 && !b"\t\n\r".contains(&byte);
            let expected = Survey {
                has_special: text.bytes().any(is_special),
                has_feed: text.contains('\n'),
                characters: text.chars().count() as u64,
            };
            prop_assert_eq!(Survey::of(text.as_bytes()), expected);
        }
    }
}
