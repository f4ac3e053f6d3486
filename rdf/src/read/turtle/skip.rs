//! Turtle and TriG with malformed statements left out.
//!
//! ```text
//! text ─► scan: segments ─► all of them to one parser ─► facts
//!                                 └─ an error: drop them, then each segment to a parser of its own ─► facts | one error
//! ```
//! The parser's own way of going on after an error loses the statement after it, and in TriG the graph: facts of a named
//! graph would become facts of the default graph. So here every parser gets whole statements, and begins with the prefixes
//! and the base of the parser before it and, within a graph, with the text that opens the graph.
//!
//! Invariant: a malformed statement is one error and gives no fact, however the input was divided; only of a statement
//! of more than [`HELD_BYTES`] are the facts before the error kept.

use crate::batch::blank::BlankNames;
use crate::format::Format;
use crate::read::outlet::{Job, Outlet};
use crate::read::position::count_line_ends;
use crate::read::relative::explained;
use crate::read::source::Bytes;
use crate::read::turtle::parser::{Context, Statements};
use crate::read::turtle::place::{Origin, Place};
use crate::read::turtle::recovery::Segment;
use crate::read::turtle::scan::Scan;
use crate::read::turtle::{HELD_BYTES, graph_label, place_after, token_of};
use entail_model::{Fault, Reason};
use oxttl::TurtleSyntaxError;
use std::borrow::Cow;
use std::ops::Range;

/// Parses Turtle or TriG to its end, without the malformed statements.
///
/// # Errors
/// Errors that cannot be skipped: a limit, an error of the input or the sink. Malformed places go to the job's log.
pub(crate) fn parse(job: &Job<'_>, bytes: &mut dyn Bytes) -> Result<(), Fault> {
    let mut reader = Reader::new(job);
    let mut is_end = false;
    while !is_end {
        is_end = bytes.read_into(&mut reader.held)? == 0;
        reader.advance(is_end)?;
        if job.log.is_stopped() {
            return Ok(());
        }
    }
    reader.outlet.finish()
}

/// A statement that is passed to its parser in parts.
struct Long {
    parser: Statements,
    origin: Origin,
    /// Its first error was reported, and the rest is left out.
    failed: bool,
    /// The opening of the graph that it opens.
    opening: Option<Vec<u8>>,
}

struct Reader<'j, 'a> {
    job: &'j Job<'a>,
    outlet: Outlet<'j, 'a>,
    scan: Scan,
    context: Context,
    place: Place,
    long: Option<Long>,
    /// Was a whole graph left out just now, so that a dot after its brace belongs to it?
    after_lost: bool,
    /// Text that was read and not yet parsed.
    held: Vec<u8>,
    /// The position of the first byte of `held`, counted from zero.
    line: u64,
    column: u64,
}

impl<'j, 'a> Reader<'j, 'a> {
    fn new(job: &'j Job<'a>) -> Self {
        Self {
            job,
            outlet: Outlet::new(job, BlankNames::with_anonymous(job.request.blank_scope)),
            scan: Scan::recovering(job.request.limits.term_bytes),
            context: Context::of(&job.request),
            place: Place::Outside,
            long: None,
            after_lost: false,
            held: Vec::new(),
            line: 0,
            column: 0,
        }
    }

    fn advance(&mut self, is_end: bool) -> Result<(), Fault> {
        self.scan.advance(&self.held, is_end).map_err(|(offset, fault)| {
            let (line, column) = place_after(&self.held[..offset], self.line, self.column);
            fault.at(line + 1, column + 1).in_file(&self.job.request.file)
        })?;
        let segments = self.scan.take_segments();
        self.segments(&segments)?;
        if is_end {
            let end = self.held.len();
            let rest = self.scan.last_segment(end);
            for label in self.scan.take_labels(end) {
                self.outlet.names().declare(label);
            }
            self.segment(0, &rest, true)?;
            return self.discard(end);
        }
        if self.held.len() > HELD_BYTES && self.scan.token_end() > 0 {
            self.part(self.scan.token_end())?;
        }
        Ok(())
    }

    /// Parses complete segments at the start of the text.
    fn segments(&mut self, segments: &[Segment]) -> Result<(), Fault> {
        let Some(last) = segments.last() else { return Ok(()) };
        for label in self.scan.take_labels(last.end) {
            self.outlet.names().declare(label);
        }
        if self.long.is_some() || !self.all(segments)? {
            let mut start = 0;
            for segment in segments {
                if self.job.log.is_stopped() {
                    return Ok(());
                }
                self.segment(start, segment, false)?;
                start = segment.end;
            }
        }
        self.discard(last.end)?;
        // No statement is open, so no anonymous node can be referenced again, except the name of the graph.
        let kept = if let Place::Graph { label, .. } = self.place { label } else { None };
        self.outlet.names().forget_but(kept);
        Ok(())
    }

    fn discard(&mut self, count: usize) -> Result<(), Fault> {
        (self.line, self.column) = place_after(&self.held[..count], self.line, self.column);
        self.held.drain(..count);
        self.scan.discard(count);
        self.outlet.settle()
    }

