//! Streamed answers: the bytes of a query's result or of a graph.
//!
//! An answer is returned to the caller when its first part has arrived; earlier failures are retried, later ones are
//! returned.

use crate::connection::{Attempt, Connection, Deadline, Kind};
use crate::error::Error;
use bytes::{Bytes, BytesMut};
use entail_model::Fault;
use entail_proto::v1::query_response::Part;
use entail_proto::v1::{DumpResponse, DumpSummary, QueryHeader, QueryResponse, QuerySummary};
use std::sync::Arc;
use tonic::{Response, Status, Streaming};

/// A message of a stream that can be split into its parts.
pub trait Message: Send + 'static {
    type Header: Send;
    type Summary: Send;

    fn split(self) -> Pieces<Self::Header, Self::Summary>;
}

/// A part of a message.
#[derive(Debug)]
pub struct Pieces<H, S> {
    pub header: Option<H>,
    pub data: Bytes,
    pub summary: Option<S>,
}

impl Message for QueryResponse {
    type Header = QueryHeader;
    type Summary = QuerySummary;

    fn split(self) -> Pieces<QueryHeader, QuerySummary> {
        let empty = Pieces { header: None, data: Bytes::new(), summary: None };
        match self.part {
            Some(Part::Header(header)) => Pieces { header: Some(header), ..empty },
            Some(Part::Data(data)) => Pieces { data, ..empty },
            Some(Part::Summary(summary)) => Pieces { summary: Some(summary), ..empty },
            None => empty,
        }
    }
}

impl Message for DumpResponse {
    type Header = ();
    type Summary = DumpSummary;

    fn split(self) -> Pieces<(), DumpSummary> {
        Pieces { header: None, data: self.data, summary: self.summary }
    }
}

/// An answer in progress. Dropping it stops the work on every node.
pub struct Answer<M: Message> {
    connection: Arc<Connection>,
    deadline: Deadline,
    stream: Streaming<M>,
    header: Option<M::Header>,
    /// The first part, which arrived before the answer was returned.
    first: Bytes,
    summary: Option<M::Summary>,
    bytes: u64,
}

/// The beginning of an answer, up to which a failed call may be retried.
pub(crate) struct Opened<M: Message> {
    stream: Streaming<M>,
    header: Option<M::Header>,
    first: Bytes,
    summary: Option<M::Summary>,
}

/// Waits for the first part of an answer.
pub(crate) async fn open<M: Message>(response: Result<Response<Streaming<M>>, Status>) -> Result<Opened<M>, Status> {
    let stream = response?.into_inner();
    let mut opened = Opened { stream, header: None, first: Bytes::new(), summary: None };
    while opened.first.is_empty() && opened.summary.is_none() {
        let Some(message) = opened.stream.message().await? else {
            return Err(cut_off());
        };
        let pieces = message.split();
        opened.header = pieces.header.or(opened.header);
        opened.first = pieces.data;
        opened.summary = pieces.summary;
    }
    if opened.summary.is_some() {
        _ = opened.stream.message().await;
    }
    Ok(opened)
}

/// The error for a stream that ends without its summary: an answer is complete or an error.
fn cut_off() -> Status {
    entail_proto::status::from_fault(&Fault::internal("the answer ended without its summary"))
}

impl<M: Message> Answer<M> {
    pub(crate) fn new(connection: Arc<Connection>, deadline: Deadline, opened: Opened<M>) -> Self {
        let Opened { stream, header, first, summary } = opened;
        Self { connection, deadline, stream, header, first, summary, bytes: 0 }
    }

    /// The header of the answer, for kinds of answers that have one.
    pub fn header(&self) -> Option<&M::Header> {
        self.header.as_ref()
    }

    /// The summary of the answer; available when [`Self::next`] has returned `None`.
    pub fn summary(&self) -> Option<&M::Summary> {
        self.summary.as_ref()
    }

    /// The next bytes, in chunks of any size; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the answer breaks off or exceeds its deadline.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let mut data = std::mem::take(&mut self.first);
        while data.is_empty() {
            if self.summary.is_some() {
                return Ok(None);
            }
            let message = self.message().await?;
            let pieces = message.split();
            data = pieces.data;
            self.summary = pieces.summary;
            if self.summary.is_some() {
                // The call is over only when the server has ended it, too; the answer is complete whatever comes after
                // the summary.
                _ = self.deadline.within(self.stream.message()).await;
            }
        }
        self.bytes += data.len() as u64;
        Ok(Some(data))
    }

    /// All remaining bytes, up to a limit.
    ///
    /// # Errors
    /// The errors of [`Self::next`], and [`Error::TooLarge`].
    pub async fn collect(&mut self, bytes_max: usize) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(data) = self.next().await? {
            if all.len() + data.len() > bytes_max {
                return Err(Error::TooLarge { bytes_max });
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    async fn message(&mut self) -> Result<M, Error> {
        let status = match self.deadline.within(self.stream.message()).await {
            Ok(Some(message)) => return Ok(message),
            Ok(None) => Some(cut_off()),
            Err(status) => status,
        };
        let fault = self.connection.fault(status, self.deadline, Kind::Read);
        Err(match self.bytes {
            0 => Error::Failed(fault),
            bytes => Error::Interrupted { fault, bytes },
        })
    }
}

/// Makes a call with a streamed answer.
pub(crate) async fn stream<M, F, R>(
    connection: &Arc<Connection>,
    timeout: Option<std::time::Duration>,
    send: F,
) -> Result<Answer<M>, Error>
where
    M: Message,
    F: Fn(Attempt) -> R,
    R: Future<Output = Result<Response<Streaming<M>>, Status>>,
{
    let call = |attempt: Attempt| {
        let deadline = attempt.deadline;
        let response = send(attempt);
        async move { Ok((deadline, open(response.await).await?)) }
    };
    let (deadline, opened) = connection.call(timeout, Kind::Read, call).await?;
    Ok(Answer::new(connection.clone(), deadline, opened))
}
