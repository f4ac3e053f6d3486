//! A light scan of Turtle and TriG ahead of the parser: finds the ends of statements and tokens.
//!
//! The parser gets whole statements, so it never stops in the middle of a long string and scans it again, and the
//! reader knows when anonymous blank nodes are out of scope. The scan also enforces limits that the parser lacks: the
//! length of a token, the depth of nesting.
//!
//! Invariant: on well-formed input, [`Scan::statement_end`] is the end of a statement. On malformed input it may be
//! anywhere, and a reader that stops at the first error does not rely on it.
//!
//! A scan that [recovers](Scan::recovering) cuts malformed input into [segments](super::recovery) too.

use crate::batch::blank::random_label_at;
use crate::batch::builder::{TRIPLE_DEPTH_MAX, too_deep};
use crate::read::turtle::recovery::{Recovery, Segment};
use entail_model::{Fault, Reason};
use memchr::memchr2;
use std::ops::Range;

/// The deepest nesting of brackets: each level costs the parser some state.
const NESTING_MAX: usize = 100_000;
/// The scan stops this far from the end of the buffered text, so that it can look ahead; the longest lookahead is a
/// label.
const LOOK_AHEAD: usize = 40;

/// The state of the scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Plain,
    Comment,
    Iri,
    /// A string on one line, by its quote.
    Short(u8),
    /// A string in three quotes.
    Long(u8),
}

/// The scan of a text that arrives piece by piece. Offsets are into the text that is still held.
pub(crate) struct Scan {
    within: Within,
    /// The offset up to which the text is scanned.
    at: usize,
    /// The start of the token, string or comment at `at`.
    token_start: usize,
    /// The offset after the last complete statement.
    statement_end: usize,
    /// The offset after the last complete token and the space after it.
    token_end: usize,
    brackets: usize,
    triples: usize,
    /// Is the byte before `at` a dot that may end a statement?
    after_dot: bool,
    /// Labels that only look random, and their offsets.
    labels: Vec<(usize, u128)>,
    term_bytes_max: usize,
    recovery: Option<Recovery>,
}

impl Scan {
    pub(crate) fn new(term_bytes_max: usize) -> Self {
        Self {
            within: Within::Plain,
            at: 0,
            token_start: 0,
            statement_end: 0,
            token_end: 0,
            brackets: 0,
            triples: 0,
            after_dot: false,
            labels: Vec::new(),
            term_bytes_max,
            recovery: None,
        }
    }

    /// A scan that cuts malformed text into segments.
    pub(crate) fn recovering(term_bytes_max: usize) -> Self {
        Self { recovery: Some(Recovery::default()), ..Self::new(term_bytes_max) }
    }

    /// Removes and returns the complete segments.
    pub(crate) fn take_segments(&mut self) -> Vec<Segment> {
        self.recovery.as_mut().map_or_else(Vec::new, |recovery| std::mem::take(&mut recovery.segments))
    }

    /// The rest of the text as a segment, at the end of the text.
    pub(crate) fn last_segment(&mut self, end: usize) -> Segment {
        self.recovery.get_or_insert_default().segment(end)
    }

    /// The offset after the brace that opens a graph in the incomplete segment.
    pub(crate) fn open_brace(&self) -> Option<usize> {
        self.recovery.as_ref().and_then(|recovery| recovery.opens)
    }

    /// The comments of the text that is held.
    pub(crate) fn comments(&self) -> &[Range<usize>] {
        self.recovery.as_ref().map_or(&[], |recovery| &recovery.comments)
    }

    /// The offset after the last complete statement, or zero.
    pub(crate) fn statement_end(&self) -> usize {
        self.statement_end
    }

    /// The offset after the last complete token and the space after it, or zero.
    pub(crate) fn token_end(&self) -> usize {
        self.token_end
    }

    /// Removes and returns the labels before `end` that look random.
    pub(crate) fn take_labels(&mut self, end: usize) -> impl Iterator<Item = u128> {
        let later = self.labels.partition_point(|(at, _)| *at < end);
        self.labels.drain(..later).map(|(_, label)| label)
    }

