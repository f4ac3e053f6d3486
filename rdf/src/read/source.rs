//! The input as decoded bytes: counted, decompressed, without a byte order mark.
//!
//! ```text
//! input ──► count ──► gunzip | unzstd | as is ──► strip BOM ──► pieces
//! ```
//! Uncompressed input is passed on without a copy. The beginning of the text is looked at when a source is opened, so that
//! a web page is not parsed as RDF.

use crate::format::{Compression, Format};
use crate::read::page::is_page;
use crate::request::Progress;
use bytes::{Buf, Bytes as Piece, BytesMut};
use entail_model::{Fault, Reason};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

/// The largest chunk that is passed on.
const PIECE_BYTES: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The largest beginning of a text that is searched for the start of a web page.
const PAGE_BYTES_MAX: usize = 4 << 10;
/// The largest rest of a compressed input that is decompressed only to find damage in it.
const DAMAGE_BYTES_MAX: u64 = 256 << 20;

/// The source of an input, piece by piece.
pub trait Input: Send {
    /// The next piece; an empty one is the end.
    ///
    /// # Errors
    /// An error of the input; a [`Fault`] inside it is reported unchanged.
    fn piece(&mut self) -> io::Result<Piece>;
}

impl<R: Read + Send> Input for R {
    fn piece(&mut self) -> io::Result<Piece> {
        let mut buffer = vec![0; PIECE_BYTES];
        let count = read_some(self, &mut buffer)?;
        buffer.truncate(count);
        Ok(buffer.into())
    }
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A source of decoded bytes.
pub(crate) trait Bytes {
    /// The next bytes, a limited number at a time; none at the end.
    ///
    /// # Errors
    /// Errors of the input, or `InvalidRequest` for data that does not decompress.
    fn piece(&mut self) -> Result<Piece, Fault>;

    /// Appends the next bytes to `buffer` and returns their number; zero is the end.
    ///
    /// # Errors
    /// As for [`piece`](Self::piece).
    fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Fault> {
        let piece = self.piece()?;
        buffer.extend_from_slice(&piece);
        Ok(piece.len())
    }
}

/// The bytes of one input, decompressed.
pub(crate) struct Source<'a> {
    decoder: Decoder<'a>,
    file: String,
    compression: Compression,
    failure: Failure,
    decoded: Arc<AtomicU64>,
    /// The beginning of the text, until it is taken.
    first: Option<Piece>,
    /// The error of the decompressor.
    damage: Option<Fault>,
    is_end: bool,
}

enum Decoder<'a> {
    None(Box<dyn Plain + 'a>),
    Some(Box<dyn Read + Send + 'a>),
}

/// The first error of the input itself, as opposed to errors of the decoder.
type Failure = Arc<Mutex<Option<Fault>>>;

/// The number of bytes read and of bytes decoded, also after the source has moved to another thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) read: Arc<AtomicU64>,
    pub(crate) decoded: Arc<AtomicU64>,
}

impl<'a> Source<'a> {
    /// Opens an input and decodes its beginning. Without a `compression`, the first bytes determine it.
    ///
    /// # Errors
    /// Errors of the input when its first bytes are read, and `InvalidRequest` if they are not of that compression.
    pub(crate) fn open(
        input: impl Input + 'a,
        file: &str,
        compression: Option<Compression>,
        progress: Arc<Progress>,
        counts: &Counts,
    ) -> Result<Self, Fault> {
        let failure = Failure::default();
        let (read, of_input) = (Arc::clone(&counts.read), Arc::clone(&failure));
        let mut input = Counted { inner: input, progress, read, failure: of_input, current: Piece::new() };
        let peeked = input.gather(4);
        peeked.map_err(|error| taken(&failure).unwrap_or_else(|| read_fault(file, error)))?;
        let found = Compression::from_content(&input.current);
        let compression = compression.unwrap_or(found);
        if compression != found && compression != Compression::None {
            let what = if input.current.is_empty() { "is empty" } else { "begins differently" };
            let message = format!("this is not {compression} data: the file {what}");
            return Err(Fault::new(Reason::InvalidRequest, message).in_file(file));
        }
        let decoder = decoder(input, compression).map_err(|error| read_fault(file, error))?;
        let (file, decoded) = (file.to_owned(), Arc::clone(&counts.decoded));
        let mut source =
            Self { decoder, file, compression, failure, decoded, first: None, damage: None, is_end: false };
        source.first = Some(source.beginning()?);
        Ok(source)
    }

