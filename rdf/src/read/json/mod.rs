//! JSON-LD: the parser reads a sequence of small documents.
//!
//! A malformed document is parsed again part by part, so that the error has the position of its node object, and
//! skipping drops only that object. Remote contexts are never fetched.

mod number;
mod split;
mod text;

use crate::batch::blank::{BlankNames, random_label_at};
use crate::read::outlet::{Job, Outlet};
use crate::read::relative::explained;
use crate::read::source::Bytes;
use entail_model::{Fault, Reason};
use memchr::memmem;
use number::StandIns;
use oxrdfio::{JsonLdProfileSet, RdfFormat, RdfParser, RdfSyntaxError};
use split::{Document, LineColumn, Part, Splitter};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use text::JsonText;

/// Parses JSON-LD to its end.
///
/// # Errors
/// Errors that cannot be skipped: a limit, a remote context, an error of the input or the sink. Malformed places go to
/// the job's log.
pub(crate) fn parse(job: &Job<'_>, bytes: &mut dyn Bytes) -> Result<(), Fault> {
    let mut reader = Reader { job, outlet: Outlet::new(job, BlankNames::with_anonymous(job.request.blank_scope)) };
    let mut splitter = Splitter::new(JsonText::new(job, bytes), job.request.limits.object_bytes);
    match splitter.run(&mut |document| reader.document(&document)) {
        Err(fault) if fault.reason == Reason::Syntax => {
            // Malformed JSON cannot be cut, so the rest of the file is skipped.
            if !job.log.malformed(u64::MAX, fault) {
                return Ok(());
            }
            job.ended_early.store(true, Ordering::Relaxed);
        }
        result => result?,
    }
    if job.log.is_stopped() { Ok(()) } else { reader.outlet.finish() }
}

struct Reader<'j, 'a> {
    job: &'j Job<'a>,
    outlet: Outlet<'j, 'a>,
}

/// Why a document was refused.
enum Refused {
    /// It is malformed: at an offset of its text, or at an unknown place.
    Malformed { offset: Option<usize>, message: String },
    /// The load must end.
    Fatal(Fault),
}

impl Reader<'_, '_> {
    /// Pushes the facts of a document; returns whether to continue.
    fn document(&mut self, document: &Document) -> Result<bool, Fault> {
        // Anonymous nodes are never referenced outside of their top-level object.
        self.outlet.names().forget_but(None);
        declare_labels(&document.text, self.outlet.names());
        let mark = self.outlet.mark();
        let go_on = match self.text(&document.text) {
            Ok(()) => true,
            Err(Refused::Fatal(fault)) => return Err(fault),
            Err(Refused::Malformed { offset, message }) => {
                self.outlet.rollback(mark);
                self.each_part(document, offset, message)?
            }
        };
        self.outlet.settle()?;
        Ok(go_on)
    }