    /// Parses all segments at once; returns false, and has done nothing, if one of them is malformed.
    fn all(&mut self, segments: &[Segment]) -> Result<bool, Fault> {
        let end = segments.last().map_or(0, |last| last.end);
        let is_plain = segments.iter().all(|segment| segment.broken.is_none());
        if !is_plain || matches!(self.place, Place::Lost) || std::str::from_utf8(&self.held[..end]).is_err() {
            return Ok(false);
        }
        let (place, context) = (self.place.clone(), self.context.clone());
        let mut after = place.clone();
        let mut start = 0;
        for segment in segments {
            after = self.after(&after, start, segment);
            start = segment.end;
        }
        let (mark, names) = (self.outlet.mark(), self.outlet.names().mark());
        let is_open = matches!(after, Place::Graph { .. });
        self.place = after;
        if self.run(&place, 0..end, is_open)?.is_none() {
            self.after_lost = false;
            return Ok(true);
        }
        (self.place, self.context) = (place, context);
        self.outlet.rollback(mark);
        self.outlet.names().rollback(names);
        Ok(false)
    }

    /// The place after a well-formed segment that begins at `start`.
    fn after(&self, before: &Place, start: usize, segment: &Segment) -> Place {
        if self.job.request.format != Format::TriG || segment.closes {
            return Place::Outside;
        }
        match segment.opens {
            Some(brace) => Place::Graph { opening: self.opening(start..brace), label: None },
            None => before.clone(),
        }
    }

    /// The text that opens a graph, without comments.
    fn opening(&self, range: Range<usize>) -> Vec<u8> {
        let mut text = self.without_comments(range).into_owned();
        text.push(b'\n');
        text
    }