    /// The first `count` bytes of the text are no longer held.
    pub(crate) fn discard(&mut self, count: usize) {
        self.at -= count;
        self.token_start = self.token_start.saturating_sub(count);
        self.statement_end = self.statement_end.saturating_sub(count);
        self.token_end = self.token_end.saturating_sub(count);
        self.labels.iter_mut().for_each(|(at, _)| *at -= count);
        if let Some(recovery) = &mut self.recovery {
            recovery.discard(count);
        }
    }

    /// Continues the scan to the end of `text`, or nearly to the end if more text will follow.
    ///
    /// # Errors
    /// `LimitExceeded`, and the offset of the token beyond the limit.
    pub(crate) fn advance(&mut self, text: &[u8], is_end: bool) -> Result<(), (usize, Fault)> {
        let stop = if is_end { text.len() } else { text.len().saturating_sub(LOOK_AHEAD) };
        while self.at < stop {
            match self.within {
                Within::Plain => self.plain(text)?,
                Within::Comment => self.comment(text, stop, is_end),
                Within::Iri => self.one_line(text, stop, b'>'),
                Within::Short(quote) => self.one_line(text, stop, quote),
                Within::Long(quote) => self.long_string(text, stop, quote),
            }
            // An escape at the end of the text may extend past it.
            self.at = self.at.min(text.len());
            self.check_length()?;
        }
        Ok(())
    }

    fn check_length(&self) -> Result<(), (usize, Fault)> {
        if self.at - self.token_start <= self.term_bytes_max {
            return Ok(());
        }
        let what = match self.within {
            Within::Plain => "a token",
            Within::Comment => "a comment line",
            Within::Iri => "an IRI (is its > missing?)",
            Within::Short(_) | Within::Long(_) => "a string (is its closing quote missing?)",
        };
        let message = format!("{what} is longer than {} bytes", self.term_bytes_max);
        Err((self.token_start, Fault::new(Reason::LimitExceeded, message)))
    }

    fn comment(&mut self, text: &[u8], stop: usize, is_end: bool) {
        let found = memchr2(b'\n', b'\r', &text[self.at..stop]);
        let end = found.map_or(stop, |distance| self.at + distance);
        if let Some(recovery) = self.recovery.as_mut().filter(|_| found.is_some() || is_end) {
            recovery.comments.push(self.token_start..end);
        }
        self.at = end;
        if found.is_some() {
            self.back_to_plain(end);
        }
    }

    fn back_to_plain(&mut self, at: usize) {
        self.at = at;
        self.token_start = at;
        self.within = Within::Plain;
    }

    /// An IRI or a string that ends on its line, with its last character.
    fn one_line(&mut self, text: &[u8], stop: usize, last: u8) {
        let found = memchr2(last, b'\\', &text[self.at..stop]);
        let end = found.map_or(stop, |distance| self.at + distance);
        if self.recovery.is_some()
            && let Some(distance) = memchr2(b'\n', b'\r', &text[self.at..end])
        {
            return self.break_token(text, self.at + distance, last);
        }
        match found {
            None => self.at = stop,
            // The line may end after a backslash.
            Some(_) if text[end] == b'\\' && self.recovery.is_some() && is_line_end(text.get(end + 1)) => {
                self.at = end + 1;
            }
            Some(_) if text[end] == b'\\' => self.at = end + 2,
            Some(_) => self.back_to_plain(end + 1),
        }
    }

    /// Ends a token at the end of its line, and with it the statement, if the line looks like the end of one.
    fn break_token(&mut self, text: &[u8], line_end: usize, last: u8) {
        let what = if last == b'>' {
            "an IRI without its > on this line"
        } else {
            "a string without its closing quote on this line"
        };
        if let Some(recovery) = &mut self.recovery {
            recovery.broken.get_or_insert((self.token_start, what));
        }
        self.after_dot = text[self.token_start..line_end].trim_ascii_end().ends_with(b".");
        self.back_to_plain(line_end);
    }