    /// Refuses a web page, which servers send in place of a missing file.
    ///
    /// # Errors
    /// `Syntax` for a text that begins as HTML.
    pub(crate) fn refuse_pages(&self, format: Format) -> Result<(), Fault> {
        if self.first.as_ref().and_then(|first| is_page(first)) != Some(true) {
            return Ok(());
        }
        let message = format!("this is a web page (HTML), not {format}: was it downloaded from the wrong address?");
        Err(Fault::new(Reason::Syntax, message).at(1, 1).in_file(&self.file))
    }

    /// The fault to report for a fault of the parser: if the compressed data is damaged, that is the cause.
    pub(crate) fn cause_of(&mut self, fault: Fault) -> Fault {
        if !matches!(fault.reason, Reason::Syntax | Reason::LimitExceeded) {
            return fault;
        }
        let Some(mut damage) = self.find_damage() else { return fault };
        if let Some(place) = fault.position.filter(|place| place.line > 0) {
            damage.message += &format!("; the text is malformed from {}:{} on", place.line, place.column);
        }
        damage
    }

    /// Reads on, up to a limit, and returns the error of the decompressor.
    fn find_damage(&mut self) -> Option<Fault> {
        let start = self.decoded.load(Ordering::Relaxed);
        while self.is_compressed() && self.damage.is_none() && !self.is_end {
            let has_more = self.decode().is_ok_and(|piece| !piece.is_empty());
            if !has_more || self.decoded.load(Ordering::Relaxed) - start > DAMAGE_BYTES_MAX {
                break;
            }
        }
        self.damage.clone()
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    fn decode(&mut self) -> Result<Piece, Fault> {
        let result = match &mut self.decoder {
            Decoder::None(input) => input.next(PIECE_BYTES),
            Decoder::Some(reader) => reader.piece(),
        };
        let piece = result.map_err(|error| self.fault(&error))?;
        self.is_end = piece.is_empty();
        self.decoded.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok(piece)
    }

    fn fault(&mut self, error: &io::Error) -> Fault {
        self.is_end = true;
        if let Some(fault) = taken(&self.failure) {
            return fault;
        }
        let (compression, bytes) = (self.compression, self.decoded.load(Ordering::Relaxed));
        let what = match error.kind() {
            ErrorKind::UnexpectedEof => "is truncated: it ends too early".to_owned(),
            _ => format!("is damaged: {error}"),
        };
        let message = format!("the {compression} data {what}; {bytes} bytes of text were read before");
        // Data of a caller, which says nothing of what Entail stores.
        let fault = Fault::new(Reason::InvalidRequest, message).in_file(&self.file);
        self.damage = Some(fault.clone());
        fault
    }

    /// The first piece, without a byte order mark, and long enough to recognise a web page.
    fn beginning(&mut self) -> Result<Piece, Fault> {
        let mut first = self.decode()?;
        while !self.is_end && BYTE_ORDER_MARK.starts_with(&first) && first.len() < BYTE_ORDER_MARK.len() {
            first = joined(&first, &self.decode()?);
        }
        if first.starts_with(BYTE_ORDER_MARK) {
            first.advance(BYTE_ORDER_MARK.len());
        }
        // An empty piece would be taken for the end.
        while !self.is_end && (first.is_empty() || (is_page(&first).is_none() && first.len() < PAGE_BYTES_MAX)) {
            first = joined(&first, &self.decode()?);
        }
        Ok(first)
    }
}

fn decoder<'a>(input: Counted<impl Input + 'a>, compression: Compression) -> io::Result<Decoder<'a>> {
    Ok(match compression {
        Compression::None => Decoder::None(Box::new(input)),
        Compression::Gzip => Decoder::Some(Box::new(MultiGzDecoder::new(input))),
        Compression::Zstd => Decoder::Some(Box::new(zstd::Decoder::with_buffer(input)?)),
    })
}