    /// A range of the text, with spaces for its comments.
    fn without_comments(&self, range: Range<usize>) -> Cow<'_, [u8]> {
        let mut text = Cow::Borrowed(&self.held[range.clone()]);
        let within = |comment: &&Range<usize>| comment.start < range.end && comment.end > range.start;
        for comment in self.scan.comments().iter().filter(within) {
            let (from, to) = (comment.start.max(range.start) - range.start, comment.end.min(range.end) - range.start);
            text.to_mut()[from..to].fill(b' ');
        }
        text
    }

    /// Parses one segment by itself and reports its error.
    fn segment(&mut self, start: usize, segment: &Segment, is_last: bool) -> Result<(), Fault> {
        if let Some(long) = self.long.take() {
            return self.end_long(long, segment, is_last);
        }
        let has_opening = self.job.request.format == Format::TriG && segment.opens.is_some();
        if has_opening && matches!(self.place, Place::Graph { .. }) {
            self.report(start, "the graph before is not closed: its } is missing");
            self.place = Place::Outside;
        }
        if matches!(self.place, Place::Lost) && !has_opening {
            if segment.closes {
                (self.place, self.after_lost) = (Place::Outside, true);
            }
            return Ok(());
        }
        let after_lost = std::mem::take(&mut self.after_lost);
        let text = self.without_comments(start..segment.end);
        if after_lost && text.trim_ascii() == b"." {
            return Ok(());
        }
        let before = if has_opening { Place::Outside } else { self.place.clone() };
        let after = self.after(&before, start, segment);
        let malformed = match (segment.broken, std::str::from_utf8(&text)) {
            (Some(broken), _) => Some((broken.0, broken.1)),
            (None, Err(error)) => Some((start + error.valid_up_to(), "a byte that is not UTF-8")),
            (None, Ok(_)) => None,
        };
        if let Some((at, message)) = malformed {
            self.report(at, message);
            self.leave_out(&before, start, segment);
            return Ok(());
        }
        let (mark, names) = (self.outlet.mark(), self.outlet.names().mark());
        self.place = after;
        let is_open = !is_last && matches!(self.place, Place::Graph { .. });
        if let Some(fault) = self.run(&before, start..segment.end, is_open)? {
            self.outlet.rollback(mark);
            self.outlet.names().rollback(names);
            self.job.log.malformed(1, fault);
            self.leave_out(&before, start, segment);
        }
        Ok(())
    }

    /// Goes to the place after a malformed segment.
    fn leave_out(&mut self, before: &Place, start: usize, segment: &Segment) {
        self.after_lost = segment.closes;
        self.place = match (segment.opens, self.after(before, start, segment)) {
            (Some(brace), Place::Graph { opening, .. }) if segment.broken.is_none_or(|(at, _)| at >= brace) => {
                self.opened(opening)
            }
            (Some(_), Place::Graph { .. }) => Place::Lost,
            (_, after) => after,
        };
    }

    /// The place after the opening of a graph, which may be malformed.
    fn opened(&self, opening: Vec<u8>) -> Place {
        if std::str::from_utf8(&opening).is_ok() && self.context.opens_graph(&opening) {
            return Place::Graph { opening, label: None };
        }
        Place::Lost
    }

    /// Parses a range of the text; returns its first error. `is_open`: it ends within a graph.
    fn run(&mut self, place: &Place, range: Range<usize>, is_open: bool) -> Result<Option<Fault>, Fault> {
        let (mut parser, origin) = self.parser_at(place, range.start)?;
        parser.extend(&self.without_comments(range.clone()));
        parser.end_after(if is_open { b"\n}" } else { b"" });
        let error = self.drain(&mut parser)?;
        self.context = parser.context();
        Ok(error.map(|error| self.malformed(&error, origin, range.start)))
    }

    /// A parser in the context of this place, and where in the file it begins.
    fn parser_at(&self, place: &Place, start: usize) -> Result<(Statements, Origin), Fault> {
        let mut parser = Statements::in_context(self.job.request.format, &self.context)?;
        let opening = place.replay();
        parser.extend(&opening);
        let (line, column) = place_after(&self.held[..start], self.line, self.column);
        let (opening_lines, opening_bytes) = (count_line_ends(&opening), opening.len() as u64);
        Ok((parser, Origin { opening_lines, opening_bytes, line, column }))
    }

    /// Pushes the parser's facts up to its first error.
    fn drain(&mut self, parser: &mut Statements) -> Result<Option<TurtleSyntaxError>, Fault> {
        while let Some(result) = parser.next() {
            let quad = match result {
                Ok(quad) => quad,
                Err(error) => return Ok(Some(error)),
            };
            // An open graph has a fact, and it is the last one.
            if let Place::Graph { label, .. } = &mut self.place {
                *label = graph_label(&quad.graph_name);
            }
            if let Err(fault) = self.outlet.push(quad.as_ref()) {
                let fault = fault.in_file(&self.job.request.file);
                debug_assert!(fault.reason != Reason::Syntax, "what a parser made is well-formed");
                return Err(fault);
            }
        }
        Ok(None)
    }

    fn malformed(&self, error: &TurtleSyntaxError, origin: Origin, start: usize) -> Fault {
        let place = error.location().start;
        let token = token_of(error, &self.held[start..], origin.opening_bytes);
        let (line, column) = origin.place(place.line, place.column);
        self.job.syntax(line + 1, column + 1, explained(self.job.request.format, error.message(), token))
    }

    fn report(&self, at: usize, message: &str) {
        let (line, column) = place_after(&self.held[..at], self.line, self.column);
        self.job.log.malformed(1, self.job.syntax(line + 1, column + 1, message));
    }

    /// Passes the first part of a statement, or the next, to its parser.
    fn part(&mut self, count: usize) -> Result<(), Fault> {
        for label in self.scan.take_labels(count) {
            self.outlet.names().declare(label);
        }
        let mut long = match self.long.take() {
            Some(long) => long,
            None => {
                let (parser, origin) = self.parser_at(&self.place, 0)?;
                Long { parser, origin, failed: matches!(self.place, Place::Lost), opening: None }
            }
        };
        if let Some(brace) = self.scan.open_brace().filter(|brace| *brace > 0 && *brace <= count) {
            long.opening = Some(self.opening(0..brace));
        }
        self.long_part(&mut long, count)?;
        self.long = Some(long);
        self.discard(count)
    }

    fn long_part(&mut self, long: &mut Long, count: usize) -> Result<(), Fault> {
        if long.failed {
            return Ok(());
        }
        let text = self.without_comments(0..count);
        if let Err(error) = std::str::from_utf8(&text) {
            long.failed = true;
            self.report(error.valid_up_to(), "a byte that is not UTF-8");
            return Ok(());
        }
        long.parser.extend(&text);
        self.drain_long(long)
    }

    fn drain_long(&mut self, long: &mut Long) -> Result<(), Fault> {
        if let Some(error) = self.drain(&mut long.parser)? {
            long.failed = true;
            let place = error.location().start;
            let (line, column) = long.origin.place(place.line, place.column);
            let message = explained(self.job.request.format, error.message(), None);
            self.job.log.malformed(1, self.job.syntax(line + 1, column + 1, message));
        }
        Ok(())
    }

    /// Passes the last part of a statement to its parser.
    fn end_long(&mut self, mut long: Long, segment: &Segment, is_last: bool) -> Result<(), Fault> {
        if let Some((at, what)) = segment.broken.filter(|_| !long.failed) {
            long.failed = true;
            self.report(at, what);
        }
        self.long_part(&mut long, segment.end)?;
        let is_graph = self.job.request.format == Format::TriG;
        self.place = match long.opening.take() {
            _ if segment.closes || !is_graph => Place::Outside,
            Some(opening) if long.failed => self.opened(opening),
            Some(opening) => Place::Graph { opening, label: None },
            None => self.place.clone(),
        };
        if !long.failed {
            let is_open = !is_last && matches!(self.place, Place::Graph { .. });
            long.parser.end_after(if is_open { b"\n}" } else { b"" });
            self.drain_long(&mut long)?;
        }
        self.context = long.parser.context();
        Ok(())
    }
}
