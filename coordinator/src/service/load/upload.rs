//! The client's side of a load: forwards its messages, piece by piece, to the parser's thread.

use bytes::Bytes;
use entail_model::{Fault, Reason};
use entail_proto::v1::{FileHeader, LoadRequest};
use entail_rdf::Input;
use entail_telemetry::metrics::Counter;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::io;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a client may send nothing while its load has the writer's turn and other changes wait for it.
const WAITED_FOR_MAX: Duration = Duration::from_secs(10);

/// How often it is looked whether other changes wait.
const LOOK: Duration = Duration::from_millis(250);

/// The messages of a client, in order, and the fault that ended them, if any.
pub type Messages = BoxStream<'static, Result<LoadRequest, Fault>>;

/// The first message of a load, and its header. It has to come within `idle_max`.
pub async fn first(messages: &mut Messages, idle_max: Duration) -> Result<(LoadRequest, FileHeader), Fault> {
    let invalid = |text| Fault::new(Reason::InvalidRequest, text);
    let first = timeout(idle_max, messages.next()).await.map_err(|_| silent(idle_max, ""))?;
    let first = first.ok_or_else(|| invalid("the load has no message"))??;
    let header = first.file.clone();
    Ok((first, header.ok_or_else(|| invalid("the first message of a load has no file header"))?))
}

/// The upload of a client.
pub struct Upload {
    pub messages: Messages,
    /// A client that sends nothing for this long has failed, even if its connection is open.
    pub idle_max: Duration,
    /// Does the load keep other changes waiting?
    pub is_waited_for: Box<dyn Fn() -> bool + Send>,
    /// The metric of received bytes.
    pub bytes: Counter,
}

impl Upload {
    /// Forwards a file's bytes until the next file starts; returns the message that starts it.
    pub async fn feed(&mut self, first: Bytes, pieces: mpsc::Sender<Result<Bytes, Fault>>) -> Option<LoadRequest> {
        self.bytes.inc_by(first.len() as u64);
        // A send fails when the parser has failed; the parser's own fault is reported.
        if !first.is_empty() && pieces.send(Ok(first)).await.is_err() {
            return None;
        }
        loop {
            match self.message().await {
                Ok(Some(message)) if message.file.is_some() => return Some(message),
                Ok(Some(message)) => {
                    self.bytes.inc_by(message.data.len() as u64);
                    if pieces.send(Ok(message.data)).await.is_err() {
                        return None;
                    }
                }
                Ok(None) => return None,
                Err(fault) => {
                    _ = pieces.send(Err(fault)).await;
                    return None;
                }
            }
        }
    }

    async fn message(&mut self) -> Result<Option<LoadRequest>, Fault> {
        let silent = Instant::now();
        loop {
            let first = WAITED_FOR_MAX.saturating_sub(silent.elapsed()).max(LOOK);
            let wait = first.min(self.idle_max.saturating_sub(silent.elapsed()));
            if let Ok(message) = timeout(wait, self.messages.next()).await {
                return message.transpose().map_err(broken);
            }
            self.check_silence(silent.elapsed())?;
        }
    }

    /// Ends a load whose client has sent nothing for too long.
    fn check_silence(&self, silence: Duration) -> Result<(), Fault> {
        let while_others_wait = match (silence >= self.idle_max, silence >= WAITED_FOR_MAX && (self.is_waited_for)()) {
            (true, _) => "",
            (false, true) => " while other changes wait",
            (false, false) => return Ok(()),
        };
        Err(silent(silence, while_others_wait))
    }
}

fn silent(silence: Duration, while_others_wait: &str) -> Fault {
    let text = format!("the load's client has sent nothing for {} s{while_others_wait}", silence.as_secs());
    Fault::new(Reason::DeadlineExceeded, text)
}

fn broken(fault: Fault) -> Fault {
    Fault::new(Reason::Cancelled, format!("the load's stream was interrupted: {}", fault.message))
}

/// The bytes of a file as an input that blocks until the client has sent more.
pub struct Pieces(pub mpsc::Receiver<Result<Bytes, Fault>>);

impl Input for Pieces {
    fn piece(&mut self) -> io::Result<Bytes> {
        loop {
            match self.0.blocking_recv() {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => return Ok(piece),
                Some(Err(fault)) => return Err(io::Error::other(fault)),
                None => return Ok(Bytes::new()),
            }
        }
    }
}
