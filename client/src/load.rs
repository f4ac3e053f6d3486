//! Loading: sends files in chunks, in one stream, as fast as the server accepts them.
//!
//! ```text
//! sources ──► messages of up to 256 KiB ──► abortable body ──► server
//!    a file fails ──► the body fails as well: the server sees a broken stream, never an early end
//! ```
//! Invariant: a stream ends cleanly only after every byte of every file, because a clean end makes the server commit.

mod body;

use crate::connection::{Connection, Deadline, Kind, MESSAGE_BYTES_MAX};
use crate::error::Error;
use body::Abortable;
use bytes::Bytes;
use entail_model::{Fault, Reason};
use entail_proto::v1::load_response::Part;
use entail_proto::v1::update_service_client::UpdateServiceClient;
use entail_proto::v1::{FileHeader, LoadProgress, LoadRequest, LoadSummary};
use futures::Stream;
use futures::stream::unfold;
use std::collections::VecDeque;
use std::fs::File;
use std::future::pending;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tonic::{Request, Status};

/// The data of one message, in bytes.
const CHUNK_BYTES: usize = 256 << 10;

/// The number of chunks of a file that are read ahead.
const CHUNKS_AHEAD: usize = 4;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// One file of a load.
pub struct Source {
    header: FileHeader,
    content: Content,
}

enum Content {
    Path(PathBuf),
    Bytes(Bytes),
    /// Can be read once, so a load with it is never sent again.
    Reader(Option<Reader>),
}

impl Source {
    /// A file on disk. If the header has no name, the path becomes its name.
    pub fn path(path: impl Into<PathBuf>, mut header: FileHeader) -> Self {
        let path = path.into();
        if header.name.is_empty() {
            header.name = path.to_string_lossy().into_owned();
        }
        Self { header, content: Content::Path(path) }
    }

    /// Data in memory.
    pub fn bytes(data: impl Into<Bytes>, header: FileHeader) -> Self {
        Self { header, content: Content::Bytes(data.into()) }
    }

    /// Data from any other reader.
    pub fn reader(reader: impl AsyncRead + Send + Unpin + 'static, header: FileHeader) -> Self {
        Self { header, content: Content::Reader(Some(Box::new(reader))) }
    }

    /// The source for one more send; a reader is consumed by that.
    fn share(&mut self) -> Self {
        let content = match &mut self.content {
            Content::Path(path) => Content::Path(path.clone()),
            Content::Bytes(data) => Content::Bytes(data.clone()),
            Content::Reader(reader) => Content::Reader(reader.take()),
        };
        Self { header: self.header.clone(), content }
    }

    fn open(self) -> io::Result<Chunks> {
        match self.content {
            Content::Path(path) => Ok(Chunks::Ahead(read_ahead(path))),
            Content::Bytes(data) => Ok(Chunks::Whole(data)),
            Content::Reader(reader) => {
                reader.map(Chunks::Read).ok_or_else(|| io::Error::other("can be read only once"))
            }
        }
    }
}

/// The rest of an open source.
enum Chunks {
    Ahead(mpsc::Receiver<io::Result<Bytes>>),
    Whole(Bytes),
    Read(Reader),
}

impl Chunks {
    /// The next bytes; empty at the end.
    async fn next(&mut self) -> io::Result<Bytes> {
        match self {
            Self::Ahead(chunks) => chunks.recv().await.unwrap_or_else(|| Ok(Bytes::new())),
            Self::Whole(data) => Ok(data.split_to(data.len().min(CHUNK_BYTES))),
            Self::Read(reader) => {
                let mut data = Vec::with_capacity(CHUNK_BYTES);
                reader.take(CHUNK_BYTES as u64).read_to_end(&mut data).await?;
                Ok(data.into())
            }
        }
    }
}

/// Reads a file on a blocking thread, a few chunks ahead of the sender.
fn read_ahead(path: PathBuf) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                _ = sender.blocking_send(Err(error));
                return;
            }
        };
        loop {
            let mut data = Vec::with_capacity(CHUNK_BYTES);
            let read = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut data);
            let is_last = !matches!(read, Ok(1..));
            // The receiver is dropped when the call is over.
            if sender.blocking_send(read.map(|_| data.into())).is_err() || is_last {
                return;
            }
        }
    });
    chunks
}

/// The progress of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files that have been sent.
    pub bytes_sent: u64,
    /// Triples that the server has parsed.
    pub triples: u64,
    /// The server's phase: parsing, reasoning or committing.
    pub phase: String,
    /// The round of reasoning.
    pub round: u32,
}

/// Called for each progress report of the server, at most several times a second.
pub type OnProgress<'a> = &'a mut (dyn FnMut(&Progress) + Send);

