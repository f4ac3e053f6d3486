//! The segments of malformed Turtle and TriG: what the [scan](super::scan) knows of them.
//!
//! An error does not reach into the next statement: a string or an IRI ends at the end of its line, whatever brackets are open a
//! dot before white space ends the statement, and so does a brace. None of this changes the cuts in well-formed input.

use std::ops::Range;

/// A statement, or what should be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The offset after it; it begins at the end of the segment before.
    pub(crate) end: usize,
    /// The offset after the brace that opens a graph in it.
    pub(crate) opens: Option<usize>,
    /// Does it end with the brace that closes a graph?
    pub(crate) closes: bool,
    /// The offset of a token that does not end on its line, and what it is.
    pub(crate) broken: Option<(usize, &'static str)>,
}

/// The segments and comments of the text that is held, and the beginning of the next segment.
#[derive(Default)]
pub(super) struct Recovery {
    pub(super) segments: Vec<Segment>,
    pub(super) comments: Vec<Range<usize>>,
    /// Of the segment that is not complete.
    pub(super) opens: Option<usize>,
    pub(super) broken: Option<(usize, &'static str)>,
}

impl Recovery {
    /// Completes a segment.
    pub(super) fn segment(&mut self, end: usize) -> Segment {
        Segment { end, opens: self.opens.take(), closes: false, broken: self.broken.take() }
    }

    /// The first `count` bytes of the text are no longer held.
    pub(super) fn discard(&mut self, count: usize) {
        self.comments.retain_mut(|comment| {
            *comment = comment.start.saturating_sub(count)..comment.end.saturating_sub(count);
            comment.end > 0
        });
        self.opens = self.opens.map(|at| at.saturating_sub(count));
        self.broken = self.broken.map(|(at, what)| (at.saturating_sub(count), what));
    }
}
