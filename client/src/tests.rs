//! The client against a test server that fails as each test prescribes.

use super::*;
use entail_model::{Fault, Reason};
use entail_proto::status::from_fault;
use futures::stream::{self, BoxStream};
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use v1::query_response::Part;
use v1::query_service_server::{QueryService, QueryServiceServer};
use v1::update_service_server::{UpdateService, UpdateServiceServer};

/// The prescribed responses of the test server, and the requests that it has received.
#[derive(Default)]
struct Script {
    /// Answers to the next calls: the parts, then a failure or the summary.
    answers: Vec<(Vec<&'static str>, Option<Fault>)>,
    timeouts: Vec<bool>,
    loads: Vec<Seen>,
    request_ids: Vec<String>,
}

/// What the server received of a load.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    files: Vec<String>,
    bytes: usize,
    ended_cleanly: bool,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Script>>);

impl Server {
    fn next(&self) -> (Vec<&'static str>, Option<Fault>) {
        self.0.lock().unwrap().answers.remove(0)
    }

    async fn start(answers: Vec<(Vec<&'static str>, Option<Fault>)>) -> (Self, Client) {
        let server = Self::default();
        server.0.lock().unwrap().answers = answers;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = tonic::transport::Server::builder()
            .add_service(QueryServiceServer::new(server.clone()))
            .add_service(UpdateServiceServer::new(server.clone()));
        tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        let retry = retry::Policy { wait_first: Duration::from_millis(2), ..retry::Policy::default() };
        let options = Options { timeout: Some(Duration::from_secs(20)), retry, ..Options::default() };
        (server, Client::connect(&url, options).unwrap())
    }
}

#[tonic::async_trait]
impl QueryService for Server {
    type QueryStream = BoxStream<'static, Result<v1::QueryResponse, Status>>;

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<Self::QueryStream>, Status> {
        let has_timeout = request.metadata().get("grpc-timeout").is_some();
        self.0.lock().unwrap().timeouts.push(has_timeout);
        let (parts, fault) = self.next();
        let part = |part| Ok(v1::QueryResponse { part: Some(part) });
        let header = part(Part::Header(v1::QueryHeader { epoch: 7, ..Default::default() }));
        let data = parts.into_iter().map(move |text| part(Part::Data(text.into())));
        let last = match fault {
            Some(fault) if fault.message == "hang" => return Ok(Response::new(Box::pin(stream::pending()))),
            Some(fault) => Err(from_fault(&fault)),
            None => part(Part::Summary(v1::QuerySummary { rows: 1, ..Default::default() })),
        };
        Ok(Response::new(Box::pin(stream::iter([header].into_iter().chain(data).chain([last])))))
    }
}

#[tonic::async_trait]
impl UpdateService for Server {
    type LoadStream = BoxStream<'static, Result<v1::LoadResponse, Status>>;

    async fn update(&self, request: Request<v1::UpdateRequest>) -> Result<Response<v1::UpdateResponse>, Status> {
        self.0.lock().unwrap().request_ids.push(request.into_inner().request_id);
        match self.next().1 {
            Some(fault) if fault.message == "hang" => std::future::pending().await,
            Some(fault) if fault.message == "proxy" => Err(Status::unavailable("by a proxy")),
            Some(fault) => Err(from_fault(&fault)),
            None => Ok(Response::new(v1::UpdateResponse::default())),
        }
    }

