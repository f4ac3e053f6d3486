//! The input as decoded bytes: counted, decompressed, without a byte order mark, with faults that say what is wrong.
//!
//! ```text
//! input ──► count ──► gunzip | unzstd | as is ──► strip BOM ──► read_into(buffer)
//! ```

use super::{Compression, Progress};
use entail_model::{Fault, Reason};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Chain, Cursor, ErrorKind, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

/// What one call of [`Bytes::read_into`] asks for.
const READ_BYTES: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Something that decoded bytes come from.
pub(super) trait Bytes {
    /// Appends some more bytes to `buffer` and says how many; zero is the end.
    ///
    /// # Errors
    /// What the input failed with, or `Corrupt` for data that does not decompress.
    fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Fault>;
}

/// The bytes of one input, decompressed.
pub(super) struct Source<'a> {
    reader: Box<dyn Read + Send + 'a>,
    file: String,
    compression: Compression,
    failure: Failure,
    decoded: Arc<AtomicU64>,
    started: bool,
}

/// The first error of the input itself, as opposed to one of what decodes it.
type Failure = Arc<Mutex<Option<Fault>>>;

/// How many bytes were read and how many came out, also after the source has moved to another thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) read: Arc<AtomicU64>,
    pub(super) decoded: Arc<AtomicU64>,
}

impl<'a> Source<'a> {
    /// Opens an input. Without a `compression`, the first bytes tell it.
    ///
    /// # Errors
    /// What the input fails with when its first bytes are read.
    pub(super) fn open(
        input: impl Read + Send + 'a,
        file: &str,
        compression: Option<Compression>,
        progress: Arc<Progress>,
        counts: &Counts,
    ) -> Result<Self, Fault> {
        let failure = Failure::default();
        let counted = Counted { inner: input, progress, read: Arc::clone(&counts.read), failure: Arc::clone(&failure) };
        let mut input = BufReader::with_capacity(READ_BYTES, counted);
        let mut head = Vec::new();
        let peeked = (&mut input).take(4).read_to_end(&mut head);
        peeked.map_err(|error| taken(&failure).unwrap_or_else(|| read_fault(file, error)))?;
        // An empty input is an empty file, whatever its name says.
        let compression = if head.is_empty() {
            Compression::None
        } else {
            compression.unwrap_or_else(|| Compression::from_content(&head))
        };
        let reader = decoder(Cursor::new(head).chain(input), compression).map_err(|error| read_fault(file, error))?;
        let decoded = Arc::clone(&counts.decoded);
        Ok(Self { reader, file: file.to_owned(), compression, failure, decoded, started: false })
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    fn read_some(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Fault> {
        let start = buffer.len();
        buffer.resize(start + READ_BYTES, 0);
        let result = loop {
            match self.reader.read(&mut buffer[start..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        buffer.truncate(start + result.as_ref().copied().unwrap_or(0));
        let count = result.map_err(|error| self.fault(error))?;
        self.decoded.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
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

fn decoder<'a, R: Read + Send + 'a>(
    input: Chain<Cursor<Vec<u8>>, BufReader<R>>,
    compression: Compression,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
    })
}

impl Bytes for Source<'_> {
    fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Fault> {
        if self.started {
            return self.read_some(buffer);
        }
        self.started = true;
        let start = buffer.len();
        while buffer.len() - start < BYTE_ORDER_MARK.len() && self.read_some(buffer)? > 0 {}
        if buffer[start..].starts_with(BYTE_ORDER_MARK) {
            buffer.drain(start..start + BYTE_ORDER_MARK.len());
            if buffer.len() == start {
                return self.read_some(buffer);
            }
        }
        Ok(buffer.len() - start)
    }
}

fn taken(failure: &Failure) -> Option<Fault> {
    failure.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// A fault that travelled through an `io::Error`, or one made of it.
fn read_fault(file: &str, error: io::Error) -> Fault {
    let message = format!("cannot be read: {error}");
    match error.into_inner().map(|inner| inner.downcast::<Fault>()) {
        Some(Ok(fault)) => *fault,
        _ => Fault::new(Reason::Internal, message).in_file(file),
    }
}

/// Counts what is read and remembers why reading failed.
struct Counted<R> {
    inner: R,
    progress: Arc<Progress>,
    read: Arc<AtomicU64>,
    failure: Failure,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(count) => {
                self.read.fetch_add(count as u64, Ordering::Relaxed);
                self.progress.bytes.fetch_add(count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                let fault = read_fault("the input", error);
                let message = fault.to_string();
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                Err(io::Error::new(kind, message))
            }
        }
    }
}

/// Runs in a thread of its own: decompresses ahead of the parser, as far as the channel is deep.
pub(super) fn read_ahead(mut source: Source<'_>, chunks: &SyncSender<Result<Vec<u8>, Fault>>) {
    loop {
        let mut chunk = Vec::new();
        let result = source.read_into(&mut chunk).map(|_| chunk);
        let is_last = result.as_ref().map_or(true, Vec::is_empty);
        // The parser hangs up when it has failed.
        if chunks.send(result).is_err() || is_last {
            return;
        }
    }
}

/// The parser's end of [`read_ahead`].
pub(super) struct Ahead {
    pub(super) chunks: Receiver<Result<Vec<u8>, Fault>>,
}

impl Bytes for Ahead {
    fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Fault> {
        // After its last chunk the sender is gone; so it is after a panic, which the join reports.
        let Ok(chunk) = self.chunks.recv() else { return Ok(0) };
        let chunk = chunk?;
        buffer.extend_from_slice(&chunk);
        Ok(chunk.len())
    }
}

impl<B: Bytes + ?Sized> Bytes for &mut B {
    fn read_into(&mut self, buffer: &mut Vec<u8>) -> Result<usize, Fault> {
        (**self).read_into(buffer)
    }
}
