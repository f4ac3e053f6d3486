//! The input as decoded bytes: counted, decompressed, without a byte order mark.
//!
//! ```text
//! input ──► count ──► gunzip | unzstd | as is ──► strip BOM ──► pieces
//! ```
//! Uncompressed input is passed on without a copy.

use crate::format::Compression;
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
    /// Errors of the input, or `Corrupt` for data that does not decompress.
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
    started: bool,
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
    /// Opens an input. Without a `compression`, the first bytes determine it.
    ///
    /// # Errors
    /// Errors of the input when its first bytes are read.
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
        // An empty input is an empty file, whatever its name says.
        let compression = if input.current.is_empty() {
            Compression::None
        } else {
            compression.unwrap_or_else(|| Compression::from_content(&input.current))
        };
        let decoder = decoder(input, compression).map_err(|error| read_fault(file, error))?;
        let decoded = Arc::clone(&counts.decoded);
        Ok(Self { decoder, file: file.to_owned(), compression, failure, decoded, started: false })
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    fn decode(&mut self) -> Result<Piece, Fault> {
        let result = match &mut self.decoder {
            Decoder::None(input) => input.next(PIECE_BYTES),
            Decoder::Some(reader) => reader.piece(),
        };
        let piece = result.map_err(|error| self.fault(error))?;
        self.decoded.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok(piece)
    }

    fn fault(&self, error: io::Error) -> Fault {
        if let Some(fault) = taken(&self.failure) {
            return fault;
        }
        let message = match (error.kind(), self.compression) {
            (ErrorKind::UnexpectedEof, compression) => {
                format!("the {compression} data is truncated: it ends too early")
            }
            (_, compression) => format!("the {compression} data cannot be decompressed: {error}"),
        };
        Fault::corrupt(message).in_file(&self.file)
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
        if self.started {
            return self.decode();
        }
        self.started = true;
        let mut first = self.decode()?;
        while first.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&first) {
            let more = self.decode()?;
            if more.is_empty() {
                return Ok(first);
            }
            first = joined(&first, &more);
        }
        if first.starts_with(BYTE_ORDER_MARK) {
            first.advance(BYTE_ORDER_MARK.len());
            if first.is_empty() {
                return self.decode();
            }
        }
        Ok(first)
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
pub(crate) fn read_ahead(mut source: Source<'_>, chunks: &SyncSender<Result<Piece, Fault>>) {
    loop {
        let result = Bytes::piece(&mut source);
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
