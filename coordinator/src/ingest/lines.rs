//! Line-based formats on several threads: one at a time takes the next block off the input, all parse.
//!
//! ```text
//! input ─► [block 1 | lines from 1] ─► worker ─► batches
//!          [block 2 | lines from 20411] ─► worker ─► batches
//! ```
//!
//! Blocks are cut at line ends, so nothing in a block depends on another but the number of its first line, which is
//! known when the block is cut. Blocks are numbered in order; that is the order of their errors.

use super::Format;
use super::blank::BlankNames;
use super::line_parser::{LineFormat, count_line_ends, parse_each_line, parse_lines};
use super::outlet::{Job, Outlet, shortened};
use super::source::{Bytes, Source};
use entail_model::Fault;
use memchr::memrchr;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Whole lines of the input.
struct Block {
    /// Counted from one.
    order: u64,
    /// The number of its first line, counted from one.
    first_line: u64,
    text: Vec<u8>,
}

/// Cuts the input into blocks.
struct Blocks<B> {
    bytes: B,
    carry: Vec<u8>,
    order: u64,
    next_line: u64,
    is_end: bool,
}

impl<B: Bytes> Blocks<B> {
    fn new(bytes: B) -> Self {
        Self { bytes, carry: Vec::new(), order: 0, next_line: 1, is_end: false }
    }

    /// The next block; the last one may lack a line end.
    fn next(&mut self, job: &Job<'_>) -> Result<Option<Block>, Fault> {
        let limits = &job.request.limits;
        // Only what does not end within a block can be a line that is too long.
        let block_bytes = limits.block_bytes.min(limits.line_bytes);
        let mut text = std::mem::take(&mut self.carry);
        let mut can_cut = has_line_end(&text);
        while !(self.is_end || can_cut && text.len() >= block_bytes) {
            if !can_cut && text.len() > limits.line_bytes {
                let message = format!("a line of more than {} bytes", limits.line_bytes);
                return Err(job.limit(self.next_line, 1, message));
            }
            // A CR at the very end is looked at again: only the next byte tells whether it ends a line.
            let seen = text.len().saturating_sub(1);
            self.is_end = self.bytes.read_into(&mut text)? == 0;
            can_cut = can_cut || has_line_end(&text[seen..]);
        }
        // More than a block may have been read at once.
        let within = last_line_end(&text[..text.len().min(block_bytes)]);
        if within > 0 && text.len() > block_bytes {
            self.carry = text.split_off(within);
        } else if !self.is_end {
            self.carry = text.split_off(last_line_end(&text));
        }
        Ok((!text.is_empty()).then(|| self.numbered(text)))
    }

    fn numbered(&mut self, text: Vec<u8>) -> Block {
        let first_line = self.next_line;
        self.next_line += count_line_ends(&text);
        self.order += 1;
        Block { order: self.order, first_line, text }
    }
}

/// Is there a place to cut?
fn has_line_end(text: &[u8]) -> bool {
    last_line_end(text) > 0
}

/// Where the last line end ends; zero if there is none.
fn last_line_end(text: &[u8]) -> usize {
    if let Some(feed) = memrchr(b'\n', text) {
        return feed + 1;
    }
    // Without a single LF a CR ends a line, unless it is the last byte: an LF may follow.
    memrchr(b'\r', &text[..text.len().saturating_sub(1)]).map_or(0, |at| at + 1)
}

/// Parses a line-based format on the threads that the request gives it.
pub(super) fn parse(job: &Job<'_>, source: Source<'_>) {
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
        if parse_lines(&block.text, format, &mut outlet).is_err() {
            outlet.rollback(mark);
            parse_each_line(&block.text, format, &mut outlet, |bad| {
                let fault = Fault::new(bad.reason, shortened(bad.message)).at(block.first_line + bad.line, bad.column);
                job.log.malformed(block.order, fault.in_file(&job.request.file))
            });
        }
        if let Err(fault) = outlet.settle() {
            return job.log.fail(0, fault);
        }
    }
    // A load that failed hands on no more, but what it already has.
    if !job.log.is_stopped()
        && let Err(fault) = outlet.finish()
    {
        job.log.fail(0, fault);
    }
}

fn take_block<B: Bytes>(job: &Job<'_>, blocks: &Mutex<Blocks<B>>) -> Option<Block> {
    let mut blocks = blocks.lock().unwrap_or_else(PoisonError::into_inner);
    // Asked under the lock: whoever fails in an earlier block has taken it before this one.
    if job.log.is_stopped() {
        return None;
    }
    blocks.next(job).unwrap_or_else(|fault| {
        blocks.is_end = true;
        job.log.fail(blocks.order + 1, fault);
        None
    })
}