/// Sends the files until the load is committed or fails for good.
pub(crate) async fn load(
    connection: &Connection,
    timeout: Option<Duration>,
    mut sources: Vec<Source>,
    on_progress: OnProgress<'_>,
) -> Result<LoadSummary, Error> {
    let started = Instant::now();
    let mut retry = connection.retry(timeout);
    let mut left = timeout;
    let request_id = request_id(&mut sources)?;
    let is_repeatable = !sources.iter().any(|source| matches!(source.content, Content::Reader(_)));
    loop {
        let fault = match send(connection, left, &mut sources, on_progress).await {
            Ok(summary) => return Ok(summary),
            Err(Broken::Source(error)) => return Err(error),
            Err(Broken::Call(status, deadline)) => {
                connection.fault(status, deadline, Kind::Write { request_id: &request_id })
            }
        };
        if !is_repeatable {
            return Err(Error::Failed(fault));
        }
        left = connection.recover(&mut retry, fault, started).await?;
    }
}

/// The reason why one send failed.
enum Broken {
    Source(Error),
    Call(Option<Status>, Deadline),
}

/// The id in the first header; generated if there is none.
fn request_id(sources: &mut [Source]) -> Result<String, Error> {
    let first = sources.first_mut();
    let header = &mut first.ok_or_else(|| Error::Failed(Fault::new(Reason::InvalidRequest, "no file to load")))?.header;
    if header.request_id.is_empty() {
        header.request_id = crate::connection::request_id();
    }
    Ok(header.request_id.clone())
}

async fn send(
    connection: &Connection,
    timeout: Option<Duration>,
    sources: &mut [Source],
    on_progress: OnProgress<'_>,
) -> Result<LoadSummary, Broken> {
    let attempt = connection.attempt(timeout);
    let (failed, failure) = oneshot::channel();
    let sent = Arc::new(AtomicU64::new(0));
    let files = sources.iter_mut().map(Source::share).collect();
    let request = attempt.request(messages(Feed { files, current: None, sent: sent.clone() }, failed));
    // Dropped with this call, whatever its outcome.
    let (_guard, channel) = Abortable::new(attempt.channel);
    let client = UpdateServiceClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    tokio::select! {
        biased;
        Ok(error) = failure => Err(Broken::Source(error)),
        answer = attempt.deadline.within(receive(client, request, &sent, on_progress)) => {
            answer.map_err(|status| Broken::Call(status, attempt.deadline))
        }
    }
}

async fn receive(
    mut client: UpdateServiceClient<Abortable>,
    request: Request<impl Stream<Item = LoadRequest> + Send + 'static>,
    sent: &AtomicU64,
    on_progress: OnProgress<'_>,
) -> Result<LoadSummary, Status> {
    let mut responses = client.load(request).await?.into_inner();
    while let Some(response) = responses.message().await? {
        match response.part {
            Some(Part::Summary(summary)) => {
                // The call is over only when the server has ended it, too; after the summary no error can change the
                // outcome.
                _ = responses.message().await;
                return Ok(summary);
            }
            Some(Part::Progress(progress)) => {
                let LoadProgress { bytes: _, triples, phase, round } = progress;
                on_progress(&Progress { bytes_sent: sent.load(Ordering::Relaxed), triples, phase, round });
            }
            None => {}
        }
    }
    Err(Status::unknown("the load ended without its summary"))
}

/// The messages of all files. A file that cannot be read is reported, and the stream then never ends by itself.
fn messages(feed: Feed, failed: oneshot::Sender<Error>) -> impl Stream<Item = LoadRequest> + Send + 'static {
    unfold((feed, Some(failed)), async |(mut feed, mut failed)| match feed.next().await {
        Ok(message) => message.map(|message| (message, (feed, failed))),
        Err(error) => {
            // If the call is over already, the receiver has been dropped.
            let _ = failed.take().map(|failed| failed.send(error));
            pending().await
        }
    })
}

/// Splits files into messages.
struct Feed {
    files: VecDeque<Source>,
    current: Option<(String, Chunks)>,
    sent: Arc<AtomicU64>,
}

impl Feed {
    /// The next message; `None` after the last.
    async fn next(&mut self) -> Result<Option<LoadRequest>, Error> {
        if self.current.is_some() {
            let data = self.chunk().await?;
            if !data.is_empty() {
                return Ok(Some(LoadRequest { file: None, data }));
            }
            self.current = None;
        }
        let Some(source) = self.files.pop_front() else {
            return Ok(None);
        };
        let header = source.header.clone();
        let name = header.name.clone();
        let chunks = source.open().map_err(|error| Error::Source { name: name.clone(), error })?;
        self.current = Some((name, chunks));
        let data = self.chunk().await?;
        Ok(Some(LoadRequest { file: Some(header), data }))
    }

    /// The next bytes of the current file; empty at its end.
    async fn chunk(&mut self) -> Result<Bytes, Error> {
        let Some((name, chunks)) = &mut self.current else {
            return Ok(Bytes::new());
        };
        let data = chunks.next().await.map_err(|error| Error::Source { name: name.clone(), error })?;
        self.sent.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(data)
    }
}
