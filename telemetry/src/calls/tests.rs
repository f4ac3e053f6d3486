//! Both ends of calls that a test makes itself, and the spans that they produce.

use super::*;
use crate::export::{self, Identity};
use crate::ring::Ring;
use crate::settings::Wishes;
use crate::trace::{self, Span as Ended};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};
use tracing::info_span;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// A service that responds with one data frame and a status in the trailers, and whose work has a span.
#[derive(Clone)]
struct Handler(Code);

impl Service<Request<()>> for Handler {
    type Response = Response<Frames>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Frames>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let code = self.0;
        Box::pin(async move {
            info_span!("work").in_scope(|| ());
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from(code as i32));
            trailers.insert("grpc-message", HeaderValue::from_static("so%20it%20is"));
            Ok(Response::new(Frames(VecDeque::from([Frame::data(&b"data"[..]), Frame::trailers(trailers)]))))
        })
    }
}

struct Frames(VecDeque<Frame<&'static [u8]>>);

impl Body for Frames {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<&'static [u8]>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// The spans that a call inside a trace adds to the ring; `read` says whether the response is read to its end.
fn spans(code: Code, calls: Calls, is_inside: bool, read: bool) -> Vec<Ended> {
    let all = |name: &str| Some("always_on".to_owned()).filter(|_| name == "OTEL_TRACES_SAMPLER");
    let settings = Wishes::read(&all).settings.unwrap();
    let ring = Arc::new(Ring::default());
    let who = Identity { service_name: "entail", instance: "one", asks: false };
    let (provider, ..) = export::provider(&settings, &who, Arc::clone(&ring)).unwrap();
    let subscriber = Registry::default().with(export::layer(&provider));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let trace = tracing::subscriber::with_default(subscriber, || {
        let mut server = ServerSpans::new("node-1", calls).layer(Handler(code));
        let outer = if is_inside { info_span!("command", otel.name = "outer") } else { Span::none() };
        let trace = crate::context::trace_id(&outer);
        let mut client = ClientSpans::new(&mut server, Peer::new("10.0.0.1:7401"));
        let request = Request::get("http://node/a.Service/Method").body(()).unwrap();
        outer.in_scope(|| {
            runtime.block_on(async {
                let answer = client.call(request).await.unwrap();
                if read {
                    answer.into_body().collect().await.unwrap();
                }
            });
        });
        trace
    });
    trace.map(|trace| trace::decode(&ring.trace(trace)).unwrap()).unwrap_or_default()
}

fn find<'s>(spans: &'s [Ended], kind: &str, name: &str) -> &'s Ended {
    spans
        .iter()
        .find(|span| span.kind == kind && span.name == name)
        .unwrap_or_else(|| panic!("{kind} {name}: {spans:#?}"))
}

const ALL: fn(&str) -> bool = |_| true;

#[test]
fn a_trace_goes_on_across_a_call() {
    let spans = spans(Code::Ok, Calls::InTrace(ALL), true, true);
    assert_eq!(spans.len(), 4);
    let (outer, client) = (find(&spans, "internal", "outer"), find(&spans, "client", "a.Service/Method"));
    let (server, work) = (find(&spans, "server", "a.Service/Method"), find(&spans, "internal", "work"));
    assert_eq!([outer.parent, client.parent], [None, Some(outer.id)]);
    assert_eq!([server.parent, work.parent], [Some(client.id), Some(server.id)]);
    assert_eq!((client.text("server.address"), client.number("server.port")), (Some("10.0.0.1"), Some(7401)));
    assert_eq!(server.text("entail.process"), Some("node-1"));
    for span in [client, server] {
        assert_eq!(span.text("rpc.system.name"), Some("grpc"));
        assert_eq!(span.text("rpc.method"), Some("a.Service/Method"));
        assert_eq!((span.text("rpc.response.status_code"), &span.error), (Some("OK"), &None));
    }
}

#[test]
fn an_error_is_one_to_the_caller_and_to_the_server_if_it_is_its_own() {
    for (code, name, is_servers) in [(Code::Unavailable, "UNAVAILABLE", true), (Code::NotFound, "NOT_FOUND", false)] {
        let spans = spans(code, Calls::Always(ALL), true, true);
        let (client, server) = (find(&spans, "client", "a.Service/Method"), find(&spans, "server", "a.Service/Method"));
        assert_eq!((client.error.as_deref(), client.text("error.type")), (Some("so it is"), Some(name)));
        assert_eq!(server.error.is_some(), is_servers, "{name}");
        assert_eq!(server.text("rpc.response.status_code"), Some(name));
    }
}

#[test]
fn an_answer_that_nobody_reads_to_its_end_was_cancelled() {
    let spans = spans(Code::Ok, Calls::Always(ALL), true, false);
    let client = find(&spans, "client", "a.Service/Method");
    assert_eq!((client.text("rpc.response.status_code"), &client.error), (Some("CANCELLED"), &None));
}

#[test]
fn calls_outside_of_traces_and_those_that_nobody_wants_have_no_spans() {
    assert_eq!(spans(Code::Ok, Calls::InTrace(ALL), false, true), []);
    let names: Vec<String> =
        spans(Code::Ok, Calls::Always(|_| false), true, true).into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["work", "a.Service/Method", "outer"], "the client's alone");
}