impl Bytes for Source<'_> {
    fn piece(&mut self) -> Result<Piece, Fault> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => self.decode(),
        }
    }
}

fn joined(one: &Piece, other: &Piece) -> Piece {
    let mut both = BytesMut::with_capacity(one.len() + other.len());
    both.extend_from_slice(one);
    both.extend_from_slice(other);
    both.freeze()
}

fn taken(failure: &Failure) -> Option<Fault> {
    failure.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The fault inside an `io::Error`, or a new fault for it.
fn read_fault(file: &str, error: io::Error) -> Fault {
    let message = format!("cannot be read: {error}");
    match error.into_inner().map(|inner| inner.downcast::<Fault>()) {
        Some(Ok(fault)) => *fault,
        _ => Fault::new(Reason::Internal, message).in_file(file),
    }
}

/// Counts the bytes that are read and records why reading failed.
struct Counted<I> {
    inner: I,
    progress: Arc<Progress>,
    read: Arc<AtomicU64>,
    failure: Failure,
    /// Bytes that were read and not yet taken.
    current: Piece,
}

impl<I: Input> Counted<I> {
    fn more(&mut self) -> io::Result<Piece> {
        match self.inner.piece() {
            Ok(piece) => {
                self.read.fetch_add(piece.len() as u64, Ordering::Relaxed);
                self.progress.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Ok(piece)
            }
            Err(error) => {
                let kind = error.kind();
                let fault = read_fault("the input", error);
                let message = fault.to_string();
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                Err(io::Error::new(kind, message))
            }
        }
    }

    /// Buffers at least this many bytes, unless the input has fewer.
    fn gather(&mut self, bytes: usize) -> io::Result<()> {
        while self.current.len() < bytes {
            let more = self.more()?;
            if more.is_empty() {
                break;
            }
            self.current = if self.current.is_empty() { more } else { joined(&self.current, &more) };
        }
        Ok(())
    }
}

/// An uncompressed input.
trait Plain: Send {
    fn next(&mut self, bytes_max: usize) -> io::Result<Piece>;
}

impl<I: Input> Plain for Counted<I> {
    fn next(&mut self, bytes_max: usize) -> io::Result<Piece> {
        self.gather(1)?;
        Ok(self.current.split_to(bytes_max.min(self.current.len())))
    }
}

impl<I: Input> Read for Counted<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.gather(1)?;
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl<I: Input> BufRead for Counted<I> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.gather(1)?;
        Ok(&self.current)
    }

    fn consume(&mut self, bytes: usize) {
        self.current.advance(bytes);
    }
}

/// Runs in a separate thread: decompresses ahead of the parser, up to the capacity of the channel.
pub(crate) fn read_ahead(source: &mut Source<'_>, chunks: &SyncSender<Result<Piece, Fault>>) {
    loop {
        let result = Bytes::piece(source);
        let is_last = result.as_ref().map_or(true, Piece::is_empty);
        // The parser closes the channel when it has failed.
        if chunks.send(result).is_err() || is_last {
            return;
        }
    }
}

/// The parser's end of [`read_ahead`].
pub(crate) struct Ahead {
    pub(crate) chunks: Receiver<Result<Piece, Fault>>,
}

impl Bytes for Ahead {
    fn piece(&mut self) -> Result<Piece, Fault> {
        // The sender closes the channel after its last chunk, and after a panic, which the join reports.
        self.chunks.recv().unwrap_or_else(|_| Ok(Piece::new()))
    }
}

impl<B: Bytes + ?Sized> Bytes for &mut B {
    fn piece(&mut self) -> Result<Piece, Fault> {
        (**self).piece()
    }
}