    fn long_string(&mut self, text: &[u8], stop: usize, quote: u8) {
        match memchr2(quote, b'\\', &text[self.at..stop]) {
            None => self.at = stop,
            Some(distance) if text[self.at + distance] == b'\\' => self.at += distance + 2,
            Some(distance) if text[self.at + distance..].starts_with(&[quote; 3]) => {
                self.back_to_plain(self.at + distance + 3);
            }
            Some(distance) => self.at += distance + 1,
        }
    }

    fn plain(&mut self, text: &[u8]) -> Result<(), (usize, Fault)> {
        let rest = &text[self.at..];
        let after_dot = std::mem::take(&mut self.after_dot);
        let consumed = match rest[0] {
            b' ' | b'\t' | b'\n' | b'\r' => {
                self.end_token(after_dot, 1);
                1
            }
            b'#' => {
                self.end_token(after_dot, 0);
                self.enter(Within::Comment, 1)
            }
            quote @ (b'"' | b'\'') if rest.starts_with(&[quote; 3]) => self.enter(Within::Long(quote), 3),
            quote @ (b'"' | b'\'') => self.enter(Within::Short(quote), 1),
            b'<' if rest.starts_with(b"<<(") => {
                self.open_triple()?;
                3
            }
            b'<' if rest.starts_with(b"<<") => self.open(2)?,
            b'<' => self.enter(Within::Iri, 1),
            b'>' if rest.starts_with(b">>") => self.close(2),
            b')' if rest.starts_with(b")>>") => {
                self.triples = self.triples.saturating_sub(1);
                self.close(3)
            }
            b'(' | b'[' => self.open(1)?,
            b')' | b']' => self.close(1),
            b'{' if rest.starts_with(b"{|") => self.open(2)?,
            b'|' if rest.starts_with(b"|}") => self.close(2),
            b'{' if self.recovery.is_some() => {
                self.end_token(false, 1);
                self.recovery.get_or_insert_default().opens = Some(self.at + 1);
                1
            }
            b'}' => {
                self.end_token(true, 1);
                if let Some(last) = self.recovery.as_mut().and_then(|recovery| recovery.segments.last_mut()) {
                    last.closes = true;
                }
                1
            }
            // An escaped character in a local name: it ends nothing.
            b'\\' => 2,
            b'_' if rest.starts_with(b"_:") => {
                self.labels.extend(random_label_at(&rest[2..]).map(|label| (self.at, label)));
                2
            }
            b'.' => {
                self.after_dot = true;
                1
            }
            _ => plain_run(rest),
        };
        self.at += consumed;
        Ok(())
    }

    /// A token ended before this byte. A dot outside of brackets ended a statement.
    fn end_token(&mut self, after_dot: bool, width: usize) {
        self.token_end = self.at + width;
        self.token_start = self.at + width;
        if !after_dot {
            return;
        }
        if let Some(recovery) = &mut self.recovery {
            (self.brackets, self.triples) = (0, 0);
            let segment = recovery.segment(self.at + width);
            recovery.segments.push(segment);
        }
        if self.brackets == 0 {
            self.statement_end = self.at + width;
        }
    }

    fn enter(&mut self, within: Within, width: usize) -> usize {
        self.within = within;
        self.token_start = self.at;
        width
    }

    fn open(&mut self, width: usize) -> Result<usize, (usize, Fault)> {
        self.brackets += 1;
        if self.brackets > NESTING_MAX {
            let message = format!("brackets nested more than {NESTING_MAX} deep");
            return Err((self.at, Fault::new(Reason::LimitExceeded, message)));
        }
        Ok(width)
    }

    fn open_triple(&mut self) -> Result<(), (usize, Fault)> {
        self.open(3)?;
        self.triples += 1;
        if self.triples > TRIPLE_DEPTH_MAX { Err((self.at, too_deep())) } else { Ok(()) }
    }

    fn close(&mut self, width: usize) -> usize {
        self.brackets = self.brackets.saturating_sub(1);
        width
    }
}

fn is_line_end(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'\n' | b'\r'))
}

/// The number of bytes at the start of `rest` that the scan can skip; at least one.
fn plain_run(rest: &[u8]) -> usize {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b':' || **byte >= 0x80 || **byte == b'-';
    rest.iter().take_while(is_name).count().max(1)
}

#[cfg(test)]
mod tests;