    async fn load(&self, request: Request<Streaming<v1::LoadRequest>>) -> Result<Response<Self::LoadStream>, Status> {
        let server = self.0.clone();
        let mut messages = request.into_inner();
        // The response headers are sent at once, as by a server that reports progress.
        let answer = async move {
            let mut seen = Seen::default();
            let end = loop {
                match messages.next().await {
                    Some(Ok(message)) => {
                        seen.bytes += message.data.len();
                        seen.files.extend(message.file.map(|file| file.name));
                    }
                    Some(Err(status)) => break Err(status),
                    None => break Ok(()),
                }
            };
            seen.ended_cleanly = end.is_ok();
            server.lock().unwrap().loads.push(seen);
            end?;
            let summary = v1::load_response::Part::Summary(v1::LoadSummary { triples: 5, ..Default::default() });
            Ok(v1::LoadResponse { part: Some(summary) })
        };
        // A separate task also observes streams that the client resets.
        let answer = tokio::spawn(answer);
        Ok(Response::new(Box::pin(stream::once(async { answer.await.unwrap() }))))
    }
}

fn fault(reason: Reason) -> Option<Fault> {
    Some(Fault::new(reason, "why"))
}

fn query() -> v1::QueryRequest {
    v1::QueryRequest { query: "ASK {}".to_owned(), ..Default::default() }
}

#[tokio::test]
async fn an_answer_is_asked_for_again_only_before_it_begins() {
    let answers = vec![
        (vec![], fault(Reason::NotReady)),
        (vec![], fault(Reason::ShardsUnavailable)),
        (vec!["a", "b"], None),
        (vec!["a"], fault(Reason::ShardsUnavailable)),
        (vec![], fault(Reason::Syntax)),
    ];
    let (server, client) = Server::start(answers).await;
    let whole = client.query_all(query(), 100).await.unwrap();
    assert_eq!((&whole.data[..], whole.header.epoch, whole.summary.rows), (&b"ab"[..], 7, 1));
    let mut broken = client.query(query()).await.unwrap();
    assert_eq!(broken.next().await.unwrap().unwrap(), "a");
    let error = broken.next().await.unwrap_err();
    assert!(matches!(&error, Error::Interrupted { bytes: 1, fault } if fault.reason == Reason::ShardsUnavailable));
    let refused = client.query(query()).await.err().unwrap();
    assert!(matches!(refused, Error::Failed(fault) if fault.reason == Reason::Syntax));
    assert_eq!(server.0.lock().unwrap().timeouts, [true; 5]);
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_too_late_is_an_error() {
    let hang = Some(Fault::new(Reason::Internal, "hang"));
    let (_server, client) = Server::start(vec![(vec!["abc"], None), (vec![], hang)]).await;
    assert!(matches!(client.query_all(query(), 2).await, Err(Error::TooLarge { bytes_max: 2 })));
    let hurried = client.with_timeout(Some(Duration::from_millis(20)));
    let late = hurried.query(query()).await.err().unwrap();
    assert!(matches!(late, Error::Failed(fault) if fault.reason == Reason::DeadlineExceeded));
}

#[tokio::test]
async fn a_write_is_repeated_with_the_same_id() {
    let answers = vec![(vec![], fault(Reason::OutcomeUnknown)), (vec![], fault(Reason::EpochAborted)), (vec![], None)];
    let (server, client) = Server::start(answers).await;
    client.update(v1::UpdateRequest::default()).await.unwrap();
    let ids = server.0.lock().unwrap().request_ids.clone();
    assert!(ids.len() == 3 && ids[0].len() == 32 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_change_that_was_sent_and_not_answered_may_have_been_made() {
    for (answer, outcome) in [
        (Fault::new(Reason::Internal, "hang"), Reason::OutcomeUnknown),
        (Fault::new(Reason::Internal, "proxy"), Reason::OutcomeUnknown),
        // The service itself says that the change was not made.
        (Fault::new(Reason::DeadlineExceeded, "before it was begun"), Reason::DeadlineExceeded),
    ] {
        let (_server, client) = Server::start(vec![(vec![], Some(answer.clone())); 50]).await;
        let client = client.with_timeout(Some(Duration::from_millis(300)));
        let request = v1::UpdateRequest { request_id: "once".to_owned(), ..Default::default() };
        let error = client.update(request).await.expect_err("no answer");
        let fault = error.fault().expect("a fault");
        assert_eq!(fault.reason, outcome, "{answer:?}: {fault:?}");
        assert_eq!(fault.message.contains("request id once"), outcome == Reason::OutcomeUnknown, "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let options = Options { retry: retry::Policy::never(), ..Options::default() };
    let client = Client::connect(&url, options).unwrap();
    for error in [client.query(query()).await.err(), client.update(v1::UpdateRequest::default()).await.err()] {
        let Some(Error::Failed(fault)) = error else { panic!("a fault was expected") };
        assert_eq!(fault.reason, Reason::NotReady);
        assert!(fault.message.contains(&url) && fault.message.contains("refused"), "{fault}");
    }
    for bad in ["https://a", "", "http://a b"] {
        assert!(matches!(Client::connect(bad, Options::default()), Err(Error::Address { .. })), "{bad}");
    }
}

/// Yields a megabyte and fails, or never ends.
struct Torn {
    left: usize,
    fails: bool,
}

impl AsyncRead for Torn {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = self.left.min(buffer.remaining());
        if count == 0 && self.fails {
            return Poll::Ready(Err(io::Error::other("torn")));
        }
        self.left -= count;
        buffer.put_slice(&vec![b'x'; count]);
        if count == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

fn file(name: &str) -> v1::FileHeader {
    v1::FileHeader { name: name.to_owned(), ..Default::default() }
}

/// What the server received of the only load, once its stream has ended.
async fn seen(server: &Server) -> Seen {
    for _ in 0..1000 {
        if let Some(seen) = server.0.lock().unwrap().loads.pop() {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the server still waits for the load to end");
}

#[tokio::test]
async fn files_arrive_whole() {
    let (server, client) = Server::start(vec![]).await;
    let reader = Torn { left: 700_000, fails: false };
    let ended = tokio::io::AsyncReadExt::take(reader, 700_000);
    let sources = vec![
        Source::bytes(vec![b'y'; 300_000], file("a")),
        Source::bytes("", file("b")),
        Source::reader(ended, file("c")),
    ];
    let summary = client.load(sources, &mut |_| ()).await.unwrap();
    assert_eq!(summary.triples, 5);
    let expected = Seen { files: ["a", "b", "c"].map(str::to_owned).into(), bytes: 1_000_000, ended_cleanly: true };
    assert_eq!(seen(&server).await, expected);
}

#[tokio::test]
async fn a_load_that_is_given_up_never_ends_cleanly() {
    let (server, client) = Server::start(vec![]).await;
    let sources = vec![Source::bytes("x", file("a")), Source::reader(Torn { left: 1 << 20, fails: true }, file("b"))];
    let error = client.load(sources, &mut |_| ()).await.unwrap_err();
    assert!(matches!(error, Error::Source { name, .. } if name == "b"));
    assert!(!seen(&server).await.ended_cleanly);

    let endless = vec![Source::reader(Torn { left: 1 << 20, fails: false }, file("c"))];
    let given_up = tokio::time::timeout(Duration::from_millis(100), client.load(endless, &mut |_| ())).await;
    assert!(given_up.is_err());
    assert!(!seen(&server).await.ended_cleanly);
    let missing = client.load(vec![Source::path("/no/such/file", file(""))], &mut |_| ()).await.unwrap_err();
    assert!(missing.to_string().starts_with("/no/such/file: No such file"));
    // The request may not have been sent at all; if it was, it did not end cleanly.
    assert!(server.0.lock().unwrap().loads.iter().all(|seen| !seen.ended_cleanly));
}

/// Callers spawn these futures, so they must be `Send`.
#[test]
fn calls_can_move_between_threads() {
    fn check<T: Send>(_: T) {}
    let calls = |client: &Client| {
        check(client.query(query()));
        check(client.update(v1::UpdateRequest::default()));
        check(client.dump(v1::DumpRequest::default()));
    };
    let _ = calls;
}