    /// Pushes the facts of the well-formed parts of a malformed document; the arguments have the position and reason,
    /// as far as known.
    fn each_part(&mut self, document: &Document, offset: Option<usize>, message: String) -> Result<bool, Fault> {
        if document.parts.len() < 2 {
            return Ok(self.malformed(document, &placed(document, offset), message));
        }
        let empty = [document.prefix(), document.suffix()].concat();
        if let Err(Refused::Malformed { offset, message }) = self.text(&empty) {
            // The error is in what the parts share: their context.
            let offset = offset.filter(|offset| *offset < document.prefix().len());
            return Ok(self.malformed(document, &shared_place(document, offset), message));
        }
        let mut found = false;
        for part in &document.parts {
            let text = [document.prefix(), &document.text[part.range.clone()], document.suffix()].concat();
            let mark = self.outlet.mark();
            match self.text(&text) {
                Ok(()) => {}
                Err(Refused::Fatal(fault)) => return Err(fault),
                Err(Refused::Malformed { offset, message }) => {
                    self.outlet.rollback(mark);
                    found = true;
                    let offset = offset.map(|offset| offset.saturating_sub(document.prefix().len()));
                    if !self.malformed(document, &place_in(document, part, offset), message) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(found || self.malformed(document, &placed(document, offset), message))
    }

    fn malformed(&self, document: &Document, place: &LineColumn, message: String) -> bool {
        self.job.log.malformed(document.order, self.job.syntax(place.0, place.1, message))
    }

    /// Pushes the facts of one text; the caller rolls them back if it is refused.
    fn text(&mut self, text: &[u8]) -> Result<(), Refused> {
        let fetched = Arc::new(Mutex::new(None));
        let asked = Arc::clone(&fetched);
        let mut parser = RdfParser::from_format(RdfFormat::JsonLd { profile: JsonLdProfileSet::empty() });
        if let Some(base) = &self.job.request.base_iri {
            parser = parser.with_base_iri(base.as_str()).map_err(|error| {
                Refused::Fatal(Fault::new(Reason::InvalidRequest, format!("the base is not an absolute IRI: {error}")))
            })?;
        }
        let (text, stand_ins) = number::replaced(text);
        let quads = parser.for_slice(&text).with_document_loader(move |iri| {
            *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(iri.to_owned());
            Err("it is not fetched".into())
        });
        for result in quads {
            let quad = result.map_err(|error| {
                let context = fetched.lock().unwrap_or_else(PoisonError::into_inner).take();
                let malformed = || self.malformed_text(&error, &stand_ins);
                context.map_or_else(malformed, |iri| Refused::Fatal(self.remote_context(&iri)))
            })?;
            let quad = stand_ins.restored(quad);
            self.outlet.push(quad.as_ref()).map_err(|fault| Refused::Fatal(fault.in_file(&self.job.request.file)))?;
            // If nothing is ever skipped, nothing is rolled back.
            if self.job.log.stops_at_first() {
                self.outlet.settle().map_err(Refused::Fatal)?;
            }
        }
        Ok(())
    }

    fn malformed_text(&self, error: &RdfSyntaxError, stand_ins: &StandIns) -> Refused {
        let message = error.to_string();
        // The parser's position is in the text, not in the file.
        let message =
            message.strip_prefix("Parser error ").and_then(|rest| rest.split_once(": ")).map_or(&*message, |it| it.1);
        let offset = error.location().map(|location| stand_ins.offset_before(location.start.offset as usize));
        Refused::Malformed { offset, message: explained(self.job.request.format, message, None) }
    }

    fn remote_context(&self, iri: &str) -> Fault {
        let message = format!("contexts are not fetched: put the content of {iri} into the file's @context");
        Fault::new(Reason::Unsupported, message).in_file(&self.job.request.file)
    }
}

/// Declares the labels in a text that look random, including labels with escapes.
fn declare_labels(text: &[u8], names: &mut BlankNames) {
    let mut declare = |text: &[u8]| {
        memmem::find_iter(text, b"_:")
            .filter_map(|at| random_label_at(&text[at + 2..]))
            .for_each(|label| names.declare(label));
    };
    declare(text);
    if memmem::find(text, b"\\u00").is_some() {
        declare(&unescaped(text));
    }
}

/// The text with its `\u00XX` escapes replaced by their bytes: sufficient to recognise labels.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memmem::find(rest, b"\\u00") {
        let digits = rest.get(at + 4..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        plain.extend_from_slice(&rest[..at]);
        plain.push(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(b' '));
        rest = &rest[(at + 6).min(rest.len())..];
    }
    plain.extend_from_slice(rest);
    plain
}

/// The position of an offset of a document's text, or of the document.
fn placed(document: &Document, offset: Option<usize>) -> LineColumn {
    let part = offset.and_then(|offset| document.parts.iter().rev().find(|part| part.range.start <= offset));
    match (part, document.parts.as_slice()) {
        (Some(part), _) | (None, [part]) if part.range.start >= document.anchor.0 => {
            place_in(document, part, offset.map(|offset| offset.saturating_sub(part.range.start)))
        }
        _ => shared_place(document, offset),
    }
}

/// The position of an offset of the text before the parts.
fn shared_place(document: &Document, offset: Option<usize>) -> LineColumn {
    let (start, place) = document.anchor;
    let end = offset.unwrap_or(start).clamp(start, document.text.len());
    after(&document.text[start..end], place)
}

/// The position of an offset of a part, or of the part.
fn place_in(document: &Document, part: &Part, offset: Option<usize>) -> LineColumn {
    let text = &document.text[part.range.clone()];
    after(&text[..offset.unwrap_or(0).min(text.len())], part.place)
}

fn after(text: &[u8], (line, column): LineColumn) -> LineColumn {
    let feeds = memchr::memchr_iter(b'\n', text).count() as u64;
    let last_line = memchr::memrchr(b'\n', text).map_or(text, |at| &text[at + 1..]);
    let characters = last_line.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
    if feeds == 0 { (line, column + characters) } else { (line + feeds, 1 + characters) }
}
