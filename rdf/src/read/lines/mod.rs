//! Line-based formats on several threads: one thread at a time takes the next block off the input, all parse.
//!
//! ```text
//! input ─► [block 1 | lines from 1] ─► worker ─► batches
//!          [block 2 | lines from 20411] ─► worker ─► batches
//! ```
//!
//! Blocks are cut at line ends, so blocks are independent except for the number of their first line, which is
//! known when the block is cut. Blocks are numbered in order, which is also the order of their errors.
//!
//! A block is a piece of the input, not copied; only the line that two pieces share is copied.

mod parser;
mod plain;

use crate::batch::blank::BlankNames;
use crate::format::Format;
use crate::read::outlet::{Job, Outlet, shortened};
use crate::read::position::count_line_ends;
use crate::read::source::{Bytes, Source};
use bytes::Bytes as Piece;
use entail_model::Fault;
use memchr::{memchr, memrchr};
use parser::{parse_each_line, parse_lines};
use plain::LineFormat;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Whole lines of the input.
struct Block {
    /// Counted from one.
    order: u64,
    /// The number of its first line, counted from one.
    first_line: u64,
    /// The line that began in the previous piece, with its end; often several lines, if lines end with a CR.
    head: Vec<u8>,
    text: Piece,
}

/// Cuts the input into blocks.
struct Blocks<B> {
    bytes: B,
    /// The rest of the current piece.
    rest: Piece,
    /// The beginning of a line.
    carry: Vec<u8>,
    order: u64,
    next_line: u64,
    is_end: bool,
}

impl<B: Bytes> Blocks<B> {
    fn new(bytes: B) -> Self {
        Self { bytes, rest: Piece::new(), carry: Vec::new(), order: 0, next_line: 1, is_end: false }
    }

    /// The next block; the last one may lack a line end.
    fn next(&mut self, job: &Job<'_>) -> Result<Option<Block>, Fault> {
        let limits = &job.request.limits;
        let block_bytes = limits.block_bytes.min(limits.line_bytes);
        while !self.is_end {
            if self.rest.is_empty() {
                self.rest = self.bytes.piece()?;
                self.is_end = self.rest.is_empty();
                continue;
            }
            let mut text = self.rest.split_to(block_bytes.min(self.rest.len()));
            let cut = last_line_end(&text);
            let carry = text.split_off(cut);
            if cut > 0 {
                let head = self.finish_carry(&mut text);
                self.carry.extend_from_slice(&carry);
                return Ok(Some(self.numbered(head, text)));
            }
            // Only the byte after a CR determines whether it ends a line; an LF would have been a place to cut.
            if self.carry.ends_with(b"\r") {
                let head = std::mem::take(&mut self.carry);
                self.carry.extend_from_slice(&carry);
                return Ok(Some(self.numbered(head, Piece::new())));
            }
            self.carry.extend_from_slice(&carry);
            if self.carry.len() > limits.line_bytes {
                let message = format!("a line of more than {} bytes", limits.line_bytes);
                return Err(job.limit(self.next_line, 1, message));
            }
        }
        let head = std::mem::take(&mut self.carry);
        Ok((!head.is_empty()).then(|| self.numbered(head, Piece::new())))
    }

    /// The unfinished line, completed with the beginning of the text, which is removed there.
    fn finish_carry(&mut self, text: &mut Piece) -> Vec<u8> {
        let mut head = std::mem::take(&mut self.carry);
        if !head.is_empty() {
            let end = first_line_end(text);
            head.extend_from_slice(&text.split_to(end));
        }
        head
    }

    fn numbered(&mut self, head: Vec<u8>, text: Piece) -> Block {
        let first_line = self.next_line;
        self.next_line += count_line_ends(&head) + count_line_ends(&text);
        self.order += 1;
        Block { order: self.order, first_line, head, text }
    }
}

/// The offset after the last line end; zero if there is none.
fn last_line_end(text: &[u8]) -> usize {
    if let Some(feed) = memrchr(b'\n', text) {
        return feed + 1;
    }
    // Without a single LF a CR ends a line, unless it is the last byte: an LF may follow.
    memrchr(b'\r', &text[..text.len().saturating_sub(1)]).map_or(0, |at| at + 1)
}

/// The offset after the first line end, in a text that has one.
fn first_line_end(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or_else(|| last_line_end(text), |feed| feed + 1)
}

/// Parses a line-based format on the threads that the request gives it.
pub(crate) fn parse(job: &Job<'_>, source: &mut Source<'_>) {
    let blocks = Mutex::new(Blocks::new(source));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..job.request.threads.max(1)).map(|_| scope.spawn(|| work(job, &blocks))).collect();
        for worker in workers {
            if worker.join().is_err() {
                job.log.fail(0, job.defect());
            }
        }
    });
}

fn work<B: Bytes>(job: &Job<'_>, blocks: &Mutex<Blocks<B>>) {
    let format = if job.request.format == Format::NQuads { LineFormat::NQuads } else { LineFormat::NTriples };
    let mut outlet = Outlet::new(job, BlankNames::labelled(job.request.blank_scope));
    while let Some(block) = take_block(job, blocks) {
        let mark = outlet.mark();
        let parts = [&block.head[..], &block.text];
        if parts.iter().any(|part| parse_lines(part, format, &mut outlet).is_err()) {
            outlet.rollback(mark);
            parse_each_line(&parts.concat(), format, &mut outlet, |bad| {
                let fault = Fault::new(bad.reason, shortened(bad.message)).at(block.first_line + bad.line, bad.column);
                job.log.malformed(block.order, fault.in_file(&job.request.file))
            });
        }
        if let Err(fault) = outlet.settle() {
            return job.log.fail(0, fault);
        }
    }
    // A failed load takes no more blocks, but finishes those that it has.
    if !job.log.is_stopped()
        && let Err(fault) = outlet.finish()
    {
        job.log.fail(0, fault);
    }
}

fn take_block<B: Bytes>(job: &Job<'_>, blocks: &Mutex<Blocks<B>>) -> Option<Block> {
    let mut blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
    // Checked under the lock: a thread that fails in an earlier block has taken it before this one.
    if job.log.is_stopped() {
        return None;
    }
    blocks.next(job).unwrap_or_else(|fault| {
        blocks.is_end = true;
        job.log.fail(blocks.order + 1, fault);
        None
    })
}
